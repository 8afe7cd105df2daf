//! One ENI and its addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;
use vpc_model::{
    DeviceIndex, EniId, MacAddress, NetworkCard, PodKey, PodName, RouteTableId, SubnetId, Timestamp,
};

/// What an ENI is to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum EniKind {
    /// The one the instance was launched with. It stays.
    Primary,
    /// One that came later and can be given back.
    Secondary,
}

/// Where an ENI is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum EniState {
    /// Attached and wired: its addresses can be handed out.
    Ready,
    /// On its way back to the VPC: nothing of it is handed out any more.
    Returning,
}

/// One address of an ENI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum AddressState {
    /// Nobody's, since then.
    Free {
        /// When it became free.
        since: Timestamp,
    },
    /// A pod's.
    Allocated {
        /// Whose.
        key: PodKey,
        /// The pod's name, for people.
        pod: PodName,
        /// Since when.
        since: Timestamp,
    },
    /// Resting after a release.
    Cooling {
        /// Until when.
        until: Timestamp,
    },
    /// On its way back to the VPC.
    Unassigning,
}

/// An ENI that is there and wired, as it enters the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEni {
    /// Its id.
    pub id: EniId,
    /// What it is to the node.
    pub kind: EniKind,
    /// Its MAC.
    pub mac: MacAddress,
    /// Its network card.
    pub card: NetworkCard,
    /// Its place on that card.
    pub device: DeviceIndex,
    /// The subnet it is in.
    pub subnet: SubnetId,
    /// That subnet's network.
    pub subnet_cidr: Ipv4Net,
    /// Its own address, which no pod gets.
    pub primary: Ipv4Addr,
    /// Its addresses for pods, its own not among them.
    pub addresses: Vec<Ipv4Addr>,
}

/// An ENI of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Eni {
    /// Its id.
    pub id: EniId,
    /// What it is to the node.
    pub kind: EniKind,
    /// Where it is in its life.
    pub state: EniState,
    /// Its MAC.
    pub mac: MacAddress,
    /// Its network card.
    pub card: NetworkCard,
    /// Its place on that card.
    pub device: DeviceIndex,
    /// The subnet it is in.
    pub subnet: SubnetId,
    /// That subnet's network.
    pub subnet_cidr: Ipv4Net,
    /// Its own address.
    pub primary: Ipv4Addr,
    /// When it entered the pool.
    pub since: Timestamp,
    /// Addresses asked of EC2 whose answer is not here yet.
    pub assigning: u32,
    addresses: BTreeMap<Ipv4Addr, AddressState>,
    /// The free ones, longest free first.
    #[serde(skip)]
    free: BTreeSet<(Timestamp, Ipv4Addr)>,
    /// Those in their cooldown, the one that ends first first.
    #[serde(skip)]
    cooling: BTreeSet<(Timestamp, Ipv4Addr)>,
    #[serde(skip)]
    allocated: u32,
}

impl Eni {
    pub(super) fn new(new: NewEni, now: Timestamp) -> Self {
        let mut eni = Self {
            id: new.id,
            kind: new.kind,
            state: EniState::Ready,
            mac: new.mac,
            card: new.card,
            device: new.device,
            subnet: new.subnet,
            subnet_cidr: new.subnet_cidr,
            primary: new.primary,
            since: now,
            assigning: 0,
            addresses: BTreeMap::new(),
            free: BTreeSet::new(),
            cooling: BTreeSet::new(),
            allocated: 0,
        };
        for address in new.addresses {
            eni.insert(address, AddressState::Free { since: now });
        }
        eni
    }

    /// The route table of the ENI, hence of its pods.
    #[must_use]
    pub fn table(&self) -> RouteTableId {
        RouteTableId::for_eni(self.card, self.device)
    }

    /// Its addresses for pods, in order, with their states.
    pub fn addresses(&self) -> impl Iterator<Item = (Ipv4Addr, &AddressState)> {
        self.addresses
            .iter()
            .map(|(address, state)| (*address, state))
    }

    /// The state of one address; nothing if the ENI does not have it.
    #[must_use]
    pub fn state_of(&self, address: Ipv4Addr) -> Option<&AddressState> {
        self.addresses.get(&address)
    }

    /// How many addresses for pods it has, in whatever state.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.addresses.len()).unwrap_or(u32::MAX)
    }

    /// Whether it has no address for pods.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// How many pods have an address of it.
    #[must_use]
    pub fn allocated(&self) -> u32 {
        self.allocated
    }

    /// How many of its addresses can be handed out now.
    #[must_use]
    pub fn free(&self) -> u32 {
        u32::try_from(self.free.len()).unwrap_or(u32::MAX)
    }

    /// How many of its addresses are in their cooldown.
    #[must_use]
    pub fn cooling(&self) -> u32 {
        u32::try_from(self.cooling.len()).unwrap_or(u32::MAX)
    }

    /// How many of its addresses are on their way back to the VPC.
    #[must_use]
    pub fn unassigning(&self) -> u32 {
        self.len() - self.free() - self.cooling() - self.allocated
    }

    /// When the next cooldown of an address of it ends.
    #[must_use]
    pub fn next_cooled(&self) -> Option<Timestamp> {
        self.cooling.first().map(|(until, _)| *until)
    }

    /// Whether no pod has, or had until a moment ago, an address of it.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.free() == self.len() && self.assigning == 0
    }

    /// The address that has been free the longest; the lower one of two.
    pub(crate) fn longest_free(&self) -> Option<Ipv4Addr> {
        self.free.first().map(|(_, address)| *address)
    }

    /// The free addresses, those that have been free the shortest first.
    pub(crate) fn newest_free(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.free.iter().rev().map(|(_, address)| *address)
    }

    /// Sets an address's state, adding the address where the ENI does not have it yet.
    pub(crate) fn insert(&mut self, address: Ipv4Addr, state: AddressState) {
        self.take_out(address);
        match &state {
            AddressState::Free { since } => {
                self.free.insert((*since, address));
            }
            AddressState::Allocated { .. } => self.allocated += 1,
            AddressState::Cooling { until } => {
                self.cooling.insert((*until, address));
            }
            AddressState::Unassigning => {}
        }
        self.addresses.insert(address, state);
    }

    /// Takes an address out.
    pub(crate) fn take_out(&mut self, address: Ipv4Addr) -> Option<AddressState> {
        let state = self.addresses.remove(&address)?;
        match &state {
            AddressState::Free { since } => {
                self.free.remove(&(*since, address));
            }
            AddressState::Allocated { .. } => self.allocated -= 1,
            AddressState::Cooling { until } => {
                self.cooling.remove(&(*until, address));
            }
            AddressState::Unassigning => {}
        }
        Some(state)
    }

    /// Frees the addresses whose cooldown is over.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some((until, address)) = self.cooling.first().copied() {
            if until > now {
                break;
            }
            self.insert(address, AddressState::Free { since: until });
        }
    }

    /// Whether the indexes say what the addresses' states say.
    pub(crate) fn is_consistent(&self) -> bool {
        let count = |wanted: fn(&AddressState) -> bool| {
            self.addresses
                .values()
                .filter(|state| wanted(state))
                .count()
        };
        let allocated = count(|state| matches!(state, AddressState::Allocated { .. }));
        count(|state| matches!(state, AddressState::Free { .. })) == self.free.len()
            && count(|state| matches!(state, AddressState::Cooling { .. })) == self.cooling.len()
            && u32::try_from(allocated) == Ok(self.allocated)
            && self.free.iter().all(|(since, address)| {
                self.addresses.get(address) == Some(&AddressState::Free { since: *since })
            })
            && self.cooling.iter().all(|(until, address)| {
                self.addresses.get(address) == Some(&AddressState::Cooling { until: *until })
            })
    }
}
