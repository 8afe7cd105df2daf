//! Allocations and cooldowns as the journal tells them, before (or without) an ENI that has the
//! address. The record of allocations outranks metadata: what is in here stays until a DEL or an
//! ENI with the address claims it. So does what was given back: metadata shows it for a while.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use vpc_model::{DeviceIndex, EniId, NetworkCard, PodKey, PodName, Timestamp};

use crate::deadlines::Deadlines;

/// A sandbox and the address it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The sandbox.
    pub key: PodKey,
    /// The pod's name, for people.
    pub pod: PodName,
    /// The address.
    pub address: Ipv4Addr,
    /// The device index of the ENI that had it when it was allocated.
    pub device: DeviceIndex,
    /// That ENI's network card.
    pub card: NetworkCard,
    /// Since when.
    pub since: Timestamp,
}

/// Who holds what, and what rests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    holders: BTreeMap<PodKey, Holder>,
    addresses: BTreeMap<Ipv4Addr, PodKey>,
    cooling: Deadlines<Ipv4Addr>,
    given_back: Deadlines<Ipv4Addr>,
    returned: Deadlines<EniId>,
}

impl Ledger {
    /// Records an allocation. It ends a cooldown of the address, an earlier allocation of the key,
    /// and an earlier allocation of the address: the last record is the one that was answered
    /// for. (A record whose write was reported as failed may be in the journal all the same; its
    /// address was then handed out again.)
    pub fn allocate(&mut self, holder: Holder) {
        self.cooling.remove(&holder.address);
        self.given_back.remove(&holder.address);
        self.take_holder(holder.address);
        if let Some(before) = self.holders.remove(&holder.key) {
            self.addresses.remove(&before.address);
        }
        self.addresses.insert(holder.address, holder.key.clone());
        self.holders.insert(holder.key.clone(), holder);
    }

    /// Records a release: the address rests until then.
    pub fn release(&mut self, key: &PodKey, until: Timestamp) -> Option<Holder> {
        let holder = self.holders.remove(key)?;
        self.addresses.remove(&holder.address);
        self.cooling.insert(holder.address, until);
        Some(holder)
    }

    /// Records a cooldown by itself.
    pub fn cool(&mut self, address: Ipv4Addr, until: Timestamp) {
        self.cooling.insert(address, until);
    }

    /// Records that an address goes back to EC2, if EC2 takes it: until then, being seen does not
    /// make it ours.
    pub fn give_back(&mut self, address: Ipv4Addr, until: Timestamp) {
        self.given_back.insert(address, until);
    }

    /// What was given back a moment ago, by address, and until when that is remembered.
    pub fn given_back(&self) -> impl Iterator<Item = (Ipv4Addr, Timestamp)> {
        self.given_back
            .iter()
            .map(|(address, until)| (*address, until))
    }

    /// Records that an ENI goes back, if EC2 takes it: until then, being seen does not make it ours.
    pub fn return_eni(&mut self, eni: EniId, until: Timestamp) {
        self.returned.insert(eni, until);
    }

    /// The ENIs that were given back a moment ago, by id, and until when that is remembered.
    pub fn returned(&self) -> impl Iterator<Item = (&EniId, Timestamp)> {
        self.returned.iter()
    }

    /// The allocations, by key.
    pub fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.holders.values()
    }

    /// The cooldowns, by address.
    pub fn cooling(&self) -> impl Iterator<Item = (Ipv4Addr, Timestamp)> {
        self.cooling
            .iter()
            .map(|(address, until)| (*address, until))
    }

    /// How many allocations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// Whether there is no allocation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// When the last cooldown ends.
    #[must_use]
    pub fn rests_until(&self) -> Option<Timestamp> {
        self.cooling.last_end()
    }

    /// What a key holds.
    #[must_use]
    pub fn holder(&self, key: &PodKey) -> Option<&Holder> {
        self.holders.get(key)
    }

    /// Who holds an address.
    #[must_use]
    pub fn holder_of(&self, address: Ipv4Addr) -> Option<&Holder> {
        self.addresses
            .get(&address)
            .and_then(|key| self.holders.get(key))
    }

    pub(crate) fn take_holder(&mut self, address: Ipv4Addr) -> Option<Holder> {
        let key = self.addresses.remove(&address)?;
        self.holders.remove(&key)
    }

    pub(crate) fn take_cooling(&mut self, address: Ipv4Addr) -> Option<Timestamp> {
        self.cooling.remove(&address)
    }

    /// Whether an address was given back a moment ago.
    pub(crate) fn was_given_back(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        self.given_back.lasts(&address, now)
    }

    /// Whether an ENI was given back a moment ago.
    pub(crate) fn was_returned(&self, eni: &EniId, now: Timestamp) -> bool {
        self.returned.lasts(eni, now)
    }

    /// EC2 did not take an ENI.
    pub(crate) fn keep_eni(&mut self, eni: &EniId) {
        self.returned.remove(eni);
    }

    /// Whether a pod has an address of what is at that place of the instance.
    pub(crate) fn holds_at(&self, card: NetworkCard, device: DeviceIndex) -> bool {
        self.holders
            .values()
            .any(|holder| (holder.card, holder.device) == (card, device))
    }

    /// EC2 did not take an address, or gave it again.
    pub(crate) fn keep(&mut self, address: Ipv4Addr) {
        self.given_back.remove(&address);
    }

    /// Drops the cooldowns that are over, and what was given back long ago.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.cooling.drop_ended(now);
        self.given_back.drop_ended(now);
        self.returned.drop_ended(now);
    }

    /// Whether the two indexes of allocations agree.
    pub(crate) fn is_consistent(&self) -> bool {
        self.addresses.len() == self.holders.len()
            && self.holders.iter().all(|(key, holder)| {
                holder.key == *key && self.addresses.get(&holder.address) == Some(key)
            })
    }
}
