//! When a failed call is repeated, and after how long.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::error::Error;

/// How often and how fast a call is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first included; at least 1.
    pub attempts: u32,
    /// The wait before the second try; doubled before each further one.
    pub base: Duration,
    /// No wait is longer.
    pub cap: Duration,
}

impl RetryPolicy {
    /// For EC2: five tries within about 6 s. Longer outages are the caller's to wait out.
    pub const EC2: Self = Self {
        attempts: 5,
        base: Duration::from_millis(400),
        cap: Duration::from_secs(20),
    };

    /// For IMDS, which is next door: four tries within about half a second.
    pub const IMDS: Self = Self {
        attempts: 4,
        base: Duration::from_millis(50),
        cap: Duration::from_secs(1),
    };

    /// One try.
    pub const NEVER: Self = Self {
        attempts: 1,
        base: Duration::ZERO,
        cap: Duration::ZERO,
    };

    /// The wait after the failure of try number `attempt` (from 1): the exponential step, capped,
    /// of which the second half is left to chance so that nodes do not return in step.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        let step = self.base.saturating_mul(1 << doublings).min(self.cap);
        let half = step / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(random.checked_rem(nanos.saturating_add(1)).unwrap_or(0))
    }

    /// How long to wait before another try, or `None` to give up.
    pub(crate) fn next(&self, attempt: u32, error: &Error, repeat: Repeat) -> Option<Duration> {
        let safe = match repeat {
            Repeat::Harmless => true,
            Repeat::IfNotDone => !error.may_have_taken_effect(),
        };
        let again = attempt < self.attempts && error.is_retryable() && safe;
        again.then(|| self.delay(attempt, random()))
    }
}

/// Whether a call may be repeated when its answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The call is idempotent: twice is as good as once.
    Harmless,
    /// Twice is not the same as once: only repeat what certainly was not carried out.
    IfNotDone,
}

/// A random number, good enough to spread waits. The standard library keys every hasher from the
/// kernel's random source.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, TransportError};

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 4,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(5),
    };

    #[test]
    fn waits_double_up_to_the_cap_and_vary_by_half() {
        let bounds = |attempt| (POLICY.delay(attempt, 0), POLICY.delay(attempt, 499_999_999));
        assert_eq!(bounds(1).0, Duration::from_millis(500));
        assert_eq!(bounds(1).1, Duration::from_nanos(999_999_999));
        assert_eq!(bounds(2).0, Duration::from_secs(1));
        assert_eq!(bounds(3).0, Duration::from_secs(2));
        for attempt in 4..100 {
            for random in [0, 1, u64::MAX / 3, u64::MAX] {
                let delay = POLICY.delay(attempt, random);
                assert!(
                    (2500..=5000).contains(&delay.as_millis()),
                    "{attempt} {delay:?}"
                );
            }
        }
        assert_eq!(RetryPolicy::NEVER.delay(1, 7), Duration::ZERO);
    }

    #[test]
    fn a_call_that_may_have_been_carried_out_is_repeated_only_if_harmless() {
        let error = |kind| Error::new("AssignPrivateIpAddresses", "http://ec2/", kind);
        let lost = || {
            error(ErrorKind::Transport(TransportError::Timeout(
                Duration::from_secs(1),
            )))
        };
        assert!(POLICY.next(1, &lost(), Repeat::Harmless).is_some());
        assert!(POLICY.next(1, &lost(), Repeat::IfNotDone).is_none());
        assert!(
            POLICY
                .next(1, &error(ErrorKind::Server), Repeat::IfNotDone)
                .is_none()
        );
        assert!(
            POLICY
                .next(1, &error(ErrorKind::Throttled), Repeat::IfNotDone)
                .is_some()
        );
    }

    #[test]
    fn tries_end_and_hopeless_calls_are_not_repeated() {
        let error = |kind| Error::new("DescribeSubnets", "http://ec2/", kind);
        let throttled = error(ErrorKind::Throttled);
        assert!(POLICY.next(3, &throttled, Repeat::Harmless).is_some());
        assert!(POLICY.next(4, &throttled, Repeat::Harmless).is_none());
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::InsufficientAddresses,
            ErrorKind::DryRun,
        ] {
            assert!(POLICY.next(1, &error(kind), Repeat::Harmless).is_none());
        }
    }
}
