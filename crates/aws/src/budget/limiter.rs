//! The limiter: a bucket and a count per call. Pure; time and chance are arguments.

use std::collections::BTreeMap;
use std::time::Duration;

use vpc_model::Timestamp;

use super::bucket::Bucket;
use super::{BudgetConfig, Call, Chance, Counts};

/// A call that would have to wait for its token longer than its caller can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the next may leave in {wait:?}, the call's deadline is in {patience:?}")]
pub struct OverBudget {
    /// How long until the call could leave.
    pub wait: Duration,
    /// How long the caller would have waited.
    pub patience: Duration,
}

/// A node's budget of calls: who may call AWS when, and what became of the calls.
///
/// ```text
///  reserve(call, now, patience) ─► wait … the call leaves … record(call, left, now, outcome)
/// ```
#[derive(Debug, Clone)]
pub struct Limiter {
    config: BudgetConfig,
    opens: Timestamp,
    chance: Chance,
    buckets: BTreeMap<Call, Bucket>,
    counts: BTreeMap<Call, Counts>,
}

impl Limiter {
    /// A limiter with full buckets that lets nothing leave before a moment which `random` puts
    /// within the configured jitter after `start`; what is left to chance later follows from
    /// `random`, too. Times are of any one clock.
    #[must_use]
    pub fn new(config: BudgetConfig, start: Timestamp, random: u64) -> Self {
        let jitter = u64::try_from(config.start_jitter.as_millis()).unwrap_or(u64::MAX);
        let delay = random.checked_rem(jitter.saturating_add(1)).unwrap_or(0);
        Self {
            config,
            opens: start + Duration::from_millis(delay),
            chance: Chance::new(random),
            buckets: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Reserves a token for a call and says how long the call must wait before it leaves. Those
    /// who reserve first leave first.
    ///
    /// # Errors
    /// The wait would be longer than `patience`; nothing is reserved then.
    pub fn reserve(
        &mut self,
        call: Call,
        now: Timestamp,
        patience: Duration,
    ) -> Result<Duration, OverBudget> {
        let opens = self.opens.since(now);
        let bucket = self.bucket(call, now);
        let wait = bucket.wait(now).max(opens);
        if wait > patience {
            self.counts.entry(call).or_default().held_back += 1;
            return Err(OverBudget { wait, patience });
        }
        bucket.reserve(now);
        self.counts.entry(call).or_default().waited += wait;
        Ok(wait)
    }

    /// Notes what became of a call that left at `left` and ended at `now`.
    pub fn record(&mut self, call: Call, left: Timestamp, now: Timestamp, outcome: &'static str) {
        if outcome == THROTTLED {
            let spread = self.chance.fraction();
            self.bucket(call, now).throttled(left, now, spread);
        } else {
            self.bucket(call, now).admitted(now);
        }
        let counts = self.counts.entry(call).or_default();
        *counts.outcomes.entry(outcome).or_default() += 1;
        let took = now.since(left);
        counts.took += took;
        counts.latencies.entry(outcome).or_default().add(took);
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<Call, Counts> {
        &self.counts
    }

    /// The calls a second that are allowed now, for calls that were made; it is lower than
    /// configured while AWS throttles.
    #[must_use]
    pub fn rates(&self, now: Timestamp) -> BTreeMap<Call, f64> {
        let rates = self.buckets.iter();
        rates.map(|(call, b)| (*call, b.rate(now))).collect()
    }

    fn bucket(&mut self, call: Call, now: Timestamp) -> &mut Bucket {
        let config = &self.config;
        self.buckets.entry(call).or_insert_with(|| {
            let shape = (config.shapes)(call).share(config.one_in);
            Bucket::new(shape, config.recovery, now)
        })
    }
}

/// The label of `ErrorKind::Throttled`.
const THROTTLED: &str = "throttled";

#[cfg(test)]
mod tests;
