//! What became of a fleet.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use vpc_model::Timestamp;

use super::cloud::CallCounts;
use super::pods::Progress;

/// From the fleet's start until each node had come so far, the fastest first; and how many never
/// did while the world was watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// The nodes that did.
    pub reached: Vec<Duration>,
    /// How many did not.
    pub never: usize,
}

impl Times {
    fn new(since: Timestamp, moments: impl Iterator<Item = Option<Timestamp>>) -> Self {
        let (mut reached, mut never) = (Vec::new(), 0);
        for moment in moments {
            match moment {
                Some(at) => reached.push(at.since(since)),
                None => never += 1,
            }
        }
        reached.sort_unstable();
        Self { reached, never }
    }

    /// The time within which so many hundredths of all nodes had come so far; nothing if that many
    /// never did.
    #[must_use]
    pub fn percentile(&self, hundredths: usize) -> Option<Duration> {
        let all = self.reached.len() + self.never;
        let rank = (all * hundredths).div_ceil(100).max(1);
        self.reached.get(rank - 1).copied()
    }

    /// The share of all nodes, 0 to 1, that had come so far by then.
    #[must_use]
    pub fn share_by(&self, after: Duration) -> f64 {
        let all = self.reached.len() + self.never;
        let there = self.reached.partition_point(|time| *time <= after);
        // Fleets have fewer nodes than a float has whole numbers.
        there as f64 / all.max(1) as f64
    }
}

/// What became of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Until a node could give the first pod an address.
    pub serving: Times,
    /// Until all pods of a node had addresses.
    pub usable: Times,
    /// What EC2 was asked, by action.
    pub calls: BTreeMap<&'static str, CallCounts>,
    /// ADDs that were refused; each cost its pod ten to fifteen seconds.
    pub refused_adds: u64,
}

impl Outcome {
    pub(super) fn new(
        nodes: &[Progress],
        calls: BTreeMap<&'static str, CallCounts>,
        start: Timestamp,
    ) -> Self {
        Self {
            serving: Times::new(start, nodes.iter().map(|node| node.serving)),
            usable: Times::new(start, nodes.iter().map(|node| node.usable)),
            calls,
            refused_adds: nodes.iter().map(|node| node.refused).sum(),
        }
    }

    /// All calls together.
    #[must_use]
    pub fn total(&self) -> CallCounts {
        let mut total = CallCounts::default();
        for counts in self.calls.values() {
            total.made += counts.made;
            total.throttled += counts.throttled;
            total.refused += counts.refused;
        }
        total
    }
}

impl fmt::Display for CallCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} made, {} throttled, {} refused",
            self.made, self.throttled, self.refused
        )
    }
}
