//! A node with its cloud, in memory: executes plans at once.

mod cloud;

use std::net::Ipv4Addr;
use std::time::Duration;

pub(crate) use cloud::{Cloud, CloudEni};
use vpc_ipam::ledger::Ledger;
use vpc_ipam::plan::Provisioning;
use vpc_ipam::{
    Allocation, Ask, EniKind, Event, Facts, Mode, NewEni, Plan, Pool, SlotKind, Slots, Targets,
    WarmTarget, Work, allocate, plan, release,
};
use vpc_model::{DeviceIndex, EniId, PodKey, PodName, Timestamp};

/// t3.small: 3 ENIs with 4 addresses each, one of them the ENI's own.
pub(crate) const T: (u32, u32) = (3, 3);
/// p3dn.24xlarge: 15 ENIs with 50 addresses each.
pub(crate) const P: (u32, u32) = (15, 49);

pub(crate) struct Node {
    pub(crate) pool: Pool,
    pub(crate) targets: Targets,
    pub(crate) facts: Facts,
    pub(crate) cloud: Cloud,
    pub(crate) now: Timestamp,
}

pub(crate) fn key(name: &str) -> PodKey {
    PodKey {
        network: "aws-cni".to_owned(),
        container_id: name.to_owned(),
        if_name: "eth0".to_owned(),
    }
}

pub(crate) fn pod(name: &str) -> PodName {
    PodName {
        namespace: "default".to_owned(),
        name: name.to_owned(),
    }
}

pub(crate) fn targets((max_enis, per_eni): (u32, u32), warm: WarmTarget) -> Targets {
    Targets {
        warm,
        max_enis,
        per_eni,
        max_pods: None,
        cooldown: Duration::from_secs(30),
        eni_min_age: Duration::from_secs(60),
        return_delay: Duration::from_secs(30),
    }
}

impl Node {
    /// A fresh node in secondary IP mode: a primary ENI without addresses for pods.
    pub(crate) fn new(shape: (u32, u32), warm: WarmTarget) -> Self {
        Self::in_subnets(shape, Mode::SecondaryIps, warm, &["10.0.0.0/16"])
    }

    /// A fresh node with prefix delegation.
    pub(crate) fn with_prefixes(shape: (u32, u32), warm: WarmTarget) -> Self {
        Self::in_subnets(shape, Mode::Prefixes, warm, &["10.0.0.0/16"])
    }

    /// A fresh node whose ENIs may be in several subnets; its primary ENI is in the first.
    pub(crate) fn in_subnets(
        shape: (u32, u32),
        mode: Mode,
        warm: WarmTarget,
        cidrs: &[&str],
    ) -> Self {
        let cloud = Cloud::new(shape, cidrs);
        let subnets = cloud.subnets.iter().map(|subnet| subnet.place.clone());
        let facts = Facts {
            demand: 0,
            provisioning: Provisioning::Enabled,
            subnets: subnets.collect(),
            reserved_enis: 0,
        };
        let mut node = Self {
            pool: Pool::new(Ledger::default()).in_mode(mode),
            targets: targets(shape, warm),
            facts,
            cloud,
            now: Timestamp::from_millis(1_000_000),
        };
        let none = mode.slot().ask(0);
        let primary = node.new_eni(EniKind::Primary, DeviceIndex(0), none);
        node.pool.apply(Event::EniFound(primary), node.now);
        node
    }

    /// An ENI that is attached outside of any plan.
    pub(crate) fn new_eni(&mut self, kind: EniKind, device: DeviceIndex, ask: Ask) -> NewEni {
        let subnet = self.facts.subnets[0].clone();
        self.cloud.create(kind, &subnet, device, ask).unwrap()
    }

    pub(crate) fn primary(&self) -> EniId {
        let mut enis = self.pool.enis();
        let primary = enis.find(|eni| eni.kind == EniKind::Primary);
        primary.unwrap().id.clone()
    }

    pub(crate) fn plan(&self, demand: u32) -> Plan {
        let facts = Facts {
            demand,
            ..self.facts.clone()
        };
        plan(&self.pool, &self.targets, &facts, self.now)
    }

    /// Carries an action out; says what comes of it.
    pub(crate) fn carry_out(&mut self, work: &Work) -> Event {
        match work.clone() {
            Work::Create {
                creation,
                device,
                subnet,
                ask,
                ..
            } => {
                let made = self.cloud.create(EniKind::Secondary, &subnet, device, ask);
                match made {
                    Ok(eni) => Event::Created { creation, eni },
                    Err(refusal) => Event::CreationFailed {
                        creation,
                        refusal,
                        reason: format!("{refusal:?}"),
                    },
                }
            }
            Work::Assign { eni, ask } => match self.cloud.assign(&eni, ask) {
                Ok(slots) => Event::Assigned { eni, ask, slots },
                Err(refusal) => Event::AssignFailed {
                    eni,
                    ask,
                    refusal,
                    reason: format!("{refusal:?}"),
                },
            },
            Work::Unassign { eni, slots } => {
                self.cloud.unassign(&eni, &slots);
                Event::Unassigned { eni, slots }
            }
            Work::Return { eni } => {
                self.cloud.delete(&eni);
                Event::Returned { eni }
            }
        }
    }

    /// Carries a plan out: what is begun, then what comes of it.
    pub(crate) fn execute(&mut self, plan: &Plan) {
        self.pool.note_excess(plan.excess_since);
        for action in &plan.actions {
            self.pool.apply(action.work.begun(), self.now);
        }
        for action in &plan.actions {
            let outcome = self.carry_out(&action.work);
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

    /// Executes plans until there is nothing to do at this moment, for clouds that refuse.
    pub(crate) fn settle_in_steps(&mut self, demand: u32) {
        self.pool.advance(self.now);
        let ended = (0..50).any(|_| {
            let plan = self.plan(demand);
            self.execute(&plan);
            plan.actions.is_empty()
        });
        assert!(ended, "no end: {:?}", self.plan(demand));
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.pool.advance(self.now);
    }

    /// Lets time pass, settling every ten seconds, until well after every delay.
    pub(crate) fn rest(&mut self) {
        for _ in 0..30 {
            self.pass(10);
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

    /// Adds that many pods, named after their numbers.
    pub(crate) fn add_pods(&mut self, pods: u32) {
        for number in 0..pods {
            self.add(&format!("pod-{number}")).unwrap();
        }
    }

    pub(crate) fn allocate(&mut self, name: &str) -> Result<Allocation, vpc_ipam::AllocateError> {
        allocate(&mut self.pool, &key(name), &pod(name), self.now)
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let cooldown = self.targets.cooldown;
        release(&mut self.pool, &key(name), self.now, cooldown).unwrap();
    }

    /// Slots of that kind per ENI, in the order of the ENIs; those without are left out.
    pub(crate) fn slots(&self, kind: SlotKind) -> Vec<u32> {
        let mut enis: Vec<_> = self
            .pool
            .enis()
            .map(|eni| match kind {
                SlotKind::Address => (eni.device, eni.counts(SlotKind::Address).total),
                SlotKind::Prefix => (eni.device, eni.prefix_count()),
            })
            .collect();
        enis.sort();
        let counts = enis.into_iter().map(|(_, count)| count);
        counts.filter(|count| *count > 0).collect()
    }

    /// Single addresses for pods per ENI, in the order of the ENIs.
    pub(crate) fn per_eni(&self) -> Vec<u32> {
        self.slots(SlotKind::Address)
    }

    /// Prefixes per ENI, in the order of the ENIs.
    pub(crate) fn prefixes(&self) -> Vec<u32> {
        self.slots(SlotKind::Prefix)
    }

    /// Addresses for pods in all.
    pub(crate) fn total(&self) -> u32 {
        self.pool.enis().map(vpc_ipam::Eni::len).sum()
    }

    pub(crate) fn free(&self) -> u32 {
        self.pool.enis().map(vpc_ipam::Eni::free).sum()
    }

    /// A slot that EC2 gives to an ENI outside of any plan.
    pub(crate) fn launched_with(&mut self, ask: Ask) {
        let primary = self.primary();
        let slots = self.cloud.assign(&primary, ask).unwrap();
        self.cloud.calls = 0;
        let found = Event::SlotsFound {
            eni: primary,
            slots,
        };
        self.pool.apply(found, self.now);
    }

    /// Everything the cloud says an ENI has.
    pub(crate) fn cloud_slots(&self, eni: &EniId) -> Slots {
        let known = &self.cloud.enis[eni];
        Slots {
            addresses: known.addresses.iter().copied().collect(),
            prefixes: known.prefixes.iter().copied().collect(),
        }
    }

    pub(crate) fn address_of(&self, name: &str) -> Option<Ipv4Addr> {
        self.pool.holder(&key(name)).map(|(_, address)| address)
    }
}
