//! Subnets that run dry, run into pieces, or have a better one beside them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::time::Duration;

use common::pool::{
    Holdings, add_patiently, assert_addresses_are_the_nodes, assert_connected, calls_of,
    config_with, eventually, now, occupy, up, vacate,
};
use futures_util::future::join_all;
use vpc_lab::demo::stage::Demo;
use vpc_lab::{CniCall, Verb};
use vpc_sim::Occupation;
use vpc_sim::calls::Call;

/// How long the subnet stays dry.
const DRY: Duration = Duration::from_secs(12);

/// How long pods may take to start once there are addresses: the pause that the last refusal in
/// [`DRY`] leads to, with plenty of room.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn pods_wait_while_the_subnet_is_dry_and_start_by_themselves_when_addresses_come_back() {
    let demo = up(config_with("dry", &[("WARM_IP_TARGET", "1")])).await;
    let subnet = demo.node(1).subnet().clone();
    let warm = eventually("a warm address", PATIENCE, || {
        let held = Holdings::of(&demo, 1).addresses.len();
        (held > 0).then_some(held)
    })
    .await;
    occupy(&demo, &subnet, Occupation::AllBut { left: 0 });
    let dry_from = now(&demo);
    demo.add_pods(1, 0, warm).await.expect("the warm addresses");

    let names = ["waits-a", "waits-b", "waits-c"];
    let waiting = join_all(names.map(|name| add_patiently(&demo, 1, name, PATIENCE)));
    let meanwhile = async {
        let reason = refusal_of_an_add(&demo).await;
        while now(&demo).since(dry_from) < DRY {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let calls = calls_of(&demo, 1, dry_from);
        let span = now(&demo).since(dry_from);
        vacate(&demo, &subnet);
        (reason, calls, span)
    };
    let (pods, (reason, calls, span)) = tokio::join!(waiting, meanwhile);

    let code = "InsufficientFreeAddressesInSubnet";
    assert!(reason.contains(code), "{reason}");
    let refused = |call: &&Call| call.error.as_deref() == Some(code);
    let refusals = calls.iter().filter(refused).count();
    let most = most_calls(span);
    assert!((2..=most).contains(&refusals), "most {most}: {calls:#?}");
    assert!(calls.len() <= most + 1, "most {most}: {calls:#?}");
    for pod in &pods {
        assert!(pod.attempts > 1, "{} did not wait", pod.name());
    }
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;
    assert!(reason.contains(subnet.as_str()), "{reason}");
    demo.down().await.expect("a clean end");
}

/// What a runtime is told when it asks for a pod's address now.
async fn refusal_of_an_add(demo: &Demo) -> String {
    let node = demo.node(1);
    let sandbox = node.sandbox("asks").await.expect("a sandbox");
    let call = |verb| CniCall {
        verb,
        sandbox: sandbox.clone(),
        previous: None,
        extra_env: Default::default(),
    };
    let output = node.cni(call(Verb::Add)).await.expect("an execution");
    let error = output.result(Verb::Add).expect_err("no address");
    assert!(error.is_try_again_later(), "{error:?}");
    node.cni(call(Verb::Del)).await.expect("an execution");
    node.remove_sandbox(&sandbox).await.expect("a removal");
    vpc_lab::text::chain(&error)
}

/// The most calls that the back-off allows in a time: one for several addresses that is repeated
/// at once for one, and then one at the end of each pause: 1 s, doubling up to 120 s.
fn most_calls(span: Duration) -> usize {
    let (mut calls, mut pause, mut at) = (2, 1, 1);
    while Duration::from_secs(at) <= span {
        calls += 1;
        pause = (pause * 2).min(120);
        at += pause;
    }
    calls
}
