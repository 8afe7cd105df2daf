//! The daemon's one clock, and its one source of chance. The core is told the time and what differs
//! between nodes; this is who tells it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use vpc_model::Timestamp;

/// Wall-clock time: cooldowns must mean the same thing after a restart.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// A number that differs between nodes and starts. The standard library keys every hasher from the
/// kernel's random source.
#[must_use]
pub fn chance() -> u64 {
    RandomState::new().build_hasher().finish()
}
