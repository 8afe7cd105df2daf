//! One token bucket that slows down when AWS says "too many" and comes back slowly.

use std::time::Duration;

use vpc_model::Timestamp;

use super::Shape;

/// A rate is never cut below this part of the full one: a node that was throttled for long still
/// has to notice that it is over.
const LEAST: f64 = 1.0 / 64.0;

/// How much of the full rate comes back with every call that AWS does not throttle, beside what
/// comes back with time: a node with much to do recovers within some dozens of calls.
const PER_ANSWER: f64 = 1.0 / 16.0;

/// A bucket of tokens, of which every call takes one. Tokens may be reserved before they exist;
/// the bucket is then in debt, and whoever reserves next waits longer.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    shape: Shape,
    /// How fast the rate recovers, in tokens per second per second.
    slope: f64,
    /// Tokens per second now; never above the shape's.
    rate: f64,
    /// Negative while in debt.
    tokens: f64,
    /// What `rate` and `tokens` are of.
    settled: Timestamp,
    /// When the rate was last cut.
    cut: Option<Timestamp>,
}

impl Bucket {
    /// A full bucket. `recovery` is what the rate would need from nothing to full.
    pub(super) fn new(shape: Shape, recovery: Duration, now: Timestamp) -> Self {
        // A bucket of less than one token would never let a call through.
        let shape = Shape {
            burst: shape.burst.max(1.0),
            ..shape
        };
        Self {
            shape,
            slope: shape.per_second / recovery.as_secs_f64().max(0.001),
            rate: shape.per_second,
            tokens: shape.burst,
            settled: now,
            cut: None,
        }
    }

    /// How long a call that reserves a token now has to wait for it.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        let mut at = self.clone();
        at.settle(now);
        at.time_to_earn(1.0 - at.tokens)
    }

    /// Takes a token, also one that does not exist yet.
    pub(super) fn reserve(&mut self, now: Timestamp) {
        self.settle(now);
        self.tokens -= 1.0;
    }

    /// AWS answered a call that left at `left` with "too many": its bucket is empty and ours was
    /// too generous. Calls that left before the last cut say nothing new about the rate. `spread`,
    /// 0 to 1, moves the next call within the time of two tokens: nodes that were refused together
    /// must not come back together.
    pub(super) fn throttled(&mut self, left: Timestamp, now: Timestamp, spread: f64) {
        self.settle(now);
        self.tokens = self.tokens.min(1.0 - 2.0 * spread);
        if self.cut.is_none_or(|cut| left >= cut) {
            self.rate = (self.rate / 2.0).max(self.shape.per_second * LEAST);
            // The next millisecond: a call of this very one may have left before the cut.
            self.cut = Some(now + Duration::from_millis(1));
        }
    }

    /// AWS answered a call with anything else: there is room for a little more.
    pub(super) fn admitted(&mut self, now: Timestamp) {
        self.settle(now);
        let more = self.shape.per_second * PER_ANSWER;
        self.rate = (self.rate + more).min(self.shape.per_second);
    }

    /// Tokens per second now.
    pub(super) fn rate(&self, now: Timestamp) -> f64 {
        let mut at = self.clone();
        at.settle(now);
        at.rate
    }

    /// Earns what was earned since the last look. A clock that goes back earns nothing.
    fn settle(&mut self, now: Timestamp) {
        let elapsed = now.since(self.settled).as_secs_f64();
        self.tokens = (self.tokens + self.earned(elapsed)).min(self.shape.burst);
        self.rate = (self.rate + self.slope * elapsed).min(self.shape.per_second);
        self.settled = self.settled.max(now);
    }

    /// Tokens that `seconds` bring: first while the rate recovers, then at the full rate.
    fn earned(&self, seconds: f64) -> f64 {
        let recovering = seconds.min(self.time_to_recover());
        self.rate * recovering
            + self.slope * recovering * recovering / 2.0
            + self.shape.per_second * (seconds - recovering)
    }

    /// Seconds until the rate is the full one.
    fn time_to_recover(&self) -> f64 {
        if self.slope > 0.0 {
            (self.shape.per_second - self.rate) / self.slope
        } else {
            0.0
        }
    }

    /// The time in which so many tokens are earned, rounded up to a millisecond; a bucket that
    /// earns nothing needs for ever.
    fn time_to_earn(&self, tokens: f64) -> Duration {
        if tokens <= 0.0 {
            return Duration::ZERO;
        }
        let recovering = self.time_to_recover();
        let meanwhile = self.earned(recovering);
        let seconds = if tokens > meanwhile {
            recovering + (tokens - meanwhile) / self.shape.per_second
        } else {
            // rate·t + slope·t²/2 = tokens
            let root = (self.rate * self.rate + 2.0 * self.slope * tokens).sqrt();
            (root - self.rate) / self.slope
        };
        let millis = Duration::try_from_secs_f64((seconds * 1000.0).ceil() / 1000.0);
        millis.unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        burst: 4.0,
        per_second: 2.0,
    };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn bucket() -> Bucket {
        Bucket::new(SHAPE, Duration::from_secs(100), at(0))
    }

    fn wait_and_reserve(bucket: &mut Bucket, now: Timestamp) -> u128 {
        let wait = bucket.wait(now).as_millis();
        bucket.reserve(now);
        wait
    }

    #[test]
    fn the_burst_leaves_at_once_and_the_rest_at_the_rate() {
        let mut bucket = bucket();
        let waits: Vec<u128> = (0..7)
            .map(|_| wait_and_reserve(&mut bucket, at(0)))
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 500, 1000, 1500]);
        assert_eq!(bucket.wait(at(1500)).as_millis(), 500);
        assert_eq!(bucket.wait(at(60_000)).as_millis(), 0);
    }

    #[test]
    fn a_throttle_empties_the_bucket_and_halves_the_rate_which_recovers_slowly() {
        let mut bucket = bucket();
        bucket.throttled(at(0), at(0), 0.5);
        assert!((bucket.rate(at(0)) - 1.0).abs() < 1e-9);
        // At 1 token a second, a little less because the rate grows meanwhile.
        assert_eq!(bucket.wait(at(0)).as_millis(), 991);
        assert!((bucket.rate(at(25_000)) - 1.5).abs() < 1e-9);
        assert!((bucket.rate(at(50_000)) - 2.0).abs() < 1e-9);
        assert!((bucket.rate(at(900_000)) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn answers_to_calls_from_before_the_cut_do_not_cut_again() {
        let mut bucket = bucket();
        for left in 0..5 {
            bucket.throttled(at(left), at(100), 0.5);
        }
        assert!((bucket.rate(at(100)) - 1.0).abs() < 1e-9);
        bucket.throttled(at(101), at(101), 0.5);
        assert!(bucket.rate(at(101)) < 0.51);
    }

    #[test]
    fn the_rate_does_not_fall_to_nothing() {
        let mut bucket = bucket();
        for n in 0..50 {
            bucket.throttled(at(n * 10), at(n * 10), 0.5);
        }
        assert!(bucket.rate(at(500)) >= 2.0 * LEAST);
        assert!(bucket.wait(at(500)) < Duration::from_secs(35));
    }

    #[test]
    fn a_bucket_that_earns_nothing_lets_its_burst_through_and_no_more() {
        let shape = Shape {
            burst: 0.0,
            per_second: 0.0,
        };
        let mut bucket = Bucket::new(shape, Duration::ZERO, at(0));
        assert_eq!(wait_and_reserve(&mut bucket, at(0)), 0);
        assert_eq!(bucket.wait(at(1)), Duration::MAX);
    }
}
