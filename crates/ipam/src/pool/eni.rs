//! One ENI: what it is, and what it holds.
//!
//! EC2 counts slots: an ENI has as many as its type allows, each taken by one secondary address or
//! by one prefix of sixteen. Both kinds may stand side by side.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;
use vpc_model::{
    DeviceIndex, EniId, Ipv4Prefix, MacAddress, NetworkCard, RouteTableId, SubnetId, Timestamp,
};

use super::address::{AddressState, Addresses, Counts};
use super::ask::{Ask, SlotKind, Slots};
use crate::classify::Exclusion;

/// What an ENI is to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum EniKind {
    /// The one the instance was launched with. It stays.
    Primary,
    /// One that came later and can be given back.
    Secondary,
    /// The one that carries the branch ENIs of security groups for pods. It stays as it is: pods
    /// may have its addresses, and it is given no more of them.
    Trunk,
    /// An Elastic Fabric Adapter with an IP side. Pods may have its addresses; it stays.
    Efa,
    /// An Elastic Fabric Adapter without an IP side: it has no addresses.
    EfaOnly,
}

/// Where an ENI is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum EniState {
    /// Attached and wired: its addresses can be handed out.
    Ready,
    /// On its way back to the VPC: nothing of it is handed out any more.
    Returning,
}

/// An ENI that is there and wired, as it enters the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEni {
    /// Its id.
    pub id: EniId,
    /// What it is to the node.
    pub kind: EniKind,
    /// Why it is not used for pods; nothing for an ENI that is.
    pub exclusion: Option<Exclusion>,
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
    /// What it holds for pods; its own address is not part of it.
    pub slots: Slots,
    /// When it was attached, if EC2 said so. Otherwise its age counts from its entry.
    pub attached_at: Option<Timestamp>,
}

/// An ENI of the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Eni {
    /// Its id.
    pub id: EniId,
    /// What it is to the node.
    pub kind: EniKind,
    /// Why it is not used for pods; nothing for an ENI that is.
    pub exclusion: Option<Exclusion>,
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
    /// When it was attached, or entered the pool.
    pub since: Timestamp,
    /// Slots asked of EC2 whose answer is not here yet: single addresses.
    pub(super) assigning_addresses: u32,
    /// The same: prefixes.
    pub(super) assigning_prefixes: u32,
    /// When its slots last changed by our own doing. What is observed soon after may be older.
    #[serde(skip)]
    pub(super) changed_at: Timestamp,
    #[serde(skip)]
    singles: Addresses,
    #[serde(skip)]
    prefixes: BTreeMap<Ipv4Prefix, Addresses>,
    /// Prefixes with a free address, the fullest first, the lower one of two.
    #[serde(skip)]
    open_prefixes: BTreeSet<(Reverse<u32>, Ipv4Prefix)>,
    in_prefixes: Counts,
    free_prefixes: u32,
}

impl Eni {
    /// An ENI without its slots.
    pub(super) fn new(new: NewEni, now: Timestamp) -> Self {
        Self {
            id: new.id,
            kind: new.kind,
            exclusion: new.exclusion,
            state: EniState::Ready,
            mac: new.mac,
            card: new.card,
            device: new.device,
            subnet: new.subnet,
            subnet_cidr: new.subnet_cidr,
            primary: new.primary,
            since: new.attached_at.unwrap_or(now),
            assigning_addresses: 0,
            assigning_prefixes: 0,
            changed_at: now,
            singles: Addresses::default(),
            prefixes: BTreeMap::new(),
            open_prefixes: BTreeSet::new(),
            in_prefixes: Counts::default(),
            free_prefixes: 0,
        }
    }

    /// The route table of the ENI, hence of its pods.
    #[must_use]
    pub fn table(&self) -> RouteTableId {
        RouteTableId::for_eni(self.card, self.device)
    }

    /// Its addresses for pods with their states: the single ones, then those of its prefixes.
    pub fn addresses(&self) -> impl Iterator<Item = (Ipv4Addr, &AddressState)> {
        self.singles
            .iter()
            .chain(self.prefixes.values().flat_map(Addresses::iter))
    }

    /// Its single addresses with their states, in order.
    pub fn singles(&self) -> impl Iterator<Item = (Ipv4Addr, &AddressState)> {
        self.singles.iter()
    }

    /// Its prefixes with the counts of their addresses, in order.
    pub fn prefixes(&self) -> impl Iterator<Item = (Ipv4Prefix, Counts)> {
        self.prefixes
            .iter()
            .map(|(prefix, addresses)| (*prefix, addresses.counts()))
    }

    /// What it holds for pods, by name.
    #[must_use]
    pub fn slots(&self) -> Slots {
        Slots {
            addresses: self.singles().map(|(address, _)| address).collect(),
            prefixes: self.prefixes().map(|(prefix, _)| prefix).collect(),
        }
    }

    /// The state of one address; nothing if the ENI does not have it.
    #[must_use]
    pub fn state_of(&self, address: Ipv4Addr) -> Option<&AddressState> {
        self.home(address).and_then(|home| home.get(address))
    }

    /// The counts of its single addresses, or of those in its prefixes.
    #[must_use]
    pub fn counts(&self, kind: SlotKind) -> Counts {
        match kind {
            SlotKind::Address => self.singles.counts(),
            SlotKind::Prefix => self.in_prefixes,
        }
    }

    /// The counts of all its addresses for pods.
    #[must_use]
    pub fn all(&self) -> Counts {
        let mut all = self.singles.counts();
        all += self.in_prefixes;
        all
    }

    /// How many addresses for pods it has, in whatever state.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.all().total
    }

    /// Whether it has no address for pods.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many pods have an address of it.
    #[must_use]
    pub fn allocated(&self) -> u32 {
        self.all().allocated
    }

    /// How many of its addresses are free. Whether they are handed out is another question:
    /// [`Eni::gives_addresses`].
    #[must_use]
    pub fn free(&self) -> u32 {
        self.all().free
    }

    /// How many prefixes it has.
    #[must_use]
    pub fn prefix_count(&self) -> u32 {
        u32::try_from(self.prefixes.len()).unwrap_or(u32::MAX)
    }

    /// How many of its prefixes are free in all their addresses.
    #[must_use]
    pub fn free_prefixes(&self) -> u32 {
        self.free_prefixes
    }

    /// Slots that are taken, or will be when EC2 answers.
    #[must_use]
    pub fn slots_taken(&self) -> u32 {
        self.singles.counts().total
            + self.prefix_count()
            + self.assigning_addresses
            + self.assigning_prefixes
    }

    /// Slots of that kind that EC2 was asked for and whose answer is not here yet.
    #[must_use]
    pub fn assigning(&self, kind: SlotKind) -> u32 {
        match kind {
            SlotKind::Address => self.assigning_addresses,
            SlotKind::Prefix => self.assigning_prefixes,
        }
    }

    /// Whether EC2 was asked for slots and has not answered.
    #[must_use]
    pub fn is_assigning(&self) -> bool {
        self.assigning_addresses + self.assigning_prefixes > 0
    }

    /// Whether new pods get addresses of it.
    #[must_use]
    pub fn gives_addresses(&self) -> bool {
        let kind = match self.kind {
            EniKind::Primary | EniKind::Secondary | EniKind::Trunk | EniKind::Efa => true,
            EniKind::EfaOnly => false,
        };
        kind && self.exclusion.is_none() && self.state == EniState::Ready
    }

    /// Whether it may be given more slots.
    #[must_use]
    pub fn may_grow(&self) -> bool {
        let kind = match self.kind {
            EniKind::Primary | EniKind::Secondary | EniKind::Efa => true,
            EniKind::Trunk | EniKind::EfaOnly => false,
        };
        kind && self.gives_addresses()
    }

    /// Whether slots of it may be given back.
    #[must_use]
    pub fn may_shrink(&self) -> bool {
        self.gives_addresses()
    }

    /// Whether the whole ENI may be given back, once it is unused.
    #[must_use]
    pub fn may_return(&self) -> bool {
        let excluded = match &self.exclusion {
            None => true,
            Some(exclusion) => exclusion.is_about_the_subnet(),
        };
        self.kind == EniKind::Secondary && self.state == EniState::Ready && excluded
    }

    /// Whether no pod has, or had until a moment ago, an address of it, and nothing is on its way
    /// to or from it.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        let all = self.all();
        all.free == all.total && !self.is_assigning()
    }

    /// When its slots last changed by our own doing.
    pub(crate) fn changed_at(&self) -> Timestamp {
        self.changed_at
    }

    /// The address of that kind to hand out next: of the fullest prefix, the one that has been
    /// free the longest.
    pub(crate) fn next_free(&self, kind: SlotKind) -> Option<Ipv4Addr> {
        match kind {
            SlotKind::Address => self.singles.longest_free(),
            SlotKind::Prefix => {
                let (_, prefix) = self.open_prefixes.first()?;
                self.prefixes.get(prefix)?.longest_free()
            }
        }
    }

    /// The free single addresses, those that have been free the shortest first.
    pub(crate) fn newest_free_singles(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.singles.newest_free()
    }

    /// The prefixes that are free in all their addresses, the highest first.
    pub(crate) fn unused_prefixes(&self) -> impl Iterator<Item = Ipv4Prefix> {
        let unused = |(prefix, addresses): (&Ipv4Prefix, &Addresses)| {
            is_unused(addresses.counts()).then_some(*prefix)
        };
        self.prefixes.iter().rev().filter_map(unused)
    }

    pub(crate) fn has_prefix(&self, prefix: Ipv4Prefix) -> bool {
        self.prefixes.contains_key(&prefix)
    }

    /// Whether the address lies in one of its prefixes.
    pub(super) fn prefix_of(&self, address: Ipv4Addr) -> Option<Ipv4Prefix> {
        let prefix = Ipv4Prefix::containing(address);
        self.has_prefix(prefix).then_some(prefix)
    }

    fn home(&self, address: Ipv4Addr) -> Option<&Addresses> {
        match self.prefix_of(address) {
            Some(prefix) => self.prefixes.get(&prefix),
            None => Some(&self.singles),
        }
    }

    /// Sets the state of an address. One that is in none of the ENI's prefixes is, or becomes, a
    /// single address.
    pub(super) fn set(&mut self, address: Ipv4Addr, state: AddressState) {
        match self.prefix_of(address) {
            Some(prefix) => self.edit(prefix, |addresses| addresses.set(address, state)),
            None => self.singles.set(address, state),
        }
    }

    /// Adds a prefix without addresses; each of the sixteen is to be [`Eni::set`] next.
    pub(super) fn add_prefix(&mut self, prefix: Ipv4Prefix) {
        self.prefixes.entry(prefix).or_default();
    }

    /// Takes a single address out.
    pub(super) fn remove_single(&mut self, address: Ipv4Addr) -> Option<AddressState> {
        self.singles.remove(address)
    }

    /// Takes a prefix out, with what its addresses were.
    pub(super) fn remove_prefix(
        &mut self,
        prefix: Ipv4Prefix,
    ) -> Option<Vec<(Ipv4Addr, AddressState)>> {
        let addresses = self.prefixes.remove(&prefix)?;
        self.count_out(prefix, addresses.counts());
        Some(
            addresses
                .iter()
                .map(|(address, state)| (address, state.clone()))
                .collect(),
        )
    }

    pub(super) fn begin_assign(&mut self, ask: Ask) {
        match ask {
            Ask::Addresses(count) => self.assigning_addresses += count,
            Ask::Prefixes(count) => self.assigning_prefixes += count,
        }
    }

    pub(super) fn end_assign(&mut self, ask: Ask) {
        let (count, asked) = match ask {
            Ask::Addresses(count) => (&mut self.assigning_addresses, count),
            Ask::Prefixes(count) => (&mut self.assigning_prefixes, count),
        };
        *count = count.saturating_sub(asked);
    }

    fn edit(&mut self, prefix: Ipv4Prefix, change: impl FnOnce(&mut Addresses)) {
        let Some(addresses) = self.prefixes.get_mut(&prefix) else {
            return;
        };
        let before = addresses.counts();
        change(addresses);
        let after = addresses.counts();
        self.count_out(prefix, before);
        self.count_in(prefix, after);
    }

    fn count_out(&mut self, prefix: Ipv4Prefix, counts: Counts) {
        self.in_prefixes -= counts;
        self.free_prefixes -= u32::from(is_unused(counts));
        self.open_prefixes
            .remove(&(Reverse(counts.allocated), prefix));
    }

    fn count_in(&mut self, prefix: Ipv4Prefix, counts: Counts) {
        self.in_prefixes += counts;
        self.free_prefixes += u32::from(is_unused(counts));
        if counts.free > 0 {
            self.open_prefixes
                .insert((Reverse(counts.allocated), prefix));
        }
    }

    /// What is not as it must be inside the ENI.
    pub(super) fn broken(&self) -> Vec<String> {
        let mut broken: Vec<String> = self.singles.broken().into_iter().collect();
        let mut counts = Counts::default();
        let mut free = 0;
        let mut open = BTreeSet::new();
        for (prefix, addresses) in &self.prefixes {
            broken.extend(addresses.broken());
            counts += addresses.counts();
            free += u32::from(is_unused(addresses.counts()));
            if addresses.counts().free > 0 {
                open.insert((Reverse(addresses.counts().allocated), *prefix));
            }
            if addresses.counts().total != Ipv4Prefix::SIZE {
                broken.push(format!("{prefix} has not all its addresses"));
            }
        }
        if (counts, free) != (self.in_prefixes, self.free_prefixes) {
            broken.push("the counts over all prefixes are wrong".to_owned());
        }
        if open != self.open_prefixes {
            broken.push("the index of open prefixes is wrong".to_owned());
        }
        broken
    }
}

fn is_unused(prefix: Counts) -> bool {
    prefix.free == Ipv4Prefix::SIZE
}
