//! How each event changes the pool.

use std::net::Ipv4Addr;

use vpc_model::{EniId, Ipv4Prefix, SubnetId, Timestamp};

use super::address::AddressState;
use super::ask::{Ask, Slots};
use super::back_off::Scope;
use super::eni::{Eni, NewEni};
use super::event::{CreationId, Event, Refusal};
use super::{Creation, Pool};
use crate::ledger::Slot;

/// What says that an ENI has a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// EC2's answer to the request for it.
    Given,
    /// A description, which may be old.
    Seen,
}

impl Pool {
    /// Makes an event so. Events about an ENI or a creation that the pool does not know change
    /// nothing.
    pub fn apply(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::EniFound(new) => {
                if self.is_to_be_believed(&new, now) {
                    self.add_eni(new, Source::Seen, now);
                }
            }
            Event::CreationBegun {
                creation,
                device,
                subnet,
                ask,
            } => {
                self.next_creation = self.next_creation.max(creation.0.saturating_add(1));
                let begun = Creation {
                    device,
                    subnet,
                    ask,
                    eni: None,
                    since: now,
                };
                self.creations.insert(creation, begun);
            }
            Event::CreationAttaching { creation, eni } => {
                if let Some(begun) = self.creations.get_mut(&creation) {
                    begun.eni = Some(eni);
                }
            }
            Event::Created { creation, eni } => {
                if let Some(begun) = self.creations.remove(&creation) {
                    self.back_offs.lift(&Scope::Creations);
                    self.note_given(&begun.subnet, begun.ask, &eni.slots, now);
                }
                self.add_eni(eni, Source::Given, now);
            }
            Event::CreationFailed {
                creation,
                refusal,
                reason,
            } => self.creation_failed(creation, refusal, reason, now),
            Event::AssignBegun { eni, ask } => {
                self.with_eni(&eni, |eni| eni.begin_assign(ask));
            }
            Event::Assigned { eni, ask, slots } => self.assigned(&eni, ask, slots, now),
            Event::AssignFailed {
                eni,
                ask,
                refusal,
                reason,
            } => self.assign_failed(&eni, ask, (refusal, reason), now),
            Event::SlotsFound { eni, slots } => self.add_slots(&eni, slots, Source::Seen, now),
            Event::SlotsLost { eni, slots } => self.lose_slots(&eni, &slots, now),
            Event::UnassignBegun { eni, slots } => self.unassign_begun(&eni, &slots, now),
            Event::Unassigned { eni, slots } => self.unassigned(&eni, &slots, now),
            Event::UnassignFailed { eni, slots, reason } => {
                self.unassign_failed(&eni, &slots, reason, now);
            }
            Event::ReturnBegun { eni } => self.return_begun(&eni, now),
            Event::Returned { eni } => self.returned(&eni, now),
            Event::ReturnFailed { eni, reason } => self.return_failed(&eni, reason, now),
            Event::EniLost { eni } => self.eni_lost(&eni, now),
            Event::Reclassified {
                eni,
                kind,
                exclusion,
            } => {
                self.with_eni(&eni, |eni| {
                    eni.kind = kind;
                    eni.exclusion = exclusion;
                });
            }
        }
    }

    fn creation_failed(
        &mut self,
        creation: CreationId,
        refusal: Refusal,
        reason: String,
        now: Timestamp,
    ) {
        let Some(begun) = self.creations.remove(&creation) else {
            return;
        };
        let scope = refusal.scope(&begun.subnet, None, begun.ask.kind());
        self.back_offs
            .refused(scope, begun.ask.slots(), reason, now);
    }

    /// Whether an ENI that is seen is there and wired.
    fn is_to_be_believed(&self, new: &NewEni, now: Timestamp) -> bool {
        let is_being_made = self
            .creations
            .values()
            .any(|begun| (self.card, begun.device) == (new.card, new.device));
        !is_being_made && !self.ledger.was_returned(&new.id, now)
    }

    fn assigned(&mut self, id: &EniId, ask: Ask, slots: Slots, now: Timestamp) {
        let subnet = self.with_eni(id, |eni| {
            eni.end_assign(ask);
            eni.changed_at = now;
            eni.subnet.clone()
        });
        if let Some(subnet) = subnet {
            self.back_offs.lift(&Scope::Eni(id.clone()));
            self.note_given(&subnet, ask, &slots, now);
            self.add_slots(id, slots, Source::Given, now);
        }
    }

    /// EC2 gave slots: it is asked again at once, unless it gave fewer than asked for.
    fn note_given(&mut self, subnet: &SubnetId, ask: Ask, slots: &Slots, now: Timestamp) {
        let given = slots.count(ask.kind());
        let asked = ask.slots();
        if given < asked {
            let scope = Refusal::SubnetFull.scope(subnet, None, ask.kind());
            let reason = format!("it gave {given} of {ask} that were asked for");
            self.back_offs.refused(scope, 1, reason, now);
        } else {
            self.back_offs.granted(subnet, ask, now);
        }
    }

    fn assign_failed(
        &mut self,
        id: &EniId,
        ask: Ask,
        (refusal, reason): (Refusal, String),
        now: Timestamp,
    ) {
        let subnet: Option<SubnetId> = self.with_eni(id, |eni| {
            eni.end_assign(ask);
            eni.subnet.clone()
        });
        if let Some(subnet) = subnet {
            let scope = refusal.scope(&subnet, Some(id), ask.kind());
            self.back_offs.refused(scope, ask.slots(), reason, now);
        }
    }

    fn add_eni(&mut self, new: NewEni, source: Source, now: Timestamp) {
        let (id, slots) = (new.id.clone(), new.slots.clone());
        if self.enis.contains_key(&id) {
            self.make_place(&new, now);
            self.with_eni(&id, |eni| {
                eni.kind = new.kind;
                eni.exclusion = new.exclusion;
                eni.card = new.card;
                eni.device = new.device;
            });
        } else {
            self.ledger.keep_eni(&id);
            self.make_place(&new, now);
            self.enis.insert(id.clone(), Eni::new(new, now));
        }
        self.add_slots(&id, slots, source, now);
    }

    /// Two ENIs cannot be at one place: where one was found, whatever was there is gone.
    fn make_place(&mut self, new: &NewEni, now: Timestamp) {
        let place = (new.card, new.device);
        let before = self
            .enis
            .values()
            .find(|eni| eni.id != new.id && (eni.card, eni.device) == place);
        if let Some(gone) = before.map(|eni| eni.id.clone()) {
            self.remove_eni(&gone, now);
        }
    }

    /// Slots come to an ENI. An address that the journal knows takes the state it has there.
    ///
    /// What EC2 has just given was taken from wherever the pool believes it to be. What is only
    /// seen stays where the pool has it, and what was given back a moment ago stays away.
    fn add_slots(&mut self, id: &EniId, slots: Slots, source: Source, now: Timestamp) {
        if !self.enis.contains_key(id) {
            return;
        }
        for prefix in slots.prefixes {
            let comes = match source {
                Source::Given => self.prefix_leaves_its_owner(id, prefix, now),
                Source::Seen => {
                    !self.prefix_owners.contains_key(&prefix)
                        && !self.is_old_news(id, Slot::Prefix(prefix), now)
                }
            };
            if comes {
                self.add_prefix(id, prefix, now);
            }
        }
        for address in slots.addresses {
            let comes = match source {
                Source::Given => self.address_leaves_its_owner(id, address, now),
                Source::Seen => {
                    self.owner(address).is_none()
                        && !self.is_old_news(id, Slot::Address(address), now)
                }
            };
            if comes {
                self.ledger.keep(id, Slot::Address(address));
                self.owners.insert(address, id.clone());
                self.add_address(id, address, now);
            }
        }
    }

    /// Whether a slot is seen on an ENI only because what shows it is old.
    fn is_old_news(&self, id: &EniId, slot: Slot, now: Timestamp) -> bool {
        self.ledger.was_given_back(id, slot, now)
    }

    /// Whether a prefix that EC2 gave comes to that ENI; it leaves the one that had it.
    fn prefix_leaves_its_owner(&mut self, to: &EniId, prefix: Ipv4Prefix, now: Timestamp) -> bool {
        match self.prefix_owners.get(&prefix).cloned() {
            Some(owner) if owner == *to => false,
            Some(owner) => {
                self.lose_prefix(&owner, prefix, now);
                true
            }
            None => true,
        }
    }

    /// Whether an address that EC2 gave comes to that ENI; it leaves the one that had it, with the
    /// prefix it was part of.
    fn address_leaves_its_owner(&mut self, to: &EniId, address: Ipv4Addr, now: Timestamp) -> bool {
        let prefix = Ipv4Prefix::containing(address);
        if let Some(owner) = self.prefix_owners.get(&prefix).cloned() {
            self.lose_prefix(&owner, prefix, now);
        }
        match self.owners.get(&address).cloned() {
            // Where it is on its way back, EC2 may take it only now: it goes, and if it did come
            // again after that, metadata will show it.
            Some(owner) if owner == *to => false,
            Some(owner) => {
                self.lose_address(&owner, address, now);
                true
            }
            None => true,
        }
    }

    fn add_prefix(&mut self, id: &EniId, prefix: Ipv4Prefix, now: Timestamp) {
        self.ledger.keep(id, Slot::Prefix(prefix));
        self.prefix_owners.insert(prefix, id.clone());
        for address in prefix.addresses() {
            // A single address that lies in the prefix now is no longer one; its holder keeps it.
            if let Some(owner) = self.owners.get(&address).cloned() {
                self.lose_address(&owner, address, now);
            }
        }
        self.with_eni(id, |eni| eni.add_prefix(prefix));
        for address in prefix.addresses() {
            self.add_address(id, address, now);
        }
    }

    fn add_address(&mut self, id: &EniId, address: Ipv4Addr, now: Timestamp) {
        if let Some(holder) = self.ledger.take_holder(address) {
            self.hold(id, address, holder);
            return;
        }
        let cooling = self.ledger.take_cooling(address);
        let state = match cooling.filter(|until| *until > now) {
            Some(until) => {
                self.cooling.insert((until, address));
                AddressState::Cooling { until }
            }
            None => AddressState::Free { since: now },
        };
        self.with_eni(id, |eni| eni.set(address, state));
    }
}
