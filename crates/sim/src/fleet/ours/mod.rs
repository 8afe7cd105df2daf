//! A node of ours: the real pool, plan and allocation, and around them what the daemon's pool task
//! does with them (`vpc_ipamd::pool_task`).
//!
//! ```text
//!  start ─▶ primary ENI into the pool ─▶ catch up ─▶ first address: pods come
//!  ADD ─▶ allocate, else wait in line (demand) ─▶ catch up ─▶ refused after a while ─▶ kubelet
//!  catch up: serve who waits ─▶ plan ─▶ begin actions (each a task) ─▶ look again when it says so
//! ```

mod client;
mod eni;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use vpc_aws::budget::BudgetConfig;
use vpc_ipam::targets::WarmTarget;
use vpc_ipam::{
    Action, Ask, EniKind, Event, Facts, Ledger, NewEni, Pool, Provisioning, Targets, Work,
    allocate, plan,
};
use vpc_model::{DeviceIndex, NetworkCard, PodKey, PodName, Timestamp};

use super::FleetConfig;
use super::cloud::Cloud;
use super::ec2;
use super::launch::Identity;
use super::pods::{self, Progress};
use crate::world::Random;
use client::Client;

/// How long an ADD waits for an address (the default of `VPC_CNI_ADD_WAIT`).
const ADD_WAIT: Duration = Duration::from_secs(3);

/// How long what EC2 said about subnets counts.
const SUBNETS_FRESH: Duration = Duration::from_secs(60);

/// What start-up needs before the pool knows its primary ENI: instance metadata, the host network.
const START: Duration = Duration::from_millis(50);

/// A node.
pub(super) struct Node {
    cloud: Cloud,
    client: Client,
    me: Identity,
    targets: Targets,
    pods: u32,
    state: RefCell<State>,
}

struct State {
    pool: Pool,
    random: Random,
    /// ADDs that wait: the pod, and until when.
    waiting: VecDeque<(u32, Timestamp)>,
    progress: Progress,
    /// When EC2 last answered which subnets there are.
    subnets: Option<Timestamp>,
    asking_subnets: bool,
    /// When a look at the plan is due by the clock.
    look_at: Option<Timestamp>,
}

impl Node {
    /// A node that starts at `begin`.
    pub(super) fn start(
        config: &FleetConfig,
        budget: &BudgetConfig,
        cloud: &Cloud,
        me: Identity,
        begin: Timestamp,
        mut random: Random,
    ) -> Rc<Self> {
        let targets = Targets {
            warm: WarmTarget::resolve(config.mode, &config.warm),
            max_enis: me.limits.enis,
            per_eni: me.limits.secondary_addresses_per_eni(),
            max_pods: None,
            cooldown: Duration::from_secs(30),
            eni_min_age: Duration::from_secs(60),
            return_delay: Duration::from_secs(30),
        };
        let pool = Pool::new(Ledger::default())
            .in_mode(config.mode)
            .on_card(me.primary.card)
            .seeded(random.next());
        let for_client = Random::new(random.next());
        let client = Client::new(cloud.clone(), budget.clone(), begin, for_client);
        let node = Rc::new(Self {
            cloud: cloud.clone(),
            client,
            me,
            targets,
            pods: config.pods,
            state: RefCell::new(State {
                pool,
                random,
                waiting: VecDeque::new(),
                progress: Progress::default(),
                subnets: None,
                asking_subnets: false,
                look_at: None,
            }),
        });
        let own = Rc::clone(&node);
        cloud.timeline.spawn(async move {
            own.cloud.timeline.sleep_until(begin + START).await;
            own.happened(Event::EniFound(own.me.primary.clone()));
        });
        node
    }

    /// How far it has come.
    pub(super) fn progress(&self) -> Progress {
        self.state.borrow().progress
    }

    fn now(&self) -> Timestamp {
        self.cloud.timeline.now()
    }

    fn happened(self: &Rc<Self>, event: Event) {
        let now = self.now();
        self.state.borrow_mut().pool.apply(event, now);
        self.catch_up();
    }

    /// Everything that follows from what is known now.
    fn catch_up(self: &Rc<Self>) {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        let cooled = state.pool.advance(now);
        self.serve_waiting(&mut state, now);
        let look = self.replan(&mut state, now);
        self.refuse_expired(&mut state, now);
        let next_expiry = state.waiting.front().map(|(_, until)| *until);
        let next = [cooled, look, next_expiry].into_iter().flatten().min();
        if let Some(at) = next {
            self.look_again(&mut state, at);
        }
        let ready = state.pool.enis().any(|eni| eni.free() > 0);
        if ready && state.progress.serving.is_none() {
            state.progress.serves(now);
            let own = Rc::clone(self);
            self.cloud.timeline.spawn(async move {
                for pod in 0..own.pods {
                    own.add(pod);
                }
            });
        }
    }

    fn serve_waiting(&self, state: &mut State, now: Timestamp) {
        while let Some((pod, until)) = state.waiting.pop_front() {
            if !self.try_allocate(state, pod, now) {
                state.waiting.push_front((pod, until));
                return;
            }
        }
    }

    fn try_allocate(&self, state: &mut State, pod: u32, now: Timestamp) -> bool {
        let key = PodKey {
            network: "aws-cni".to_owned(),
            container_id: format!("{pod}"),
            if_name: "eth0".to_owned(),
        };
        let granted = allocate(&mut state.pool, &key, &PodName::default(), now).is_ok();
        if granted {
            state.progress.grant(self.pods, now);
        }
        granted
    }

    /// A pod wants an address.
    fn add(self: &Rc<Self>, pod: u32) {
        let now = self.now();
        {
            let mut state = self.state.borrow_mut();
            let first = state.waiting.is_empty();
            if !first || !self.try_allocate(&mut state, pod, now) {
                state.waiting.push_back((pod, now + ADD_WAIT));
            }
        }
        self.catch_up();
    }

    fn refuse_expired(self: &Rc<Self>, state: &mut State, now: Timestamp) {
        while let Some((pod, until)) = state.waiting.front().copied()
            && until <= now
        {
            state.waiting.pop_front();
            state.progress.refused += 1;
            let pause = pods::pause(&mut state.random);
            let own = Rc::clone(self);
            self.cloud.timeline.spawn(async move {
                own.cloud.timeline.sleep(pause).await;
                own.add(pod);
            });
        }
    }

    /// Plans and begins. Returns when a new plan may say something else.
    fn replan(self: &Rc<Self>, state: &mut State, now: Timestamp) -> Option<Timestamp> {
        let facts = Facts {
            demand: u32::try_from(state.waiting.len()).unwrap_or(u32::MAX),
            provisioning: Provisioning::Enabled,
            subnets: vec![self.me.subnet.clone()],
            reserved_enis: 0,
        };
        let plan = plan(&state.pool, &self.targets, &facts, now);
        state.pool.note_excess(plan.excess_since);
        let creates = |action: &Action| matches!(action.work, Work::Create { .. });
        let subnets_first =
            plan.actions.iter().any(creates) && self.ask_for_subnets_if_stale(state, now);
        for action in plan.actions {
            if subnets_first && creates(&action) {
                continue;
            }
            state.pool.apply(action.work.begun(), now);
            let own = Rc::clone(self);
            self.cloud.timeline.spawn(async move {
                let event = own.carry_out(action.work).await;
                own.happened(event);
            });
        }
        plan.wake_at
    }

    /// Asks EC2 for the subnets where what it said is too old; says whether its answer is to be
    /// waited for.
    fn ask_for_subnets_if_stale(self: &Rc<Self>, state: &mut State, now: Timestamp) -> bool {
        if state.subnets.is_some_and(|at| now < at + SUBNETS_FRESH) {
            return false;
        }
        if !std::mem::replace(&mut state.asking_subnets, true) {
            let own = Rc::clone(self);
            self.cloud.timeline.spawn(async move {
                // Where EC2 refuses, the node's own subnet is used, which is the only one here.
                let _ = ec2::describe_subnets(&own.client, &own.me).await;
                {
                    let mut state = own.state.borrow_mut();
                    state.asking_subnets = false;
                    state.subnets = Some(own.now());
                }
                own.catch_up();
            });
        }
        true
    }

    fn look_again(self: &Rc<Self>, state: &mut State, at: Timestamp) {
        // As the pool task, not before a millisecond has passed.
        let at = at.max(self.now() + Duration::from_millis(1));
        if state.look_at.is_some_and(|due| due <= at) {
            return;
        }
        state.look_at = Some(at);
        let own = Rc::clone(self);
        self.cloud.timeline.spawn(async move {
            own.cloud.timeline.sleep_until(at).await;
            let due = own.state.borrow_mut().look_at.take_if(|due| *due == at);
            if due.is_some() {
                own.catch_up();
            }
        });
    }

    /// Carries an action out; says what came of it.
    async fn carry_out(&self, work: Work) -> Event {
        match work {
            Work::Create {
                creation,
                card,
                device,
                subnet: _,
                ask,
            } => {
                let token = format!("{}-{}", self.me.number, creation.0);
                let made = self.create((card, device), ask, token).await;
                match made {
                    Ok(eni) => Event::Created { creation, eni },
                    Err((refusal, reason)) => Event::CreationFailed {
                        creation,
                        refusal,
                        reason,
                    },
                }
            }
            Work::Assign { eni, ask } => match ec2::assign(&self.client, &eni, ask).await {
                Ok(slots) => Event::Assigned { eni, ask, slots },
                Err(failure) => {
                    let (refusal, reason) = eni::refusal("assign to", &failure);
                    Event::AssignFailed {
                        eni,
                        ask,
                        refusal,
                        reason,
                    }
                }
            },
            Work::Unassign { eni, slots } => {
                match ec2::unassign(&self.client, &eni, &slots).await {
                    Ok(()) => Event::Unassigned { eni, slots },
                    Err(failure) => {
                        let (_, reason) = eni::refusal("unassign from", &failure);
                        Event::UnassignFailed { eni, slots, reason }
                    }
                }
            }
            Work::Return { eni } => match eni::take_away(&self.cloud, &self.client, &eni).await {
                Ok(()) => Event::Returned { eni },
                Err(failure) => {
                    let (_, reason) = eni::refusal("give back", &failure);
                    Event::ReturnFailed { eni, reason }
                }
            },
        }
    }

    async fn create(
        &self,
        place: (NetworkCard, DeviceIndex),
        ask: Ask,
        token: String,
    ) -> Result<NewEni, eni::NotMade> {
        let (card, device) = place;
        let made = eni::create(&self.cloud, &self.client, &self.me, place, ask, token).await?;
        Ok(NewEni {
            id: made.id,
            kind: EniKind::Secondary,
            exclusion: None,
            mac: made.mac,
            card,
            device,
            subnet: self.me.subnet.id.clone(),
            subnet_cidr: self.me.subnet.cidr,
            primary: made.primary,
            slots: made.slots,
            attached_at: None,
        })
    }
}
