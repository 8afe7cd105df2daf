//! What happens to the pool from outside: actions begun, and their outcomes.

use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_model::{DeviceIndex, EniId, Timestamp};

use super::{AddressState, BackOff, Creation, CreationId, Eni, EniState, NewEni, Pool};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An ENI is there and wired: found at start, or by a reconcile.
    EniFound(NewEni),
    /// The creation of an ENI was begun.
    CreationBegun {
        /// Which.
        creation: CreationId,
        /// Where the ENI goes.
        device: DeviceIndex,
        /// What it brings for pods.
        addresses: u32,
    },
    /// An ENI that was being created is there and wired.
    Created {
        /// Which creation.
        creation: CreationId,
        /// The ENI.
        eni: NewEni,
    },
    /// An ENI could not be created.
    CreationFailed {
        /// Which.
        creation: CreationId,
        /// Why, for people.
        reason: String,
    },
    /// Addresses were asked of EC2.
    AssignBegun {
        /// For which ENI.
        eni: EniId,
        /// How many.
        count: u32,
    },
    /// EC2 gave addresses, as many as were asked for or fewer.
    Assigned {
        /// To which ENI.
        eni: EniId,
        /// How many had been asked for.
        asked: u32,
        /// Which they are.
        addresses: Vec<Ipv4Addr>,
    },
    /// An ENI has these addresses too.
    AddressesFound {
        /// Which ENI.
        eni: EniId,
        /// Which they are; known ones change nothing.
        addresses: Vec<Ipv4Addr>,
    },
    /// EC2 gave none.
    AssignFailed {
        /// To which ENI.
        eni: EniId,
        /// How many had been asked for.
        asked: u32,
        /// Why, for people.
        reason: String,
    },
    /// Free addresses are on their way back.
    UnassignBegun {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        addresses: Vec<Ipv4Addr>,
    },
    /// EC2 took the addresses back.
    Unassigned {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        addresses: Vec<Ipv4Addr>,
    },
    /// EC2 did not take them: they are ours still.
    UnassignFailed {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        addresses: Vec<Ipv4Addr>,
        /// Why, for people.
        reason: String,
    },
    /// An ENI is on its way back.
    ReturnBegun {
        /// Which.
        eni: EniId,
    },
    /// An ENI is gone.
    Returned {
        /// Which.
        eni: EniId,
    },
    /// An ENI could not be given back: it is ours still.
    ReturnFailed {
        /// Which.
        eni: EniId,
        /// Why, for people.
        reason: String,
    },
}

/// The pause after the first refusal; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Upstream pauses two minutes when a subnet is out of addresses.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

impl Pool {
    /// Makes an event so. Events about an ENI or a creation that the pool does not know change
    /// nothing.
    pub fn apply(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::EniFound(new) => self.add_eni(new, now),
            Event::CreationBegun { creation, device, addresses } => {
                self.next_creation = self.next_creation.max(creation.0 + 1);
                self.creations.insert(creation, Creation { device, addresses, since: now });
            }
            Event::Created { creation, eni } => {
                self.creations.remove(&creation);
                self.back_off = None;
                self.add_eni(eni, now);
            }
            Event::CreationFailed { creation, reason } => {
                if self.creations.remove(&creation).is_some() {
                    self.pause(reason, now);
                }
            }
            Event::AssignBegun { eni, count } => {
                if let Some(eni) = self.enis.get_mut(&eni) {
                    eni.assigning += count;
                }
            }
            Event::Assigned { eni, asked, addresses } => {
                self.no_longer_assigning(&eni, asked);
                self.back_off = None;
                self.add_addresses(&eni, addresses, now);
            }
            Event::AddressesFound { eni, addresses } => self.add_addresses(&eni, addresses, now),
            Event::AssignFailed { eni, asked, reason } => {
                self.no_longer_assigning(&eni, asked);
                self.pause(reason, now);
            }
            Event::UnassignBegun { eni, addresses } => {
                if let Some(eni) = self.enis.get_mut(&eni) {
                    set_where_free(eni, &addresses);
                }
            }
            Event::Unassigned { eni, addresses } => self.remove_addresses(&eni, &addresses),
            Event::UnassignFailed { eni, addresses, reason: _ } => {
                if let Some(eni) = self.enis.get_mut(&eni) {
                    for address in addresses {
                        if eni.state_of(address) == Some(&AddressState::Unassigning) {
                            eni.insert(address, AddressState::Free { since: now });
                        }
                    }
                }
                self.excess_since = None;
            }
            Event::ReturnBegun { eni } => {
                if let Some(eni) = self.enis.get_mut(&eni) {
                    eni.state = EniState::Returning;
                }
            }
            Event::Returned { eni } => self.remove_eni(&eni),
            Event::ReturnFailed { eni, reason: _ } => {
                if let Some(eni) = self.enis.get_mut(&eni) {
                    eni.state = EniState::Ready;
                    // Its age starts again, so that the next try is not at once.
                    eni.since = now;
                }
            }
        }
    }

    fn pause(&mut self, reason: String, now: Timestamp) {
        let failures = self.back_off.as_ref().map_or(0, |before| before.failures) + 1;
        let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST_PAUSE);
        self.back_off = Some(BackOff { until: now + pause, reason, failures });
    }

    fn no_longer_assigning(&mut self, eni: &EniId, count: u32) {
        if let Some(eni) = self.enis.get_mut(eni) {
            eni.assigning = eni.assigning.saturating_sub(count);
        }
    }

    fn add_eni(&mut self, new: NewEni, now: Timestamp) {
        if self.enis.contains_key(&new.id) {
            let (id, addresses) = (new.id, new.addresses);
            return self.add_addresses(&id, addresses, now);
        }
        let (id, addresses) = (new.id.clone(), new.addresses.clone());
        let eni = Eni::new(NewEni { addresses: Vec::new(), ..new }, now);
        self.enis.insert(id.clone(), eni);
        self.add_addresses(&id, addresses, now);
    }

    /// Addresses come to an ENI. One that the journal knows takes the state it has there.
    fn add_addresses(&mut self, id: &EniId, addresses: Vec<Ipv4Addr>, now: Timestamp) {
        for address in addresses {
            if self.owners.contains_key(&address) || !self.enis.contains_key(id) {
                continue;
            }
            self.owners.insert(address, id.clone());
            if let Some(holder) = self.ledger.take_holder(address) {
                self.hold(id, address, holder);
                continue;
            }
            let cooling = self.ledger.take_cooling(address).filter(|until| *until > now);
            if let Some(eni) = self.enis.get_mut(id) {
                eni.insert(address, match cooling {
                    Some(until) => AddressState::Cooling { until },
                    None => AddressState::Free { since: now },
                });
            }
        }
    }

    fn remove_addresses(&mut self, id: &EniId, addresses: &[Ipv4Addr]) {
        let Some(eni) = self.enis.get_mut(id) else { return };
        for address in addresses {
            if eni.state_of(*address) == Some(&AddressState::Unassigning) {
                eni.take_out(*address);
                self.owners.remove(address);
            }
        }
    }

    /// An ENI is gone. What the journal must not forget goes back to the ledger: allocations,
    /// whatever the world says, and cooldowns.
    fn remove_eni(&mut self, id: &EniId) {
        let Some(eni) = self.enis.remove(id) else { return };
        for (address, state) in eni.addresses() {
            self.owners.remove(&address);
            match state {
                AddressState::Allocated { key, pod, since } => {
                    self.holders.remove(key);
                    self.ledger.allocate(crate::ledger::Holder {
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

fn set_where_free(eni: &mut Eni, addresses: &[Ipv4Addr]) {
    for address in addresses {
        if matches!(eni.state_of(*address), Some(AddressState::Free { .. })) {
            eni.insert(*address, AddressState::Unassigning);
        }
    }
}
