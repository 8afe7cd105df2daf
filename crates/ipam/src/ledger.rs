//! Allocations and cooldowns as the journal tells them, before (or without) an ENI that has the
//! address. The record of allocations outranks metadata: what is in here stays until a DEL or an
//! ENI with the address claims it. So does what was given back: metadata shows it for a while.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use vpc_model::{DeviceIndex, EniId, Ipv4Prefix, NetworkCard, PodKey, PodName, Timestamp};

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

/// What can be given back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// A secondary address.
    Address(Ipv4Addr),
    /// A prefix.
    Prefix(Ipv4Prefix),
}

/// Who holds what, and what rests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    holders: BTreeMap<PodKey, Holder>,
    addresses: BTreeMap<Ipv4Addr, PodKey>,
    cooling: Deadlines<Ipv4Addr>,
    given_back: Deadlines<(EniId, Slot)>,
    returned: Deadlines<EniId>,
}

impl Ledger {
    /// Records an allocation. It ends a cooldown of the address, an earlier allocation of the key,
    /// and an earlier allocation of the address: the last record is the one that was answered
    /// for. (A record whose write was reported as failed may be in the journal all the same; its
    /// address was then handed out again.)
    pub fn allocate(&mut self, holder: Holder) {
        self.cooling.remove(&holder.address);
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

    /// Records that an ENI's slot goes back to EC2, if EC2 takes it: until then, being seen on
    /// that ENI does not make it ours.
    pub fn give_back(&mut self, eni: &EniId, slot: Slot, until: Timestamp) {
        self.given_back.insert((eni.clone(), slot), until);
    }

    /// What was given back a moment ago, by ENI and slot, and until when that is remembered.
    pub fn given_back(&self) -> impl Iterator<Item = (&EniId, Slot, Timestamp)> {
        self.given_back
            .iter()
            .map(|((eni, slot), until)| (eni, *slot, until))
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
    pub fn holders(&self) -> impl ExactSizeIterator<Item = &Holder> {
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

    /// Whether an ENI's slot was given back a moment ago.
    pub(crate) fn was_given_back(&self, eni: &EniId, slot: Slot, now: Timestamp) -> bool {
        self.given_back.lasts(&(eni.clone(), slot), now)
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

    /// EC2 did not take an ENI's slot, or gave it again.
    pub(crate) fn keep(&mut self, eni: &EniId, slot: Slot) {
        self.given_back.remove(&(eni.clone(), slot));
    }

    /// Drops the cooldowns that are over, and what was given back long ago.
    pub fn advance(&mut self, now: Timestamp) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: Timestamp = Timestamp::from_millis(9_000);

    fn holder(name: &str, last: u8) -> Holder {
        Holder {
            key: PodKey {
                network: "aws-cni".to_owned(),
                container_id: name.to_owned(),
                if_name: "eth0".to_owned(),
            },
            pod: PodName::default(),
            address: address(last),
            device: DeviceIndex(1),
            card: NetworkCard(0),
            since: Timestamp::ZERO,
        }
    }

    const fn address(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    #[test]
    fn a_release_turns_an_allocation_into_a_cooldown_and_an_allocation_ends_it() {
        let mut ledger = Ledger::default();
        ledger.allocate(holder("a", 1));
        assert_eq!(ledger.holder_of(address(1)), Some(&holder("a", 1)));
        assert_eq!(
            ledger.release(&holder("a", 1).key, UNTIL),
            Some(holder("a", 1))
        );
        assert_eq!(ledger.release(&holder("a", 1).key, UNTIL), None);
        assert_eq!(ledger.cooling().collect::<Vec<_>>(), [(address(1), UNTIL)]);
        assert_eq!(ledger.rests_until(), Some(UNTIL));
        ledger.allocate(holder("b", 1));
        assert_eq!((ledger.cooling().count(), ledger.len()), (0, 1));
    }

    #[test]
    fn of_two_records_of_one_address_the_later_one_holds() {
        let mut ledger = Ledger::default();
        ledger.allocate(holder("a", 1));
        ledger.allocate(holder("b", 1));
        assert_eq!(ledger.holder(&holder("a", 1).key), None);
        assert_eq!(ledger.holders().count(), 1);
        assert!(ledger.is_consistent());
    }

    #[test]
    fn of_two_records_of_one_key_the_later_one_holds() {
        let mut ledger = Ledger::default();
        ledger.allocate(holder("a", 1));
        ledger.allocate(holder("a", 2));
        assert_eq!(ledger.holder_of(address(1)), None);
        assert_eq!(ledger.holder_of(address(2)), Some(&holder("a", 2)));
        assert!(ledger.is_consistent());
    }

    #[test]
    fn what_was_given_back_is_remembered_until_its_time() {
        let mut ledger = Ledger::default();
        let eni: EniId = "eni-1".parse().unwrap();
        let other: EniId = "eni-2".parse().unwrap();
        let slot = Slot::Prefix(Ipv4Prefix::containing(address(2)));
        ledger.give_back(&eni, Slot::Address(address(1)), UNTIL);
        ledger.give_back(&eni, slot, UNTIL);
        ledger.return_eni(eni.clone(), UNTIL);
        ledger.keep(&eni, Slot::Address(address(1)));
        assert_eq!(
            ledger.given_back().collect::<Vec<_>>(),
            [(&eni, slot, UNTIL)]
        );
        assert!(!ledger.was_given_back(&other, slot, Timestamp::ZERO));
        assert!(ledger.was_returned(&eni, Timestamp::ZERO));
        ledger.advance(UNTIL);
        let left = (ledger.given_back().count(), ledger.returned().count());
        assert_eq!(left, (0, 0));
    }

    #[test]
    fn an_allocation_is_found_by_the_place_of_its_eni() {
        let mut ledger = Ledger::default();
        assert!(ledger.is_empty());
        ledger.allocate(holder("a", 1));
        assert!(ledger.holds_at(NetworkCard(0), DeviceIndex(1)));
        assert!(!ledger.holds_at(NetworkCard(1), DeviceIndex(1)));
        assert!(!ledger.holds_at(NetworkCard(0), DeviceIndex(2)));
    }
}
