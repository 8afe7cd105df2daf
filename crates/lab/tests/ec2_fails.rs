//! A node whose EC2 fails at random, and one whose instance metadata lags far behind.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::pool::{
    Holdings, add_patiently, assert_addresses_are_the_nodes, assert_connected,
    assert_keep_addresses, calls_of, config_with, delete, env, eventually, now, up,
};
use futures_util::future::join_all;
use vpc_aws::BudgetConfig;
use vpc_aws::budget::{Call, Scope};
use vpc_lab::demo::stage::Demo;
use vpc_sim::Span;
use vpc_sim::fault::{Effect, Fault};

/// More pods than two ENIs of an m5.4xlarge have addresses for.
const PODS: usize = 60;

/// The share of calls that each of four faults affects: 30 % in all.
const SHARE: f64 = 0.075;

/// The most calls for each pod that came and went, repeated ones and those for ENIs included.
const MOST_PER_POD: usize = 4;

/// How far instance metadata is behind in the second test: longer than that test takes.
const BEHIND: Span = Span::millis(60_000, 60_000);

/// How long EC2 may take for anything while it fails like that: calls that take ten seconds, and
/// pauses after refusals.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test]
async fn a_node_comes_through_an_ec2_that_fails_at_random() {
    let mut config = config_with("fails", &[("WARM_IP_TARGET", "2")]);
    config.instance_type = Some("m5.4xlarge".parse().expect("a type"));
    let demo = up(config).await;
    let others = demo.eni_count() - 1;
    let start = now(&demo);
    for effect in faults() {
        demo.lab().sim().add_fault(Fault {
            action: None,
            count: None,
            probability: Some(SHARE),
            effect,
        });
    }
    let names: Vec<String> = (0..PODS).map(|number| format!("n1-{number}")).collect();
    let mut pods = Vec::new();
    for some in names.chunks(10) {
        let adds = some
            .iter()
            .map(|name| add_patiently(&demo, 1, name, PATIENCE));
        pods.extend(join_all(adds).await);
    }
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;
    delete(&demo, &pods).await;
    eventually("everything but the targets to go back", PATIENCE, || {
        let held = Holdings::of(&demo, 1);
        let enis = demo.eni_count() - others;
        (enis == 1 && held.addresses.len() <= 2).then_some(())
    })
    .await;
    print_and_judge(&demo, start);
    demo.lab().sim().clear_faults();
    let pod = add_patiently(&demo, 1, "after", PATIENCE).await;
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;
    delete(&demo, &[pod]).await;
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn with_metadata_a_minute_behind_restarts_take_no_address_from_a_pod() {
    let mut config = config_with("behind", &[("WARM_IP_TARGET", "2")]);
    config.world.imds_lag = BEHIND;
    let demo = up(config).await;
    // Two ENIs, of which metadata shows the first, and of its addresses none.
    let mut pods = demo.add_pods(1, 0, 12).await.expect("pods");
    demo.restart(1, &env(&[])).await.expect("a restart");
    assert_keep_addresses(&demo, 1, &pods).await;
    assert_connected(&demo, 1).await;

    // More come and some go, so that metadata shows what is gone and not what is there.
    delete(&demo, &pods.split_off(8)).await;
    pods.extend(demo.add_pods(1, 12, 6).await.expect("pods"));
    demo.node(1).kill_ipamd().await.expect("an end");
    demo.start(1, &env(&[])).await.expect("a daemon");
    assert_keep_addresses(&demo, 1, &pods).await;
    pods.push(add_patiently(&demo, 1, "late", PATIENCE).await);
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;
    delete(&demo, &pods).await;
    demo.down().await.expect("a clean end");
}

/// What EC2 does on a bad day.
fn faults() -> [Effect; 4] {
    let error = |code: &str, status| Effect::Error {
        code: code.to_owned(),
        status,
        message: format!("{code} on a bad day"),
    };
    [
        error("RequestLimitExceeded", 503),
        error("InternalError", 500),
        Effect::LostResponse,
        Effect::Delay { millis: 10_000 },
    ]
}

/// Prints how often the node called what, and holds it to the node's budget.
fn print_and_judge(demo: &Demo, start: vpc_model::Timestamp) {
    let span = now(demo).since(start);
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for call in calls_of(demo, 1, start) {
        let (all, failed) = counts.entry(call.action).or_default();
        *all += 1;
        *failed += usize::from(call.error.is_some());
    }
    println!("EC2 calls of the node in {span:?}, for {PODS} pods that came and went:");
    for (action, (all, failed)) in &counts {
        let budget = budget_of(action, span);
        println!("  {action:<36} {all:>4}, {failed:>3} refused; the budget is {budget:.0}");
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let within = *all as f64 <= budget;
        assert!(
            within,
            "{action}: {all} calls in {span:?}, allowed {budget}"
        );
    }
    let all: usize = counts.values().map(|(all, _)| all).sum();
    assert!((1..=MOST_PER_POD * PODS).contains(&all), "{all} calls");
}

/// How often a node may call an action in a time.
fn budget_of(action: &str, span: Duration) -> f64 {
    let action: &'static str = Box::leak(action.to_owned().into_boxed_str());
    let scope = Scope::Part;
    let node = BudgetConfig::NODE;
    let shape = (node.shapes)(Call { action, scope }).share(node.one_in);
    shape.burst.max(1.0) + shape.per_second * span.as_secs_f64()
}
