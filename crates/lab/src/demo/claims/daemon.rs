//! The daemon may die at any moment: pods keep their packets and their addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use futures_util::future::join_all;
use vpc_model::RulePriority;

use crate::Pod;
use crate::demo::check::{Place, Refuted, Tally, seen};
use crate::demo::stage::{Demo, EniKind};
use crate::demo::table::Verdict;
use crate::probe::stream::{Exchange, Stream};

use super::addresses::HostState;

/// The node whose daemon is killed.
const KILLED: usize = 1;

/// Questions per flow before the kill, while the daemon is dead, and after it is back.
const PHASE: u32 = 30;

/// `kill -9`, a while without a daemon in which a pod is deleted and another is asked for, and a
/// restart.
pub async fn may_be_killed(demo: &Demo) -> Vec<Verdict> {
    let mut story = Story::default();
    let flows = story.run(demo).await;
    vec![
        Verdict::of("kill -9 of ipamd: pods' traffic goes on", flows),
        Verdict::of("a DEL while ipamd is dead cleans up at once", story.deleted),
        Verdict::of(
            "an ADD while ipamd is dead succeeds when it is back",
            story.added,
        ),
        Verdict::of(
            "no allocation is lost, none given out twice",
            filled(demo).await,
        ),
    ]
}

/// What happened besides the flows; an error until it has happened.
struct Story {
    deleted: Result<String, Refuted>,
    added: Result<String, Refuted>,
}

impl Default for Story {
    fn default() -> Self {
        let not_yet = || Err(seen("it did not come to that"));
        Story {
            deleted: not_yet(),
            added: not_yet(),
        }
    }
}

impl Story {
    async fn run(&mut self, demo: &Demo) -> Result<String, Refuted> {
        let doomed = demo.pods_on(KILLED, EniKind::Secondary)?.pop();
        let doomed = doomed.ok_or_else(|| seen("no pod to delete"))?;
        let flows = flows(demo, &doomed).await?;
        settle(&flows).await;
        let node = demo.node(KILLED);
        node.kill_ipamd().await?;
        settle(&flows).await;
        self.deleted = deleted(demo, &doomed).await;
        let restart = async {
            settle(&flows).await;
            demo.start(KILLED, &BTreeMap::new()).await
        };
        let newcomer = demo.add_pod(KILLED, format!("n{KILLED}-late"));
        let (restarted, newcomer) = tokio::join!(restart, newcomer);
        restarted?;
        self.added = newcomer.map(|pod| format!("pod {} got {}", pod.name(), pod.address));
        settle(&flows).await;
        lost_nothing(&flows)
    }
}

/// Flows of every kind: within the node, to and from the other node on either kind of ENI, and
/// translated to the outside.
async fn flows(demo: &Demo, without: &Pod) -> Result<Vec<Stream>, Refuted> {
    let here = |kind| place(demo, KILLED, kind, without);
    let there = |kind| place(demo, 2, kind, without);
    let (primary, secondary) = (here(EniKind::Primary)?, here(EniKind::Secondary)?);
    let ways = [
        (&primary, secondary.address),
        (&primary, there(EniKind::Secondary)?.address),
        (&secondary, there(EniKind::Primary)?.address),
        (&there(EniKind::Primary)?, secondary.address),
        (&primary, demo.on_premises().address),
        (&secondary, demo.on_premises().address),
    ];
    let mut flows = Vec::new();
    for (from, to) in ways {
        flows.push(Stream::start(&from.netns, to).await?);
    }
    Ok(flows)
}

fn place(demo: &Demo, node: usize, kind: EniKind, without: &Pod) -> Result<Place, Refuted> {
    demo.pods_on(node, kind)?
        .iter()
        .find(|pod| pod.name() != without.name())
        .map(Demo::pod_place)
        .ok_or_else(|| seen(format_args!("node{node} has too few pods on {kind:?} ENIs")))
}

async fn settle(flows: &[Stream]) {
    join_all(flows.iter().map(|flow| flow.settle(PHASE))).await;
}

fn lost_nothing(flows: &[Stream]) -> Result<String, Refuted> {
    let total = flows
        .iter()
        .map(Stream::so_far)
        .fold(Exchange::default(), |sum, one| sum + one);
    if total.lost() > 0 {
        return Err(seen(format_args!(
            "{} of {} datagrams lost",
            total.lost(),
            total.asked
        )));
    }
    Ok(format!(
        "{} flows, {} datagrams before, during, after: 0 lost",
        flows.len(),
        total.asked
    ))
}

async fn deleted(demo: &Demo, doomed: &Pod) -> Result<String, Refuted> {
    demo.del_pod(doomed).await?;
    let host = HostState::read(demo, KILLED).await?;
    let address = doomed.address;
    let mut tally = Tally::default();
    for priority in [RulePriority::TO_POD, RulePriority::FROM_POD] {
        tally.expect("rules left", &host.rules_about(address, priority).len(), &0);
    }
    tally.expect("routes left", &host.routes_to(address).len(), &0);
    tally.all()?;
    Ok(format!(
        "pod {} ({address}): no rule, no route left",
        doomed.name()
    ))
}

/// Fills the node: when every address EC2 assigned is with exactly one pod, none was lost in the
/// kill (an address that ipamd still believed in use would be missing at the end) and none was
/// given out twice. The address of the pod deleted meanwhile is the last to come, after its
/// cooldown.
async fn filled(demo: &Demo) -> Result<String, Refuted> {
    let before = addresses(demo)?;
    let assigned: BTreeSet<Ipv4Addr> = demo
        .instance(KILLED)?
        .enis
        .iter()
        .flat_map(|eni| {
            eni.addresses
                .iter()
                .filter(|one| **one != eni.primary)
                .copied()
        })
        .collect();
    let room = assigned.len().saturating_sub(before.len());
    let added = demo.add_pods(KILLED, 100, room).await?;
    let new: BTreeSet<Ipv4Addr> = added.iter().map(|pod| pod.address).collect();
    let mut tally = Tally::default();
    tally.expect(
        "addresses given to two pods",
        &before.intersection(&new).count(),
        &0,
    );
    tally.expect(
        "pods on the node",
        &demo.pods(KILLED)?.len(),
        &assigned.len(),
    );
    tally.expect(
        "addresses of pods are those EC2 assigned",
        &(addresses(demo)? == assigned),
        &true,
    );
    tally.all()?;
    Ok(format!(
        "{} pods kept theirs, {room} new ones got the rest: all {} in use once",
        before.len(),
        assigned.len()
    ))
}

fn addresses(demo: &Demo) -> Result<BTreeSet<Ipv4Addr>, Refuted> {
    Ok(demo.pods(KILLED)?.iter().map(|pod| pod.address).collect())
}
