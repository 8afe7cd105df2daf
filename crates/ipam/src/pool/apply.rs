//! How each event changes the pool.

use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_model::{EniId, Timestamp};

use super::{AddressState, BackOff, Creation, Eni, EniState, Event, NewEni, Pool};
use crate::journal::REMEMBERED;
use crate::ledger::Holder;

/// The pause after the first refusal; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Upstream pauses two minutes when a subnet is out of addresses.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// What says that an ENI has an address.
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
                addresses,
            } => {
                self.next_creation = self.next_creation.max(creation.0.saturating_add(1));
                self.creations.insert(
                    creation,
                    Creation {
                        device,
                        addresses,
                        since: now,
                    },
                );
            }
            Event::Created { creation, eni } => {
                if let Some(begun) = self.creations.remove(&creation) {
                    self.note_given(begun.addresses, &eni.addresses, now);
                }
                self.add_eni(eni, Source::Given, now);
            }
            Event::CreationFailed { creation, reason } => {
                if self.creations.remove(&creation).is_some() {
                    self.back_off = Some(pause(self.back_off.take(), reason, now));
                }
            }
            Event::AssignBegun { eni, count } => {
                if let Some(eni) = self.enis.get_mut(&eni) {
                    eni.assigning = eni.assigning.saturating_add(count);
                }
            }
            Event::Assigned {
                eni,
                asked,
                addresses,
            } => {
                if self.no_longer_assigning(&eni, asked) {
                    self.note_given(asked, &addresses, now);
                    self.add_addresses(&eni, addresses, Source::Given, now);
                }
            }
            Event::AddressesFound { eni, addresses } => {
                self.add_addresses(&eni, addresses, Source::Seen, now);
            }
            Event::AssignFailed { eni, asked, reason } => {
                if self.no_longer_assigning(&eni, asked) {
                    self.back_off = Some(pause(self.back_off.take(), reason, now));
                }
            }
            Event::UnassignBegun { eni, addresses } => {
                let begun = self.change(&eni, &addresses, |state| {
                    matches!(state, AddressState::Free { .. }).then_some(AddressState::Unassigning)
                });
                for address in begun {
                    self.ledger.give_back(address, now + REMEMBERED);
                }
            }
            Event::Unassigned { eni, addresses } => self.remove_addresses(&eni, &addresses, now),
            Event::UnassignFailed {
                eni,
                addresses,
                reason,
            } => {
                let kept = self.change(&eni, &addresses, |state| {
                    (*state == AddressState::Unassigning)
                        .then_some(AddressState::Free { since: now })
                });
                for address in kept {
                    self.ledger.keep(address);
                }
                if self.enis.contains_key(&eni) {
                    self.not_taken = Some(pause(self.not_taken.take(), reason, now));
                }
            }
            Event::ReturnBegun { eni } => {
                if let Some(leaving) = self.enis.get_mut(&eni) {
                    leaving.state = EniState::Returning;
                    self.ledger.return_eni(eni, now + REMEMBERED);
                }
            }
            Event::Returned { eni } => self.remove_eni(&eni, now),
            Event::ReturnFailed { eni, reason } => {
                if let Some(kept) = self.enis.get_mut(&eni) {
                    kept.state = EniState::Ready;
                    self.ledger.keep_eni(&eni);
                    self.not_taken = Some(pause(self.not_taken.take(), reason, now));
                }
            }
        }
    }

    /// Whether an ENI that is seen is there and wired.
    fn is_to_be_believed(&self, new: &NewEni, now: Timestamp) -> bool {
        let being_made = self
            .creations
            .values()
            .any(|creation| creation.device == new.device);
        !being_made && !self.ledger.was_returned(&new.id, now)
    }

    /// EC2 gave addresses: it is asked again at once, unless it gave fewer than asked for.
    fn note_given(&mut self, asked: u32, addresses: &[Ipv4Addr], now: Timestamp) {
        if !addresses.is_empty() || asked == 0 {
            self.back_off = None;
        }
        let given = addresses.len();
        if u32::try_from(given).is_ok_and(|given| given < asked) {
            let reason = format!("it gave {given} of the {asked} addresses asked for");
            self.back_off = Some(pause(self.back_off.take(), reason, now));
        }
    }

    /// Ends the wait for addresses; whether the pool knows the ENI.
    fn no_longer_assigning(&mut self, eni: &EniId, count: u32) -> bool {
        let eni = self.enis.get_mut(eni);
        let known = eni.is_some();
        if let Some(eni) = eni {
            eni.assigning = eni.assigning.saturating_sub(count);
        }
        known
    }

    /// Changes the state of those addresses for which `to` names another one; returns them.
    fn change(
        &mut self,
        eni: &EniId,
        addresses: &[Ipv4Addr],
        to: impl Fn(&AddressState) -> Option<AddressState>,
    ) -> Vec<Ipv4Addr> {
        let Some(eni) = self.enis.get_mut(eni) else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        for address in addresses {
            if let Some(state) = eni.state_of(*address).and_then(&to) {
                eni.insert(*address, state);
                changed.push(*address);
            }
        }
        changed
    }

    fn add_eni(&mut self, new: NewEni, source: Source, now: Timestamp) {
        let (id, addresses) = (new.id.clone(), new.addresses.clone());
        if !self.enis.contains_key(&id) {
            let bare = NewEni {
                addresses: Vec::new(),
                ..new
            };
            self.enis.insert(id.clone(), Eni::new(bare, now));
        }
        self.add_addresses(&id, addresses, source, now);
    }

    /// Addresses come to an ENI. One that the journal knows takes the state it has there.
    fn add_addresses(
        &mut self,
        id: &EniId,
        addresses: Vec<Ipv4Addr>,
        source: Source,
        now: Timestamp,
    ) {
        if !self.enis.contains_key(id) {
            return;
        }
        for address in addresses {
            let comes = match source {
                Source::Given => self.leaves_its_owner(address),
                Source::Seen => {
                    !self.owners.contains_key(&address) && !self.ledger.was_given_back(address, now)
                }
            };
            if !comes {
                continue;
            }
            self.ledger.keep(address);
            self.owners.insert(address, id.clone());
            if let Some(holder) = self.ledger.take_holder(address) {
                self.hold(id, address, holder);
                continue;
            }
            let cooling = self
                .ledger
                .take_cooling(address)
                .filter(|until| *until > now);
            if let Some(eni) = self.enis.get_mut(id) {
                let free = AddressState::Free { since: now };
                let state = cooling.map_or(free, |until| AddressState::Cooling { until });
                eni.insert(address, state);
            }
        }
    }

    /// EC2 gave an address that an ENI of the pool has had so far: it has it no longer. Returns
    /// whether it can go to where EC2 gave it: not while a pod has it.
    fn leaves_its_owner(&mut self, address: Ipv4Addr) -> bool {
        let Some(eni) = self
            .owners
            .get(&address)
            .and_then(|owner| self.enis.get_mut(owner))
        else {
            return true;
        };
        match eni.state_of(address) {
            Some(AddressState::Allocated { .. }) => return false,
            Some(AddressState::Cooling { until }) => self.ledger.cool(address, *until),
            Some(AddressState::Free { .. } | AddressState::Unassigning) | None => {}
        }
        eni.take_out(address);
        self.owners.remove(&address);
        true
    }

    fn remove_addresses(&mut self, id: &EniId, addresses: &[Ipv4Addr], now: Timestamp) {
        let Some(eni) = self.enis.get_mut(id) else {
            return;
        };
        for address in addresses {
            if eni.state_of(*address) == Some(&AddressState::Unassigning) {
                eni.take_out(*address);
                self.owners.remove(address);
                self.ledger.give_back(*address, now + REMEMBERED);
                self.not_taken = None;
            }
        }
    }

    /// An ENI is gone. What the journal must not forget goes back to the ledger: allocations,
    /// whatever the world says, and cooldowns.
    fn remove_eni(&mut self, id: &EniId, now: Timestamp) {
        let Some(eni) = self.enis.remove(id) else {
            return;
        };
        if eni.state == EniState::Returning {
            self.not_taken = None;
            self.ledger.return_eni(id.clone(), now + REMEMBERED);
        }
        for (address, state) in eni.addresses() {
            self.owners.remove(&address);
            match state {
                AddressState::Allocated { key, pod, since } => {
                    self.holders.remove(key);
                    self.ledger.allocate(Holder {
                        key: key.clone(),
                        pod: pod.clone(),
                        since: *since,
                        address,
                        device: eni.device,
                        card: eni.card,
                    });
                }
                AddressState::Cooling { until } => self.ledger.cool(address, *until),
                AddressState::Free { .. } | AddressState::Unassigning => {}
            }
        }
    }
}

/// The pause after a refusal. Refusals while a pause lasts are answers to calls made before it;
/// they do not make it longer.
fn pause(before: Option<BackOff>, reason: String, now: Timestamp) -> BackOff {
    match before {
        Some(lasting) if lasting.until > now => BackOff { reason, ..lasting },
        Some(BackOff { failures, .. }) => after(failures.saturating_add(1), reason, now),
        None => after(1, reason, now),
    }
}

fn after(failures: u32, reason: String, now: Timestamp) -> BackOff {
    let doublings = failures.saturating_sub(1).min(10);
    let pause = FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE);
    BackOff {
        until: now + pause,
        reason,
        failures,
    }
}
