//! What a node holds, and the reason for each part: what the daemon answers `vpcctl status` and
//! `vpcctl explain` with. Read again by a `vpcctl` that may be of another version, so that fields
//! come and never go, and what is enumerated elsewhere is text here.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use vpc_model::{EniId, Ipv4Prefix, SubnetId, Timestamp};

use crate::plan::{Balance, HeldBack};
use crate::pool::{AddressState, Counts, Eni, EniKind, EniState, Mode, Pool, SlotKind};
use crate::snapshot::why;
use crate::targets::Targets;

/// A node's pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// When this was so.
    pub at: Timestamp,
    /// Whether the node can give a pod an address.
    pub ready: bool,
    /// That, in words.
    pub readiness: String,
    /// Which kind of slot the pool asks for: `secondary IPs` or `prefixes`.
    pub mode: String,
    /// The most ENIs the node may have.
    pub max_enis: u32,
    /// Slots for pods on each.
    pub per_eni: u32,
    /// The most pods, where there is such a cap.
    pub max_pods: Option<u32>,
    /// What is wanted and what is there; nothing before the node is known.
    pub balance: Option<Balance>,
    /// All addresses for pods, by state.
    pub addresses: AddressCounts,
    /// Those that EC2 was asked for and that are not here yet.
    pub coming: u32,
    /// The ENIs, by device.
    pub enis: Vec<EniStatus>,
    /// ENIs that are being made.
    pub creating: Vec<Creating>,
    /// Pods that wait for an address, in the order in which they get one.
    pub waiting: Vec<String>,
    /// Pods whose address no ENI is known to have.
    pub unplaced: Vec<PodStatus>,
    /// What is not done now, and why.
    pub held_back: Vec<Held>,
    /// What was done and what happened lately, the oldest first.
    pub recent: Vec<Recent>,
}

/// Addresses by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressCounts {
    /// All of them.
    pub total: u32,
    /// Pods'.
    pub allocated: u32,
    /// Those that can be handed out.
    pub free: u32,
    /// Those that rest after a release.
    pub cooling: u32,
    /// Those on their way back to the VPC.
    pub leaving: u32,
}

/// An ENI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EniStatus {
    /// Which.
    pub id: EniId,
    /// `primary`, `secondary`, `trunk`, `efa` or `efa-only`.
    pub kind: String,
    /// `ready` or `returning`.
    pub state: String,
    /// Its network card.
    pub card: u8,
    /// Its place on that card.
    pub device: u8,
    /// Its subnet.
    pub subnet: SubnetId,
    /// Its own address.
    pub primary: Ipv4Addr,
    /// Its addresses for pods, those of prefixes included.
    pub addresses: AddressCounts,
    /// How many of them are single ones.
    pub secondary_ips: u32,
    /// Its prefixes.
    pub prefixes: Vec<PrefixStatus>,
    /// Slots that EC2 was asked for.
    pub assigning: u32,
    /// Its pods.
    pub pods: Vec<PodStatus>,
    /// Why the node has it, or why pods get no address of it.
    pub why: String,
}

/// A prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixStatus {
    /// Which.
    pub prefix: Ipv4Prefix,
    /// Its addresses.
    pub addresses: AddressCounts,
}

/// A pod with an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodStatus {
    /// `namespace/name`; outside Kubernetes just a `/`.
    pub pod: String,
    /// The sandbox's container id.
    pub container_id: String,
    /// The address.
    pub address: Ipv4Addr,
    /// Since when.
    pub since: Timestamp,
}

/// An ENI that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creating {
    /// The ENI, once EC2 has made it.
    pub eni: Option<EniId>,
    /// Where it will be attached.
    pub device: u8,
    /// The subnet it will be in.
    pub subnet: SubnetId,
    /// Addresses that it brings.
    pub addresses: u32,
    /// Since when.
    pub since: Timestamp,
}

/// Something that is not done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// A name that never changes ([`HeldBack::name`]).
    pub name: String,
    /// Why, in words.
    pub reason: String,
    /// When this holds no longer by itself.
    pub until: Option<Timestamp>,
}

/// Something that was done, or that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: String,
    /// Why.
    pub because: String,
}

impl Status {
    /// What the pool says of itself.
    #[must_use]
    pub fn of(pool: &Pool, now: Timestamp) -> Self {
        let mut enis: Vec<&Eni> = pool.enis().collect();
        enis.sort_by_key(|eni| (eni.card, eni.device));
        let mut status = Self {
            at: now,
            mode: match pool.mode() {
                Mode::SecondaryIps => "secondary IPs",
                Mode::Prefixes => "prefixes",
            }
            .to_owned(),
            ..Self::default()
        };
        for eni in enis {
            status.addresses.add(eni.all());
            for kind in [SlotKind::Address, SlotKind::Prefix] {
                status.coming += kind.ask(eni.assigning(kind)).addresses();
            }
            status.enis.push(EniStatus::of(eni));
        }
        for (_, begun) in pool.creations() {
            status.coming += begun.ask.addresses();
            status.creating.push(Creating {
                eni: begun.eni.clone(),
                device: begun.device.0,
                subnet: begun.subnet.clone(),
                addresses: begun.ask.addresses(),
                since: begun.since,
            });
        }
        let unplaced = pool.ledger().holders().map(|holder| PodStatus {
            pod: holder.pod.to_string(),
            container_id: holder.key.container_id.clone(),
            address: holder.address,
            since: holder.since,
        });
        status.unplaced = unplaced.collect();
        status
    }

    /// The same with what it is to keep.
    #[must_use]
    pub fn with_targets(mut self, targets: &Targets, balance: Balance) -> Self {
        self.max_enis = targets.max_enis;
        self.per_eni = targets.per_eni;
        self.max_pods = targets.max_pods;
        self.balance = Some(balance);
        self
    }

    /// The same with what the last plan did not do.
    #[must_use]
    pub fn with_held_back(mut self, held_back: &[HeldBack]) -> Self {
        for held in held_back {
            if let HeldBack::TooYoung { eni, .. } = held
                && let Some(found) = self.enis.iter_mut().find(|found| found.id == *eni)
            {
                found.why = held.to_string();
            }
        }
        self.held_back = held_back.iter().map(Held::from).collect();
        self
    }
}

impl From<&HeldBack> for Held {
    fn from(held: &HeldBack) -> Self {
        Self {
            name: held.name().to_owned(),
            reason: held.to_string(),
            until: held.until(),
        }
    }
}

impl AddressCounts {
    fn add(&mut self, counts: Counts) {
        self.total += counts.total;
        self.allocated += counts.allocated;
        self.free += counts.free;
        self.cooling += counts.cooling;
        self.leaving += counts.unassigning;
    }

    fn of(counts: Counts) -> Self {
        let mut sum = Self::default();
        sum.add(counts);
        sum
    }
}

impl EniStatus {
    fn of(eni: &Eni) -> Self {
        let all = eni.all();
        let pods = eni.addresses().filter_map(|(address, state)| {
            let AddressState::Allocated(tenant) = state else {
                return None;
            };
            Some(PodStatus {
                pod: tenant.pod.to_string(),
                container_id: tenant.key.container_id.clone(),
                address,
                since: tenant.since,
            })
        });
        let prefixes = eni.prefixes().map(|(prefix, counts)| PrefixStatus {
            prefix,
            addresses: AddressCounts::of(counts),
        });
        Self {
            id: eni.id.clone(),
            kind: kind(eni.kind).to_owned(),
            state: match eni.state {
                EniState::Ready => "ready",
                EniState::Returning => "returning",
            }
            .to_owned(),
            card: eni.card.0,
            device: eni.device.0,
            subnet: eni.subnet.clone(),
            primary: eni.primary,
            addresses: AddressCounts::of(all),
            secondary_ips: eni.counts(SlotKind::Address).total,
            prefixes: prefixes.collect(),
            assigning: eni.assigning(SlotKind::Address) + eni.assigning(SlotKind::Prefix),
            pods: pods.collect(),
            why: why(eni, all),
        }
    }
}

fn kind(kind: EniKind) -> &'static str {
    match kind {
        EniKind::Primary => "primary",
        EniKind::Secondary => "secondary",
        EniKind::Trunk => "trunk",
        EniKind::Efa => "efa",
        EniKind::EfaOnly => "efa-only",
    }
}
