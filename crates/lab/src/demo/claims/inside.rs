//! Pods reach pods, with their own addresses, by whichever ENI theirs is on.

use futures_util::future::join_all;

use crate::Pod;
use crate::demo::check::{Leg, Place, Refuted, Tally, travel};
use crate::demo::stage::{Demo, EniKind, NODES};
use crate::demo::table::Verdict;
use crate::probe::icmp::{Ping, ping};

/// EC2's jumbo frame, in bytes of IP packet.
const JUMBO: usize = 9001;

/// How many pods of each kind take part where every pair is tried.
const OF_EACH_KIND: usize = 3;

/// Every pod of a node asks the next one, primary and secondary ENIs mixed.
pub async fn pods_of_one_node_reach_each_other(demo: &Demo) -> Vec<Verdict> {
    vec![Verdict::of("pod to pod on one node", ring(demo).await)]
}

async fn ring(demo: &Demo) -> Result<String, Refuted> {
    let mut legs = Vec::new();
    for node in NODES {
        let pods = demo.pod_places(node)?;
        for (index, pod) in pods.iter().enumerate() {
            legs.push(Leg::plain(pod, &pods[(index + 1) % pods.len()]));
        }
    }
    let ways = travel(&legs).await?;
    Ok(format!(
        "{ways} ways by ICMP, TCP and UDP, own address seen"
    ))
}

/// Across nodes and subnets, from and to pods on primary and on secondary ENIs, in all
/// combinations and both directions.
pub async fn pods_of_two_nodes_reach_each_other(demo: &Demo) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for from in [EniKind::Primary, EniKind::Secondary] {
        for to in [EniKind::Primary, EniKind::Secondary] {
            let claim = format!(
                "pod to pod across subnets, {} to {} ENI",
                word(from),
                word(to)
            );
            verdicts.push(Verdict::of(&claim, across(demo, from, to).await));
        }
    }
    verdicts
}

async fn across(demo: &Demo, from: EniKind, to: EniKind) -> Result<String, Refuted> {
    let mut legs = Vec::new();
    for (here, there) in [(1, 2), (2, 1)] {
        for source in some(demo, here, from)? {
            for target in some(demo, there, to)? {
                legs.push(Leg::plain(&source, &target));
            }
        }
    }
    let ways = travel(&legs).await?;
    Ok(format!(
        "{ways} ways by ICMP, TCP and UDP, own address seen"
    ))
}

/// A packet of 9001 bytes passes between pods of two nodes unfragmented.
pub async fn jumbo_frames_pass_unfragmented(demo: &Demo) -> Vec<Verdict> {
    vec![Verdict::of(
        "9001-byte packets pass between pods, unfragmented",
        jumbo(demo).await,
    )]
}

async fn jumbo(demo: &Demo) -> Result<String, Refuted> {
    let mut ways = Vec::new();
    for kind in [EniKind::Primary, EniKind::Secondary] {
        for source in some(demo, 1, kind)? {
            for target in some(demo, 2, kind)? {
                ways.push((source.clone(), target));
            }
        }
    }
    let pings = ways
        .iter()
        .map(|(source, target)| ping(&source.netns, Ping::new(target.address).sized(JUMBO)));
    let mut tally = Tally::default();
    for (way, result) in ways.iter().zip(join_all(pings).await) {
        let what = format!("{} to {}", way.0.name, way.1.name);
        tally.note(what, result.map(|_| ()).map_err(Refuted::from));
    }
    Ok(format!("{} ways, \"don't fragment\" set", tally.all()?))
}

fn some(demo: &Demo, node: usize, kind: EniKind) -> Result<Vec<Place>, Refuted> {
    let pods: Vec<Pod> = demo.pods_on(node, kind)?;
    Ok(pods
        .iter()
        .take(OF_EACH_KIND)
        .map(Demo::pod_place)
        .collect())
}

/// As it stands in claims.
#[must_use]
pub fn word(kind: EniKind) -> &'static str {
    match kind {
        EniKind::Primary => "primary",
        EniKind::Secondary => "secondary",
    }
}
