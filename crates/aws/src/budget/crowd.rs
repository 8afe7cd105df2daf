//! Many nodes that start in the same second, each with a limiter of its own, against one bucket of
//! AWS's: whether they find rates that fit, without talking to each other.

use std::collections::BTreeSet;
use std::time::Duration;

use vpc_model::Timestamp;

use super::*;
use crate::retry::RetryPolicy;

const ATTACH: Call = Call {
    action: "AttachNetworkInterface",
    scope: Scope::Part,
};

/// AWS's side: refuses what it has no token for.
struct Aws {
    shape: Shape,
    tokens: f64,
    settled: Timestamp,
    served: u32,
    refused: u32,
}

impl Aws {
    fn new(shape: Shape) -> Self {
        Self {
            shape,
            tokens: shape.burst,
            settled: Timestamp::ZERO,
            served: 0,
            refused: 0,
        }
    }

    fn serves(&mut self, now: Timestamp) -> bool {
        let earned = now.since(self.settled).as_secs_f64() * self.shape.per_second;
        self.tokens = (self.tokens + earned).min(self.shape.burst);
        self.settled = now;
        let served = self.tokens >= 1.0;
        if served {
            self.tokens -= 1.0;
            self.served += 1;
        } else {
            self.refused += 1;
        }
        served
    }
}

struct Node {
    limiter: Limiter,
    attempt: u32,
    wanted: u32,
}

/// When each node had everything it wanted, sorted; and AWS's counts.
fn run(nodes: u64, wanted: u32, config: &BudgetConfig) -> (Vec<u64>, Aws) {
    let mut aws = Aws::new(BudgetConfig::aws_shape(ATTACH));
    let mut chance = Chance::new(7);
    let mut crowd = Vec::new();
    // Departures: when, who.
    let mut due = BTreeSet::new();
    for who in 0..nodes {
        let mut node = Node {
            limiter: Limiter::new(config.clone(), Timestamp::ZERO, chance.next()),
            attempt: 0,
            wanted,
        };
        let now = Timestamp::from_millis(chance.next() % 1000);
        due.insert((now + reserve(&mut node, now), who));
        crowd.push(node);
    }
    let mut finished = Vec::new();
    while let Some((now, who)) = due.pop_first() {
        let node = &mut crowd[usize::try_from(who).unwrap()];
        let mut next = now;
        if aws.serves(now) {
            node.limiter.record(ATTACH, now, now, "ok");
            (node.wanted, node.attempt) = (node.wanted - 1, 0);
            if node.wanted == 0 {
                finished.push(now.as_millis() / 1000);
                continue;
            }
        } else {
            node.limiter.record(ATTACH, now, now, "throttled");
            node.attempt += 1;
            next = now + RetryPolicy::EC2.delay(node.attempt, chance.next());
        }
        let wait = reserve(node, next);
        due.insert((next + wait, who));
    }
    finished.sort_unstable();
    (finished, aws)
}

fn reserve(node: &mut Node, now: Timestamp) -> Duration {
    node.limiter.reserve(ATTACH, now, Duration::MAX).unwrap()
}

fn without_budget() -> BudgetConfig {
    BudgetConfig {
        shapes: |_| Shape {
            burst: 1e9,
            per_second: 1e9,
        },
        ..BudgetConfig::WHOLE
    }
}

#[test]
fn nodes_that_start_together_get_through_near_the_rate_of_aws_with_far_fewer_refusals() {
    for (nodes, wanted, refusals_saved) in [(1000, 1, 2), (1000, 3, 2), (200, 5, 3), (50, 20, 7)] {
        let (with, careful) = run(nodes, wanted, &BudgetConfig::NODE);
        let (without, careless) = run(nodes, wanted, &without_budget());
        let quantile = |times: &[u64], percent: usize| times[(times.len() - 1) * percent / 100];
        println!(
            "{wanted} calls each of {nodes} nodes: p50 {} s, p99 {} s, {} refused; without a \
             budget: p50 {} s, p99 {} s, {} refused",
            quantile(&with, 50),
            quantile(&with, 99),
            careful.refused,
            quantile(&without, 50),
            quantile(&without, 99),
            careless.refused
        );
        let total = u32::try_from(nodes).unwrap() * wanted;
        assert_eq!((careful.served, careless.served), (total, total));
        // AWS serves fifty at once and five a second: nobody can be faster.
        let best = u64::from(total - 50) / 5;
        assert!(quantile(&with, 100) < best * 5 / 4, "{best}");
        assert!(careful.refused * refusals_saved < careless.refused);
    }
}

#[test]
fn a_node_alone_is_hardly_slowed_down() {
    let (finished, aws) = run(1, 5, &BudgetConfig::NODE);
    assert_eq!(aws.refused, 0);
    assert!(finished[0] <= 3, "{finished:?}");
}
