//! What the node has: plain data, and how each thing that happens changes it.
//!
//! ```text
//!  an ENI:      (creation begun) ─▶ Ready ─▶ Returning ─▶ gone
//!                     └─ failed      ▲           │ failed
//!                                    └───────────┘
//!  an address:  (assigning) ─▶ Free ─▶ Allocated ─▶ Cooling ─▶ Free
//!                               └──▶ Unassigning ─▶ gone
//! ```
//!
//! What the journal says about addresses that no ENI of the pool has (yet) stays in the pool's
//! [`Ledger`]: an allocation is never dropped because metadata does not show its address.

mod apply;
mod eni;
mod event;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use vpc_model::{DeviceIndex, EniId, PodKey, Timestamp};

pub use eni::{AddressState, Eni, EniKind, EniState, NewEni};
pub use event::Event;

use crate::ledger::{Holder, Ledger};

/// Names one creation of an ENI from its beginning to its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct CreationId(pub u64);

/// An ENI that is being created.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Creation {
    /// Where it will be attached.
    pub device: DeviceIndex,
    /// How many addresses for pods it will bring.
    pub addresses: u32,
    /// Since when.
    pub since: Timestamp,
}

/// EC2 refuses to give more for the time being.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BackOff {
    /// Until when nothing more is asked for.
    pub until: Timestamp,
    /// What EC2 said.
    pub reason: String,
    /// How often in a row.
    pub failures: u32,
}

/// The pool.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    enis: BTreeMap<EniId, Eni>,
    creations: BTreeMap<CreationId, Creation>,
    next_creation: u64,
    holders: BTreeMap<PodKey, (EniId, Ipv4Addr)>,
    owners: BTreeMap<Ipv4Addr, EniId>,
    ledger: Ledger,
    back_off: Option<BackOff>,
    /// EC2 did not take something back a moment ago.
    not_taken: Option<BackOff>,
    foreign: BTreeSet<DeviceIndex>,
    excess_since: Option<Timestamp>,
}

impl Pool {
    /// A pool without ENIs, and what the journal knows.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            ..Self::default()
        }
    }

    /// The ENIs, by id.
    pub fn enis(&self) -> impl Iterator<Item = &Eni> {
        self.enis.values()
    }

    /// One ENI.
    #[must_use]
    pub fn eni(&self, id: &EniId) -> Option<&Eni> {
        self.enis.get(id)
    }

    /// ENIs that are being created.
    pub fn creations(&self) -> impl Iterator<Item = (CreationId, &Creation)> {
        self.creations.iter().map(|(id, creation)| (*id, creation))
    }

    /// What the journal knows of addresses that no ENI of the pool has.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Why nothing more is asked of EC2, while that is so.
    #[must_use]
    pub fn back_off(&self) -> Option<&BackOff> {
        self.back_off.as_ref()
    }

    /// Why nothing is given back to EC2, while that is so.
    #[must_use]
    pub fn not_taken(&self) -> Option<&BackOff> {
        self.not_taken.as_ref()
    }

    /// Places on the instance (network card 0) that ENIs have which are not the pool's to use, as
    /// [`Pool::note_foreign`] was told.
    #[must_use]
    pub fn foreign(&self) -> &BTreeSet<DeviceIndex> {
        &self.foreign
    }

    /// Remembers where ENIs are that are attached and not the pool's: they count towards the
    /// instance's limit, and nothing else can be attached there.
    pub fn note_foreign(&mut self, devices: BTreeSet<DeviceIndex>) {
        self.foreign = devices;
    }

    /// Since when there has been an excess to give back, as the last plan noted it.
    #[must_use]
    pub fn excess_since(&self) -> Option<Timestamp> {
        self.excess_since
    }

    /// Remembers what a plan found ([`crate::Plan::excess_since`]).
    pub fn note_excess(&mut self, since: Option<Timestamp>) {
        self.excess_since = since;
    }

    /// Which ENI has an address.
    #[must_use]
    pub fn owner(&self, address: Ipv4Addr) -> Option<&Eni> {
        self.owners.get(&address).and_then(|eni| self.enis.get(eni))
    }

    /// Where a key's address is.
    #[must_use]
    pub fn holder(&self, key: &PodKey) -> Option<(&Eni, Ipv4Addr)> {
        let (eni, address) = self.holders.get(key)?;
        Some((self.enis.get(eni)?, *address))
    }

    /// The next number for a creation.
    #[must_use]
    pub fn next_creation(&self) -> CreationId {
        CreationId(self.next_creation)
    }

    /// Lets time pass: addresses whose cooldown is over become free. Returns when the next one
    /// does.
    pub fn advance(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.ledger.advance(now);
        for eni in self.enis.values_mut() {
            eni.advance(now);
        }
        self.enis.values().filter_map(Eni::next_cooled).min()
    }

    pub(crate) fn eni_mut(&mut self, id: &EniId) -> Option<&mut Eni> {
        self.enis.get_mut(id)
    }

    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Makes an address a pod's.
    pub(crate) fn hold(&mut self, eni: &EniId, address: Ipv4Addr, holder: Holder) {
        if let Some(found) = self.enis.get_mut(eni) {
            self.holders
                .insert(holder.key.clone(), (eni.clone(), address));
            let Holder {
                key, pod, since, ..
            } = holder;
            found.insert(address, AddressState::Allocated { key, pod, since });
        }
    }

    /// Takes an address from a pod into its cooldown.
    pub(crate) fn cool(&mut self, key: &PodKey, until: Timestamp) -> Option<(EniId, Ipv4Addr)> {
        let (eni, address) = self.holders.remove(key)?;
        if let Some(found) = self.enis.get_mut(&eni) {
            found.insert(address, AddressState::Cooling { until });
        }
        Some((eni, address))
    }

    /// All allocations and cooldowns, wherever they are: what a compacted journal has to say.
    #[must_use]
    pub fn to_ledger(&self) -> Ledger {
        let mut ledger = self.ledger.clone();
        for eni in self.enis.values() {
            for (address, state) in eni.addresses() {
                match state {
                    AddressState::Allocated { key, pod, since } => ledger.allocate(Holder {
                        key: key.clone(),
                        pod: pod.clone(),
                        address,
                        device: eni.device,
                        card: eni.card,
                        since: *since,
                    }),
                    AddressState::Cooling { until } => ledger.cool(address, *until),
                    AddressState::Free { .. } | AddressState::Unassigning => {}
                }
            }
        }
        ledger
    }

    /// How many sandboxes hold an address.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.holders.len() + self.ledger.len()
    }

    /// What must always be so; one sentence for each thing that is not. For tests.
    ///
    /// # Errors
    /// The broken invariants.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut broken = Vec::new();
        let mut allocated = 0;
        if !self.ledger.is_consistent() {
            broken.push("the ledger's indexes do not agree".to_owned());
        }
        for key in self
            .holders
            .keys()
            .filter(|key| self.ledger.holder(key).is_some())
        {
            broken.push(format!("{key} is both on an ENI and in the ledger"));
        }
        for eni in self.enis.values() {
            if !eni.is_consistent() {
                broken.push(format!(
                    "the indexes of {} do not say what its states say",
                    eni.id
                ));
            }
            for (address, state) in eni.addresses() {
                if self.owners.get(&address) != Some(&eni.id) {
                    broken.push(format!(
                        "{address} of {} is not in the index of owners",
                        eni.id
                    ));
                }
                if let AddressState::Allocated { key, .. } = state {
                    allocated += 1;
                    if self.holders.get(key) != Some(&(eni.id.clone(), address)) {
                        broken.push(format!("{key} holds {address} and is not in the index"));
                    }
                }
                if self.ledger.holder_of(address).is_some() {
                    broken.push(format!("{address} is both on {} and in the ledger", eni.id));
                }
            }
        }
        if allocated != self.holders.len() {
            broken.push(format!(
                "{allocated} allocated, {} in the index",
                self.holders.len()
            ));
        }
        let owned: usize = self.enis.values().map(|eni| eni.addresses().count()).sum();
        if owned != self.owners.len() {
            broken.push(format!(
                "{owned} addresses, {} in the index",
                self.owners.len()
            ));
        }
        if broken.is_empty() {
            Ok(())
        } else {
            Err(broken)
        }
    }
}
