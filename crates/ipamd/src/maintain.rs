//! What is looked after now and then: releases that were queued while nobody could take them, the
//! VPC's networks, and kernel state that something else may have removed.

use std::path::Path;
use std::time::Duration;

use vpc_aws::imds::Imds;
use vpc_datapath::host::HostFacts;
use vpc_model::Mtu;

use crate::garbage::{self, PodState};
use crate::pool_task::{PoolHandle, ReleaseRefusal, WiredEni};
use crate::report::chain;

/// How often the folder of queued releases is looked at. A DEL that ran into its deadline leaves
/// one while the daemon is up; its address is only missing from the pool until then.
const QUEUE_INTERVAL: Duration = Duration::from_secs(60);

/// Takes queued releases, for good.
pub async fn queued_releases(socket: &Path, pool: &PoolHandle, state: &impl PodState) {
    loop {
        drain(socket, pool, state).await;
        tokio::time::sleep(QUEUE_INTERVAL).await;
    }
}

/// Takes the releases that are queued now, and what their sandboxes left in the kernel: a DEL
/// without ipamd removes only what is surely its own.
pub async fn drain(socket: &Path, pool: &PoolHandle, state: &impl PodState) {
    let folder = vpc_rpc::release_queue::beside(socket);
    let queued = match vpc_rpc::release_queue::read(&folder) {
        Ok(queued) => queued,
        Err(error) => {
            tracing::error!(error = chain(&error), "queued releases");
            return;
        }
    };
    for (path, error) in &queued.unreadable {
        tracing::error!(path = %path.display(), error = chain(error), "queued release");
    }
    for (path, release) in queued.releases {
        let key = release.key;
        match pool.release_as_of(key.clone(), release.released_at).await {
            Ok(grant) => {
                tracing::info!(
                    verb = "DEL", %key, address = %grant.address,
                    "released, as queued while ipamd was away"
                );
                garbage::remove_leftovers(state, &grant).await;
            }
            Err(ReleaseRefusal::UnknownPod) => {
                tracing::info!(verb = "DEL", %key, "a queued release has nothing to release");
            }
            Err(error) => {
                // It stays queued.
                tracing::error!(verb = "DEL", %key, %error, "a queued release");
                continue;
            }
        }
        if let Err(error) = vpc_rpc::release_queue::done(&path) {
            tracing::error!(
                error = chain(&error),
                "a queued release was taken and stays queued"
            );
        }
    }
}

/// The kernel state that is the daemon's, as it was set at start.
#[derive(Debug, Clone)]
pub struct KernelState {
    /// The node's.
    pub host: HostFacts,
}

/// Puts right what is not, every `interval`, for good. `enis` gives the ENIs as they are then; the
/// pool is told of those that are wired at last.
pub async fn kernel_state<I: Imds>(
    mut state: KernelState,
    imds: &I,
    interval: Duration,
    mtu: Mtu,
    enis: impl Fn() -> Vec<WiredEni>,
    pool: &PoolHandle,
) {
    loop {
        tokio::time::sleep(interval).await;
        match imds.vpc_cidrs().await {
            Ok(cidrs) if cidrs.is_empty() => {}
            Ok(cidrs) => state.host.vpc_cidrs = cidrs,
            Err(error) => tracing::warn!(error = chain(&error), "VPC networks"),
        }
        let host = state.host.clone();
        match tokio::task::spawn_blocking(move || vpc_datapath::host::apply(&host)).await {
            Ok(Ok(report)) => report_changes("the node", &report.changed),
            Ok(Err(error)) => tracing::error!(error = chain(&error), "host network"),
            Err(_) => return,
        }
        for eni in enis() {
            let facts = eni.wiring(mtu);
            match tokio::task::spawn_blocking(move || vpc_datapath::eni::apply(&facts)).await {
                Ok(Ok(report)) => {
                    report_changes(report.link.as_str(), &report.changed);
                    if eni.is_missing {
                        pool.wired(eni.id).await;
                    }
                }
                Ok(Err(error)) => {
                    tracing::error!(eni = %eni.id, error = chain(&error), "an ENI's wiring");
                }
                Err(_) => return,
            }
        }
    }
}

fn report_changes(what: &str, changes: &[String]) {
    for change in changes {
        tracing::warn!(what, change, "put right");
    }
}
