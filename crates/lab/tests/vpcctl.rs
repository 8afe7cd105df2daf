//! What a node says of itself is what EC2 and the runtime know of it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::time::Duration;

use common::pool::{Holdings, config_with, eventually, occupy, up};
use serde_json::Value;
use vpc_lab::demo::stage::Demo;
use vpc_sim::Occupation;

/// How long EC2 and the node may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// More pods than the primary ENI of an m5.large has addresses for.
const PODS: usize = 12;

#[tokio::test]
async fn a_node_says_what_it_holds_and_why() {
    let demo = up(config_with("says", &[("WARM_IP_TARGET", "2")])).await;
    let pods = demo.add_pods(1, 0, PODS).await.expect("pods");
    let status = eventually("the node at rest", PATIENCE, || {
        let status = json(&demo, "status");
        let at_rest = status["coming"] == 0 && status["creating"] == Value::Array(Vec::new());
        (at_rest && status["addresses"]["free"] == 2).then_some(status)
    })
    .await;
    assert_eq!(status["ready"], true);
    assert_eq!(status["addresses"]["allocated"], PODS);
    let held = Holdings::of(&demo, 1);
    assert_eq!(status["addresses"]["total"], held.addresses.len());
    let enis = status["enis"].as_array().expect("ENIs");
    assert_eq!(enis.len(), held.enis);
    let told = enis
        .iter()
        .flat_map(|eni| eni["pods"].as_array().expect("pods"));
    let told: BTreeSet<_> = told.map(|pod| text(&pod["address"])).collect();
    let real = pods.iter().map(|pod| pod.address.to_string()).collect();
    assert_eq!(told, real);

    let why = String::from_utf8(vpcctl(&demo, &["explain"]).stdout).expect("text");
    for pod in &pods {
        assert!(why.contains(&pod.address.to_string()), "{why}");
    }
    for words in ["warm target of 2", "Wanted: ", "pods have addresses of it"] {
        assert!(why.contains(words), "no {words:?} in:\n{why}");
    }
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn a_node_says_what_holds_it_back() {
    let demo = up(config_with("heldb", &[("WARM_IP_TARGET", "2")])).await;
    let subnet = demo.node(1).subnet().clone();
    occupy(&demo, &subnet, Occupation::AllBut { left: 0 });
    demo.add_pods(1, 0, 1).await.expect("a pod");
    let held = eventually("a reason", PATIENCE, || {
        let status = json(&demo, "status");
        let held = status["held_back"].as_array().expect("a list").clone();
        held.into_iter().find(|held| held["name"] == "subnet_full")
    })
    .await;
    let reason = text(&held["reason"]);
    for words in [subnet.as_str(), "InsufficientFreeAddressesInSubnet"] {
        assert!(reason.contains(words), "no {words:?} in {reason:?}");
    }
    demo.down().await.expect("a clean end");
}

#[test]
fn a_node_without_a_daemon_is_named_with_a_remedy() {
    let output = run(&["status", "--socket", "/nonexistent/ipamd.sock"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("/nonexistent/ipamd.sock"), "{said}");
    assert!(
        said.contains("is the aws-node pod on this node running?"),
        "{said}"
    );
}

fn json(demo: &Demo, verb: &str) -> Value {
    let output = vpcctl(demo, &[verb, "--format", "json"]);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Asks the first node's daemon.
fn vpcctl(demo: &Demo, args: &[&str]) -> Output {
    let socket = demo.node(1).socket();
    let socket = socket.to_str().expect("a path of text");
    let output = run(&[args, &["--socket", socket]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output
}

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(common::program("vpcctl"));
    command.args(args).output().expect("an execution")
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}
