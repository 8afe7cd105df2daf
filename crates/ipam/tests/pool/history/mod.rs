//! Generated histories of a node: pods come and go, EC2 answers late, refuses, loses its answers;
//! metadata is stale; somebody changes things in the console; the daemon is killed. After every
//! step what must always hold is checked against a model that knows only pods, addresses and when
//! they were released.

mod foreign;
mod random;
mod rules;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_ipam::journal::{self, Record};
use vpc_ipam::ledger::Holder;
use vpc_ipam::plan::Provisioning;
use vpc_ipam::targets::WarmTarget;
use vpc_ipam::{EniKind, Event, Mode, Pool, Refusal, Work, allocate, plan, release};
use vpc_model::instance_types::InstanceTypes;
use vpc_model::{EniId, Timestamp};

use crate::executor::{CloudEni, Node, key, pod};
pub(crate) use random::Random;

/// A history under way.
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) random: Random,
    pub(crate) node: Node,
    /// Who has what, as the pods see it.
    pub(crate) pods: BTreeMap<String, Ipv4Addr>,
    /// Pods that wait for an address.
    pub(crate) waiting: VecDeque<String>,
    pub(crate) released: BTreeMap<Ipv4Addr, Timestamp>,
    journal: Vec<u8>,
    /// Actions that were begun, since when, and whose outcome is not here.
    pending: Vec<(Timestamp, Work)>,
    /// What EC2 had at which time.
    past: VecDeque<(Timestamp, BTreeMap<EniId, CloudEni>)>,
    /// Addresses that somebody took away, and when, and the pool may not know it.
    tampered: BTreeMap<Ipv4Addr, Timestamp>,
    /// ENIs that somebody attached and that are none of our business.
    strangers: BTreeSet<EniId>,
    taken_by_others: Vec<Ipv4Addr>,
    next_pod: u32,
    /// The latest time there was: the clock may have stepped back since.
    latest: Timestamp,
    /// Whether EC2 gives that instance type prefixes.
    may_have_prefixes: bool,
    /// How many pods there are to be: they come until there are as many, and go when it is fewer.
    crowd: usize,
    /// Whether EC2 throttles every call for the time being.
    throttled: bool,
    /// How often what happened; shows histories in which nothing does.
    pub(crate) seen: BTreeMap<&'static str, u64>,
    log: VecDeque<String>,
    /// What was found broken in the course of a step.
    faults: Vec<String>,
}

/// How long the executor tries.
const LONGEST_CALL: Duration = Duration::from_secs(150);

/// How old metadata may be, in seconds.
pub(crate) const STALE: u64 = 60;

/// Instance types whose limits differ in kind: small, middling, many ENIs, and one that EC2 gives no
/// prefixes. The small ones come up most, because their limits bite soonest.
const TYPES: [&str; 8] = [
    "t3.small",
    "t3.small",
    "m5.large",
    "m5.large",
    "c5.large",
    "m4.large",
    "m5.4xlarge",
    "p3dn.24xlarge",
];

impl History {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let name = *random.pick(&TYPES).unwrap();
        let limits = InstanceTypes::builtin().get(&name.parse().unwrap());
        let limits = limits.unwrap();
        let shape = (limits.enis, limits.secondary_addresses_per_eni());
        let may_have_prefixes = limits.supports_prefixes();
        let mode = mode(&mut random, may_have_prefixes);
        let warm = warm(&mut random, mode);
        let subnets = ["10.0.0.0/24", "10.0.1.0/24"];
        let count = 1 + usize::try_from(random.below(2)).unwrap();
        let mut node = Node::in_subnets(shape, mode, warm, &subnets[..count]);
        node.pool = node.pool.seeded(seed);
        let mut number = |bound| u32::try_from(random.below(bound)).unwrap();
        if number(2) == 0 {
            node.targets.max_pods = Some(4 + number(60));
        }
        if number(3) == 0 {
            node.targets.max_enis = (1 + number(4)).min(shape.0);
        }
        node.targets.cooldown = seconds(&mut random, &[0, 5, 30, 30, 90]);
        node.targets.eni_min_age = seconds(&mut random, &[0, 60, 60]);
        node.targets.return_delay = seconds(&mut random, &[0, 30, 30, 120]);
        Self {
            seed,
            random,
            node,
            pods: BTreeMap::new(),
            waiting: VecDeque::new(),
            released: BTreeMap::new(),
            journal: journal::HEADER.as_bytes().to_vec(),
            pending: Vec::new(),
            past: VecDeque::new(),
            tampered: BTreeMap::new(),
            strangers: BTreeSet::new(),
            taken_by_others: Vec::new(),
            next_pod: 0,
            latest: Timestamp::ZERO,
            may_have_prefixes,
            crowd: 0,
            throttled: false,
            seen: BTreeMap::new(),
            log: VecDeque::new(),
            faults: Vec::new(),
        }
    }

    /// Lets that many things happen.
    pub(crate) fn run(&mut self, steps: u32) {
        for step in 0..steps {
            let what = self.step();
            self.log.push_back(format!("{step}: {what}"));
            if self.log.len() > 80 {
                self.log.pop_front();
            }
            let broken = self.broken(step % 8 == 0);
            assert!(
                broken.is_empty(),
                "seed {}, step {step}: {broken:#?}\nbefore that:\n{:#?}",
                self.seed,
                self.log
            );
        }
    }

    /// Lets everything come to rest: nobody interferes any more, EC2 answers at once, the node
    /// knows what it has, and minutes pass. Then the pool holds what it should and no more.
    pub(crate) fn rest(&mut self) {
        let _ = self.subnet_is_relieved();
        self.node.facts.provisioning = Provisioning::Enabled;
        self.throttled = false;
        let _ = self.restart();
        for _ in 0..60 {
            self.node.pass(30);
            self.latest = self.latest.max(self.node.now);
            self.forget_the_rested();
            let _ = self.reconcile();
            self.serve_waiting();
            self.node.facts.demand = u32::try_from(self.waiting.len()).unwrap();
            self.node.settle_in_steps(self.node.facts.demand);
        }
        let broken = self.not_at_rest();
        assert!(
            broken.is_empty(),
            "seed {}, at rest: {broken:#?}\n{:#?}\n{:#?}",
            self.seed,
            self.node.targets,
            vpc_ipam::Snapshot::of(&self.node.pool).with_plan(&self.plan(&self.node.pool))
        );
    }

    fn step(&mut self) -> String {
        if self.node.facts.provisioning == Provisioning::Cordoned && self.random.one_in(15) {
            return self.cordon();
        }
        let what = match self.random.below(100) {
            0..=2 => self.crowd_changes(),
            3..=44 if self.pods.len() + self.waiting.len() < self.crowd => self.add_pod(),
            3..=44 => self.delete_pod(),
            45..=69 => self.outcome(),
            70..=87 => self.time(),
            88..=93 => self.reconcile(),
            94..=96 => self.foreign(),
            97 => self.cordon(),
            98 => self.restart(),
            _ => self.other_settings(),
        };
        self.latest = self.latest.max(self.node.now);
        self.node.pool.advance(self.node.now);
        self.forget_the_rested();
        self.serve_waiting();
        self.replan();
        if self.agrees() {
            // Metadata that is as old may still tell a restarted daemon otherwise.
            let latest = self.latest;
            self.tampered
                .retain(|_, at| latest.since(*at).as_secs() <= STALE);
        }
        what
    }

    /// A clock that steps back later does not make an address rest again.
    fn forget_the_rested(&mut self) {
        let (now, cooldown) = (self.node.now, self.node.targets.cooldown);
        self.released
            .retain(|_, released| now.since(*released) < cooldown);
    }

    /// A deployment is scaled, up to more than the node can hold.
    fn crowd_changes(&mut self) -> String {
        let (enis, per_eni) = (self.node.targets.max_enis, self.node.targets.per_eni);
        let bound = match self.random.below(3) {
            0 => 4,
            1 => enis * per_eni + 5,
            _ => 60,
        };
        self.crowd = usize::try_from(self.random.below(u64::from(bound.min(150)))).unwrap();
        format!("{} pods are wanted", self.crowd)
    }

    fn add_pod(&mut self) -> String {
        self.next_pod += 1;
        let name = format!("pod-{}", self.next_pod);
        self.waiting.push_back(name.clone());
        format!("ADD {name}")
    }

    fn serve_waiting(&mut self) {
        while let Some(name) = self.waiting.pop_front() {
            let now = self.node.now;
            let Ok(got) = allocate(&mut self.node.pool, &key(&name), &pod(&name), now) else {
                self.waiting.push_front(name);
                return;
            };
            self.handed_out(&got, &name);
            let holder = Holder::from(&got);
            self.append(&Record::Allocate { holder });
            self.pods.insert(name, got.address);
        }
    }

    fn handed_out(&mut self, got: &vpc_ipam::Allocation, name: &str) {
        let address = got.address;
        self.log.push_back(format!("{name} gets {address}"));
        if let Some((other, _)) = self.pods.iter().find(|(_, held)| **held == address) {
            let fault = format!("{name} gets {address}, which {other} has");
            self.faults.push(fault);
        }
        if let Some(released) = self.released.get(&address) {
            let rested = self.node.now.since(*released);
            if rested < self.node.targets.cooldown {
                let fault = format!("{name} gets {address}, which rested {rested:?} only");
                self.faults.push(fault);
            }
        }
        let eni = &self.node.cloud.enis.get(got.eni.as_ref().unwrap());
        let real = eni.is_some_and(|eni| rules::has(eni, address));
        if !real && !self.tampered.contains_key(&address) {
            let eni = got.eni.as_ref().unwrap();
            let fault = format!("{name} gets {address}, which EC2 does not know on {eni}");
            self.faults.push(fault);
        }
    }

    fn delete_pod(&mut self) -> String {
        let names: Vec<_> = self.pods.keys().cloned().collect();
        let Some(name) = self.random.pick(&names).cloned() else {
            return "nothing to DEL".to_owned();
        };
        let cooldown = self.node.targets.cooldown;
        let now = self.node.now;
        let until = now + cooldown;
        let got = release(&mut self.node.pool, &key(&name), now, cooldown).unwrap();
        let address = self.pods.remove(&name).unwrap();
        assert_eq!(got.address, address, "seed {}: DEL {name}", self.seed);
        self.append(&Record::Release {
            key: got.key,
            until,
        });
        self.released.insert(address, now);
        format!("DEL {name} with {address}")
    }

    pub(super) fn append(&mut self, record: &Record) {
        self.journal.extend(journal::encode(record).into_bytes());
    }

    fn replan(&mut self) {
        let plan = self.plan(&self.node.pool);
        self.check_plan(&plan);
        self.count(&plan);
        self.node.pool.note_excess(plan.excess_since);
        for action in plan.actions {
            if let Some(intent) = Record::of_intent(&action.work, self.node.now) {
                self.append(&intent);
            }
            self.node.pool.apply(action.work.begun(), self.node.now);
            self.pending.push((self.latest, action.work));
        }
    }

    fn count(&mut self, plan: &vpc_ipam::Plan) {
        let works = plan.actions.iter().map(|action| match &action.work {
            Work::Create { .. } => "ENIs created",
            Work::Assign { .. } => "assignments",
            Work::Unassign { .. } => "unassignments",
            Work::Return { .. } => "ENIs given back",
        });
        let held_back = plan.held_back.iter().map(vpc_ipam::HeldBack::name);
        for what in works.chain(held_back) {
            *self.seen.entry(what).or_default() += 1;
        }
        *self.seen.entry("plans").or_default() += 1;
    }

    pub(crate) fn plan(&self, pool: &Pool) -> vpc_ipam::Plan {
        let facts = vpc_ipam::Facts {
            demand: u32::try_from(self.waiting.len()).unwrap(),
            ..self.node.facts.clone()
        };
        plan(pool, &self.node.targets, &facts, self.node.now)
    }

    /// One of the actions that were begun ends, in any order.
    fn outcome(&mut self) -> String {
        let count = u64::try_from(self.pending.len()).unwrap();
        if count == 0 {
            return "nothing pending".to_owned();
        }
        let index = usize::try_from(self.random.below(count)).unwrap();
        self.end(index)
    }

    fn end(&mut self, index: usize) -> String {
        let (_, work) = self.pending.swap_remove(index);
        let text = format!("{work:?}");
        if self.random.one_in(if self.throttled { 15 } else { 300 }) {
            self.throttled = !self.throttled;
        }
        let event = match self.random.below(20) {
            _ if self.throttled => failed(&work),
            0 => failed(&work),
            2 if let Some(event) = self.partly_granted(&work) => event,
            1 => {
                // It took effect and the answer is lost. The executor tries again to give things
                // back until it knows; requests for more it does not repeat.
                let outcome = self.node.carry_out(&work);
                match &work {
                    Work::Create { .. } | Work::Assign { .. } => failed(&work),
                    Work::Unassign { .. } | Work::Return { .. } => outcome,
                }
            }
            _ => self.node.carry_out(&work),
        };
        if let Some(record) = Record::of_event(&event, &self.node.pool, self.node.now) {
            self.append(&record);
        }
        let ended = format!("{text} ended: {event:?}");
        self.node.pool.apply(event, self.node.now);
        ended
    }

    /// EC2 gives fewer slots than it was asked for.
    fn partly_granted(&mut self, work: &Work) -> Option<Event> {
        let Work::Assign { eni, ask } = work else {
            return None;
        };
        let fewer = ask.slots().checked_sub(1).filter(|fewer| *fewer > 0)?;
        let slots = self.node.cloud.assign(eni, ask.kind().ask(fewer)).ok()?;
        *self.seen.entry("grants of fewer").or_default() += 1;
        Some(Event::Assigned {
            eni: eni.clone(),
            ask: *ask,
            slots,
        })
    }

    fn time(&mut self) -> String {
        if self.random.one_in(40) {
            let back = self.random.below(4_000);
            self.node.now = Timestamp::from_millis(self.node.now.as_millis() - back);
            return format!("the clock steps back by {back} ms");
        }
        let seconds = 1 + self.random.below(40);
        self.past
            .push_back((self.node.now, self.node.cloud.enis.clone()));
        if self.past.len() > 30 {
            self.past.pop_front();
        }
        self.node.pass(seconds);
        self.latest = self.latest.max(self.node.now);
        let mut text = format!("{seconds} s pass");
        while let Some(index) = self.overdue() {
            text.push_str("; ");
            text.push_str(&self.end(index));
        }
        text
    }

    /// An action that the executor would have given up by now.
    fn overdue(&self) -> Option<usize> {
        let is_overdue = |begun: Timestamp| self.latest.since(begun) > LONGEST_CALL;
        self.pending
            .iter()
            .position(|(begun, _)| is_overdue(*begun))
    }

    fn cordon(&mut self) -> String {
        let facts = &mut self.node.facts;
        facts.provisioning = match facts.provisioning {
            Provisioning::Enabled => Provisioning::Cordoned,
            Provisioning::Cordoned | Provisioning::Disabled | Provisioning::ImdsOnly => {
                Provisioning::Enabled
            }
        };
        format!("{:?}", facts.provisioning)
    }

    /// The daemon is killed: what it had begun happens or does not, and nobody hears of it.
    fn restart(&mut self) -> String {
        for (_, work) in std::mem::take(&mut self.pending) {
            if self.random.one_in(2) {
                let _ = self.node.carry_out(&work);
            }
        }
        if self.random.one_in(3) {
            // The last record was being written.
            let torn = journal::encode(&Record::CreateEni {
                token: "torn".to_owned(),
                at: self.node.now,
            });
            let cut = usize::try_from(self.random.below(20)).unwrap();
            self.journal.extend(&torn.as_bytes()[..cut]);
        }
        let replay = journal::replay(&self.journal).unwrap();
        self.journal.truncate(replay.valid);
        if self.random.one_in(2) {
            self.journal = journal::HEADER.as_bytes().to_vec();
            for record in journal::compact(&replay.ledger, &[]) {
                self.append(&record);
            }
        }
        let mode = self.node.pool.mode();
        self.node.pool = Pool::new(replay.ledger).in_mode(mode).seeded(self.seed);
        let now = self.node.now;
        for found in self.attached_at_start() {
            self.node.pool.apply(Event::EniFound(found), now);
        }
        "restart".to_owned()
    }

    fn other_settings(&mut self) -> String {
        let mode = mode(&mut self.random, self.may_have_prefixes);
        self.node.targets.warm = warm(&mut self.random, mode);
        self.node.pool.set_mode(mode);
        let restarted = self.restart();
        format!("{restarted} with {mode:?} and {:?}", self.node.targets.warm)
    }

    pub(crate) fn kind_of(&self, eni: &CloudEni) -> EniKind {
        if eni.device.0 == 0 {
            EniKind::Primary
        } else {
            EniKind::Secondary
        }
    }

    pub(crate) fn cooldown(&self) -> Duration {
        self.node.targets.cooldown
    }
}

fn seconds(random: &mut Random, choices: &[u64]) -> Duration {
    Duration::from_secs(*random.pick(choices).unwrap())
}

fn mode(random: &mut Random, may_have_prefixes: bool) -> Mode {
    if may_have_prefixes && random.one_in(2) {
        Mode::Prefixes
    } else {
        Mode::SecondaryIps
    }
}

fn warm(random: &mut Random, mode: Mode) -> WarmTarget {
    let mut number = |bound| u32::try_from(random.below(bound)).unwrap();
    match (number(3), mode) {
        (0, Mode::SecondaryIps) => WarmTarget::Enis(number(3)),
        (0, Mode::Prefixes) => WarmTarget::Prefixes(number(4)),
        (1 | 2, _) | (_, Mode::SecondaryIps | Mode::Prefixes) => WarmTarget::Ips {
            warm: number(12),
            minimum: number(25),
        },
    }
}

/// The outcome of an action that failed for a reason of its own.
fn failed(work: &Work) -> Event {
    let reason = "throttled".to_owned();
    let refusal = Refusal::Other;
    match work.clone() {
        Work::Create { creation, .. } => Event::CreationFailed {
            creation,
            refusal,
            reason,
        },
        Work::Assign { eni, ask } => Event::AssignFailed {
            eni,
            ask,
            refusal,
            reason,
        },
        Work::Unassign { eni, slots } => Event::UnassignFailed { eni, slots, reason },
        Work::Return { eni } => Event::ReturnFailed { eni, reason },
    }
}
