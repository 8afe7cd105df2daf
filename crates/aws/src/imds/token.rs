//! The session token that IMDSv2 wants with every request.

use std::time::{Duration, Instant};

/// A token and how long it is used.
#[derive(Debug, Clone)]
pub(super) struct Token {
    value: http::HeaderValue,
    renew_at: Instant,
}

/// A token is renewed when this much of its life is left, so that it cannot expire on its way.
const MARGIN: Duration = Duration::from_secs(120);

impl Token {
    /// A token that IMDS gave at `now` for `ttl`. Short-lived ones are used for half their life.
    pub(super) fn new(mut value: http::HeaderValue, ttl: Duration, now: Instant) -> Self {
        value.set_sensitive(true);
        let used = if ttl > 2 * MARGIN {
            ttl - MARGIN
        } else {
            ttl / 2
        };
        Self {
            value,
            renew_at: now + used,
        }
    }

    /// The header's value, unless the token is due for renewal.
    pub(super) fn valid(&self, now: Instant) -> Option<http::HeaderValue> {
        (now < self.renew_at).then(|| self.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let start = Instant::now();
        let until = |ttl: u64, at: u64| {
            let token = Token::new(
                http::HeaderValue::from_static("t"),
                Duration::from_secs(ttl),
                start,
            );
            token.valid(start + Duration::from_secs(at)).is_some()
        };
        assert!(until(21600, 21479));
        assert!(!until(21600, 21480));
        assert!(until(60, 29));
        assert!(!until(60, 30));
        assert!(!until(0, 0));
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        let token = Token::new(
            http::HeaderValue::from_static("AQAEA-secret"),
            Duration::from_secs(60),
            Instant::now(),
        );
        assert!(!format!("{token:?}").contains("secret"));
    }
}
