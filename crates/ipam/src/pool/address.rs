//! The addresses of one slot of an ENI, or of all its single ones: their states, counted, with the
//! free ones in the order in which they are handed out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::{AddAssign, SubAssign};

use serde::Serialize;
use vpc_model::{PodKey, PodName, Timestamp};

/// One address of an ENI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum AddressState {
    /// Nobody's, since then.
    Free {
        /// When it became free.
        since: Timestamp,
    },
    /// A pod's. Boxed, because most addresses are nobody's.
    Allocated(Box<Tenant>),
    /// Resting after a release.
    Cooling {
        /// Until when.
        until: Timestamp,
    },
    /// On its way back to the VPC.
    Unassigning,
}

/// The pod that has an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tenant {
    /// Its sandbox.
    pub key: PodKey,
    /// Its name, for people.
    pub pod: PodName,
    /// Since when.
    pub since: Timestamp,
}

/// How many addresses there are, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub total: u32,
    /// Those that can be handed out.
    pub free: u32,
    /// Those that pods have.
    pub allocated: u32,
    /// Those in their cooldown.
    pub cooling: u32,
    /// Those on their way back to the VPC.
    pub unassigning: u32,
}

impl Counts {
    fn of(state: &AddressState) -> Self {
        let one = Self {
            total: 1,
            ..Self::default()
        };
        match state {
            AddressState::Free { .. } => Self { free: 1, ..one },
            AddressState::Allocated(_) => Self {
                allocated: 1,
                ..one
            },
            AddressState::Cooling { .. } => Self { cooling: 1, ..one },
            AddressState::Unassigning => Self {
                unassigning: 1,
                ..one
            },
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.free += other.free;
        self.allocated += other.allocated;
        self.cooling += other.cooling;
        self.unassigning += other.unassigning;
    }
}

impl SubAssign for Counts {
    fn sub_assign(&mut self, other: Self) {
        self.total -= other.total;
        self.free -= other.free;
        self.allocated -= other.allocated;
        self.cooling -= other.cooling;
        self.unassigning -= other.unassigning;
    }
}

/// Addresses with their states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    states: BTreeMap<Ipv4Addr, AddressState>,
    /// The free ones, longest free first.
    free: BTreeSet<(Timestamp, Ipv4Addr)>,
    counts: Counts,
}

impl Addresses {
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn get(&self, address: Ipv4Addr) -> Option<&AddressState> {
        self.states.get(&address)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ipv4Addr, &AddressState)> {
        self.states.iter().map(|(address, state)| (*address, state))
    }

    /// The address that has been free the longest; the lower one of two.
    pub(super) fn longest_free(&self) -> Option<Ipv4Addr> {
        self.free.first().map(|(_, address)| *address)
    }

    /// The free addresses, those that have been free the shortest first.
    pub(super) fn newest_free(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.free.iter().rev().map(|(_, address)| *address)
    }

    /// Sets an address's state, adding the address where it is not there yet.
    pub(super) fn set(&mut self, address: Ipv4Addr, state: AddressState) {
        self.counts += Counts::of(&state);
        if let AddressState::Free { since } = &state {
            self.free.insert((*since, address));
        }
        if let Some(before) = self.states.insert(address, state) {
            self.forget(address, &before);
        }
    }

    pub(super) fn remove(&mut self, address: Ipv4Addr) -> Option<AddressState> {
        let state = self.states.remove(&address)?;
        self.forget(address, &state);
        Some(state)
    }

    fn forget(&mut self, address: Ipv4Addr, before: &AddressState) {
        self.counts -= Counts::of(before);
        if let AddressState::Free { since } = before
            && !matches!(self.states.get(&address), Some(AddressState::Free { since: now }) if now == since)
        {
            self.free.remove(&(*since, address));
        }
    }

    /// What the counts and the index of free addresses should be and are not.
    pub(super) fn broken(&self) -> Option<String> {
        let mut counts = Counts::default();
        let mut free = BTreeSet::new();
        for (address, state) in &self.states {
            counts += Counts::of(state);
            if let AddressState::Free { since } = state {
                free.insert((*since, *address));
            }
        }
        if counts != self.counts {
            return Some(format!(
                "counts are {:?}, should be {counts:?}",
                self.counts
            ));
        }
        (free != self.free).then(|| "the index of free addresses is wrong".to_owned())
    }
}
