//! What is looked after now and then: releases that were queued while nobody could take them.

use std::path::Path;
use std::time::Duration;

use crate::garbage::{self, PodState};
use crate::metrics::tally::DelReason;
use crate::pool_task::{PoolHandle, ReleaseRefusal};
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
                pool.tally().del_requests.of(DelReason::Queued).one();
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
