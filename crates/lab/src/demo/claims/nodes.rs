//! Nodes reach pods and pods reach nodes; the nodes' own traffic is left alone.

use crate::demo::check::{Leg, Place, Refuted, travel};
use crate::demo::stage::{Demo, NODES};
use crate::demo::table::Verdict;

/// Both ways, to the pod's own node (as kubelet's probes go) and to the other one.
pub async fn pods_and_nodes_reach_each_other(demo: &Demo) -> Vec<Verdict> {
    vec![
        Verdict::of(
            "node to pod, its own and the other one's",
            to_pods(demo).await,
        ),
        Verdict::of(
            "pod to node, its own and the other one",
            from_pods(demo).await,
        ),
    ]
}

async fn to_pods(demo: &Demo) -> Result<String, Refuted> {
    let mut legs = Vec::new();
    for pair in pairs(demo)? {
        legs.push(Leg::plain(&pair.node, &pair.pod));
    }
    Ok(format!(
        "{} ways, node's primary address seen",
        travel(&legs).await?
    ))
}

async fn from_pods(demo: &Demo) -> Result<String, Refuted> {
    let mut legs = Vec::new();
    for pair in pairs(demo)? {
        legs.push(Leg::plain(&pair.pod, &pair.node));
    }
    Ok(format!(
        "{} ways, pod's own address seen",
        travel(&legs).await?
    ))
}

struct Pair {
    node: Place,
    pod: Place,
}

fn pairs(demo: &Demo) -> Result<Vec<Pair>, Refuted> {
    let mut pairs = Vec::new();
    for node in NODES {
        let node = demo.node_place(node);
        for home in NODES {
            for pod in demo.pod_places(home)? {
                pairs.push(Pair {
                    node: node.clone(),
                    pod,
                });
            }
        }
    }
    Ok(pairs)
}

/// Node to node, to the outside without translation, and through the internet gateway.
pub async fn nodes_own_traffic_is_untouched(demo: &Demo) -> Vec<Verdict> {
    vec![Verdict::of(
        "the nodes' own traffic",
        own_traffic(demo).await,
    )]
}

async fn own_traffic(demo: &Demo) -> Result<String, Refuted> {
    let (one, two) = (demo.node_place(1), demo.node_place(2));
    let mut legs = vec![Leg::plain(&one, &two), Leg::plain(&two, &one)];
    for (number, node) in [(1, &one), (2, &two)] {
        legs.push(Leg::plain(node, &demo.on_premises()));
        legs.push(Leg::translated(
            node,
            &demo.internet(),
            demo.node(number).public_address(),
        ));
    }
    Ok(format!(
        "{} ways: to the other node, on-premises, internet",
        travel(&legs).await?
    ))
}
