//! From the pool's readiness to those outside who ask for it: the health service, and the conflist,
//! whose presence tells the kubelet that pods can be started.

use std::future::Future;

use tokio::sync::watch;
use vpc_model::settings::{LogDestination, Settings};
use vpc_rpc::Health;

use crate::conflist::{Conflist, PortMapping};
use crate::readiness::Readiness;
use crate::report::chain;

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
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
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
