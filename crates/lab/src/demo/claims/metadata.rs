//! Instance metadata, and with it the node's credentials, stay out of pods' reach.

use std::time::Duration;

use futures_util::future::join_all;

use crate::demo::check::{Refuted, seen};
use crate::demo::stage::{Demo, EniKind, NODES};
use crate::demo::table::Verdict;
use crate::probe::imds::token;

/// How long the node waits for its token.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a pod waits in vain. Connections to a server that answers take less than a
/// millisecond here.
const SILENCE: Duration = Duration::from_millis(700);

/// With a hop limit of 1 a node gets an IMDSv2 token and its pods do not: the answer dies at the
/// node, one hop before the pod.
pub async fn answers_nodes_and_not_pods(demo: &Demo) -> Vec<Verdict> {
    vec![Verdict::of(
        "IMDS hop limit 1: nodes get a token, pods do not",
        tokens(demo).await,
    )]
}

async fn tokens(demo: &Demo) -> Result<String, Refuted> {
    let mut pods = Vec::new();
    for number in NODES {
        token(demo.node(number).netns(), PATIENCE).await?;
        for kind in [EniKind::Primary, EniKind::Secondary] {
            pods.extend(demo.pods_on(number, kind)?.into_iter().take(1));
        }
    }
    let answers = join_all(pods.iter().map(|pod| token(pod.netns(), SILENCE))).await;
    for (pod, answer) in pods.iter().zip(answers) {
        match answer {
            Ok(_) => return Err(seen(format_args!("pod {} got a token", pod.name()))),
            Err(error) if error.is_silence() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (nodes, pods) = (NODES.len(), pods.len());
    Ok(format!("{nodes} nodes got one, {pods} pods asked in vain"))
}
