//! In which subnet a node's new ENIs are.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use common::console;
use common::pool::{
    assert_addresses_are_the_nodes, assert_connected, calls_of, config_with, enis, env, up,
};
use vpc_lab::Daemons;
use vpc_lab::demo::stage::Demo;
use vpc_model::Timestamp;
use vpc_sim::fault::{Effect, Fault};

/// EC2's code for a call that the node's role does not allow.
const DENIED: &str = "UnauthorizedOperation";

/// More than the primary ENI has addresses for.
const PODS: usize = 14;

#[tokio::test]
async fn new_enis_are_in_the_tagged_subnet_with_most_free_addresses() {
    let demo = second_subnet("discov", Some("1")).await;
    let enis = enis_for_pods(&demo).await;
    let own = demo.node(1).subnet();
    assert!(enis.len() >= 2, "{enis:?}");
    for (subnet, device) in &enis {
        assert_eq!(subnet == own.as_str(), *device == 0, "{enis:?}");
    }
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn a_subnet_without_the_tag_is_not_used() {
    let demo = second_subnet("untag", None).await;
    all_in_the_nodes_own(&demo).await;
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn where_subnets_may_not_be_described_new_enis_are_in_the_nodes_own() {
    let demo = second_subnet("denied", Some("1")).await;
    demo.lab().sim().add_fault(Fault {
        action: Some("DescribeSubnets".to_owned()),
        count: None,
        probability: None,
        effect: Effect::Error {
            code: DENIED.to_owned(),
            status: 403,
            message: "You are not authorized to perform this operation.".to_owned(),
        },
    });
    all_in_the_nodes_own(&demo).await;
    let calls = calls_of(&demo, 1, Timestamp::ZERO);
    let denied = calls
        .iter()
        .any(|call| call.error.as_deref() == Some(DENIED));
    assert!(denied, "nobody asked: {calls:#?}");
    demo.down().await.expect("a clean end");
}

async fn all_in_the_nodes_own(demo: &Demo) {
    let enis = enis_for_pods(demo).await;
    let own = demo.node(1).subnet().as_str();
    assert!(enis.len() >= 2, "{enis:?}");
    assert!(enis.iter().all(|(subnet, _)| subnet == own), "{enis:?}");
    assert_connected(demo, 1).await;
}

/// Starts the daemons and pods; the subnets and device numbers of the first node's ENIs then.
async fn enis_for_pods(demo: &Demo) -> Vec<(String, u32)> {
    demo.start(1, &env(&[])).await.expect("a daemon");
    demo.start(2, &env(&[])).await.expect("a daemon");
    demo.add_pods(1, 0, PODS).await.expect("pods");
    let enis = enis(demo, 1);
    let place = |eni: &vpc_sim::FabricEni| (eni.subnet.to_string(), u32::from(eni.device.0));
    enis.iter().map(place).collect()
}

/// A lab whose first zone has a second, larger subnet, tagged for pods or not. No daemon runs yet.
async fn second_subnet(test: &str, tag: Option<&str>) -> Demo {
    let mut config = config_with(test, &[("WARM_IP_TARGET", "2")]);
    config.daemons = Daemons::ByHand;
    let demo = up(config).await;
    let subnet = console::subnet_beside(&demo, "10.0.64.0/22");
    if let Some(value) = tag {
        console::tag(&demo, &subnet, ("kubernetes.io/role/cni", value));
    }
    demo
}
