//! The call budget: how often a node may call AWS, kept by the node itself.
//!
//! AWS gives an account so many calls per action, region and second (see `shapes`), and the nodes
//! of a cluster share them. Each node therefore holds itself to a part of AWS's buckets, halves its
//! rate whenever AWS throttles it nevertheless, and lets the rate recover slowly: so many nodes
//! find, without talking to each other, rates that together fit (additive increase, multiplicative
//! decrease). Chance decides when a throttled node comes back, so that nodes that were refused
//! together are not refused together again; the start can be left to chance, too.
//!
//! [`Limiter`] decides and knows no clock; [`Budget`] is the limiter with a clock, shared by clients.

mod bucket;
mod limiter;
mod shapes;
mod shared;

use std::collections::BTreeMap;
use std::time::Duration;

pub use limiter::{Limiter, OverBudget};
pub use shared::Budget;

/// What has a bucket: an action, in two kinds for some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The action, for example `AttachNetworkInterface`.
    pub action: &'static str,
    /// How much it asks for.
    pub scope: Scope,
}

/// How much a call asks for. AWS has smaller buckets for some actions when they ask for everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The request has a filter or a page size, or AWS makes no difference for the action.
    Part,
    /// The request has neither, and the action is one for which AWS has a smaller bucket then.
    All,
}

impl Call {
    /// The call that a request with these form parameters is.
    #[must_use]
    pub fn of(action: &'static str, params: &[(String, String)]) -> Self {
        let narrows = |name: &str| name.starts_with("Filter.") || name == "MaxResults";
        let part =
            !shapes::has_smaller_bucket(action) || params.iter().any(|(name, _)| narrows(name));
        let scope = if part { Scope::Part } else { Scope::All };
        Self { action, scope }
    }
}

/// The size of a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Calls that may leave at once when none left for long; at least one.
    pub burst: f64,
    /// Calls a second in the long run.
    pub per_second: f64,
}

impl Shape {
    /// One part in `n` of it; 0 counts as 1.
    #[must_use]
    pub fn share(self, n: u32) -> Self {
        let n = f64::from(n.max(1));
        Self {
            burst: self.burst / n,
            per_second: self.per_second / n,
        }
    }
}

/// How a budget is made.
#[derive(Debug, Clone)]
pub struct BudgetConfig {
    /// The buckets of which this node takes a part; [`BudgetConfig::aws_shape`] unless a test or a
    /// simulation has others.
    pub shapes: fn(Call) -> Shape,
    /// The part: one in so many.
    pub one_in: u32,
    /// Nothing leaves before a moment within this time after the start, which chance chooses.
    pub start_jitter: Duration,
    /// What a rate needs from nothing to full; half of it after one throttled call.
    pub recovery: Duration,
}

impl BudgetConfig {
    /// The buckets AWS has for an account, as a whole and at once: for a tool that a person calls.
    pub const WHOLE: Self = Self {
        shapes: shapes::of,
        one_in: 1,
        start_jitter: Duration::ZERO,
        recovery: Duration::from_secs(600),
    };

    /// For one node of many: a tenth of AWS's buckets (10 ENIs at once, then one every two
    /// seconds). With more than ten busy nodes AWS throttles, and the rates find their level below.
    ///
    /// It starts at once: in the fleet simulation a start within two seconds spares a hundred or a
    /// thousand nodes neither time nor refusals, and costs each node that starts a second.
    pub const NODE: Self = Self {
        one_in: 10,
        ..Self::WHOLE
    };

    /// The bucket that AWS has for a call, per account and region (EC2 developer guide, "Request
    /// throttling for the Amazon EC2 API").
    #[must_use]
    pub fn aws_shape(call: Call) -> Shape {
        shapes::of(call)
    }
}

/// What became of calls of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tries that left, by outcome: `ok` or an [`crate::ErrorKind::label`].
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Tries that did not leave, because their caller could not wait for a token.
    pub held_back: u64,
    /// How long tries waited for tokens, added up.
    pub waited: Duration,
    /// How long tries took from their departure to their end, added up.
    pub took: Duration,
    /// The same by outcome, in buckets.
    pub latencies: BTreeMap<&'static str, Latency>,
}

/// Upper bounds of the buckets in [`Latency`], in milliseconds.
pub const LATENCY_BOUNDS: [u64; 9] = [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/// How long tries with one outcome took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    /// Added up.
    pub sum: Duration,
    /// Tries by [`LATENCY_BOUNDS`], each bucket for itself; the last is beyond all bounds.
    pub buckets: [u64; LATENCY_BOUNDS.len() + 1],
}

impl Latency {
    fn add(&mut self, took: Duration) {
        let bound = |bound: &u64| took <= Duration::from_millis(*bound);
        let place = LATENCY_BOUNDS.iter().position(bound);
        self.buckets[place.unwrap_or(LATENCY_BOUNDS.len())] += 1;
        self.sum += took;
    }

    /// How many tries.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Counts {
    /// Tries that left.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.outcomes.values().sum()
    }
}

/// A source of numbers that look random, the same ones for the same seed (SplitMix64).
#[derive(Debug, Clone)]
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, 1.
    fn fraction(&mut self) -> f64 {
        // 53 bits are what a float of this size holds.
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod crowd;
