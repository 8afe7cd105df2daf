//! What somebody does to a node in EC2's console.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use common::console;
use common::pool::{
    Holdings, assert_addresses_are_the_nodes, assert_connected, assert_keep_addresses, config_with,
    delete, enis, eventually, says, up,
};
use vpc_lab::Pod;
use vpc_lab::demo::stage::Demo;
use vpc_sim::FabricEni;

/// How long EC2 and the node may take for anything. What a node has changed itself it does not
/// compare with metadata for two minutes, since metadata lags.
const PATIENCE: Duration = Duration::from_secs(300);

/// Looks often, and gives nothing back by itself.
const WATCHFUL: [(&str, &str); 4] = [
    ("VPC_CNI_RECONCILE_INTERVAL", "10"),
    ("WARM_IP_TARGET", "3"),
    ("VPC_CNI_RETURN_DELAY", "600"),
    ("VPC_CNI_ENI_MIN_AGE", "600"),
];

#[tokio::test]
async fn addresses_that_are_taken_away_are_noticed_and_a_pod_keeps_what_it_has() {
    let demo = up(config_with("taken", &WATCHFUL)).await;
    let pods = demo.add_pods(1, 0, 4).await.expect("pods");
    let (eni, free) = eventually("three free addresses", PATIENCE, || {
        let free = free_addresses(&demo, &pods);
        (free.len() >= 3).then(|| free[0].clone())
    })
    .await;
    let held = pods[0].address;
    console::unassign(&demo, &eni, free);
    console::unassign(&demo, &eni, held);
    let finding = format!("{eni} lacks 2 addresses and 0 prefixes; 1 pods");
    says(&demo, 1, &["not as it was known", &finding], PATIENCE).await;
    eventually("three free addresses again", PATIENCE, || {
        (free_addresses(&demo, &pods).len() >= 3).then_some(())
    })
    .await;
    assert_keep_addresses(&demo, 1, &pods[1..]).await;

    // As more is asked for, EC2 gives the lowest free ones: among them those it took. Nobody but
    // the pod that held one gets it.
    let more = demo.add_pods(1, 4, 8).await.expect("pods");
    assert!(more.iter().all(|pod| pod.address != held), "{held} again");
    eventually("the pod's address on the node", PATIENCE, || {
        Holdings::of(&demo, 1).has(held).then_some(())
    })
    .await;
    assert_keep_addresses(&demo, 1, &pods).await;
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn enis_are_attached_and_detached_by_hand() {
    let mut config = config_with("byhand", &WATCHFUL);
    config.instance_type = Some("m5.xlarge".parse().expect("a type"));
    let demo = up(config).await;
    let old = demo.add_pods(1, 0, 5).await.expect("pods");
    let tag = ("node.k8s.amazonaws.com/no_manage", "true");
    let theirs = console::attach(&demo, 2, &[tag]);
    let ours = console::attach(&demo, 3, &[]);
    says(&demo, 1, &["an ENI is not used", &theirs], PATIENCE).await;
    says(&demo, 1, &["ENI is in the pool", &ours], PATIENCE).await;
    // All that the primary ENI and the untagged one can hold, less the warm addresses.
    let new = demo.add_pods(1, 5, 20).await.expect("pods");
    let used = holders(&demo, &new);
    assert!(used.contains(&ours), "{ours} is not used: {used:?}");
    assert!(!used.contains(&theirs), "{theirs} is used");
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;

    // Somebody detaches it again, under its pods.
    let all = enis(&demo, 1);
    let eni = all.iter().find(|eni| eni.id.as_str() == ours);
    let eni = eni.expect("the ENI").clone();
    let pods = [old, new].concat();
    let (stranded, stay): (Vec<Pod>, Vec<Pod>) = pods
        .into_iter()
        .partition(|pod| eni.addresses.contains(&pod.address));
    console::detach(&demo, &ours);
    let finding = format!(
        "{ours} is no longer attached; {} pods have addresses of it",
        stranded.len()
    );
    says(&demo, 1, &["not as it was known", &finding], PATIENCE).await;
    // Their addresses are nobody else's while they live, also when the node needs more.
    let late = demo.add_pods(1, 25, 6).await.expect("pods");
    let again = |pod: &&Pod| eni.addresses.contains(&pod.address);
    assert_eq!(late.iter().find(again), None);
    assert_keep_addresses(&demo, 1, &[stay, late].concat()).await;
    // They can be deleted like any others.
    delete(&demo, &stranded).await;
    assert_addresses_are_the_nodes(&demo, 1);
    assert_connected(&demo, 1).await;
    demo.down().await.expect("a clean end");
}

/// The ENIs of the first node that these pods' addresses are on.
fn holders(demo: &Demo, pods: &[Pod]) -> BTreeSet<String> {
    let on = |eni: &FabricEni| pods.iter().any(|pod| eni.addresses.contains(&pod.address));
    let all = enis(demo, 1);
    let holding = all.iter().filter(|eni| on(eni));
    holding.map(|eni| eni.id.to_string()).collect()
}

/// The first node's addresses that no pod has, with their ENIs.
fn free_addresses(demo: &Demo, pods: &[Pod]) -> Vec<(String, Ipv4Addr)> {
    let held = Holdings::of(demo, 1).addresses;
    let mut free = Vec::new();
    for eni in enis(demo, 1) {
        for address in &eni.addresses {
            let taken = pods.iter().any(|pod| pod.address == *address);
            if held.contains(address) && !taken {
                free.push((eni.id.to_string(), *address));
            }
        }
    }
    free
}
