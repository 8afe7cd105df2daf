//! The node's kernel state, kept as it should be: put right when the kernel says that something
//! changed it, and looked at all over now and then, since not every change is told of.

mod listen;
mod storm;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use vpc_aws::imds::Imds;
use vpc_datapath::drift::Heard;
use vpc_datapath::host::HostFacts;
use vpc_datapath::pod::Running;
use vpc_ipam::status::{PodStatus, Status};
use vpc_model::{
    DeviceIndex, Mtu, NetworkCard, PodName, RouteTableId, Timestamp, names::veth_suffix,
};

pub use listen::Listener;
pub use storm::StormGuard;

use crate::pool_task::{PoolHandle, WiredEni};
use crate::report::chain;

/// What is kept, and by what it is known.
#[derive(Debug)]
pub struct Keeper<'a, I, E> {
    /// The node's part, as it was set at start.
    pub host: HostFacts,
    /// The VPC's networks are asked of it.
    pub imds: &'a I,
    /// How often all is looked at.
    pub interval: Duration,
    /// The ENIs' MTU.
    pub mtu: Mtu,
    /// The ENIs as they are when it is called.
    pub enis: E,
    /// Knows the pods; is told of ENIs that are wired at last.
    pub pool: PoolHandle,
}

impl<I: Imds, E: Fn() -> Vec<WiredEni>> Keeper<'_, I, E> {
    /// Keeps, for good. `listener` was started before the state was set, so that nothing that
    /// happened since is missed.
    pub async fn run(mut self, mut listener: Listener) {
        let begin = Instant::now();
        let mut guard = StormGuard::default();
        let mut look = begin + self.interval;
        loop {
            let heard = tokio::select! {
                heard = listener.next() => Some(heard),
                () = tokio::time::sleep_until(look) => None,
            };
            let Some(mut heard) = heard else {
                look = Instant::now() + self.interval;
                self.ask_for_networks().await;
                let everything = Heard {
                    lost: true,
                    ..Heard::default()
                };
                if self.repair(&everything).await > 0 {
                    guard.repaired(begin.elapsed());
                }
                continue;
            };
            if let Some(pause) = guard.pause(begin.elapsed()) {
                tokio::time::sleep(pause).await;
                listener.add_waiting(&mut heard);
            }
            let begun = Instant::now();
            let changed = self.repair(&heard).await;
            if changed == 0 {
                continue;
            }
            let took = begun.elapsed().as_micros();
            let storm = guard.repaired(begin.elapsed());
            let repairs = guard.total();
            tracing::warn!(
                changed,
                took_us = took,
                repairs,
                "repaired the node's network"
            );
            if storm {
                tracing::error!(
                    repairs,
                    "something keeps undoing the node's network; it is repaired every few \
                     seconds from now on, until that has ended"
                );
            }
        }
    }

    async fn ask_for_networks(&mut self) {
        match self.imds.vpc_cidrs().await {
            Ok(cidrs) if cidrs.is_empty() => {}
            Ok(cidrs) => self.host.vpc_cidrs = cidrs,
            Err(error) => tracing::warn!(error = chain(&error), "VPC networks"),
        }
    }

    /// Looks where it was heard, and puts right what is not. How many changes that took.
    async fn repair(&self, heard: &Heard) -> usize {
        let mut changed = 0;
        if heard.node || heard.lost {
            let host = self.host.clone();
            let applied = blocking(move || vpc_datapath::host::apply(&host)).await;
            let applied = applied.map(|report| report.changed);
            let counted = applied.as_ref().map(Vec::len).map_err(|_| ());
            self.pool.tally().host_checked(counted);
            changed += said("the node", applied);
            for eni in (self.enis)() {
                changed += self.rewire(eni).await;
            }
        }
        if heard.lost || !heard.addresses.is_empty() || !heard.links.is_empty() {
            let Some(status) = self.pool.status().await else {
                return changed;
            };
            let pods = running(&status, heard);
            if !pods.is_empty() {
                let kept = blocking(move || vpc_datapath::pod::keep(&pods)).await;
                changed += said("a pod", kept);
            }
        }
        changed
    }

    async fn rewire(&self, eni: WiredEni) -> usize {
        let facts = eni.wiring(self.mtu);
        let applied = blocking(move || vpc_datapath::eni::apply(&facts)).await;
        if eni.is_missing && applied.is_ok() {
            self.pool.wired(eni.id.clone()).await;
        }
        let changed = said(eni.id.as_str(), applied.map(|report| report.changed));
        self.pool.tally().eni_checked(changed);
        changed
    }
}

/// Runs what waits for the kernel where waiting is no harm.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, vpc_datapath::Error> + Send + 'static,
) -> Result<T, vpc_datapath::Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The runtime is going away, and this task with it.
        Err(_) => std::future::pending().await,
    }
}

/// Logs what was done, or why it could not be. How many changes there were.
fn said(what: &str, done: Result<Vec<String>, vpc_datapath::Error>) -> usize {
    match done {
        Ok(changes) => {
            for change in &changes {
                tracing::warn!(what, change, "put right");
            }
            changes.len()
        }
        Err(error) => {
            tracing::error!(what, error = chain(&error), "cannot be put right");
            0
        }
    }
}

/// The pods on known ENIs that something was heard of. Of two sandboxes of one pod the younger:
/// the veth of their common name is its.
fn running(status: &Status, heard: &Heard) -> Vec<Running> {
    let mut by_veth: BTreeMap<String, (Timestamp, Running)> = BTreeMap::new();
    for eni in &status.enis {
        let table = RouteTableId::for_eni(NetworkCard(eni.card), DeviceIndex(eni.device));
        for pod in &eni.pods {
            let Some(veth_suffix) = suffix(pod) else {
                continue;
            };
            let found = Running {
                address: pod.address,
                veth_suffix: veth_suffix.clone(),
                table,
            };
            match by_veth.get(&veth_suffix) {
                Some((since, _)) if *since > pod.since => {}
                _ => {
                    by_veth.insert(veth_suffix, (pod.since, found));
                }
            }
        }
    }
    let concerned = |pod: &Running| {
        let ends_so = |link: &vpc_model::LinkName| link.as_str().ends_with(&pod.veth_suffix);
        heard.lost || heard.addresses.contains(&pod.address) || heard.links.iter().any(ends_so)
    };
    by_veth
        .into_values()
        .map(|(_, pod)| pod)
        .filter(concerned)
        .collect()
}

fn suffix(pod: &PodStatus) -> Option<String> {
    let (namespace, name) = pod.pod.split_once('/')?;
    let name = PodName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    Some(veth_suffix(&name, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use vpc_ipam::status::EniStatus;

    fn pod(name: &str, last: u8, since: u64) -> PodStatus {
        PodStatus {
            pod: format!("default/{name}"),
            container_id: format!("c{last}"),
            address: Ipv4Addr::new(10, 0, 1, last),
            since: Timestamp::from_millis(since),
        }
    }

    fn status() -> Status {
        let eni = EniStatus {
            id: "eni-1".parse().unwrap(),
            kind: "secondary".to_owned(),
            state: "ready".to_owned(),
            card: 0,
            device: 1,
            subnet: "subnet-1".parse().unwrap(),
            primary: Ipv4Addr::new(10, 0, 1, 4),
            addresses: vpc_ipam::status::AddressCounts::default(),
            secondary_ips: 0,
            prefixes: Vec::new(),
            assigning: 0,
            pods: vec![pod("a", 5, 9), pod("b", 6, 1), pod("a", 7, 2)],
            why: String::new(),
        };
        Status {
            enis: vec![eni],
            ..Status::default()
        }
    }

    fn addresses(heard: &Heard) -> Vec<u8> {
        let mut found: Vec<u8> = running(&status(), heard)
            .iter()
            .map(|pod| {
                assert_eq!(pod.table, RouteTableId(2));
                pod.address.octets()[3]
            })
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn of_two_sandboxes_of_a_pod_the_older_gets_nothing_back() {
        let lost = Heard {
            lost: true,
            ..Heard::default()
        };
        assert_eq!(addresses(&lost), [5, 6]);
    }

    #[test]
    fn only_pods_that_something_was_heard_of_are_looked_at() {
        let of = |address: u8| Heard {
            addresses: [Ipv4Addr::new(10, 0, 1, address)].into(),
            ..Heard::default()
        };
        assert_eq!(addresses(&of(6)), [6]);
        assert_eq!(addresses(&of(7)), [0; 0]);
        let name = PodName {
            namespace: "default".to_owned(),
            name: "a".to_owned(),
        };
        let veth = format!("eni{}", veth_suffix(&name, 0)).parse().unwrap();
        let down = Heard {
            links: [veth].into(),
            ..Heard::default()
        };
        assert_eq!(addresses(&down), [5]);
    }
}
