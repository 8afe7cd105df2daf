//! Prefix delegation, and nodes that were launched with what they need.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::time::Duration;

use common::pool::{
    Holdings, assert_addresses_are_the_nodes, assert_connected, assert_keep_addresses, calls_of,
    config_with, delete, env, eventually, occupy, up, vacate,
};
use vpc_lab::{Daemons, Pod};
use vpc_model::{Ipv4Prefix, Timestamp};
use vpc_sim::fault::{Effect, Fault};
use vpc_sim::{Occupation, Secondary};

/// How many pods a node gets in prefix mode.
const MANY: usize = 200;

/// How many of them from before.
const BEFORE: usize = 8;

/// How long EC2 and the node may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than any of a node's own delays in these tests.
const REST: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_node_launched_with_a_prefix_serves_its_first_pod_without_a_call_to_ec2() {
    let settings = [
        ("ENABLE_PREFIX_DELEGATION", "true"),
        ("WARM_PREFIX_TARGET", "1"),
    ];
    let mut config = config_with("lprefix", &settings);
    config.launched_with = Secondary::Prefixes(1);
    config.daemons = Daemons::ByHand;
    let demo = up(config).await;
    let launched = Holdings::of(&demo, 1);
    // A call that was needed would fail.
    demo.lab().sim().add_fault(ec2_is_away());
    demo.start(1, &env(&[])).await.expect("a daemon");
    demo.start(2, &env(&[])).await.expect("a daemon");
    let calls = calls_of(&demo, 1, Timestamp::ZERO);
    assert!(calls.is_empty(), "before there was a pod: {calls:#?}");
    let pod = demo.add_pod(1, "first".to_owned()).await.expect("a pod");
    assert_eq!(pod.attempts, 1);
    assert!(launched.is_of_a_prefix(pod.address), "{launched:?}");
    assert_connected(&demo, 1).await;

    demo.lab().sim().clear_faults();
    eventually("a warm prefix", PATIENCE, || {
        (Holdings::of(&demo, 1).prefixes.len() == 2).then_some(())
    })
    .await;
    demo.down().await.expect("a clean end");
}

fn ec2_is_away() -> Fault {
    Fault {
        action: None,
        count: None,
        probability: None,
        effect: Effect::Error {
            code: "Unavailable".to_owned(),
            status: 503,
            message: "The service is unavailable.".to_owned(),
        },
    }
}

#[tokio::test]
async fn a_node_launched_with_a_prefix_that_meets_its_targets_makes_no_call_to_ec2() {
    let mut config = config_with(
        "lquiet",
        &[
            ("ENABLE_PREFIX_DELEGATION", "true"),
            ("WARM_IP_TARGET", "4"),
        ],
    );
    config.launched_with = Secondary::Prefixes(1);
    quiet_with_pods(config, 8).await;
}

#[tokio::test]
async fn a_node_launched_with_the_addresses_it_needs_makes_no_call_to_ec2() {
    let mut config = config_with("lsecond", &[("WARM_IP_TARGET", "3")]);
    config.launched_with = Secondary::Addresses(9);
    quiet_with_pods(config, 6).await;
}

/// Pods come, some time passes, and EC2 has not heard of the node.
async fn quiet_with_pods(config: vpc_lab::LabConfig, pods: usize) {
    let demo = up(config).await;
    let launched = Holdings::of(&demo, 1);
    demo.add_pods(1, 0, pods).await.expect("pods");
    tokio::time::sleep(REST).await;
    let calls = calls_of(&demo, 1, Timestamp::ZERO);
    assert!(calls.is_empty(), "{calls:#?}");
    assert_eq!(Holdings::of(&demo, 1), launched);
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn two_hundred_pods_in_prefixes_and_back_to_single_addresses_with_pods_alive() {
    let mut config = config_with("many", &[("WARM_IP_TARGET", "2")]);
    config.instance_type = Some("m5.4xlarge".parse().expect("a type"));
    config.subnet_length = 20.try_into().expect("a length");
    let demo = up(config).await;
    let old = demo.add_pods(1, 0, BEFORE).await.expect("pods");
    assert!(Holdings::of(&demo, 1).prefixes.is_empty());

    let prefixes = env(&[("ENABLE_PREFIX_DELEGATION", "true")]);
    demo.restart(1, &prefixes).await.expect("a restart");
    let new = demo.add_pods(1, BEFORE, MANY - BEFORE).await;
    let mut new = new.expect("pods");
    assert_addresses_are_the_nodes(&demo, 1);
    assert_keep_addresses(&demo, 1, &old).await;
    let held = Holdings::of(&demo, 1);
    let in_prefixes = |pods: &[Pod]| {
        let inside = pods.iter().filter(|pod| held.is_of_a_prefix(pod.address));
        inside.count()
    };
    assert_eq!(in_prefixes(&old), 0, "{held:?}");
    assert!(in_prefixes(&new) > MANY - 2 * BEFORE, "{held:?}");
    assert_connected(&demo, 1).await;

    demo.restart(1, &env(&[])).await.expect("a restart");
    assert_keep_addresses(&demo, 1, &old).await;
    new.sort_by_key(|pod| pod.address);
    let gone = new.split_off(MANY / 4);
    delete(&demo, &gone).await;
    let late = demo.add_pods(1, MANY, BEFORE).await.expect("pods");
    assert_addresses_are_the_nodes(&demo, 1);
    assert_keep_addresses(&demo, 1, &old).await;
    assert_keep_addresses(&demo, 1, &new).await;
    assert_connected(&demo, 1).await;

    // Only the prefixes with pods in them are left.
    let pods = [old, new, late].concat();
    eventually("the prefixes to go back", PATIENCE, || {
        let held = Holdings::of(&demo, 1);
        let used = |prefix: &Ipv4Prefix| pods.iter().any(|pod| prefix.contains(pod.address));
        held.prefixes.iter().all(used).then_some(())
    })
    .await;
    assert_addresses_are_the_nodes(&demo, 1);
    delete(&demo, &pods).await;
    eventually("everything but the targets to go back", PATIENCE, || {
        let held = Holdings::of(&demo, 1);
        (held.enis == 1 && held.prefixes.is_empty() && held.addresses.len() <= 2).then_some(())
    })
    .await;
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn without_a_free_block_pods_get_single_addresses_until_there_are_blocks_again() {
    let settings = [
        ("ENABLE_PREFIX_DELEGATION", "true"),
        ("WARM_PREFIX_TARGET", "1"),
    ];
    let mut config = config_with("pieces", &settings);
    config.instance_type = Some("m5.xlarge".parse().expect("a type"));
    let demo = up(config).await;
    let subnet = demo.node(1).subnet().clone();
    occupy(&demo, &subnet, Occupation::OneOfEachBlock);
    let before = Holdings::of(&demo, 1).prefixes;
    // More than its prefix has addresses for.
    let first = 16 * before.len() + 6;
    demo.add_pods(1, 0, first).await.expect("pods");
    let held = Holdings::of(&demo, 1);
    assert_eq!(held.prefixes, before);
    assert!(held.addresses.len() >= 6, "{held:?}");
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;

    vacate(&demo, &subnet);
    eventually("a prefix again", PATIENCE, || {
        (Holdings::of(&demo, 1).prefixes.len() > before.len()).then_some(())
    })
    .await;
    let late = demo.add_pods(1, first, 10).await.expect("pods");
    assert_addresses_are_the_nodes(&demo, 1);
    let held = Holdings::of(&demo, 1);
    let in_prefixes = late.iter().any(|pod| held.is_of_a_prefix(pod.address));
    assert!(in_prefixes, "{held:?}");
    assert_connected(&demo, 1).await;
    demo.down().await.expect("a clean end");
}
