//! What Kubernetes says changes what the pool does, at once and while it runs.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses its own part")]
mod cloud;

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Cloud, pool_eni, start};
use vpc_ipam::WarmTarget;
use vpc_kube_api::{EniConfig, NodeView};
use vpc_model::{PodKey, PodName};

fn pod(name: &str) -> PodName {
    PodName {
        namespace: "default".to_owned(),
        name: name.to_owned(),
    }
}

fn key(name: &str) -> PodKey {
    PodKey {
        network: "aws-cni".to_owned(),
        container_id: name.to_owned(),
        if_name: "eth0".to_owned(),
    }
}

fn warm(addresses: u32) -> WarmTarget {
    WarmTarget::Ips {
        warm: addresses,
        minimum: 0,
    }
}

fn node(max_pods: Option<u32>, cordoned: bool) -> Option<NodeView> {
    Some(NodeView {
        max_pods,
        cordoned,
        eni_config: "zone-a".to_owned(),
    })
}

#[tokio::test]
async fn pods_that_are_bound_to_the_node_are_demand_before_they_ask() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(1), vec![pool_eni(0, &[10])]);
    let bound = |names: &[&str]| -> BTreeSet<PodName> { names.iter().map(|n| pod(n)).collect() };
    daemon
        .view
        .send_modify(|view| view.in_want = Some(bound(&["a", "b", "c"])));
    // One is free: three pods and a warm target of one want three more.
    cloud.until_assign_is_asked(3).await;
    assert_eq!(cloud.asked(), 3);
    cloud.answer_assigns();
    // A pod that has its address is no demand any more, whatever the API server still says.
    for name in ["a", "b", "c"] {
        daemon.pool.allocate(key(name), pod(name)).await.unwrap();
    }
    assert_eq!(cloud.asked(), 0);
    daemon
        .view
        .send_modify(|view| view.in_want = Some(bound(&["d", "e"])));
    cloud.until_assign_is_asked(2).await;
    assert_eq!(cloud.asked(), 2);
}

#[tokio::test]
async fn a_cordoned_node_grows_when_it_is_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.view.send_modify(|view| view.node = node(None, true));
    daemon.learn(&cloud, warm(2), vec![pool_eni(0, &[10])]);
    // It answers, so it has planned; and asked for nothing.
    daemon.pool.allocate(key("a"), pod("a")).await.unwrap();
    let status = daemon.pool.status().await.unwrap();
    assert_eq!(cloud.asked(), 0);
    assert!(
        status
            .held_back
            .iter()
            .any(|held| held.name == "node_cordoned")
    );
    daemon
        .view
        .send_modify(|view| view.node = node(None, false));
    cloud.until_assign_is_asked(2).await;
}

#[tokio::test]
async fn the_nodes_number_of_pods_is_the_cap() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon
        .view
        .send_modify(|view| view.node = node(Some(3), false));
    daemon.learn(&cloud, warm(8), vec![pool_eni(0, &[10])]);
    cloud.until_assign_is_asked(2).await;
    assert_eq!(cloud.asked(), 2);
}

#[tokio::test]
async fn an_eni_config_names_the_subnet_and_the_groups_of_new_enis() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.learn_custom(&cloud, warm(2), vec![pool_eni(0, &[])]);
    let held = || async {
        let status = daemon.pool.status().await.unwrap();
        let names = status.held_back.into_iter().map(|held| held.name);
        names.collect::<Vec<_>>()
    };
    assert_eq!(held().await, ["no_subnet"], "no ENIConfig is known");
    let config = |number: u8, groups: &[&str]| {
        let config = EniConfig {
            subnet: format!("subnet-{number}").parse().unwrap(),
            security_groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        };
        Some(BTreeMap::from([("zone-a".to_owned(), Ok(config))]))
    };
    daemon.view.send_modify(|view| {
        view.node = node(None, false);
        view.eni_configs = config(2, &["sg-2"]);
    });
    let request = cloud.until_create_is_asked_in("subnet-2").await;
    assert_eq!(request.security_groups.len(), 1);
    assert_eq!(request.security_groups[0].as_str(), "sg-2");

    // It is changed, and then names a subnet that the zone does not have.
    daemon
        .view
        .send_modify(|view| view.eni_configs = config(3, &[]));
    let request = cloud.until_create_is_asked_in("subnet-3").await;
    assert_eq!(request.security_groups[0].as_str(), "sg-1", "the primary's");
    daemon
        .view
        .send_modify(|view| view.eni_configs = Some(BTreeMap::new()));
    while held().await != ["no_subnet"] {
        tokio::task::yield_now().await;
    }
}
