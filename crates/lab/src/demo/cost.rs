//! What it cost: times of the plugin, calls to EC2.

use std::time::Duration;

use super::check::{Refuted, seen};
use super::stage::Demo;
use super::table::Figure;

/// How many pods are added and deleted for the times, one after the other.
const SERIES: usize = 50;

/// The node that is timed.
const TIMED: usize = 2;

/// Times ADD and DEL, exec to exit of the plugin, one at a time, with free addresses at hand and
/// the demo's other pods on the node. The daemon is restarted without a cooldown for this, so that
/// the series never waits for an address.
///
/// # Errors
/// The first ADD or DEL that failed.
pub async fn times(demo: &Demo) -> Result<Vec<Figure>, Refuted> {
    let env = [("IP_COOLDOWN_PERIOD".to_owned(), "0".to_owned())];
    demo.restart(TIMED, &env.into()).await?;
    let node = demo.node(TIMED);
    let others = demo.pods(TIMED)?.len();
    let mut adds = Vec::new();
    let mut dels = Vec::new();
    for index in 0..SERIES {
        let pod = node.add_pod(&format!("timed{index}")).await?;
        adds.push(pod.add_time);
        dels.push(node.del_pod(&pod).await?);
    }
    let figure = |verb: &str, times: &mut Vec<Duration>| {
        Some(Figure {
            name: format!("{verb}, exec to exit"),
            value: format!(
                "p50 {}, p99 {} ({SERIES} in a row beside {others} pods)",
                milliseconds(percentile(times, 50)?),
                milliseconds(percentile(times, 99)?)
            ),
        })
    };
    let figures = [figure("ADD", &mut adds), figure("DEL", &mut dels)];
    figures
        .into_iter()
        .collect::<Option<_>>()
        .ok_or_else(|| seen("nothing was timed"))
}

/// How often each EC2 action was called so far.
#[must_use]
pub fn calls(demo: &Demo) -> Figure {
    let calls = demo.lab().sim().calls();
    let total = calls.total();
    let each: Vec<String> = calls
        .actions
        .keys()
        .map(|action| format!("{action} {}", calls.of(action)))
        .collect();
    Figure {
        name: "EC2 calls, both nodes".into(),
        value: format!("{total}: {}", each.join(", ")),
    }
}

/// The time that `percent` of the sorted times do not exceed (nearest rank).
fn percentile(times: &mut [Duration], percent: usize) -> Option<Duration> {
    times.sort();
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times.get(rank - 1).copied()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut times: Vec<Duration> = (1..=50).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 50), Some(Duration::from_millis(25)));
        assert_eq!(percentile(&mut times, 99), Some(Duration::from_millis(50)));
        assert_eq!(
            percentile(&mut times[..1], 1),
            Some(Duration::from_millis(1))
        );
        assert_eq!(percentile(&mut [], 50), None);
    }
}
