//! A node and a cloud without limits of its own, in memory: executes plans at once.

#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_ipam::ledger::Ledger;
use vpc_ipam::plan::Provisioning;
use vpc_ipam::{
    Allocation, Eni, EniKind, Event, Facts, NewEni, Plan, Pool, Targets, WarmTarget, Work,
    allocate, plan, release,
};
use vpc_model::{DeviceIndex, EniId, MacAddress, NetworkCard, PodKey, PodName, Timestamp};

pub(crate) struct Node {
    pub(crate) pool: Pool,
    pub(crate) targets: Targets,
    pub(crate) now: Timestamp,
    next_address: u32,
    next_eni: u32,
    pub(crate) handed_back: BTreeSet<Ipv4Addr>,
}

pub(crate) fn key(name: &str) -> PodKey {
    PodKey {
        network: "aws-cni".to_owned(),
        container_id: name.to_owned(),
        if_name: "eth0".to_owned(),
    }
}

impl Node {
    /// A fresh node: a primary ENI without addresses for pods.
    pub(crate) fn new((max_enis, per_eni): (u32, u32), warm: WarmTarget) -> Self {
        let targets = Targets {
            warm,
            max_enis,
            per_eni,
            max_pods: None,
            cooldown: Duration::from_secs(30),
            eni_min_age: Duration::from_secs(60),
            return_delay: Duration::from_secs(30),
        };
        let mut node = Self {
            pool: Pool::new(Ledger::default()),
            targets,
            now: Timestamp::from_millis(1_000_000),
            next_address: 0,
            next_eni: 0,
            handed_back: BTreeSet::new(),
        };
        let primary = node.new_eni(EniKind::Primary, DeviceIndex(0), 0);
        node.pool.apply(Event::EniFound(primary), node.now);
        node
    }

    /// A node that is older than any delay, with that many addresses for pods on its ENIs, the
    /// primary first.
    pub(crate) fn with_enis(shape: (u32, u32), warm: WarmTarget, addresses: &[u32]) -> Self {
        let mut node = Self::new(shape, warm);
        let primary = node.id(0);
        let first = node.fresh(addresses[0]);
        node.apply(Event::AddressesFound {
            eni: primary,
            addresses: first,
        });
        for (device, count) in (1..).zip(&addresses[1..]) {
            let eni = node.new_eni(EniKind::Secondary, DeviceIndex(device), *count);
            node.apply(Event::EniFound(eni));
        }
        node.pass(600);
        node
    }

    /// The ENI at that place.
    pub(crate) fn id(&self, device: u8) -> EniId {
        let mut enis = self.pool.enis();
        enis.find(|eni| eni.device.0 == device).unwrap().id.clone()
    }

    pub(crate) fn eni(&self, device: u8) -> &Eni {
        self.pool.eni(&self.id(device)).unwrap()
    }

    /// An ENI of the pool as metadata shows it.
    pub(crate) fn as_found(&self, eni: &Eni) -> NewEni {
        NewEni {
            id: eni.id.clone(),
            kind: eni.kind,
            mac: eni.mac,
            card: eni.card,
            device: eni.device,
            subnet: eni.subnet.clone(),
            subnet_cidr: eni.subnet_cidr,
            primary: eni.primary,
            addresses: eni.addresses().map(|(address, _)| address).collect(),
        }
    }

    pub(crate) fn apply(&mut self, event: Event) {
        self.pool.apply(event, self.now);
        self.pool.check().unwrap();
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.pool.advance(self.now);
    }

    /// What is decided when what the node has now has lasted longer than any delay.
    pub(crate) fn decide(&mut self) -> Plan {
        let first = self.plan(0);
        self.pool.note_excess(first.excess_since);
        self.pass(600);
        self.plan(0)
    }

    pub(crate) fn new_eni(&mut self, kind: EniKind, device: DeviceIndex, addresses: u32) -> NewEni {
        self.next_eni += 1;
        let id: EniId = format!("eni-{:04x}", self.next_eni).parse().unwrap();
        NewEni {
            id,
            kind,
            mac: MacAddress([2, 0, 0, 0, 0, u8::try_from(self.next_eni % 256).unwrap()]),
            card: NetworkCard(0),
            device,
            subnet: "subnet-1".parse().unwrap(),
            subnet_cidr: "10.0.0.0/16".parse().unwrap(),
            primary: self.fresh(1)[0],
            addresses: self.fresh(addresses),
        }
    }

    pub(crate) fn fresh(&mut self, count: u32) -> Vec<Ipv4Addr> {
        (0..count)
            .map(|_| {
                self.next_address += 1;
                Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 4)) + self.next_address)
            })
            .collect()
    }

    pub(crate) fn facts(demand: u32) -> Facts {
        Facts {
            demand,
            provisioning: Provisioning::Enabled,
        }
    }

    pub(crate) fn plan(&self, demand: u32) -> Plan {
        plan(&self.pool, &self.targets, &Self::facts(demand), self.now)
    }

    /// Carries a plan out: what is begun, then what comes of it.
    pub(crate) fn execute(&mut self, plan: &Plan) {
        self.pool.note_excess(plan.excess_since);
        for action in &plan.actions {
            let (begun, outcome) = match action.work.clone() {
                Work::Create {
                    creation,
                    device,
                    addresses,
                } => {
                    let eni = self.new_eni(EniKind::Secondary, device, addresses);
                    (
                        Event::CreationBegun {
                            creation,
                            device,
                            addresses,
                        },
                        Event::Created { creation, eni },
                    )
                }
                Work::Assign { eni, count } => {
                    let addresses = self.fresh(count);
                    (
                        Event::AssignBegun {
                            eni: eni.clone(),
                            count,
                        },
                        Event::Assigned {
                            eni,
                            asked: count,
                            addresses,
                        },
                    )
                }
                Work::Unassign { eni, addresses } => {
                    self.handed_back.extend(addresses.iter().copied());
                    (
                        Event::UnassignBegun {
                            eni: eni.clone(),
                            addresses: addresses.clone(),
                        },
                        Event::Unassigned { eni, addresses },
                    )
                }
                Work::Return { eni } => {
                    let gone = self.pool.eni(&eni).unwrap();
                    self.handed_back
                        .extend(gone.addresses().map(|(address, _)| address));
                    (
                        Event::ReturnBegun { eni: eni.clone() },
                        Event::Returned { eni },
                    )
                }
            };
            self.pool.apply(begun, self.now);
            self.pool.apply(outcome, self.now);
        }
        self.pool.check().unwrap();
    }

    /// Executes plans until there is nothing to do at this moment. One plan must do.
    pub(crate) fn settle(&mut self) {
        self.pool.advance(self.now);
        let first = self.plan(0);
        self.execute(&first);
        let second = self.plan(0);
        assert!(
            second.actions.is_empty(),
            "not a fixed point: {first:?} then {second:?}"
        );
    }

    /// Lets time pass, settling every ten seconds, until well after every delay.
    pub(crate) fn rest(&mut self) {
        for _ in 0..30 {
            self.now = self.now + Duration::from_secs(10);
            self.settle();
        }
    }

    /// Adds a pod the way the daemon does: if there is no address, plans with it as demand.
    pub(crate) fn add(&mut self, name: &str) -> Option<Allocation> {
        if let Ok(found) = self.allocate(name) {
            self.settle();
            return Some(found);
        }
        let plan = self.plan(1);
        self.execute(&plan);
        let found = self.allocate(name).ok();
        self.settle();
        found
    }

    pub(crate) fn allocate(&mut self, name: &str) -> Result<Allocation, vpc_ipam::AllocateError> {
        let pod = PodName {
            namespace: "default".to_owned(),
            name: name.to_owned(),
        };
        allocate(&mut self.pool, &key(name), &pod, self.now)
    }

    pub(crate) fn remove(&mut self, name: &str) {
        release(&mut self.pool, &key(name), self.now, self.targets.cooldown).unwrap();
    }

    /// Addresses for pods per ENI, in the order of the ENIs.
    pub(crate) fn per_eni(&self) -> Vec<u32> {
        let mut enis: Vec<_> = self
            .pool
            .enis()
            .map(|eni| (eni.device, eni.len()))
            .collect();
        enis.sort();
        enis.into_iter()
            .map(|(_, len)| len)
            .filter(|len| *len > 0)
            .collect()
    }
}
