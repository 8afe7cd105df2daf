//! What the limiter promises, for any history of calls.

use proptest::prelude::*;

use super::*;
use crate::budget::{Scope, Shape};

const ATTACH: Call = Call {
    action: "AttachNetworkInterface",
    scope: Scope::Part,
};
const TAG: Call = Call {
    action: "CreateTags",
    scope: Scope::Part,
};
const LONG: Duration = Duration::from_secs(100_000);

fn config(burst: f64, per_second: f64) -> BudgetConfig {
    // A function cannot carry numbers: two shapes that cover the interesting cases.
    let small = |_| Shape {
        burst: 3.0,
        per_second: 0.5,
    };
    let large = |_| Shape {
        burst: 20.0,
        per_second: 10.0,
    };
    let shapes: fn(Call) -> Shape = if burst < 10.0 { small } else { large };
    let shape = shapes(ATTACH);
    assert_eq!((shape.burst, shape.per_second), (burst, per_second));
    BudgetConfig {
        shapes,
        ..BudgetConfig::WHOLE
    }
}

/// Something that happens: after a pause a call is wanted, and perhaps throttled when it leaves.
#[derive(Debug, Clone)]
struct Step {
    pause: u64,
    throttled: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u64..4000, any::<bool>(), 0u8..4).prop_map(|(pause, throttled, kind)| Step {
        // Most calls come in bursts.
        pause: if kind == 0 { pause } else { 0 },
        throttled,
    });
    proptest::collection::vec(step, 1..150)
}

/// Plays the steps; the moments at which calls left.
fn play(limiter: &mut Limiter, steps: &[Step], with_throttling: bool) -> Vec<u64> {
    let mut now = 0;
    let mut departures = Vec::new();
    for step in steps {
        now += step.pause;
        let at = Timestamp::from_millis(now);
        let wait = limiter.reserve(ATTACH, at, LONG).unwrap();
        departures.push((at + wait).as_millis());
        if with_throttling && step.throttled {
            limiter.record(ATTACH, at, at, THROTTLED);
        }
    }
    departures
}

proptest! {
    #[test]
    fn no_window_sees_more_than_the_burst_and_the_rate_allow(steps in steps(), throttling: bool) {
        for (burst, rate) in [(3.0, 0.5), (20.0, 10.0)] {
            let mut limiter = Limiter::new(config(burst, rate), Timestamp::ZERO, 0);
            let left = play(&mut limiter, &steps, throttling);
            for (first, start) in left.iter().enumerate() {
                for (last, end) in left.iter().enumerate().skip(first) {
                    let seconds = end.saturating_sub(*start) as f64 / 1000.0;
                    let sent = (last - first + 1) as f64;
                    prop_assert!(sent <= burst + rate * seconds + 0.02, "{sent} in {seconds} s");
                }
            }
        }
    }

    #[test]
    fn who_asks_first_leaves_first(steps in steps()) {
        let mut limiter = Limiter::new(config(3.0, 0.5), Timestamp::ZERO, 0);
        let left = play(&mut limiter, &steps, false);
        prop_assert!(left.is_sorted(), "{left:?}");
    }

    #[test]
    fn throttling_never_makes_anything_leave_earlier(steps in steps()) {
        let mut calm = Limiter::new(config(3.0, 0.5), Timestamp::ZERO, 0);
        let mut throttled = calm.clone();
        let calm = play(&mut calm, &steps, false);
        let throttled = play(&mut throttled, &steps, true);
        for (without, with) in calm.iter().zip(&throttled) {
            prop_assert!(with >= without);
        }
    }

    #[test]
    fn after_the_last_throttle_everything_is_as_before_within_the_recovery(steps in steps()) {
        let mut limiter = Limiter::new(config(20.0, 10.0), Timestamp::ZERO, 0);
        let last = play(&mut limiter, &steps, true).into_iter().max().unwrap();
        let later = Timestamp::from_millis(last) + BudgetConfig::WHOLE.recovery;
        if let Some(rate) = limiter.rates(later).get(&ATTACH) {
            prop_assert!((rate - 10.0).abs() < 1e-6, "{rate}");
        }
        for _ in 0..20 {
            let wait = limiter.reserve(ATTACH, later, LONG).unwrap();
            prop_assert_eq!(wait, Duration::ZERO);
        }
    }

    #[test]
    fn a_clock_that_jumps_never_gives_more_and_never_blocks(times in proptest::collection::vec(0u64..5000, 1..100)) {
        let mut limiter = Limiter::new(config(3.0, 0.5), Timestamp::ZERO, 0);
        let latest = *times.iter().max().unwrap();
        let mut at_once = 0;
        for time in &times {
            let wait = limiter.reserve(ATTACH, Timestamp::from_millis(*time), LONG).unwrap();
            at_once += u64::from(wait.is_zero());
        }
        prop_assert!(at_once as f64 <= 3.0 + 0.5 * latest as f64 / 1000.0 + 0.02);
    }
}

#[test]
fn a_caller_without_patience_reserves_nothing() {
    let mut limiter = Limiter::new(config(3.0, 0.5), Timestamp::ZERO, 0);
    for _ in 0..3 {
        limiter
            .reserve(ATTACH, Timestamp::ZERO, Duration::ZERO)
            .unwrap();
    }
    let patience = Duration::from_secs(1);
    for _ in 0..5 {
        let error = limiter
            .reserve(ATTACH, Timestamp::ZERO, patience)
            .unwrap_err();
        let wait = Duration::from_secs(2);
        assert_eq!(error, OverBudget { wait, patience });
    }
    assert_eq!(
        limiter.reserve(ATTACH, Timestamp::ZERO, LONG).unwrap(),
        Duration::from_secs(2)
    );
    let counts = &limiter.counts()[&ATTACH];
    assert_eq!(
        (counts.held_back, counts.waited),
        (5, Duration::from_secs(2))
    );
}

#[test]
fn actions_do_not_share_buckets() {
    let mut limiter = Limiter::new(config(3.0, 0.5), Timestamp::ZERO, 0);
    for _ in 0..10 {
        limiter.reserve(ATTACH, Timestamp::ZERO, LONG).unwrap();
    }
    limiter.record(ATTACH, Timestamp::ZERO, Timestamp::ZERO, THROTTLED);
    let wait = limiter.reserve(TAG, Timestamp::ZERO, Duration::ZERO);
    assert_eq!(wait, Ok(Duration::ZERO));
}

#[test]
fn the_start_is_delayed_by_chance_within_the_jitter() {
    let jitter = Duration::from_secs(2);
    let config = BudgetConfig {
        start_jitter: jitter,
        ..BudgetConfig::NODE
    };
    let first = |random| {
        let mut limiter = Limiter::new(config.clone(), Timestamp::from_millis(7), random);
        let now = Timestamp::from_millis(7);
        limiter.reserve(ATTACH, now, LONG).unwrap()
    };
    assert_eq!(first(0), Duration::ZERO);
    assert_eq!(first(1500), Duration::from_millis(1500));
    assert_eq!(first(2000), jitter);
    for random in [2001, u64::MAX, u64::MAX / 3] {
        assert!(first(random) <= jitter);
    }
}

#[test]
fn outcomes_are_counted_per_call() {
    let mut limiter = Limiter::new(BudgetConfig::WHOLE, Timestamp::ZERO, 0);
    let now = Timestamp::ZERO;
    for (call, outcome) in [
        (TAG, "ok"),
        (TAG, "ok"),
        (TAG, "server"),
        (ATTACH, THROTTLED),
    ] {
        limiter.reserve(call, now, LONG).unwrap();
        limiter.record(call, now, now + Duration::from_millis(300), outcome);
    }
    let of_tag = &limiter.counts()[&TAG];
    assert_eq!(of_tag.outcomes, BTreeMap::from([("ok", 2), ("server", 1)]));
    assert_eq!(of_tag.sent(), 3);
    assert_eq!(of_tag.took, Duration::from_millis(900));
    assert_eq!(
        limiter.counts()[&ATTACH].outcomes,
        BTreeMap::from([(THROTTLED, 1)])
    );
}

#[test]
fn the_outcome_that_slows_down_is_the_one_of_throttled_answers() {
    assert_eq!(crate::ErrorKind::Throttled.label(), THROTTLED);
}

#[test]
fn how_long_tries_took_is_kept_by_outcome() {
    let mut limiter = Limiter::new(config(3.0, 0.5), Timestamp::ZERO, 0);
    let at = Timestamp::from_millis;
    limiter.record(ATTACH, at(0), at(25), "ok");
    limiter.record(ATTACH, at(0), at(26), "ok");
    limiter.record(ATTACH, at(0), at(60_000), "server");
    let latencies = &limiter.counts()[&ATTACH].latencies;
    assert_eq!(latencies["ok"].sum, Duration::from_millis(51));
    assert_eq!(latencies["ok"].buckets[..3], [1, 1, 0]);
    assert_eq!(latencies["server"].buckets.last(), Some(&1));
    assert_eq!(latencies["server"].count(), 1);
}
