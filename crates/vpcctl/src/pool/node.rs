//! A node: the daemon's pool and plan, with the simulated EC2 as the one that carries things out
//! and a clock that is set forward instead of waited for.

use std::time::Duration;

use ipnet::Ipv4Net;
use vpc_ipam::{
    Event, Facts, Ledger, Mode, Plan, Pool, Provisioning, Refusal, Targets, Work, allocate, plan,
};
use vpc_model::{InstanceType, PodKey, PodName, Timestamp};

use super::RehearsalError;
use super::cloud::Cloud;

/// A node at which nothing has changed for so long is at rest: longer than every delay of the
/// pool (the cooldown, an ENI's minimum age, the delay of returns, the longest back-off).
const QUIET: Duration = Duration::from_secs(600);

/// More plans than any node needs: those of a node with 100 ENIs whose every slot comes alone.
const MOST_PLANS: u32 = 100_000;

/// A node.
pub(super) struct Node {
    pool: Pool,
    targets: Targets,
    facts: Facts,
    cloud: Cloud,
    now: Timestamp,
    plans: u32,
}

impl Node {
    /// A fresh instance, alone in its subnet.
    pub(super) fn launch(
        instance_type: &InstanceType,
        subnet: Ipv4Net,
        mode: Mode,
        targets: Targets,
    ) -> Result<Self, RehearsalError> {
        let now = Timestamp::from_millis(1_000_000);
        let cloud = Cloud::launch(instance_type, subnet, now)?;
        let mut pool = Pool::new(Ledger::default()).in_mode(mode);
        for eni in cloud.enis() {
            pool = pool.on_card(eni.card);
            pool.apply(Event::EniFound(eni), now);
        }
        let facts = Facts {
            demand: 0,
            provisioning: Provisioning::Enabled,
            subnets: vec![cloud.subnet().clone()],
            reserved_enis: 0,
        };
        Ok(Self {
            pool,
            targets,
            facts,
            cloud,
            now,
            plans: 0,
        })
    }

    /// Whether EC2 may be changed.
    pub(super) fn set_provisioning(&mut self, provisioning: Provisioning) {
        self.facts.provisioning = provisioning;
    }

    /// The pool.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What it is to keep ready.
    pub(super) fn targets(&self) -> &Targets {
        &self.targets
    }

    /// How many pods have no address.
    pub(super) fn waiting(&self) -> u32 {
        self.facts.demand
    }

    /// Starts that many pods, one after the other. Those that get no address wait for one.
    pub(super) fn add_pods(&mut self, pods: u32) -> Result<(), RehearsalError> {
        self.settle()?;
        for number in 0..pods {
            if self.allocate(number) {
                continue;
            }
            self.facts.demand = 1;
            self.settle()?;
            self.facts.demand = 0;
            if !self.allocate(number) {
                // Nor will the others: addresses do not become more by waiting here.
                self.facts.demand = pods - number;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Lets time pass until nothing changes any more; the last plan, which does nothing.
    pub(super) fn rest(&mut self) -> Result<Plan, RehearsalError> {
        let mut quiet_since = self.now;
        loop {
            if self.settle()? {
                quiet_since = self.now;
            }
            let plan = self.plan();
            let next = [plan.wake_at, self.pool.next_cooled()];
            let next = next.into_iter().flatten().min();
            let next = next.filter(|_| self.now.since(quiet_since) < QUIET);
            let Some(next) = next else {
                return Ok(plan);
            };
            self.now = next.max(self.now + Duration::from_millis(1));
            self.pool.advance(self.now);
        }
    }

    fn plan(&self) -> Plan {
        plan(&self.pool, &self.targets, &self.facts, self.now)
    }

    fn allocate(&mut self, number: u32) -> bool {
        let name = format!("pod-{number}");
        let key = PodKey {
            network: "aws-cni".to_owned(),
            container_id: name.clone(),
            if_name: "eth0".to_owned(),
        };
        let pod = PodName {
            namespace: "default".to_owned(),
            name,
        };
        allocate(&mut self.pool, &key, &pod, self.now).is_ok()
    }

    /// Carries plans out until one has nothing to do at this moment; whether anything changed.
    fn settle(&mut self) -> Result<bool, RehearsalError> {
        let mut changed = false;
        loop {
            let plan = self.plan();
            self.pool.note_excess(plan.excess_since);
            if plan.actions.is_empty() {
                return Ok(changed);
            }
            self.plans += 1;
            if self.plans > MOST_PLANS {
                return Err(RehearsalError::Restless(MOST_PLANS));
            }
            for action in &plan.actions {
                self.pool.apply(action.work.begun(), self.now);
            }
            for action in plan.actions {
                let event = self.carry_out(action.work);
                changed |= event.refusal().is_none();
                self.pool.apply(event, self.now);
            }
            self.pool
                .check()
                .map_err(|broken| RehearsalError::Pool(broken.join("; ")))?;
        }
    }

    fn carry_out(&mut self, work: Work) -> Event {
        let now = self.now;
        match work {
            Work::Create {
                creation,
                card,
                device,
                subnet,
                ask,
            } => match self.cloud.create((card, device), &subnet, ask, now) {
                Ok(eni) => Event::Created { creation, eni },
                Err(error) => Event::CreationFailed {
                    creation,
                    refusal: Refusal::of_code(&error.code),
                    reason: error.to_string(),
                },
            },
            Work::Assign { eni, ask } => match self.cloud.assign(&eni, ask, now) {
                Ok(slots) => Event::Assigned { eni, ask, slots },
                Err(error) => Event::AssignFailed {
                    eni,
                    ask,
                    refusal: Refusal::of_code(&error.code),
                    reason: error.to_string(),
                },
            },
            Work::Unassign { eni, slots } => match self.cloud.unassign(&eni, &slots, now) {
                Ok(()) => Event::Unassigned { eni, slots },
                Err(error) => Event::UnassignFailed {
                    eni,
                    slots,
                    reason: error.to_string(),
                },
            },
            Work::Return { eni } => match self.cloud.give_back(&eni, now) {
                Ok(()) => Event::Returned { eni },
                Err(error) => Event::ReturnFailed {
                    eni,
                    reason: error.to_string(),
                },
            },
        }
    }
}
