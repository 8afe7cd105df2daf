//! What the tests of the pool share: what EC2 was asked, what it says, whether pods are connected.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use vpc_lab::demo::check::{Leg, Refuted, travel};
use vpc_lab::demo::stage::Demo;
use vpc_lab::probe::kernel::{self, Route};
use vpc_lab::{LabConfig, Pod};
use vpc_model::{Ipv4Prefix, SubnetId, Timestamp};
use vpc_sim::calls::Call;
use vpc_sim::{FabricEni, Occupation};

/// How many ways are gone at once.
const WAYS_AT_ONCE: usize = 40;

/// How many DELs run at once.
const DELS_AT_ONCE: usize = 5;

/// Variables for ipamd.
pub(crate) fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let text = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    pairs.iter().map(text).collect()
}

/// A lab with these variables for both daemons besides the shortened times.
pub(crate) fn config_with(test: &str, pairs: &[(&str, &str)]) -> LabConfig {
    let mut config = super::config(test);
    config.ipamd_env.extend(env(pairs));
    config
}

/// Brings a lab up.
pub(crate) async fn up(config: LabConfig) -> Demo {
    Demo::up(config, |_| {}).await.expect("a lab")
}

/// The simulated cloud's clock.
pub(crate) fn now(demo: &Demo) -> Timestamp {
    demo.lab().sim().with(|_, now| now)
}

/// What a node's daemon has asked EC2 since then.
pub(crate) fn calls_of(demo: &Demo, node: usize, since: Timestamp) -> Vec<Call> {
    let caller = IpAddr::V4(demo.node(node).primary_address());
    let mut calls = demo.lab().sim().calls_since(since);
    calls.retain(|call| call.caller == Some(caller));
    calls
}

/// Lets somebody else take addresses of a subnet.
pub(crate) fn occupy(demo: &Demo, subnet: &SubnetId, occupation: Occupation) {
    let sim = demo.lab().sim();
    sim.with(|world, _| world.occupy(subnet, occupation))
        .expect("a subnet");
}

/// Lets them give the addresses back.
pub(crate) fn vacate(demo: &Demo, subnet: &SubnetId) {
    let sim = demo.lab().sim();
    sim.with(|world, _| world.vacate(subnet)).expect("a subnet");
}

/// What EC2 says a node holds, besides its ENIs' own addresses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) enis: usize,
    pub(crate) addresses: BTreeSet<Ipv4Addr>,
    pub(crate) prefixes: BTreeSet<Ipv4Prefix>,
}

impl Holdings {
    pub(crate) fn of(demo: &Demo, node: usize) -> Holdings {
        let enis = enis(demo, node);
        let others = |eni: &FabricEni| {
            let primary = eni.primary;
            let all = eni.addresses.clone().into_iter();
            all.filter(move |address| *address != primary)
        };
        Holdings {
            enis: enis.len(),
            addresses: enis.iter().flat_map(others).collect(),
            prefixes: enis.iter().flat_map(|eni| eni.prefixes.clone()).collect(),
        }
    }

    /// Whether a pod may have this address.
    pub(crate) fn has(&self, address: Ipv4Addr) -> bool {
        self.addresses.contains(&address) || self.is_of_a_prefix(address)
    }

    pub(crate) fn is_of_a_prefix(&self, address: Ipv4Addr) -> bool {
        self.prefixes.contains(&Ipv4Prefix::containing(address))
    }
}

/// A node's ENIs, as EC2 has them.
pub(crate) fn enis(demo: &Demo, node: usize) -> Vec<FabricEni> {
    demo.instance(node).expect("an instance").enis
}

/// Waits until `look` finds something; `what` says in a failure what it was to find.
#[track_caller]
pub(crate) fn eventually<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let waited = start.elapsed();
            assert!(waited < patience, "{caller}: not after {waited:?}: {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Adds a pod, again and again as a kubelet does, for as long as `patience`.
pub(crate) async fn add_patiently(demo: &Demo, node: usize, name: &str, patience: Duration) -> Pod {
    let start = Instant::now();
    loop {
        let error = match demo.add_pod(node, name.to_owned()).await {
            Ok(pod) => return pod,
            Err(error) => error,
        };
        let waited = start.elapsed();
        let text = vpc_lab::text::chain(&error);
        assert!(waited < patience, "{name} after {waited:?}: {text}");
    }
}

/// Deletes pods, several at once.
pub(crate) async fn delete(demo: &Demo, pods: &[Pod]) {
    for some in pods.chunks(DELS_AT_ONCE) {
        let deletions = some.iter().map(|pod| demo.del_pod(pod));
        let results = futures_util::future::join_all(deletions).await;
        for result in results {
            result.expect("a DEL");
        }
    }
}

/// Each pod of the node reaches the next one, the other node's first pod (or the other node), and
/// the outside as its node; and is reached by the other node.
pub(crate) async fn assert_connected(demo: &Demo, node: usize) {
    let other = 3 - node;
    let pods = demo.pod_places(node).expect("pods");
    let there = demo.pod_places(other).expect("pods");
    let there = there
        .into_iter()
        .next()
        .unwrap_or_else(|| demo.node_place(other));
    let (outside, primary) = (demo.on_premises(), demo.node(node).primary_address());
    let mut ways = Vec::new();
    for (pod, next) in pods.iter().zip(pods.iter().cycle().skip(1)) {
        if pod != next {
            ways.push(Leg::plain(pod, next));
        }
        ways.push(Leg::plain(pod, &there));
        ways.push(Leg::plain(&there, pod));
        ways.push(Leg::translated(pod, &outside, primary));
    }
    for some in ways.chunks(WAYS_AT_ONCE) {
        if let Err(error) = travel(some).await {
            let dropped = demo.counters().expect("counters");
            panic!("{}; {dropped:?}", words(&error));
        }
    }
}

/// No two pods of a node have the same address, and EC2 has assigned each of them to the node.
pub(crate) fn assert_addresses_are_the_nodes(demo: &Demo, node: usize) {
    let pods = demo.pods(node).expect("pods");
    let holdings = Holdings::of(demo, node);
    let addresses: BTreeSet<Ipv4Addr> = pods.iter().map(|pod| pod.address).collect();
    assert_eq!(addresses.len(), pods.len(), "two pods with one address");
    for pod in &pods {
        assert!(holdings.has(pod.address), "{} of {holdings:?}", pod.address);
    }
}

/// Pods keep their addresses: EC2 still assigns them to the node, and its kernel routes them to
/// the pods.
pub(crate) async fn assert_keep_addresses(demo: &Demo, node: usize, pods: &[Pod]) {
    let holdings = Holdings::of(demo, node);
    let routes = kernel::routes(demo.node(node).netns())
        .await
        .expect("routes");
    for pod in pods {
        let address = pod.address.to_string();
        assert!(holdings.has(pod.address), "{address} of {holdings:?}");
        let to_pod = |route: &Route| route.is_main() && route.dst == address;
        assert!(routes.iter().any(to_pod), "no route to {address}");
    }
}

/// Waits until the log of the node's daemon has a line with all of these.
pub(crate) async fn says(demo: &Demo, node: usize, words: &[&str], patience: Duration) {
    let log = demo.node(node).ipamd_log();
    eventually(&format!("{words:?} in the log"), patience, || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let has_all = |line: &str| words.iter().all(|word| line.contains(word));
        text.lines().any(has_all).then_some(())
    })
    .await;
}

/// A refusal as people read it.
pub(crate) fn words(error: &Refuted) -> String {
    vpc_lab::text::chain(error)
}
