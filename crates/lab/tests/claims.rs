//! The demo's claims, each in a lab of its own with the real daemon and plugin.
//!
//! Twelve pods on a node are more than its primary ENI has addresses for, so both kinds of ENI
//! take part.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use common::{assert_holds, demo_with_pods};
use vpc_lab::demo::claims::{
    addresses, cooldown, daemon, inside, metadata, nodes, outside, spoofing, teardown,
};

const PODS: usize = 12;

/// All the pods an m5.large has addresses for: three ENIs of ten, less their own.
const FULL: usize = 27;

#[tokio::test]
async fn a_node_that_runs_out_of_addresses_attaches_further_enis_and_wires_pods_as_upstream_does() {
    let demo = demo_with_pods("wired", 0).await;
    assert_holds(addresses::pods_come_up(&demo).await);
    assert_holds(addresses::are_of_the_nodes_enis(&demo).await);
    assert_holds(addresses::are_wired_as_upstream_wires_them(&demo).await);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn pods_and_nodes_reach_each_other_with_their_own_addresses() {
    let demo = demo_with_pods("inside", PODS).await;
    assert_holds(inside::pods_of_one_node_reach_each_other(&demo).await);
    assert_holds(inside::pods_of_two_nodes_reach_each_other(&demo).await);
    assert_holds(inside::jumbo_frames_pass_unfragmented(&demo).await);
    assert_holds(nodes::pods_and_nodes_reach_each_other(&demo).await);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn the_outside_sees_the_nodes_primary_address() {
    let demo = demo_with_pods("outsid", PODS).await;
    assert_holds(nodes::nodes_own_traffic_is_untouched(&demo).await);
    assert_holds(outside::sees_the_nodes_primary_address(&demo).await);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn with_external_snat_the_outside_sees_the_pods_own_address() {
    let demo = demo_with_pods("exsnat", PODS).await;
    assert_holds(outside::sees_the_pods_own_address_with_external_snat(&demo).await);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn lies_about_the_source_and_questions_for_credentials_go_nowhere() {
    let demo = demo_with_pods("nowher", PODS).await;
    assert_holds(spoofing::is_stopped_by_the_vpc(&demo).await);
    assert_holds(metadata::answers_nodes_and_not_pods(&demo).await);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn a_daemon_killed_while_pods_come_and_go_loses_neither_packets_nor_addresses() {
    let demo = demo_with_pods("killed", PODS).await;
    assert_holds(daemon::may_be_killed(&demo).await);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn a_released_address_is_not_handed_out_again_within_the_cooldown() {
    let demo = demo_with_pods("rest", 0).await;
    demo.add_pods(1, 0, FULL).await.expect("a full node");
    assert_holds(cooldown::passes_before_an_address_is_given_out_again(&demo).await);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn deleted_pods_leave_no_trace_and_their_enis_go_back() {
    let demo = demo_with_pods("delete", PODS).await;
    assert_holds(teardown::leaves_no_trace(&demo).await);
    assert_holds(teardown::gives_enis_back(&demo).await);
    demo.down().await.expect("a clean end");
}
