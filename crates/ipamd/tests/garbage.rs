//! GC against a pool task that runs: what is freed, what stays, and what the kernel keeps.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses its own part")]
mod cloud;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud::{Cloud, pool_eni};
use vpc_datapath::pod::PodTeardown;
use vpc_ipam::garbage::{Kernel, Listed};
use vpc_ipam::journal::Record;
use vpc_ipam::{Holder, WarmTarget};
use vpc_ipamd::garbage::{PodState, ThisNode, collect};
use vpc_ipamd::journal_file::JournalFile;
use vpc_ipamd::pool_task::ReleaseRefusal;
use vpc_model::names::host_veth;
use vpc_model::{DeviceIndex, NetworkCard, PodKey, PodName, Timestamp, VethPrefix};
use vpc_rpc::Code;
use vpc_rpc::proto::node::CollectGarbageReply;

const NONE: Duration = Duration::ZERO;

/// A kernel that has what it is told, and notes what is taken away.
#[derive(Clone, Default)]
struct Fake {
    has: Kernel,
    is_blind: bool,
    removed: Arc<Mutex<Vec<PodTeardown>>>,
}

impl PodState for Fake {
    fn look(&self) -> Result<Kernel, vpc_datapath::Error> {
        if self.is_blind {
            return Err(vpc_datapath::Error::Unstable {
                doing: "list links".to_owned(),
                attempts: 3,
            });
        }
        Ok(self.has.clone())
    }

    fn remove(&self, teardown: &PodTeardown) -> Result<(), vpc_datapath::Errors> {
        self.removed.lock().unwrap().push(teardown.clone());
        Ok(())
    }
}

fn key(name: &str) -> PodKey {
    PodKey {
        network: "aws-cni".to_owned(),
        container_id: name.to_owned(),
        if_name: "eth0".to_owned(),
    }
}

fn pod(name: &str) -> PodName {
    PodName {
        namespace: "default".to_owned(),
        name: name.to_owned(),
    }
}

fn listing(names: &[&str]) -> Listed {
    Listed {
        network: "aws-cni".to_owned(),
        attachments: names
            .iter()
            .map(|name| ((*name).to_owned(), "eth0".to_owned()))
            .collect(),
    }
}

/// A daemon with addresses 11 to 14, which `names` hold in that order.
async fn daemon(folder: &std::path::Path, min_age: Duration, names: &[&str]) -> cloud::Daemon {
    let cloud = Cloud::default();
    let daemon = cloud::start_patiently(folder, min_age);
    let warm = WarmTarget::Ips {
        warm: 0,
        minimum: 0,
    };
    daemon.learn(&cloud, warm, vec![pool_eni(1, &[11, 12, 13, 14])]);
    for name in names {
        daemon.pool.allocate(key(name), pod(name)).await.unwrap();
    }
    daemon
}

fn freed(reply: &CollectGarbageReply) -> Vec<&str> {
    reply.freed.iter().map(|one| &*one.address).collect()
}

#[tokio::test]
async fn what_is_neither_listed_nor_in_the_kernel_is_freed_and_rests() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon(folder.path(), NONE, &["listed", "wired", "gone"]).await;
    let link = host_veth(&VethPrefix::default(), &pod("wired"), 0);
    let kernel = Fake {
        has: Kernel {
            links: [link.clone()].into(),
            routes: [(Ipv4Addr::new(10, 0, 1, 12), Some(link))].into(),
            ruled: [11, 12, 13, 99]
                .map(|last| Ipv4Addr::new(10, 0, 1, last))
                .into(),
        },
        ..Fake::default()
    };
    let reply = collect(&daemon.pool, &listing(&["listed"]), NONE, &kernel).await;
    let reply = reply.unwrap();
    let removed = kernel.removed.lock().unwrap().clone();
    let removed: Vec<_> = removed.iter().map(|one| one.address.octets()[3]).collect();
    // The one that was freed, and one that has rules and is nobody's.
    assert_eq!(removed, [13, 99]);
    assert_eq!(freed(&reply), ["10.0.1.13"]);
    assert_eq!(reply.spared.len(), 1);
    assert_eq!(reply.spared[0].address, "10.0.1.12");
    assert!(reply.spared[0].reason.contains("route"), "{reply:?}");

    let unknown = daemon.pool.release(key("gone")).await.unwrap_err();
    assert_eq!(unknown, ReleaseRefusal::UnknownPod);
    let next = daemon.pool.allocate(key("next"), pod("next")).await;
    assert_eq!(next.unwrap().address.octets()[3], 14, "the freed one rests");
    for name in ["listed", "wired"] {
        assert!(daemon.pool.release(key(name)).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn what_gc_freed_stays_free_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let before = daemon(folder.path(), NONE, &["gone"]).await;
    let reply = collect(&before.pool, &listing(&[]), NONE, &Fake::default()).await;
    assert_eq!(freed(&reply.unwrap()), ["10.0.1.11"]);
    before.end().await;
    let after = daemon(folder.path(), NONE, &[]).await;
    let (ledger, _) = after.pool.allocations().await.unwrap();
    assert!(ledger.is_empty(), "{ledger:?}");
}

#[tokio::test]
async fn a_sandbox_that_is_being_set_up_is_never_freed() {
    let folder = tempfile::tempdir().unwrap();
    let minute = Duration::from_secs(60);
    let daemon = daemon(folder.path(), minute, &["new"]).await;
    let reply = collect(&daemon.pool, &listing(&[]), minute, &Fake::default()).await;
    let reply = reply.unwrap();
    assert_eq!(freed(&reply), [""; 0]);
    assert!(reply.spared[0].reason.contains("ADD"), "{reply:?}");
    // Also when whoever judged it saw an older allocation.
    let refusal = daemon.pool.collect(key("new")).await.unwrap_err();
    assert_eq!(refusal, ReleaseRefusal::AskedFor);
}

#[tokio::test]
async fn an_add_that_asks_again_protects_an_allocation_that_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = JournalFile::open(folder.path()).unwrap();
    for (name, last) in [("asks", 11), ("silent", 12)] {
        let holder = Holder {
            key: key(name),
            pod: pod(name),
            address: Ipv4Addr::new(10, 0, 1, last),
            device: DeviceIndex(1),
            card: NetworkCard(0),
            since: Timestamp::ZERO,
        };
        journal.append(&Record::Allocate { holder }).unwrap();
    }
    drop(journal);
    let minute = Duration::from_secs(60);
    let daemon = daemon(folder.path(), minute, &["asks"]).await;
    let reply = collect(&daemon.pool, &listing(&[]), minute, &Fake::default()).await;
    let reply = reply.unwrap();
    assert_eq!(freed(&reply), ["10.0.1.12"]);
    assert!(reply.spared[0].reason.contains("ADD"), "{reply:?}");
    assert!(daemon.pool.release(key("asks")).await.is_ok());
}

#[tokio::test]
async fn without_the_kernels_word_nothing_is_freed() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon(folder.path(), NONE, &["a"]).await;
    let blind = Fake {
        is_blind: true,
        ..Fake::default()
    };
    let status = collect(&daemon.pool, &listing(&[]), NONE, &blind).await;
    assert_eq!(status.unwrap_err().code, Code::Unavailable);
    assert!(daemon.pool.release(key("a")).await.is_ok());
}

#[tokio::test]
async fn another_networks_allocations_are_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon(folder.path(), NONE, &["a"]).await;
    let mut other = listing(&[]);
    other.network = "storage".to_owned();
    let reply = collect(&daemon.pool, &other, NONE, &Fake::default())
        .await
        .unwrap();
    assert_eq!(reply, CollectGarbageReply::default());
    assert!(daemon.pool.release(key("a")).await.is_ok());
}

#[tokio::test]
async fn the_kernel_is_seen_as_it_is() {
    let kernel = ThisNode.look().unwrap();
    assert!(kernel.links.contains(&"lo".parse().unwrap()), "{kernel:?}");
}
