//! The limiter with a clock, shared by everything on the node that calls AWS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use vpc_model::Timestamp;

use super::{BudgetConfig, Call, Counts, Limiter, OverBudget};
use crate::retry::random;

/// A node's budget of calls. Clones share it; so should all clients of one region.
#[derive(Debug, Clone)]
pub struct Budget {
    limiter: Arc<Mutex<Limiter>>,
    start: Instant,
}

/// The permission to let one try leave, and when it left.
#[derive(Debug)]
pub(crate) struct Leave {
    call: Call,
    left: Timestamp,
}

impl Budget {
    /// A budget that begins now.
    #[must_use]
    pub fn new(config: BudgetConfig) -> Self {
        Self {
            limiter: Arc::new(Mutex::new(Limiter::new(config, Timestamp::ZERO, random()))),
            start: Instant::now(),
        }
    }

    /// What was counted so far, per kind of call.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Call, Counts> {
        self.limiter().counts().clone()
    }

    /// The calls a second that are allowed now, for calls that were made.
    #[must_use]
    pub fn rates(&self) -> BTreeMap<Call, f64> {
        let now = self.now();
        self.limiter().rates(now)
    }

    /// Waits until a try may leave. At once an error if that were after the deadline.
    pub(crate) async fn admit(&self, call: Call, deadline: Instant) -> Result<Leave, OverBudget> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let now = self.now();
        let wait = self.limiter().reserve(call, now, patience)?;
        if !wait.is_zero() {
            tracing::debug!(action = call.action, ?wait, "waits for the call budget");
            tokio::time::sleep(wait).await;
        }
        Ok(Leave {
            call,
            left: self.now(),
        })
    }

    /// Notes what became of a try: `ok` or the label of an error.
    pub(crate) fn record(&self, leave: &Leave, outcome: &'static str) {
        let now = self.now();
        self.limiter().record(leave.call, leave.left, now, outcome);
    }

    /// Time since the start, on a clock that nobody sets.
    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.start.elapsed()
    }

    /// The limiter is left consistent by every call, so a panic elsewhere does not spoil it.
    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
