//! What can happen next.

use std::time::Duration;

use vpc_ipam::journal::Record;
use vpc_ipam::{EniKind, Event, Work};

use crate::world::{Call, Checked, World};

impl World {
    /// One thing happens, then what the daemon makes of it.
    pub(crate) fn step(&mut self) -> Checked {
        match self.chance.between(0, 99) {
            0..=29 => self.some_add()?,
            30..=47 => self.some_delete()?,
            48..=52 => self.give_up(),
            53..=62 => self.pass_time()?,
            63..=94 => self.some_call()?,
            95..=97 => self.foreign_change(),
            _ => self.restart()?,
        }
        self.catch_up()
    }

    fn some_add(&mut self) -> Checked {
        let live: Vec<_> = self.reference.live.keys().cloned().collect();
        let key = match self.chance.between(0, 5) {
            0 => self.chance.pick(&live).cloned(),
            1 => self.chance.pick(&self.gone_keys).cloned(),
            _ => None,
        };
        // More pods than the node can have are refused over and over: a few of those will do.
        let key = match key {
            Some(key) => key,
            None if self.waiting.len() < 6 => self.new_key(),
            None => return Ok(()),
        };
        let first = self.waiting.is_empty() || self.reference.live.contains_key(&key);
        if first && self.attempt(&key)? {
            return Ok(());
        }
        if !self.waiting.contains(&key) {
            self.say(&format!("ADD {key}: waits"));
            self.waiting.push_back(key);
        }
        Ok(())
    }

    fn some_delete(&mut self) -> Checked {
        let live: Vec<_> = self.reference.live.keys().cloned().collect();
        let waiting: Vec<_> = self.waiting.iter().cloned().collect();
        let from = match self.chance.between(0, 7) {
            0 => &self.gone_keys,
            1 => &waiting,
            _ => &live,
        };
        match self.chance.pick(from).cloned() {
            Some(key) => self.delete(&key),
            None => Ok(()),
        }
    }

    /// An ADD's time is up.
    fn give_up(&mut self) {
        self.waiting.pop_front();
    }

    fn pass_time(&mut self) -> Checked {
        if self.chance.one_in(self.trouble.clock_steps_back) {
            let back = u64::from(self.chance.between(1, 4_000));
            let was = self.now.as_millis();
            self.now = vpc_model::Timestamp::from_millis(was - back);
            self.say("the clock steps back");
            return Ok(());
        }
        let millis = match self.chance.between(0, 4) {
            0 => self.chance.between(1, 1_000),
            1 | 2 => self.chance.between(1_000, 20_000),
            3 => self.chance.between(20_000, 200_000),
            _ => match self.wake_at {
                Some(at) => return self.advance_to(at),
                None => 1,
            },
        };
        self.advance_to(self.now + Duration::from_millis(u64::from(millis)))
    }

    /// Lets time pass; calls do not take longer than they can.
    pub(crate) fn advance_to(&mut self, then: vpc_model::Timestamp) -> Checked {
        while let Some(at) = self.calls.iter().position(|call| match call {
            Call::Sent { by, .. } | Call::Answered { by, .. } => *by < then,
        }) {
            self.progress(at);
            self.catch_up()?;
        }
        self.now = self.now.max(then);
        Ok(())
    }

    fn some_call(&mut self) -> Checked {
        let Some(at) = self.chance.index(self.calls.len()) else {
            return Ok(());
        };
        self.progress(at);
        Ok(())
    }

    /// A call arrives at EC2, or its answer at the pool.
    pub(crate) fn progress(&mut self, at: usize) {
        let answered = matches!(self.calls[at], Call::Answered { .. });
        if answered {
            self.answer(at);
        } else {
            self.arrive(at);
        }
    }

    fn answer(&mut self, at: usize) {
        let Call::Answered { events, token, .. } = self.calls.remove(at) else {
            return;
        };
        if let Some(token) = token {
            self.open.retain(|(open, _)| *open != token);
            self.record(&Record::CreateEniDone { token });
        }
        for event in events {
            self.say(&format!("{event:?}"));
            self.record_refusal(&event);
            self.pool.apply(event, self.now);
        }
    }

    /// Writes that EC2 did not take the ENI back which the journal says was given back.
    fn record_refusal(&mut self, event: &Event) {
        let until = self.now;
        let recorded = match event {
            Event::ReturnFailed { eni, .. } => self.record(&Record::ReturnEni {
                eni: eni.clone(),
                until,
            }),
            Event::UnassignFailed { .. } => false,
            Event::EniFound(_)
            | Event::CreationBegun { .. }
            | Event::Created { .. }
            | Event::CreationFailed { .. }
            | Event::AssignBegun { .. }
            | Event::Assigned { .. }
            | Event::AddressesFound { .. }
            | Event::AssignFailed { .. }
            | Event::UnassignBegun { .. }
            | Event::Unassigned { .. }
            | Event::ReturnBegun { .. }
            | Event::Returned { .. } => true,
        };
        // What a restart does not believe to be there is missing from the pool.
        self.lied_to |= !recorded;
    }

    fn arrive(&mut self, at: usize) {
        let Call::Sent { work, token, .. } = self.calls.remove(at) else {
            return;
        };
        let events = self.effect(work);
        self.news(events, token);
    }

    /// What a call does at EC2, and what its answer will say.
    pub(crate) fn effect(&mut self, work: Work) -> Vec<Event> {
        let fails = self.chance.one_in(self.trouble.calls_fail);
        let partial = self.chance.one_in(self.trouble.partial);
        let refused = "InternalError".to_owned();
        match work {
            Work::Create {
                creation,
                device,
                addresses,
            } => {
                let fewer = if partial {
                    self.chance.between(0, addresses)
                } else {
                    addresses
                };
                // A creation that fails may leave its ENI attached.
                let reason = match fails && !partial {
                    true => refused,
                    false => match self.cloud.create(device, fewer, &mut self.chance) {
                        Ok(_) if fails => "cannot wire".to_owned(),
                        Ok(id) => {
                            let eni = self.cloud.describe(&id).unwrap();
                            return vec![Event::Created { creation, eni }];
                        }
                        Err(reason) => reason,
                    },
                };
                vec![Event::CreationFailed { creation, reason }]
            }
            Work::Assign { eni, count } => self.assign(eni, count, fails, partial),
            Work::Unassign { eni, addresses } => {
                if fails && !partial {
                    return vec![Event::UnassignFailed {
                        eni,
                        addresses,
                        reason: refused,
                    }];
                }
                let most = if fails {
                    addresses.len() / 2
                } else {
                    addresses.len()
                };
                let gone = addresses[..most].to_vec();
                self.cloud.unassign(&eni, &gone, self.now);
                let mut events = vec![Event::Unassigned {
                    eni: eni.clone(),
                    addresses: gone,
                }];
                if fails {
                    events.push(Event::UnassignFailed {
                        eni,
                        addresses,
                        reason: refused,
                    });
                }
                events
            }
            Work::Return { eni } if fails => {
                vec![Event::ReturnFailed {
                    eni,
                    reason: refused,
                }]
            }
            Work::Return { eni } => {
                self.cloud.delete(&eni, self.now);
                vec![Event::Returned { eni }]
            }
        }
    }

    fn assign(
        &mut self,
        eni: vpc_model::EniId,
        asked: u32,
        fails: bool,
        partial: bool,
    ) -> Vec<Event> {
        let fewer = if partial {
            self.chance.between(0, asked)
        } else {
            asked
        };
        let answer = match fails && !partial {
            true => Err("InternalError".to_owned()),
            false => self.cloud.assign(&eni, fewer, &mut self.chance),
        };
        match answer {
            Ok(addresses) if !fails => vec![Event::Assigned {
                eni,
                asked,
                addresses,
            }],
            // The answer is lost, or EC2 refused: the ENI is described.
            Ok(_) | Err(_) => {
                let found = self.cloud.describe(&eni);
                let found = found.map(|found| Event::AddressesFound {
                    eni: eni.clone(),
                    addresses: found.addresses,
                });
                let reason = "no answer".to_owned();
                let failed = Event::AssignFailed { eni, asked, reason };
                found.into_iter().chain([failed]).collect()
            }
        }
    }

    /// Somebody else changes what the node has.
    fn foreign_change(&mut self) {
        if !self.chance.one_in(self.trouble.foreign) {
            return;
        }
        let Some(id) = self.random_eni() else { return };
        match self.chance.between(0, 2) {
            0 => {
                // An address comes, unless there is no room.
                let _ = self.cloud.assign(&id, 1, &mut self.chance);
                self.look_at(&id);
            }
            1 => self.look_at(&id),
            _ => {
                let primary = |found: vpc_ipam::NewEni| found.kind == EniKind::Primary;
                if !self.cloud.describe(&id).is_some_and(primary) {
                    self.say(&format!("{id} vanishes"));
                    self.cloud.delete(&id, self.now);
                    // Until the pool hears of it, it hands out what is no longer there.
                    self.vanished = true;
                    self.lied_to = true;
                    self.news(vec![Event::Returned { eni: id }], None);
                }
            }
        }
    }

    /// A description of an ENI is on its way.
    fn look_at(&mut self, id: &vpc_model::EniId) {
        let Some(found) = self.cloud.describe(id) else {
            return;
        };
        let event = match self.chance.one_in(2) {
            true => Event::EniFound(found),
            false => Event::AddressesFound {
                eni: id.clone(),
                addresses: found.addresses,
            },
        };
        self.news(vec![event], None);
    }
}
