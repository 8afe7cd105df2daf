//! Real runtimes run our plugin: podman and containerd start containers, and the CNI project's own `cnitool`
//! drives every verb it has. Many at once, with connectivity, and nothing left in the end.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod cnitool;
#[path = "../common/mod.rs"]
mod common;
mod containerd;
mod podman;
mod traces;

use std::net::Ipv4Addr;
use std::time::Duration;

use common::pool::{config_with, up};
use common::skip;
use futures_util::{StreamExt, stream};
use serde_json::json;
use vpc_lab::LabConfig;
use vpc_lab::probe::icmp::{Ping, ping};

/// How many sandboxes a runtime starts and stops.
const ALL: usize = 100;

/// How many of them at once.
const AT_ONCE: usize = 10;

/// Nodes on which the addresses of a hundred sandboxes can rest at once.
fn large(test: &str) -> LabConfig {
    let mut config = config_with(test, &[("WARM_IP_TARGET", "20")]);
    config.instance_type = Some("m5.4xlarge".parse().expect("a type"));
    config
}

#[tokio::test]
async fn podman_starts_and_stops_a_hundred_containers_ten_at_a_time() {
    let demo = up(large("podman")).await;
    let podman = match podman::Podman::prepare(&demo) {
        Ok(podman) => podman,
        Err(reason) => {
            demo.down().await.expect("a clean end");
            skip("podman", &reason);
            return;
        }
    };
    let before = traces::Traces::of(&demo).await;
    let neighbour = demo.node(2).primary_address();
    let outcomes: Vec<_> = stream::iter(0..ALL)
        .map(|number| podman.run_to_its_end(number, neighbour))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let addresses: Vec<Ipv4Addr> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|failure| panic!("{failure}")))
        .collect();
    assert_eq!(addresses.len(), ALL);
    assert!(
        addresses.iter().all(|address| !address.is_unspecified()),
        "{addresses:?}"
    );
    traces::settles_to(&demo, &before).await;
    drop(podman);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn containerd_starts_and_stops_a_hundred_pods_ten_at_a_time_in_a_chain_of_plugins() {
    let demo = up(large("ctrd")).await;
    let containerd = match containerd::Containerd::prepare(&demo) {
        Ok(containerd) => containerd,
        Err(reason) => {
            demo.down().await.expect("a clean end");
            skip("containerd", &reason);
            return;
        }
    };
    let before = traces::Traces::of(&demo).await;
    let neighbour = demo.node(2).primary_address();
    let said = containerd.pods(ALL, AT_ONCE, neighbour).await;
    let said = said.expect("words of every pod");
    assert_eq!(said.len(), ALL);
    for pod in &said {
        assert_eq!(pod["answered"], true, "{pod}");
        assert!(
            pod["address"]
                .as_str()
                .is_some_and(|address| address.starts_with("10.0.1.")),
            "{pod}"
        );
    }
    let served = containerd.served(&demo, 30_080).await;
    assert_eq!(served.as_deref(), Ok("served by the pod"));
    // One after the other: they have no pod's name, and so one name for their veth.
    for name in ["one", "two", "three"] {
        let said = containerd.ctr_run(&demo, name, neighbour).await;
        let said = said.expect("a container that ends");
        assert!(said.contains(" 0% packet loss"), "{said}");
    }
    traces::settles_to(&demo, &before).await;
    drop(containerd);
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn cnitool_adds_checks_and_deletes_a_hundred_sandboxes_ten_at_a_time() {
    let Some(tool) = cnitool::program() else {
        skip(
            "cnitool",
            "it could not be built from Debian's source package (see the top of the output)",
        );
        return;
    };
    let demo = up(large("cnitl")).await;
    let before = traces::Traces::of(&demo).await;
    let neighbour = demo.node(2).primary_address();
    for version in ["0.3.1", "0.4.0", "1.0.0"] {
        let tool = cnitool::Tool::new(&demo, &tool, version);
        stream::iter(0..ALL / 3 + 1)
            .map(|number| {
                let tool = &tool;
                async move {
                    let sandbox = tool.sandbox(number).await;
                    let result = tool.add(&sandbox).await;
                    assert_eq!(result["cniVersion"], version);
                    let address = result["ips"][0]["address"].as_str().expect("an address");
                    assert!(address.ends_with("/32"), "{result}");
                    is_answered(&sandbox, neighbour).await;
                    if version != "0.3.1" {
                        tool.check(&sandbox).await.expect("all as ADD made it");
                    }
                    tool.del(&sandbox).await;
                    // Once more: it may be repeated.
                    tool.del(&sandbox).await;
                }
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
    }
    traces::settles_to(&demo, &before).await;
    demo.down().await.expect("a clean end");
}

/// Asks the neighbour from inside the sandbox. Packets may be lost; sandboxes may not.
async fn is_answered(sandbox: &cnitool::Sandbox, neighbour: Ipv4Addr) {
    for _ in 0..5 {
        let question = Ping::new(neighbour).patience(Duration::from_secs(1));
        if ping(sandbox.path(), question).await.is_ok() {
            return;
        }
    }
    panic!("{neighbour} does not answer {}", sandbox.path().display());
}

#[tokio::test]
async fn cnitool_is_told_what_is_wrong() {
    let Some(tool) = cnitool::program() else {
        skip(
            "cnitool",
            "it could not be built from Debian's source package",
        );
        return;
    };
    let demo = up(config_with("cnier", &[])).await;
    let tool = cnitool::Tool::new(&demo, &tool, "1.0.0");
    let sandbox = tool.sandbox(0).await;
    tool.add(&sandbox).await;
    sandbox.ip("route del default");
    let difference = tool.check(&sandbox).await.expect_err("a difference");
    assert!(difference.contains("default"), "{difference}");
    tool.del(&sandbox).await;

    let wrong = tool.sandbox(1).await;
    let refused = tool.add_with(&wrong, &json!({ "mtu": "many" })).await;
    let refused = refused.expect_err("a refusal");
    assert!(refused.contains("mtu is \"many\""), "{refused}");
    demo.down().await.expect("a clean end");
}
