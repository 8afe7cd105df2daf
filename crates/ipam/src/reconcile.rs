//! What is there against what the pool believes: who is right, and what follows.
//!
//! | difference | metadata says so | EC2 says so |
//! |---|---|---|
//! | slots the pool does not know | they are taken in | they are taken in |
//! | an ENI the pool does not know | EC2 is asked whose it is | it is to be wired, then taken in |
//! | slots that are gone | EC2 is asked | they leave the pool |
//! | an ENI that is gone | EC2 is asked | it leaves the pool |
//! | an ENI that is elsewhere | EC2 is asked | it is to be wired, then known to be there |
//! | another kind, other tags | metadata does not know | it is classified anew |
//!
//! Whatever leaves, no allocation is forgotten: it goes to the ledger and stays the pod's until
//! its DEL. What the node itself changed within [`REMEMBERED`] is not looked at: metadata lags,
//! and so do EC2's own answers. Nor is an ENI while a request for it is under way.
//!
//! In IMDS-only mode EC2 is not asked: what is new is taken in, what is gone stays.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::Serialize;
use vpc_model::{DeviceIndex, EniId, Ipv4Prefix, NetworkCard, PodKey, Timestamp};

use crate::classify::Class;
use crate::journal::REMEMBERED;
use crate::ledger::Slot;
use crate::pool::{AddressState, Eni, EniState, Event, Pool, Slots};

/// Whose word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Source {
    /// Instance metadata, and EC2 can be asked.
    Metadata,
    /// Instance metadata, and EC2 is not asked (`ENABLE_IMDS_ONLY_MODE`).
    MetadataOnly,
    /// EC2.
    Ec2,
}

/// An attached ENI as it was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub id: EniId,
    /// Its network card. ENIs of other cards than the pool's are passed over.
    pub card: NetworkCard,
    /// Its place on the card.
    pub device: DeviceIndex,
    /// What it holds; its own address is not part of it.
    pub slots: Slots,
    /// What it is to us; nothing if the source does not know.
    pub class: Option<Class>,
}

/// What was observed. From EC2 it may be a part of the instance's ENIs: see [`Observed::about`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Whose word it is.
    pub source: Source,
    /// When the question was put.
    pub at: Timestamp,
    /// The ENIs that were asked about; nothing for all of the instance.
    pub about: Option<BTreeSet<EniId>>,
    /// Those that are attached.
    pub enis: Vec<Seen>,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum Finding {
    /// An ENI that the pool does not know.
    #[error("{eni} is attached and not known")]
    EniAppeared {
        /// Which.
        eni: EniId,
    },
    /// An ENI that is not attached any more.
    #[error(
        "{eni} is no longer attached; {pods} pods have addresses of it and keep them on record"
    )]
    EniVanished {
        /// Which.
        eni: EniId,
        /// How many pods have addresses of it.
        pods: u32,
    },
    /// An ENI at another place than before.
    #[error("{eni} is at device {device} now")]
    EniMoved {
        /// Which.
        eni: EniId,
        /// Where.
        device: DeviceIndex,
    },
    /// Slots that the pool does not know.
    #[error("{eni} has {} addresses and {} prefixes more than known", .slots.addresses.len(),
        .slots.prefixes.len())]
    SlotsAppeared {
        /// Whose.
        eni: EniId,
        /// Which.
        slots: Slots,
    },
    /// Slots that an ENI no longer has.
    #[error("{eni} lacks {} addresses and {} prefixes; {} pods have addresses among them",
        .slots.addresses.len(), .slots.prefixes.len(), .pods.len())]
    SlotsVanished {
        /// Whose.
        eni: EniId,
        /// Which.
        slots: Slots,
        /// The sandboxes that hold addresses among them.
        pods: Vec<PodKey>,
    },
    /// Another kind, other tags.
    #[error("{eni} is another thing to us than before")]
    Reclassified {
        /// Which.
        eni: EniId,
    },
}

/// What follows from an observation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// The differences, ENI by ENI.
    pub findings: Vec<Finding>,
    /// To be applied to the pool.
    pub events: Vec<Event>,
    /// About these EC2 is to be asked before anything else is done; its answer is to be reconciled
    /// in turn.
    pub ask_ec2: BTreeSet<EniId>,
    /// These are to be wired, and then to be applied as [`Event::EniFound`].
    pub to_wire: Vec<EniId>,
}

impl Reconciliation {
    /// Whether pool and world agree, as far as could be seen.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Compares the pool with what was observed.
#[must_use]
pub fn reconcile(pool: &Pool, observed: &Observed) -> Reconciliation {
    let mut result = Reconciliation::default();
    let seen: BTreeMap<&EniId, &Seen> = observed
        .enis
        .iter()
        .filter(|seen| seen.card == pool.card())
        .map(|seen| (&seen.id, seen))
        .collect();
    let asked_about = |id: &EniId| match &observed.about {
        Some(about) => about.contains(id),
        None => true,
    };
    for eni in pool.enis().filter(|eni| asked_about(&eni.id)) {
        if eni.state != EniState::Ready || !is_settled(eni, observed.at) {
            continue;
        }
        match seen.get(&eni.id) {
            None => {
                let finding = Finding::EniVanished {
                    eni: eni.id.clone(),
                    pods: eni.allocated(),
                };
                let event = Event::EniLost {
                    eni: eni.id.clone(),
                };
                result.gone(observed.source, &eni.id, finding, event);
            }
            Some(seen) => result.compare(pool, eni, seen, observed),
        }
    }
    for (id, seen) in seen {
        let new = pool.eni(id).is_none() && asked_about(id);
        let returned = pool.ledger().was_returned(id, observed.at);
        if new && !returned && !is_being_created(pool, seen) {
            result
                .findings
                .push(Finding::EniAppeared { eni: id.clone() });
            match observed.source {
                Source::Metadata => {
                    result.ask_ec2.insert(id.clone());
                }
                Source::MetadataOnly | Source::Ec2 => result.to_wire.push(id.clone()),
            }
        }
    }
    result
}

/// Whether what was observed at `at` can be taken for what is: nothing of our own doing is under
/// way, or so recent that the answer may be older.
fn is_settled(eni: &Eni, at: Timestamp) -> bool {
    !eni.is_assigning() && at >= eni.changed_at() + REMEMBERED
}

fn is_being_created(pool: &Pool, seen: &Seen) -> bool {
    pool.creations().any(|(_, begun)| match &begun.eni {
        Some(eni) => *eni == seen.id,
        None => begun.device == seen.device,
    })
}

impl Reconciliation {
    /// Something is gone: EC2's word makes it so, metadata's is a reason to ask.
    fn gone(&mut self, source: Source, eni: &EniId, finding: Finding, event: Event) {
        self.findings.push(finding);
        match source {
            Source::Metadata => {
                self.ask_ec2.insert(eni.clone());
            }
            Source::MetadataOnly => {}
            Source::Ec2 => self.events.push(event),
        }
    }

    fn compare(&mut self, pool: &Pool, eni: &Eni, seen: &Seen, observed: &Observed) {
        let (source, at) = (observed.source, observed.at);
        if eni.device != seen.device {
            let finding = Finding::EniMoved {
                eni: eni.id.clone(),
                device: seen.device,
            };
            self.findings.push(finding);
            match source {
                Source::Metadata => {
                    self.ask_ec2.insert(eni.id.clone());
                }
                Source::MetadataOnly => {}
                Source::Ec2 => self.to_wire.push(eni.id.clone()),
            }
            return;
        }
        if let Some(class) = &seen.class
            && (class.kind != eni.kind || class.exclusion() != eni.exclusion)
        {
            let (kind, exclusion) = (class.kind, class.exclusion());
            let eni = eni.id.clone();
            self.findings
                .push(Finding::Reclassified { eni: eni.clone() });
            self.events.push(Event::Reclassified {
                eni,
                kind,
                exclusion,
            });
        }
        let slots = vanished(eni, &seen.slots);
        if !slots.is_empty() {
            let eni = eni.id.clone();
            let finding = Finding::SlotsVanished {
                eni: eni.clone(),
                slots: slots.clone(),
                pods: holders(pool, &eni, &slots),
            };
            let event = Event::SlotsLost {
                eni: eni.clone(),
                slots,
            };
            self.gone(source, &eni, finding, event);
        }
        let slots = appeared(pool, eni, &seen.slots, at);
        if !slots.is_empty() {
            let eni = eni.id.clone();
            self.findings.push(Finding::SlotsAppeared {
                eni: eni.clone(),
                slots: slots.clone(),
            });
            self.events.push(Event::SlotsFound { eni, slots });
        }
    }
}

/// Slots of the ENI that were not seen, those on their way back not among them.
fn vanished(eni: &Eni, seen: &Slots) -> Slots {
    let addresses: BTreeSet<&Ipv4Addr> = seen.addresses.iter().collect();
    let prefixes: BTreeSet<&Ipv4Prefix> = seen.prefixes.iter().collect();
    Slots {
        addresses: eni
            .singles()
            .filter(|(address, state)| {
                **state != AddressState::Unassigning && !addresses.contains(address)
            })
            .map(|(address, _)| address)
            .collect(),
        prefixes: eni
            .prefixes()
            .filter(|(prefix, counts)| counts.unassigning == 0 && !prefixes.contains(prefix))
            .map(|(prefix, _)| prefix)
            .collect(),
    }
}

/// Slots that were seen and no ENI of the pool has, those that have just left not among them.
fn appeared(pool: &Pool, eni: &Eni, seen: &Slots, at: Timestamp) -> Slots {
    let left = |slot: Slot| pool.ledger().was_given_back(&eni.id, slot, at);
    let addresses = seen.addresses.iter().copied();
    let prefixes = seen.prefixes.iter().copied();
    Slots {
        addresses: addresses
            .filter(|address| *address != eni.primary)
            .filter(|address| pool.owner(*address).is_none() && !left(Slot::Address(*address)))
            .collect(),
        prefixes: prefixes
            .filter(|prefix| pool.prefix_owner(*prefix).is_none() && !left(Slot::Prefix(*prefix)))
            .collect(),
    }
}

fn holders(pool: &Pool, eni: &EniId, slots: &Slots) -> Vec<PodKey> {
    let Some(eni) = pool.eni(eni) else {
        return Vec::new();
    };
    let among = |address: &Ipv4Addr| {
        slots.addresses.contains(address)
            || slots.prefixes.contains(&Ipv4Prefix::containing(*address))
    };
    let held = eni.addresses().filter_map(|(address, state)| match state {
        AddressState::Allocated(tenant) if among(&address) => Some(tenant.key.clone()),
        AddressState::Allocated(_)
        | AddressState::Free { .. }
        | AddressState::Cooling { .. }
        | AddressState::Unassigning => None,
    });
    held.collect()
}
