//! From the pool to those outside: the health service; the conflist, whose presence tells the
//! kubelet that pods can be started; upstream's checkpoint, for the day it is rolled back to.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use vpc_model::settings::{LogDestination, Settings};
use vpc_rpc::Health;

use crate::checkpoint_file::CheckpointFile;
use crate::conflist::{Conflist, PortMapping};
use crate::pool_task::PoolHandle;
use crate::readiness::Readiness;
use crate::report::chain;

/// How long changes of the allocations are gathered before upstream's checkpoint is written.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(2);

/// Writes upstream's checkpoint after the allocations have changed, until the pool task is gone.
pub async fn checkpoint(
    file: Arc<Mutex<CheckpointFile>>,
    pool: PoolHandle,
    mut allocations: watch::Receiver<u64>,
) {
    loop {
        let Some((ledger, version)) = pool.allocations().await else {
            return;
        };
        let file = Arc::clone(&file);
        let written = tokio::task::spawn_blocking(move || {
            // What is behind the lock is the old state or the new one: a panic spoils nothing.
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_or_say(&ledger, version);
        });
        if written.await.is_err() || allocations.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(CHECKPOINT_PAUSE).await;
        allocations.mark_unchanged();
    }
}

/// Keeps `health` as the pool's readiness says, until the pool task is gone.
pub async fn health(mut readiness: watch::Receiver<Readiness>, health: watch::Sender<Health>) {
    loop {
        let now = readiness.borrow_and_update().clone();
        health.send_replace(if now.is_ready() {
            Health::Serving
        } else {
            Health::NotServing {
                reason: now.to_string(),
            }
        });
        if readiness.changed().await.is_err() {
            return;
        }
    }
}

/// Writes the conflist when the pool first can serve. A write that fails is tried again every
/// five seconds: the folder may be mounted late.
pub async fn conflist(
    settings: &Settings,
    mut readiness: watch::Receiver<Readiness>,
    shutdown: impl Future<Output = ()>,
) {
    let writing = async {
        if readiness.wait_for(Readiness::is_ready).await.is_err() {
            return;
        }
        let conflist = describe(settings);
        if conflist.port_mapping == PortMapping::NotInstalled {
            tracing::warn!(
                folder = %settings.cni_bin_dir.display(),
                "there is no portmap plugin, so host ports of pods do not work; install the CNI \
                 project's plugins to have them"
            );
        }
        loop {
            match conflist.install(&settings.cni_conf_dir) {
                Ok(written) => {
                    let folder = settings.cni_conf_dir.display();
                    tracing::info!(written, %folder, "the conflist is in place");
                    return;
                }
                Err(error) => tracing::error!(error = chain(&error), "conflist"),
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    };
    tokio::select! {
        () = writing => {}
        () = shutdown => {}
    }
}

fn describe(settings: &Settings) -> Conflist {
    let plugin_log_file = match &settings.plugin_log.destination {
        LogDestination::File(path) => path.to_string_lossy().into_owned(),
        // The plugin's standard output is its result.
        LogDestination::Stdout | LogDestination::Stderr => "stderr".to_owned(),
    };
    Conflist {
        socket: settings.socket.clone(),
        veth_prefix: settings.veth_prefix.clone(),
        pod_mtu: settings.pod_mtu,
        pod_security_group_mode: settings.pod_security_group_mode.as_str().to_owned(),
        plugin_log_file,
        plugin_log_level: settings.plugin_log.level.to_string(),
        port_mapping: PortMapping::in_folder(&settings.cni_bin_dir),
    }
}
