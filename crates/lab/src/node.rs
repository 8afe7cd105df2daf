//! One node of a lab: its namespace, its daemon, its pods.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vpc_model::{InstanceId, SubnetId};

use crate::daemon::{self, Daemon};
use crate::equip::{Common, node_daemon, node_folder, node_runtime};
use crate::files;
use crate::names::{netns_path, node_name};
use crate::process::Exit;
use crate::runtime::execute::CniOutput;
use crate::runtime::pod::{Pod, Sandbox};
use crate::runtime::{self, CniCall, Runtime};
use crate::state::NodeRecord;

/// The plugin of the chain that is under test.
const PLUGIN: &str = "aws-cni";

/// One node. Everything can be asked of it from several tasks at once.
#[derive(Debug)]
pub struct Node {
    record: NodeRecord,
    name: String,
    netns: PathBuf,
    folder: PathBuf,
    runtime: Runtime,
    daemon: Arc<Daemon>,
}

impl Node {
    /// Makes the node's folders and installs the plugin, as the init container of a cluster's
    /// DaemonSet does. The namespace is the fabric's.
    ///
    /// # Errors
    /// A folder could not be made.
    pub(crate) fn prepare(common: &Common, record: NodeRecord) -> Result<Node, files::Error> {
        let folder = node_folder(&common.folder, record.number);
        for part in ["run", "cni", "bin", "log", "no-programs"] {
            files::make_folder(&folder.join(part))?;
        }
        let installed = folder.join("bin").join(PLUGIN);
        std::os::unix::fs::symlink(common.bin_dir.join(PLUGIN), &installed)
            .map_err(|source| files::write_failed(&installed, source))?;
        let netns = netns_path(&common.folder.name().node(record.number));
        Ok(Node {
            name: node_name(record.number),
            runtime: node_runtime(&common.tools, &common.folder, &common.gate, record.number),
            daemon: Arc::new(node_daemon(common, &record, &folder)),
            record,
            netns,
            folder,
        })
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        usize::from(self.record.number)
    }

    /// Its name: `node1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of its network namespace.
    #[must_use]
    pub fn netns(&self) -> &Path {
        &self.netns
    }

    /// Its folder, with `run`, `cni`, `bin` and `log` in it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.folder
    }

    /// Where its daemon writes the network configuration.
    #[must_use]
    pub fn conflist(&self) -> PathBuf {
        self.daemon.conflist.clone()
    }

    /// Its daemon's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.daemon.socket.clone()
    }

    /// Its daemon's log.
    #[must_use]
    pub fn ipamd_log(&self) -> PathBuf {
        self.daemon.launch.log.clone()
    }

    /// The log of its plugin.
    #[must_use]
    pub fn plugin_log(&self) -> PathBuf {
        self.folder.join("log").join("plugin.log")
    }

    /// Its instance.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.record.instance
    }

    /// The subnet of its primary ENI.
    #[must_use]
    pub fn subnet(&self) -> &SubnetId {
        &self.record.subnet
    }

    /// The primary address of its primary ENI.
    #[must_use]
    pub fn primary_address(&self) -> Ipv4Addr {
        self.record.primary_address
    }

    /// The public address that stands for it on the internet.
    #[must_use]
    pub fn public_address(&self) -> Ipv4Addr {
        self.record.public_address
    }

    /// Starts its daemon with `extra` variables besides the lab's. Gives the process id.
    ///
    /// # Errors
    /// See [`Daemon::start`].
    pub async fn start_ipamd(
        &self,
        extra: &BTreeMap<String, String>,
    ) -> Result<u32, daemon::Error> {
        self.daemon.start(extra)
    }

    /// Asks its daemon to end, and waits.
    ///
    /// # Errors
    /// See [`Daemon::stop`].
    pub async fn stop_ipamd(&self) -> Result<Exit, daemon::Error> {
        self.daemon.stop().await
    }

    /// Kills its daemon.
    ///
    /// # Errors
    /// See [`Daemon::kill`].
    pub async fn kill_ipamd(&self) -> Result<Exit, daemon::Error> {
        self.daemon.kill().await
    }

    /// Its daemon's process id, while it runs.
    #[must_use]
    pub fn ipamd_pid(&self) -> Option<u32> {
        self.daemon.pid()
    }

    /// Waits until its daemon can serve pods. Gives how long that took.
    ///
    /// # Errors
    /// See [`Daemon::wait_ready`].
    pub async fn wait_ready(&self, patience: Duration) -> Result<Duration, daemon::Error> {
        self.daemon.wait_ready(patience).await
    }

    /// Makes a pod, as a kubelet and a runtime do.
    ///
    /// # Errors
    /// See [`Runtime::add_pod`].
    pub async fn add_pod(&self, name: &str) -> Result<Pod, runtime::Error> {
        let name = name.to_owned();
        self.blocking(move |runtime| runtime.add_pod(&name)).await
    }

    /// Removes a pod. Gives what the plugins took, from exec to exit.
    ///
    /// # Errors
    /// See [`Runtime::del_pod`].
    pub async fn del_pod(&self, pod: &Pod) -> Result<Duration, runtime::Error> {
        let sandbox = pod.sandbox.clone();
        self.blocking(move |runtime| runtime.del_pod(&sandbox))
            .await
    }

    /// Its wired pods, by name.
    ///
    /// # Errors
    /// See [`Runtime::pods`].
    pub fn pods(&self) -> Result<Vec<Pod>, runtime::Error> {
        self.runtime.pods()
    }

    /// Makes only a pod's namespace.
    ///
    /// # Errors
    /// See [`Runtime::sandbox`].
    pub async fn sandbox(&self, name: &str) -> Result<Sandbox, runtime::Error> {
        let name = name.to_owned();
        self.blocking(move |runtime| runtime.sandbox(&name)).await
    }

    /// Removes only a pod's namespace.
    ///
    /// # Errors
    /// See [`Runtime::remove_sandbox`].
    pub async fn remove_sandbox(&self, sandbox: &Sandbox) -> Result<(), runtime::Error> {
        let sandbox = sandbox.clone();
        self.blocking(move |runtime| runtime.remove_sandbox(&sandbox))
            .await
    }

    /// Executes the first plugin of the chain once, exactly as asked.
    ///
    /// # Errors
    /// See [`Runtime::call`].
    pub async fn cni(&self, call: CniCall) -> Result<CniOutput, runtime::Error> {
        self.blocking(move |runtime| runtime.call(&call)).await
    }

    /// Its daemon, for whoever takes the lab down.
    pub(crate) fn daemon(&self) -> Arc<Daemon> {
        Arc::clone(&self.daemon)
    }

    /// Work on a thread of its own. It goes on when the future is dropped, until the gate closes.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Runtime) -> Result<T, runtime::Error> + Send + 'static,
    ) -> Result<T, runtime::Error> {
        let runtime = self.runtime.clone();
        match tokio::task::spawn_blocking(move || work(&runtime)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(runtime::Error::Abandoned),
            },
        }
    }
}
