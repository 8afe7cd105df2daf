//! The claims judge: when something they are about is broken behind the daemon's back, they fail.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{assert_holds, config, demo_with_pods};
use vpc_lab::demo::claims::{addresses, inside, metadata, outside, spoofing, teardown};
use vpc_lab::demo::stage::{Demo, EniKind};
use vpc_lab::demo::table::{Outcome, Verdict};
use vpc_lab::probe::namespace::within;

/// Enough that both kinds of ENI have pods.
const PODS: usize = 12;

#[tokio::test]
async fn claims_fail_when_the_kernel_state_they_judge_is_broken() {
    let demo = demo_with_pods("sabot", PODS).await;
    // Nobody may repair what is broken here.
    for number in [1, 2] {
        demo.node(number).kill_ipamd().await.expect("a dead daemon");
    }
    assert_holds(inside::pods_of_two_nodes_reach_each_other(&demo).await);
    let node = demo.node(1).netns().to_owned();
    let secondary = demo.pods_on(1, EniKind::Secondary).expect("pods").remove(0);
    let primary = demo.pods_on(1, EniKind::Primary).expect("pods").remove(0);

    // Without its from-rule the pod leaves by the primary ENI, where its address is a lie.
    run(
        &node,
        &format!("ip rule del from {} priority 1536", secondary.address),
    )
    .await;
    assert_fails(&inside::pods_of_two_nodes_reach_each_other(&demo).await);
    assert_fails(&addresses::are_wired_as_upstream_wires_them(&demo).await);

    // Without the table nobody translates, and the gateway drops what is not translated.
    run(&node, "nft delete table ip aws-cni").await;
    assert_fails(&outside::sees_the_nodes_primary_address(&demo).await);

    // A pod that takes another pod's address shows up as what it is not.
    let stolen = primary.address;
    run(&node, &format!("ip rule del to {stolen} priority 512")).await;
    run(&node, &format!("ip route del {stolen}")).await;
    assert_fails(&inside::pods_of_one_node_reach_each_other(&demo).await);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn claims_fail_when_the_vpc_lets_pass_what_it_must_not() {
    let mut config = config("sabotb");
    config.imds_hop_limit = 2;
    let demo = Demo::up(config, |_| {}).await.expect("a lab");
    let (one, two) = tokio::join!(demo.add_pods(1, 0, PODS), demo.add_pods(2, 0, PODS));
    one.expect("pods on node1");
    two.expect("pods on node2");
    assert_fails(&metadata::answers_nodes_and_not_pods(&demo).await);

    run(demo.lab().router(), "nft insert rule ip vpc sources accept").await;
    assert_fails(&spoofing::is_stopped_by_the_vpc(&demo).await);

    // A veth that nobody takes away.
    run(
        demo.node(1).netns(),
        "ip link add enileft type veth peer name left",
    )
    .await;
    assert_fails(&teardown::leaves_no_trace(&demo).await);
    demo.down().await.expect("a clean end");
}

#[track_caller]
fn assert_fails(verdicts: &[Verdict]) {
    let failed = verdicts
        .iter()
        .any(|verdict| verdict.outcome == Outcome::Failed);
    assert!(failed, "all of these still hold: {verdicts:?}");
}

/// Runs a command line inside a namespace.
async fn run(netns: &Path, line: &str) {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let status = within(netns, move || {
        Command::new(&words[0]).args(&words[1..]).status()
    });
    let status = status.await.expect("the namespace").expect("a program");
    assert!(status.success(), "{line}");
}
