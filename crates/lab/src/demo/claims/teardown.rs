//! What is deleted leaves no trace on the node, and what is not needed goes back to EC2.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use vpc_model::RulePriority;

use crate::Pod;
use crate::demo::check::{Refuted, Tally, seen};
use crate::demo::stage::{Demo, NODES};
use crate::demo::table::Verdict;

use super::addresses::HostState;

/// How many DELs run at once on one node.
const DELS_AT_ONCE: usize = 5;

/// How long the kernel may take to remove the veths of namespaces that are gone: it does so in
/// the background.
const VETHS_GO: Duration = Duration::from_secs(10);

/// How long ENIs may take to be given back: cooldown, return delay, detaching, with room.
const ENIS_GO: Duration = Duration::from_secs(30);

/// Every pod is deleted; the nodes' kernels hold nothing of them.
pub async fn leaves_no_trace(demo: &Demo) -> Vec<Verdict> {
    vec![Verdict::of(
        "DEL leaves no rule, route or veth behind",
        traceless(demo).await,
    )]
}

async fn traceless(demo: &Demo) -> Result<String, Refuted> {
    let mut pods: Vec<Pod> = demo.pods(1)?;
    pods.extend(demo.pods(2)?);
    let mut tally = Tally::default();
    let results: Vec<_> = stream::iter(&pods)
        .map(|pod| async move { (pod, demo.del_pod(pod).await) })
        .buffer_unordered(DELS_AT_ONCE * NODES.len())
        .collect()
        .await;
    for (pod, result) in results {
        tally.note(
            format_args!("DEL of pod {}", pod.name()),
            result.map(|_| ()),
        );
    }
    for node in NODES {
        let host = without_veths(demo, node).await?;
        for pod in &pods {
            for priority in [RulePriority::TO_POD, RulePriority::FROM_POD] {
                let rules = host.rules_about(pod.address, priority).len();
                tally.expect(format_args!("rules about {}", pod.address), &rules, &0);
            }
            let routes = host.routes_to(pod.address).len();
            tally.expect(format_args!("routes to {}", pod.address), &routes, &0);
        }
        let veths = host
            .links
            .iter()
            .filter(|link| is_veth_of_a_pod(&link.ifname))
            .count();
        tally.expect(format_args!("veths on node{node}"), &veths, &0);
    }
    tally.all()?;
    Ok(format!(
        "{} pods deleted: 0 rules, 0 routes, 0 veths",
        pods.len()
    ))
}

/// The node's state once its pods' veths are gone, or at the end of the kernel's time for it.
async fn without_veths(demo: &Demo, node: usize) -> Result<HostState, Refuted> {
    let start = Instant::now();
    loop {
        let host = HostState::read(demo, node).await?;
        let gone = !host.links.iter().any(|link| is_veth_of_a_pod(&link.ifname));
        if gone || start.elapsed() > VETHS_GO {
            return Ok(host);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_veth_of_a_pod(name: &str) -> bool {
    name.starts_with("eni")
}

/// Without pods a node keeps one ENI's worth of free addresses, which is what its primary ENI
/// has, and gives the other ENIs back: EC2 says so.
pub async fn gives_enis_back(demo: &Demo) -> Vec<Verdict> {
    vec![Verdict::of(
        "idle ENIs go back to EC2, down to the warm target",
        given_back(demo).await,
    )]
}

async fn given_back(demo: &Demo) -> Result<String, Refuted> {
    let start = Instant::now();
    let mut changes = demo.lab().sim().changes();
    let deadline = tokio::time::sleep(ENIS_GO);
    tokio::pin!(deadline);
    loop {
        changes.mark_unchanged();
        let held = Held::now(demo)?;
        if held.attached.iter().all(|enis| *enis == 1) && held.existing == NODES.len() {
            return Ok(format!(
                "1 ENI a node left after {:.1} s, free addresses per node {:?}",
                start.elapsed().as_secs_f64(),
                held.free
            ));
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = &mut deadline => return Err(seen(format_args!("after {ENIS_GO:?}: {held:?}"))),
        }
    }
}

/// What the nodes hold, by EC2's word.
#[derive(Debug)]
struct Held {
    /// ENIs of each node.
    attached: Vec<usize>,
    /// Addresses for pods on each node.
    free: Vec<usize>,
    /// ENIs in all, also those of no node.
    existing: usize,
}

impl Held {
    fn now(demo: &Demo) -> Result<Held, Refuted> {
        let mut held = Held {
            attached: Vec::new(),
            free: Vec::new(),
            existing: demo.eni_count(),
        };
        for node in NODES {
            let enis = demo.instance(node)?.enis;
            let addresses: usize = enis.iter().map(|eni| eni.addresses.len()).sum();
            held.attached.push(enis.len());
            held.free.push(addresses.saturating_sub(enis.len()));
        }
        Ok(held)
    }
}
