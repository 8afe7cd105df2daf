//! Requests that are refused on purpose, and the record of all of them.

use super::refusal::Refusal;

/// One request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// As RBAC calls it: get, list, watch, create, update, patch, delete, deletecollection. Empty
    /// for paths that are no objects'.
    pub verb: &'static str,
    /// What it was about: `pods`, `nodes/status`. Empty for paths that are no objects'.
    pub resource: String,
    /// The path.
    pub path: String,
    /// What stood behind the question mark, as sent.
    pub query: String,
    /// The caller's name for itself.
    pub user_agent: String,
}

/// Requests that are refused.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which verb; any if empty.
    pub verb: &'static str,
    /// Which resource (`pods`, `nodes/status`); any if empty.
    pub resource: &'static str,
    /// With what.
    pub refusal: Refusal,
    /// How many of them; `None` until the faults are cleared.
    pub times: Option<u32>,
}

impl Fault {
    /// What `request` is refused with, which uses the fault up by one.
    pub(super) fn meets(&mut self, request: &Request) -> Option<Refusal> {
        let any_or = |wanted: &str, has: &str| wanted.is_empty() || wanted == has;
        let meant = any_or(self.verb, request.verb) && any_or(self.resource, &request.resource);
        if !meant || request.verb.is_empty() || self.is_spent() {
            return None;
        }
        self.times = self.times.map(|times| times - 1);
        Some(self.refusal.clone())
    }

    pub(super) fn is_spent(&self) -> bool {
        self.times == Some(0)
    }
}
