//! The time, as objects carry it.

use std::time::{SystemTime, UNIX_EPOCH};

use vpc_model::Timestamp;

/// Now, to the second, as the API writes times (RFC 3339).
pub(super) fn now() -> String {
    let mut text = timestamp().to_string();
    if let Some(point) = text.find('.') {
        text.replace_range(point..text.len() - 1, "");
    }
    text
}

/// Nanoseconds since the Unix epoch: what tells one start of the server from another.
pub(super) fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    u64::try_from(nanos).unwrap_or_default()
}

fn timestamp() -> Timestamp {
    Timestamp::from_millis(seed() / 1_000_000)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_time_has_no_fraction() {
        let now = super::now();
        assert_eq!(now.len(), "2026-01-01T00:00:00Z".len(), "{now}");
        assert!(now.ends_with('Z'));
    }
}
