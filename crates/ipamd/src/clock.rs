//! The daemon's one clock. The core is told the time; this is who tells it.

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
