//! The clock that signatures carry: this node's, corrected by what AWS's answers say.
//!
//! AWS refuses requests whose time is more than five (EC2: fifteen) minutes from its own. A node
//! whose clock is wrong is to get its addresses nevertheless, so the difference is learned from the
//! `Date` of the refusal. Nothing else in this program uses the corrected time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use crate::error::ErrorKind;

/// Clocks that differ by less are not the reason for a refusal (the AWS SDKs' limit).
const FAR: Duration = Duration::from_secs(240);

/// How far AWS's clock is ahead of ours. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock(Arc<AtomicI64>);

/// The time of one signature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed {
    ours: SystemTime,
    at: SystemTime,
}

impl Clock {
    /// The time that a request is signed with when our clock says `ours`.
    pub(super) fn sign_at(&self, ours: SystemTime) -> Signed {
        let ahead = self.0.load(Ordering::Relaxed);
        let by = Duration::from_secs(ahead.unsigned_abs());
        let at = if ahead < 0 {
            ours.checked_sub(by)
        } else {
            ours.checked_add(by)
        };
        Signed {
            ours,
            at: at.unwrap_or(ours),
        }
    }

    /// AWS's clock is that many seconds ahead of ours.
    pub(super) fn correct(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl Signed {
    /// The time in the signature.
    pub(super) fn at(self) -> SystemTime {
        self.at
    }

    /// How many seconds AWS's clock is ahead of ours, if a refusal that was sent at `date` is one
    /// that a wrong time explains, and the time was wrong.
    pub(super) fn skew(self, kind: &ErrorKind, date: &str) -> Option<i64> {
        let explained = matches!(
            kind,
            ErrorKind::NotAuthenticated | ErrorKind::ExpiredCredentials
        );
        let theirs = httpdate::parse_http_date(date).ok()?;
        let far = difference(theirs, self.at).unsigned_abs() > FAR.as_secs();
        (explained && far).then(|| difference(theirs, self.ours))
    }
}

/// `a - b` in seconds.
fn difference(a: SystemTime, b: SystemTime) -> i64 {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match a.duration_since(b) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    const THEN: u64 = 784_111_777;
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_refusal_from_another_time_tells_how_wrong_our_clock_is() {
        let skew = |ours: u64| {
            let signed = Clock::default().sign_at(at(ours));
            signed.skew(&ErrorKind::NotAuthenticated, DATE)
        };
        assert_eq!(skew(THEN), None);
        assert_eq!(skew(THEN + 240), None);
        assert_eq!(skew(THEN + 241), Some(-241));
        assert_eq!(skew(THEN - 3600), Some(3600));
    }

    #[test]
    fn only_refused_signatures_and_readable_dates_count() {
        let signed = Clock::default().sign_at(at(0));
        assert_eq!(signed.skew(&ErrorKind::Throttled, DATE), None);
        assert_eq!(
            signed.skew(&ErrorKind::ExpiredCredentials, "yesterday"),
            None
        );
        assert!(signed.skew(&ErrorKind::ExpiredCredentials, DATE).is_some());
    }

    #[test]
    fn a_corrected_clock_signs_with_their_time_and_can_be_corrected_again() {
        let clock = Clock::default();
        clock.correct(3600);
        let signed = clock.sign_at(at(THEN - 3600));
        assert_eq!(signed.at(), at(THEN));
        assert_eq!(signed.skew(&ErrorKind::NotAuthenticated, DATE), None);
        // Somebody has set our clock right meanwhile: the correction is what is wrong now.
        let signed = clock.sign_at(at(THEN));
        assert_eq!(signed.skew(&ErrorKind::NotAuthenticated, DATE), Some(0));
        clock.correct(-7200);
        assert_eq!(clock.sign_at(at(THEN)).at(), at(THEN - 7200));
    }
}
