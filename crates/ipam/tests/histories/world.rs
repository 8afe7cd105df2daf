//! A node, what EC2 has, and the calls between them: the pool driven as the daemon drives it.

use std::collections::VecDeque;
use std::time::Duration;

use vpc_ipam::allocate::{held, undo};
use vpc_ipam::journal::{self, HEADER, REMEMBERED, Record};
use vpc_ipam::plan::Provisioning;
use vpc_ipam::{
    Event, Facts, Holder, Ledger, Plan, Pool, Targets, WarmTarget, Work, allocate, plan, release,
};
use vpc_model::{EniId, PodKey, PodName, Timestamp};

use crate::chance::Chance;
use crate::checks;
use crate::cloud::Cloud;
use crate::executor;
use crate::reference::Reference;

/// How much goes wrong in a history: each happens once in that many times, 0 for never.
pub(crate) struct Trouble {
    pub(crate) calls_fail: u32,
    pub(crate) partial: u32,
    pub(crate) journal_fails: u32,
    pub(crate) metadata_lies: u32,
    pub(crate) foreign: u32,
    pub(crate) clock_steps_back: u32,
}

/// A call to EC2, or something seen there, on its way.
pub(crate) enum Call {
    /// Not there yet; it will be by then.
    Sent {
        work: Work,
        token: Option<String>,
        by: Timestamp,
    },
    /// The answer is on its way back. What it says about EC2 is old when it arrives, at last `by`.
    Answered {
        events: Vec<Event>,
        token: Option<String>,
        by: Timestamp,
    },
}

pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) trouble: Trouble,
    pub(crate) cloud: Cloud,
    pub(crate) calls: Vec<Call>,
    pub(crate) pool: Pool,
    pub(crate) targets: Targets,
    pub(crate) provisioning: Provisioning,
    pub(crate) now: Timestamp,
    pub(crate) journal: Vec<u8>,
    pub(crate) open: Vec<(String, Timestamp)>,
    pub(crate) reference: Reference,
    /// ADDs without an address yet.
    pub(crate) waiting: VecDeque<PodKey>,
    pub(crate) wake_at: Option<Timestamp>,
    /// Whether metadata has ever shown what is not so.
    pub(crate) lied_to: bool,
    /// Whether an ENI has ever been taken away from the node.
    pub(crate) vanished: bool,
    pub(crate) next_pod: u32,
    pub(crate) next_token: u32,
    pub(crate) gone_keys: Vec<PodKey>,
    pub(crate) log: Vec<String>,
}

pub(crate) type Checked = Result<(), String>;

/// A call takes at most this long to EC2, and its answer as long back; news is never older. With
/// what metadata lags behind ([`crate::restart::LAG`]), that is less than the time for which what
/// was given back is remembered.
const LONGEST_WAY: Duration = Duration::from_secs(40);

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let shape = (chance.between(1, 5), chance.between(1, 8));
        let targets = targets(shape, &mut chance);
        let subnet = match chance.one_in(3) {
            true => chance.between(4, 20),
            false => 100,
        };
        let calm = chance.one_in(4);
        let odds = |usual| if calm { 0 } else { usual };
        let trouble = Trouble {
            calls_fail: odds(chance.between(3, 12)),
            partial: odds(5),
            journal_fails: odds(40),
            metadata_lies: odds(chance.between(0, 4)),
            foreign: odds(4),
            clock_steps_back: odds(50),
        };
        let provisioning = match chance.one_in(12) {
            true => Provisioning::Disabled,
            false => Provisioning::Enabled,
        };
        let cloud = Cloud::new(shape, subnet, &mut chance);
        let reference = Reference::new(targets.cooldown);
        let mut world = Self {
            chance,
            trouble,
            cloud,
            calls: Vec::new(),
            pool: Pool::new(Ledger::default()),
            targets,
            provisioning,
            now: Timestamp::from_millis(1_700_000_000_000),
            journal: HEADER.as_bytes().to_vec(),
            open: Vec::new(),
            reference,
            waiting: VecDeque::new(),
            wake_at: None,
            lied_to: false,
            vanished: false,
            next_pod: 0,
            next_token: 0,
            gone_keys: Vec::new(),
            log: Vec::new(),
        };
        let ids: Vec<_> = world.cloud.enis.keys().cloned().collect();
        for id in ids {
            let found = world.cloud.describe(&id).unwrap();
            world.pool.apply(Event::EniFound(found), world.now);
        }
        world
    }

    pub(crate) fn say(&mut self, what: &str) {
        self.log.push(format!("{} {what}", self.now));
    }

    pub(crate) fn facts(&self) -> Facts {
        let demand = u32::try_from(self.waiting.len()).unwrap();
        Facts {
            demand,
            provisioning: self.provisioning,
        }
    }

    /// Writes a record; that fails now and then.
    pub(crate) fn record(&mut self, record: &Record) -> bool {
        let fails = self.chance.one_in(self.trouble.journal_fails);
        if !fails {
            self.journal.extend(journal::encode(record).bytes());
        }
        !fails
    }

    /// What the daemon does after everything that happens.
    pub(crate) fn catch_up(&mut self) -> Checked {
        self.reference.look_at_the_clock(self.now);
        let cooled = self.pool.advance(self.now);
        while let Some(key) = self.waiting.pop_front() {
            if !self.attempt(&key)? {
                self.waiting.push_front(key);
                break;
            }
        }
        let plan = plan(&self.pool, &self.targets, &self.facts(), self.now);
        checks::plan(self, &plan, cooled)?;
        self.wake_at = [cooled, plan.wake_at].into_iter().flatten().min();
        self.begin(plan);
        checks::world(self)
    }

    fn begin(&mut self, plan: Plan) {
        self.pool.note_excess(plan.excess_since);
        for action in plan.actions {
            let Some(token) = self.record_intent(&action.work) else {
                continue;
            };
            self.say(&format!("begin {:?}: {}", action.work, action.because));
            self.pool.apply(begun(&action.work), self.now);
            let by = self.now + LONGEST_WAY;
            self.calls.push(Call::Sent {
                work: action.work,
                token,
                by,
            });
        }
    }

    /// Writes what must be known of an action after a crash, and its token if it has one; nothing
    /// where it cannot be written.
    fn record_intent(&mut self, work: &Work) -> Option<Option<String>> {
        let (record, token) = match work {
            Work::Assign { .. } => return Some(None),
            Work::Create { .. } => {
                self.next_token += 1;
                let token = format!("t{}", self.next_token);
                let at = self.now;
                (
                    Record::CreateEni {
                        token: token.clone(),
                        at,
                    },
                    Some(token),
                )
            }
            Work::Unassign { addresses, .. } => {
                let addresses = addresses.clone();
                (
                    Record::GiveBack {
                        addresses,
                        until: self.now + REMEMBERED,
                    },
                    None,
                )
            }
            Work::Return { eni } => {
                let until = self.now + REMEMBERED;
                (
                    Record::ReturnEni {
                        eni: eni.clone(),
                        until,
                    },
                    None,
                )
            }
        };
        let recorded = self.record(&record);
        if recorded {
            self.open
                .extend(token.clone().map(|token| (token, self.now)));
        }
        recorded.then_some(token)
    }

    /// An ADD as far as it goes; false when there is no address.
    pub(crate) fn attempt(&mut self, key: &PodKey) -> Result<bool, String> {
        let pod = PodName {
            namespace: "default".to_owned(),
            name: key.container_id.clone(),
        };
        let known = held(&self.pool, key).is_some();
        let Ok(found) = allocate(&mut self.pool, key, &pod, self.now) else {
            return match known {
                true => Err(format!("{key} had an address and got none")),
                false => Ok(false),
            };
        };
        if found.repeated != known {
            return Err(format!(
                "{key}: repeated is {}, known was {known}",
                found.repeated
            ));
        }
        if !found.repeated {
            checks::grant(self, &found)?;
            let holder = Holder {
                key: found.key.clone(),
                pod: found.pod.clone(),
                address: found.address,
                device: found.device,
                card: found.card,
                since: found.since,
            };
            if !self.record(&Record::Allocate { holder }) {
                undo(&mut self.pool, &found);
                self.say(&format!("ADD {key}: not recorded"));
                return Ok(true);
            }
        }
        self.say(&format!("ADD {key}: {} of {:?}", found.address, found.eni));
        self.reference.granted(key, found.address)?;
        Ok(true)
    }

    /// A DEL.
    pub(crate) fn delete(&mut self, key: &PodKey) -> Checked {
        self.waiting.retain(|waiting| waiting != key);
        let known = self.reference.live.contains_key(key);
        if held(&self.pool, key).is_some() != known {
            return Err(format!("DEL {key}: the pool and the reference differ"));
        }
        if known {
            let until = self.now + self.targets.cooldown;
            if !self.record(&Record::Release {
                key: key.clone(),
                until,
            }) {
                return Ok(());
            }
        }
        match release(&mut self.pool, key, self.now, self.targets.cooldown) {
            Ok(found) => {
                self.say(&format!("DEL {key}: {}", found.address));
                self.reference.released(key, found.address, self.now)?;
                self.gone_keys.push(key.clone());
                Ok(())
            }
            Err(_) if known => Err(format!("DEL {key}: unknown")),
            Err(_) => Ok(()),
        }
    }

    /// What EC2 is seen to have, from now on on its way to the pool.
    pub(crate) fn news(&mut self, events: Vec<Event>, token: Option<String>) {
        let by = self.now + LONGEST_WAY;
        self.calls.push(Call::Answered { events, token, by });
    }

    pub(crate) fn random_eni(&mut self) -> Option<EniId> {
        let ids: Vec<_> = self.cloud.enis.keys().cloned().collect();
        self.chance.pick(&ids).cloned()
    }

    pub(crate) fn new_key(&mut self) -> PodKey {
        self.next_pod += 1;
        executor::key(&format!("pod-{}", self.next_pod))
    }
}

/// The event that says that an action was begun.
pub(crate) fn begun(work: &Work) -> Event {
    match work.clone() {
        Work::Create {
            creation,
            device,
            addresses,
        } => Event::CreationBegun {
            creation,
            device,
            addresses,
        },
        Work::Assign { eni, count } => Event::AssignBegun { eni, count },
        Work::Unassign { eni, addresses } => Event::UnassignBegun { eni, addresses },
        Work::Return { eni } => Event::ReturnBegun { eni },
    }
}

fn targets((max_enis, per_eni): (u32, u32), chance: &mut Chance) -> Targets {
    let warm = match chance.one_in(2) {
        true => WarmTarget::Enis(chance.between(0, 3)),
        false => {
            let warm = chance.between(0, 20);
            let few = chance.one_in(2);
            let minimum = chance.between(0, if few { 5 } else { 30 });
            WarmTarget::Ips {
                warm: if few { warm / 5 } else { warm },
                minimum,
            }
        }
    };
    let max_pods = chance.one_in(3).then(|| chance.between(1, 20));
    let mut seconds = |usual: u32| {
        let seconds = if chance.one_in(4) {
            0
        } else {
            chance.between(1, usual * 2)
        };
        Duration::from_secs(u64::from(seconds))
    };
    Targets {
        warm,
        max_enis,
        per_eni,
        max_pods,
        cooldown: seconds(30),
        eni_min_age: seconds(60),
        return_delay: seconds(30),
    }
}
