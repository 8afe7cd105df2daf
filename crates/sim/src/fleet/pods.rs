//! The pods of a node, and what its kubelet does when one gets no address: it tries again after ten
//! to fifteen seconds (its back-off for pods that cannot be started, and half of it by chance).

use std::time::Duration;

use vpc_model::Timestamp;

use crate::world::{Random, Span};

/// From a refused ADD to the next.
const AGAIN: Span = Span::millis(10_000, 15_000);

/// How far a node has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Pods that have an address.
    pub(super) granted: u32,
    /// Since when pods come.
    pub(super) serving: Option<Timestamp>,
    /// Since when all pods have an address.
    pub(super) usable: Option<Timestamp>,
    /// ADDs that were refused.
    pub(super) refused: u64,
}

impl Progress {
    /// Pods may come.
    pub(super) fn serves(&mut self, now: Timestamp) {
        self.serving.get_or_insert(now);
    }

    /// One of so many pods has an address.
    pub(super) fn grant(&mut self, pods: u32, now: Timestamp) {
        self.granted += 1;
        if self.granted == pods {
            self.usable = Some(now);
        }
    }
}

/// The kubelet's pause before a pod that was refused is tried again.
pub(super) fn pause(random: &mut Random) -> Duration {
    AGAIN.sample(random)
}
