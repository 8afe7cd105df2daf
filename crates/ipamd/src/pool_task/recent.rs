//! What the pool task remembers for people: what it did lately and why, and the node's status.

use std::collections::VecDeque;

use vpc_aws::ec2::Ec2;
use vpc_ipam::Event;
use vpc_ipam::plan::balance;
use vpc_ipam::status::{Recent, Status};
use vpc_model::Timestamp;

use super::{Look, PoolTask};

/// How much is remembered.
const REMEMBERED: usize = 256;

/// How much of it is part of the status.
const IN_STATUS: usize = 64;

/// What was done and what happened lately, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Recently {
    entries: VecDeque<Recent>,
}

impl Recently {
    /// Remembers something; what is oldest is forgotten for it.
    pub(super) fn push(&mut self, at: Timestamp, what: String, because: String) {
        if self.entries.len() == REMEMBERED {
            self.entries.pop_front();
        }
        self.entries.push_back(Recent { at, what, because });
    }

    /// The latest so many, the oldest of them first.
    pub(super) fn latest(&self, count: usize) -> Vec<Recent> {
        let before = self.entries.len().saturating_sub(count);
        self.entries.iter().skip(before).cloned().collect()
    }

    /// Remembers what happened.
    pub(super) fn note(&mut self, event: &Event, now: Timestamp) {
        if let Some((what, because)) = event.words() {
            self.push(now, what, because);
        }
    }
}

impl<E: Ec2> PoolTask<E> {
    /// What the node holds, address by address, and why.
    pub(super) fn look(&self, now: Timestamp) -> Look {
        Look {
            status: self.status(now),
            pool: self.pool.clone(),
        }
    }

    /// What the node holds, and why.
    pub(super) fn status(&self, now: Timestamp) -> Status {
        let mut status = Status::of(&self.pool, now);
        if let Some(node) = &self.learned {
            let balance = balance(&self.pool, &node.targets, &self.facts(node), now);
            status = status.with_targets(&node.targets, balance);
        }
        let mut status = status.with_held_back(&self.held_back);
        let readiness = self.readiness.borrow();
        status.ready = readiness.is_ready();
        status.readiness = readiness.to_string();
        status.waiting = self.waiting.pods().map(ToString::to_string).collect();
        status.recent = self.recent.latest(IN_STATUS);
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recently = Recently::default();
        for number in 0..=REMEMBERED {
            recently.push(Timestamp::ZERO, number.to_string(), String::new());
        }
        assert_eq!(recently.entries.len(), REMEMBERED);
        assert_eq!(recently.entries[0].what, "1");
        let latest = recently.latest(2);
        assert_eq!(latest[1].what, REMEMBERED.to_string());
        assert_eq!(latest.len(), 2);
    }
}
