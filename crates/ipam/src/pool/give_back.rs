//! How the pool changes when something of it goes back to EC2, or does not, or is lost.
//!
//! Whatever goes, the journal's word stays: allocations and cooldowns go to the ledger. What went
//! is remembered for a while, since metadata, and EC2's own answers, show it for some time yet.

use std::net::Ipv4Addr;

use vpc_model::{EniId, Ipv4Prefix, Timestamp};

use super::Pool;
use super::address::{AddressState, Tenant};
use super::ask::Slots;
use super::back_off::Scope;
use super::eni::{Eni, EniState};
use crate::journal::REMEMBERED;
use crate::ledger::{Holder, Slot};

impl Pool {
    /// Whether an ENI's slot is on its way back to the VPC.
    pub(crate) fn is_leaving(&self, id: &EniId, slot: Slot) -> bool {
        let address = match slot {
            Slot::Address(address) => address,
            Slot::Prefix(prefix) => prefix.first(),
        };
        let eni = self.enis.get(id);
        eni.is_some_and(|eni| eni.state_of(address) == Some(&AddressState::Unassigning))
    }

    pub(super) fn unassign_begun(&mut self, id: &EniId, slots: &Slots, now: Timestamp) {
        let begun = self.with_eni(id, |eni| {
            eni.changed_at = now;
            change(eni, slots, |state| match state {
                AddressState::Free { .. } => Some(AddressState::Unassigning),
                AddressState::Allocated(_)
                | AddressState::Cooling { .. }
                | AddressState::Unassigning => None,
            })
        });
        for slot in begun.into_iter().flatten() {
            self.ledger.give_back(id, slot, now + REMEMBERED);
            self.last_return = Some(now);
        }
    }

    pub(super) fn unassigned(&mut self, id: &EniId, slots: &Slots, now: Timestamp) {
        let Some(eni) = self.enis.get(id) else {
            return;
        };
        let leaves = |address: Ipv4Addr| eni.state_of(address) == Some(&AddressState::Unassigning);
        let mut gone = slots.clone();
        gone.addresses.retain(|address| leaves(*address));
        gone.prefixes
            .retain(|prefix| prefix.addresses().all(leaves));
        if gone.is_empty() {
            return;
        }
        self.back_offs.lift(&Scope::Returns);
        self.with_eni(id, |eni| eni.changed_at = now);
        self.lose_slots(id, &gone, now);
    }

    pub(super) fn unassign_failed(
        &mut self,
        id: &EniId,
        slots: &Slots,
        reason: String,
        now: Timestamp,
    ) {
        let kept = self.with_eni(id, |eni| {
            change(eni, slots, |state| match state {
                AddressState::Unassigning => Some(AddressState::Free { since: now }),
                AddressState::Allocated(_)
                | AddressState::Cooling { .. }
                | AddressState::Free { .. } => None,
            })
        });
        let Some(kept) = kept else {
            return;
        };
        for slot in kept {
            self.ledger.keep(id, slot);
        }
        self.back_offs.refused(Scope::Returns, 1, reason, now);
    }

    pub(super) fn return_begun(&mut self, id: &EniId, now: Timestamp) {
        if self.enis.contains_key(id) {
            self.last_return = Some(now);
            self.with_eni(id, |eni| eni.state = EniState::Returning);
            self.ledger.return_eni(id.clone(), now + REMEMBERED);
        }
    }

    pub(super) fn returned(&mut self, id: &EniId, now: Timestamp) {
        let state = self.enis.get(id).map(|eni| eni.state);
        if state == Some(EniState::Returning) {
            self.back_offs.lift(&Scope::Returns);
            self.ledger.return_eni(id.clone(), now + REMEMBERED);
        }
        self.remove_eni(id, now);
    }

    /// EC2 says that an ENI is gone; metadata will show it for a while.
    pub(super) fn eni_lost(&mut self, id: &EniId, now: Timestamp) {
        if self.enis.contains_key(id) {
            self.ledger.return_eni(id.clone(), now + REMEMBERED);
            self.remove_eni(id, now);
        }
    }

    pub(super) fn return_failed(&mut self, id: &EniId, reason: String, now: Timestamp) {
        let known = self.with_eni(id, |eni| eni.state = EniState::Ready);
        if known.is_some() {
            self.ledger.keep_eni(id);
            self.back_offs.refused(Scope::Returns, 1, reason, now);
        }
    }

    /// Slots leave an ENI.
    pub(super) fn lose_slots(&mut self, id: &EniId, slots: &Slots, now: Timestamp) {
        for address in &slots.addresses {
            if self.owners.get(address) == Some(id) {
                self.lose_address(id, *address, now);
            }
        }
        for prefix in &slots.prefixes {
            if self.prefix_owners.get(prefix) == Some(id) {
                self.lose_prefix(id, *prefix, now);
            }
        }
    }

    pub(super) fn lose_address(&mut self, id: &EniId, address: Ipv4Addr, now: Timestamp) {
        self.owners.remove(&address);
        let state = self
            .with_eni(id, |eni| eni.remove_single(address))
            .flatten();
        if let Some(state) = state {
            self.forget(id, address, state);
        }
        self.ledger
            .give_back(id, Slot::Address(address), now + REMEMBERED);
    }

    pub(super) fn lose_prefix(&mut self, id: &EniId, prefix: Ipv4Prefix, now: Timestamp) {
        self.prefix_owners.remove(&prefix);
        let addresses = self.with_eni(id, |eni| eni.remove_prefix(prefix)).flatten();
        for (address, state) in addresses.into_iter().flatten() {
            self.forget(id, address, state);
        }
        self.ledger
            .give_back(id, Slot::Prefix(prefix), now + REMEMBERED);
    }

    /// An ENI is gone, with all its slots.
    pub(super) fn remove_eni(&mut self, id: &EniId, now: Timestamp) {
        let Some(eni) = self.enis.get(id) else {
            return;
        };
        let slots = eni.slots();
        self.lose_slots(id, &slots, now);
        self.enis.remove(id);
        self.back_offs.lift(&Scope::Eni(id.clone()));
    }

    /// An address is no longer on its ENI. What the journal must not forget goes to the ledger.
    fn forget(&mut self, id: &EniId, address: Ipv4Addr, state: AddressState) {
        match state {
            AddressState::Allocated(tenant) => {
                let Tenant { key, pod, since } = *tenant;
                self.holders.remove(&key);
                if let Some(eni) = self.enis.get(id) {
                    self.ledger.allocate(Holder {
                        key,
                        pod,
                        address,
                        device: eni.device,
                        card: eni.card,
                        since,
                    });
                }
            }
            AddressState::Cooling { until } => {
                self.cooling.remove(&(until, address));
                self.ledger.cool(address, until);
            }
            AddressState::Free { .. } | AddressState::Unassigning => {}
        }
    }
}

/// Changes the state of all addresses of those slots for which `to` names another one; returns the
/// slots that were changed.
fn change(
    eni: &mut Eni,
    slots: &Slots,
    to: impl Fn(&AddressState) -> Option<AddressState>,
) -> Vec<Slot> {
    let mut changed = Vec::new();
    for address in &slots.addresses {
        let is_single = eni.prefix_of(*address).is_none();
        let state = eni.state_of(*address).filter(|_| is_single);
        if let Some(state) = state.and_then(&to) {
            eni.set(*address, state);
            changed.push(Slot::Address(*address));
        }
    }
    for prefix in &slots.prefixes {
        let all = prefix
            .addresses()
            .map(|address| Some((address, to(eni.state_of(address)?)?)));
        if eni.has_prefix(*prefix)
            && let Some(all) = all.collect::<Option<Vec<_>>>()
        {
            for (address, state) in all {
                eni.set(address, state);
            }
            changed.push(Slot::Prefix(*prefix));
        }
    }
    changed
}
