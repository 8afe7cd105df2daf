//! A node on which upstream's daemon ran before, known by the file it left.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use common::pool::{
    add_patiently, assert_addresses_are_the_nodes, assert_connected, assert_keep_addresses,
    config_with, delete, enis, env, says, up,
};
use serde_json::{Value, json};
use vpc_lab::Pod;
use vpc_lab::demo::stage::Demo;
use vpc_lab::probe::stream::Stream;
use vpc_sim::Span;

/// How long EC2 and the node may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// More pods than the primary ENI has addresses for.
const PODS: usize = 12;

/// What the daemon says as it takes pods over.
const TOOK_OVER: &str = "took over from upstream's checkpoint";

#[tokio::test]
async fn a_node_of_upstreams_is_taken_over_with_its_pods_and_given_back() {
    let mut config = config_with("takeov", &[("WARM_IP_TARGET", "2")]);
    // Upstream had run for so long that metadata knows all it did.
    config.world.imds_lag = Span::ZERO;
    let demo = up(config).await;
    let mut pods = demo.add_pods(1, 0, PODS).await.expect("pods");
    let file = becomes_upstreams(&demo, &pods).await;
    demo.start(1, &env(&[])).await.expect("a daemon");
    takes_over(&demo, pods.len()).await;
    assert_keep_addresses(&demo, 1, &pods).await;
    assert_connected(&demo, 1).await;
    delete(&demo, &pods.split_off(9)).await;
    pods.extend(demo.add_pods(1, PODS, 5).await.expect("pods"));
    pods.push(add_patiently(&demo, 1, "late", PATIENCE).await);
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;

    let node = demo.node(1);
    node.stop_ipamd().await.expect("an end");
    let bytes = fs::read(&file).expect("a checkpoint");
    assert_lists(&bytes, &pods);
    // What upstream could read, we can.
    only(&file, &bytes);
    demo.start(1, &env(&[])).await.expect("a daemon");
    takes_over(&demo, pods.len()).await;
    assert_keep_addresses(&demo, 1, &pods).await;
    assert_connected(&demo, 1).await;
    delete(&demo, &pods).await;
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn pods_of_an_eni_that_metadata_does_not_show_yet_stay_connected() {
    let mut config = config_with("laggy", &[("WARM_IP_TARGET", "2")]);
    // Far longer than a daemon takes to end and start.
    config.world.imds_lag = Span::millis(8_000, 8_000);
    let demo = up(config).await;
    let pods = demo.add_pods(1, 0, PODS).await.expect("pods");
    let second = enis(&demo, 1).pop().expect("an ENI");
    assert_ne!(second.device.0, 0);
    let on_it = |pod: &&Pod| second.addresses.contains(&pod.address);
    let pod = pods.iter().find(on_it).expect("a pod on it");
    let from = demo.node(2).netns();
    let stream = Stream::start(from, pod.address).await.expect("a stream");
    stream.settle(10).await;

    becomes_upstreams(&demo, &pods).await;
    demo.start(1, &env(&[])).await.expect("a daemon");
    says(
        &demo,
        1,
        &["ENI is in the pool", second.id.as_str(), "\"device\":1"],
        PATIENCE,
    )
    .await;
    stream.settle(10).await;
    assert_eq!(stream.so_far().lost(), 0, "{:?}", stream.so_far());
    assert_keep_addresses(&demo, 1, &pods).await;
    assert_connected(&demo, 1).await;
    demo.down().await.expect("a clean end");
}

/// Stops the first node's daemon and leaves what upstream's would have left; the file.
async fn becomes_upstreams(demo: &Demo, pods: &[Pod]) -> PathBuf {
    let node = demo.node(1);
    node.stop_ipamd().await.expect("an end");
    let file = node.dir().join("run").join("ipam.json");
    let allocations: Vec<Value> = pods.iter().map(entry).collect();
    let text = json!({"version": "vpc-cni-ipam/1", "allocations": allocations});
    only(&file, format!("{text}\n").as_bytes());
    fs::remove_file(node.ipamd_log()).expect("no log");
    file
}

/// Makes a file the only one in its folder.
fn only(file: &PathBuf, bytes: &[u8]) {
    let folder = file.parent().expect("a folder");
    fs::remove_dir_all(folder).expect("no state");
    fs::create_dir(folder).expect("a folder");
    fs::write(file, bytes).expect("a file");
}

async fn takes_over(demo: &Demo, pods: usize) {
    let count = format!("\"pods\":{pods}");
    says(demo, 1, &[TOOK_OVER, &count], PATIENCE).await;
}

/// A checkpoint lists these pods, as upstream would.
fn assert_lists(bytes: &[u8], pods: &[Pod]) {
    let written: Value = serde_json::from_slice(bytes).expect("JSON");
    assert_eq!(written["version"], "vpc-cni-ipam/1");
    let mut expected: Vec<Value> = pods.iter().map(entry).collect();
    let mut found = written["allocations"].as_array().expect("a list").clone();
    for list in [&mut expected, &mut found] {
        list.sort_by_key(|entry| entry["containerID"].to_string());
        for entry in list {
            // When it was is upstream's or ours, but there.
            assert!(entry["allocationTimestamp"].take().as_u64() > Some(0));
        }
    }
    assert_eq!(found, expected);
}

/// A pod as upstream records it.
fn entry(pod: &Pod) -> Value {
    json!({
        "networkName": "aws-cni",
        "containerID": pod.container_id(),
        "ifName": "eth0",
        "ipv4": pod.address,
        "allocationTimestamp": 1_692_300_000_123_456_789_u64,
        "metadata": {
            "k8sPodNamespace": "default",
            "k8sPodName": pod.name(),
            "interfacesCount": 1,
        },
    })
}
