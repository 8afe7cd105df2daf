//! Counts of EC2 calls, by action and outcome.

use std::collections::BTreeMap;

use serde::Serialize;

/// The calls of one action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ActionCalls {
    /// Calls that succeeded, also when the answer was then lost on purpose.
    pub ok: u64,
    /// Calls that failed, by EC2's error code.
    pub errors: BTreeMap<String, u64>,
}

/// All calls so far, by action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Calls {
    /// The counts; an action that was never called is absent.
    pub actions: BTreeMap<String, ActionCalls>,
}

impl Calls {
    /// Counts a call; `error` is the code of a failure.
    pub fn count(&mut self, action: &str, error: Option<&str>) {
        let calls = self.actions.entry(action.to_owned()).or_default();
        match error {
            None => calls.ok += 1,
            Some(code) => *calls.errors.entry(code.to_owned()).or_default() += 1,
        }
    }

    /// Calls of one action, successful or not.
    #[must_use]
    pub fn of(&self, action: &str) -> u64 {
        self.actions
            .get(action)
            .map_or(0, |calls| calls.ok + calls.errors.values().sum::<u64>())
    }

    /// Calls of all actions.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.actions.keys().map(|action| self.of(action)).sum()
    }
}
