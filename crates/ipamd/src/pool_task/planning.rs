//! The plan, after everything that happened, and its beginning.

use std::time::Duration;

use vpc_aws::ec2::Ec2;
use vpc_ipam::plan::balance;
use vpc_ipam::status::Held;
use vpc_ipam::{Facts, HeldBack, Plan, Work, plan};
use vpc_model::Timestamp;

use super::{Node, Planned, PlannedAction, PoolTask};
use crate::cluster::News;

/// When to try again what could not be written to the journal.
const UNWRITTEN: Duration = Duration::from_secs(5);

impl<E: Ec2> PoolTask<E> {
    /// Plans and begins. Returns when a new plan may say something else.
    pub(super) fn replan(&mut self, now: Timestamp) -> Option<Timestamp> {
        let node = self.learned.as_ref()?;
        let facts = self.facts(node);
        let plan = plan(&self.pool, &node.targets, &facts, now);
        self.pool.note_excess(plan.excess_since);
        self.say_held_back(&plan, now);
        let Plan {
            actions,
            held_back,
            mut wake_at,
            excess_since: _,
        } = plan;
        let no_subnet = held_back.contains(&HeldBack::NoSubnet);
        self.held_back = held_back;
        let (creates, others): (Vec<_>, Vec<_>) = actions
            .into_iter()
            .partition(|action| matches!(action.work, Work::Create { .. }));
        let subnets_first =
            (no_subnet || !creates.is_empty()) && self.ask_for_subnets_if_stale(now);
        let mut wake = |at: Timestamp| wake_at = Some(wake_at.map_or(at, |before| before.min(at)));
        if no_subnet && let Some(at) = self.subnets_fresh_until() {
            wake(at.max(now));
        }
        // The answer wakes us, and the plan is made again with the subnets it names.
        let creates = creates.into_iter().filter(|_| !subnets_first);
        for action in others.into_iter().chain(creates) {
            if !self.begin(action, now) {
                // The plan counts on it; nothing else would wake us.
                wake(now + UNWRITTEN);
            }
        }
        wake_at
    }

    /// What the pool cannot know by itself.
    pub(super) fn facts(&self, node: &Node<E>) -> Facts {
        Facts {
            demand: self.demand(),
            provisioning: self.provisioning(node),
            subnets: node.discovery.candidates().to_vec(),
            reserved_enis: 0,
        }
    }

    /// Has EC2 asked for the subnets where what is known of them is too old. Says whether its
    /// answer is to be waited for.
    fn ask_for_subnets_if_stale(&mut self, now: Timestamp) -> bool {
        let Some(node) = &mut self.learned else {
            return false;
        };
        if !node.discovery.is_stale(now) {
            return false;
        }
        if let Some(query) = node.discovery.ask() {
            node.executor.look_up_subnets(query);
        }
        true
    }

    /// What would be done now, and what would not. What was to be done has been begun.
    pub(super) fn planned(&self, now: Timestamp) -> Planned {
        let Some(node) = &self.learned else {
            return Planned {
                at: now,
                ..Planned::default()
            };
        };
        let facts = self.facts(node);
        let plan = plan(&self.pool, &node.targets, &facts, now);
        let actions = plan.actions.iter().map(|action| PlannedAction {
            what: action.work.to_string(),
            because: action.because.to_string(),
        });
        Planned {
            at: now,
            balance: Some(balance(&self.pool, &node.targets, &facts, now)),
            actions: actions.collect(),
            held_back: plan.held_back.iter().map(Held::from).collect(),
            wake_at: plan.wake_at,
        }
    }

    fn subnets_fresh_until(&self) -> Option<Timestamp> {
        self.learned.as_ref()?.discovery.fresh_until()
    }

    fn say_held_back(&mut self, plan: &Plan, now: Timestamp) {
        for held in &plan.held_back {
            if !self.held_back.contains(held) {
                tracing::info!(name = held.name(), reason = %held, "held back");
                let what = format!("held back: {}", held.name());
                self.recent.push(now, what, held.to_string());
                self.teller.tell(News::HeldBack(held.clone()));
            }
        }
    }
}
