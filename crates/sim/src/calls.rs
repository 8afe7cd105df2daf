//! EC2 calls: counts by action and outcome, and the latest ones one by one.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use serde::Serialize;
use vpc_model::Timestamp;

/// How many calls are remembered one by one.
const REMEMBERED: usize = 10_000;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// When it was carried out or refused.
    pub at: Timestamp,
    /// What was asked.
    pub action: String,
    /// EC2's code, if it was refused.
    pub error: Option<String>,
    /// Who asked, where the server tells it.
    pub caller: Option<IpAddr>,
}

/// The latest calls, first to last.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallLog(VecDeque<Call>);

impl CallLog {
    /// Remembers a call, and forgets the oldest where there are too many.
    pub(crate) fn push(&mut self, call: Call) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    pub(crate) fn since(&self, at: Timestamp) -> Vec<Call> {
        self.0
            .iter()
            .filter(|call| call.at >= at)
            .cloned()
            .collect()
    }
}

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
