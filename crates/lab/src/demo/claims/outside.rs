//! What the world outside the VPC sees of a pod: the node's primary address, or with external
//! SNAT the pod's own.

use std::time::Duration;

use crate::demo::check::{Leg, Place, Refuted, Tally, seen, travel};
use crate::demo::stage::{Demo, EniKind, NODES};
use crate::demo::table::Verdict;
use crate::probe::whoami::{Protocol, ask_patiently};

use super::inside::word;

/// The variable of external SNAT.
const EXTERNAL_SNAT: &str = "AWS_VPC_K8S_CNI_EXTERNALSNAT";

/// How long silence is listened to where silence is right.
const SILENCE: Duration = Duration::from_millis(500);

/// The on-premises host sees the node's primary address, from pods on either kind of ENI; the
/// internet host sees the public address that the gateway gives the node.
pub async fn sees_the_nodes_primary_address(demo: &Demo) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for kind in [EniKind::Primary, EniKind::Secondary] {
        let claim = format!("pod on a {} ENI leaves as the node's primary", word(kind));
        verdicts.push(Verdict::of(&claim, on_premises(demo, kind).await));
    }
    verdicts.push(Verdict::of(
        "pod to the internet, through the gateway",
        internet(demo).await,
    ));
    verdicts
}

async fn on_premises(demo: &Demo, kind: EniKind) -> Result<String, Refuted> {
    let mut legs = Vec::new();
    for number in NODES {
        let primary = demo.node(number).primary_address();
        for pod in demo.pods_on(number, kind)? {
            legs.push(Leg::translated(
                &Demo::pod_place(&pod),
                &demo.on_premises(),
                primary,
            ));
        }
    }
    let ways = travel(&legs).await?;
    Ok(format!(
        "{ways} pods; outside saw only {}",
        addresses(&legs)
    ))
}

async fn internet(demo: &Demo) -> Result<String, Refuted> {
    let mut legs = Vec::new();
    for number in NODES {
        let public = demo.node(number).public_address();
        for pod in demo.pod_places(number)? {
            legs.push(Leg::translated(&pod, &demo.internet(), public));
        }
    }
    let ways = travel(&legs).await?;
    Ok(format!(
        "{ways} pods; the internet saw only {}",
        addresses(&legs)
    ))
}

fn addresses(legs: &[Leg]) -> String {
    let mut texts: Vec<String> = legs.iter().map(|leg| leg.seen_as.to_string()).collect();
    texts.sort();
    texts.dedup();
    texts.join(" and ")
}

/// With external SNAT, switched on by a restart of node 2's ipamd while its pods stay, the pod's
/// own address arrives; the internet gateway, which knows only instances' primary addresses,
/// lets nothing pass. Switched off again, everything is as before.
pub async fn sees_the_pods_own_address_with_external_snat(demo: &Demo) -> Vec<Verdict> {
    let on = with_external_snat(demo).await;
    let off = without_again(demo).await;
    vec![
        Verdict::of("with external SNAT pods leave with their own address", on),
        Verdict::of("and without it again as the node's primary", off),
    ]
}

/// The node whose daemon is restarted.
const RESTARTED: usize = 2;

async fn with_external_snat(demo: &Demo) -> Result<String, Refuted> {
    restart(demo, "true").await?;
    let pods = demo.pod_places(RESTARTED)?;
    let legs: Vec<Leg> = pods
        .iter()
        .map(|pod| Leg::plain(pod, &demo.on_premises()))
        .collect();
    let ways = travel(&legs).await?;
    let refused = refused_by_the_gateway(demo, &pods).await?;
    Ok(format!(
        "{ways} pods, own address seen; internet gateway dropped {refused} packets"
    ))
}

/// Packets with pods' addresses die at the gateway: nobody answers, and the gateway counts.
async fn refused_by_the_gateway(demo: &Demo, pods: &[Place]) -> Result<u64, Refuted> {
    let before = demo.counters()?.no_public_address;
    let internet = demo.internet();
    let mut tally = Tally::default();
    for pod in pods.iter().take(2) {
        let answer = ask_patiently(&pod.netns, Protocol::Udp, internet.address, SILENCE).await;
        let silent = matches!(&answer, Err(error) if error.is_silence());
        tally.expect(format_args!("{} gets no answer", pod.name), &silent, &true);
    }
    tally.all()?;
    let after = demo.counters()?.no_public_address;
    if after == before {
        return Err(seen("the gateway's counter did not rise"));
    }
    Ok(after - before)
}

async fn without_again(demo: &Demo) -> Result<String, Refuted> {
    restart(demo, "false").await?;
    let primary = demo.node(RESTARTED).primary_address();
    let legs: Vec<Leg> = demo
        .pod_places(RESTARTED)?
        .iter()
        .map(|pod| Leg::translated(pod, &demo.on_premises(), primary))
        .collect();
    Ok(format!(
        "{} pods; outside saw only {primary}",
        travel(&legs).await?
    ))
}

async fn restart(demo: &Demo, external_snat: &str) -> Result<(), Refuted> {
    let env = [(EXTERNAL_SNAT.to_owned(), external_snat.to_owned())];
    demo.restart(RESTARTED, &env.into()).await
}
