//! What a node is equipped with: folders, a container runtime, a daemon and its environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::addresses::{EC2_API, EC2_API_PORT};
use crate::daemon::Daemon;
use crate::files;
use crate::gate::Gate;
use crate::names::{netns_path, node_name};
use crate::pid::ProcessId;
use crate::process::Launch;
use crate::runtime::Runtime;
use crate::runtime::pod::Records;
use crate::state::{LabFolder, NodeRecord};
use crate::tool::Tools;

/// The daemon's program.
const DAEMON: &str = "ipamd";

/// What every node of a lab has in common.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    /// Programs of the system.
    pub(crate) tools: Tools,
    /// The lab's folder.
    pub(crate) folder: LabFolder,
    /// Where the programs under test are; absolute.
    pub(crate) bin_dir: PathBuf,
    /// Variables for the daemons.
    pub(crate) ipamd_env: BTreeMap<String, String>,
    /// Whether something may still be started.
    pub(crate) gate: Arc<Gate>,
}

/// The runtime of node `number`, for the lab's own process and for any other.
#[must_use]
pub fn node_runtime(tools: &Tools, lab: &LabFolder, gate: &Arc<Gate>, number: u8) -> Runtime {
    let folder = node_folder(lab, number);
    Runtime {
        tools: tools.clone(),
        lab: lab.name().clone(),
        node: number,
        configurations: folder.join("cni"),
        plugins: folder.join("bin"),
        no_programs: folder.join("no-programs"),
        records: Records::in_folder(lab.pods()),
        gate: Arc::clone(gate),
    }
}

/// The folder of node `number`.
#[must_use]
pub fn node_folder(lab: &LabFolder, number: u8) -> PathBuf {
    lab.path().join(node_name(number))
}

pub(crate) fn node_daemon(common: &Common, record: &NodeRecord, folder: &Path) -> Daemon {
    let socket = folder.join("run").join("ipamd.sock");
    let mut environment = daemon_environment(folder, &socket, &node_name(record.number));
    environment.extend(common.ipamd_env.clone());
    Daemon {
        node: node_name(record.number),
        launch: Launch {
            program: common.bin_dir.join(DAEMON),
            environment,
            folder: folder.to_owned(),
            netns: netns_path(&common.folder.name().node(record.number)),
            log: folder.join("log").join("ipamd.log"),
            setpriv: common.tools.setpriv.clone(),
        },
        record: folder.join("ipamd.json"),
        socket,
        conflist: folder.join("cni").join("10-aws.conflist"),
        running: Mutex::new(None),
    }
}

/// What the DaemonSet of a cluster sets, with every path inside the node's own folder. Instance
/// metadata is where it always is; the credentials are any, since the simulated EC2 does not
/// check signatures.
fn daemon_environment(folder: &Path, socket: &Path, name: &str) -> BTreeMap<String, String> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    BTreeMap::from(
        [
            ("MY_NODE_NAME", name.to_owned()),
            (
                "AWS_ENDPOINT_URL_EC2",
                format!("http://{EC2_API}:{EC2_API_PORT}"),
            ),
            ("AWS_ACCESS_KEY_ID", "lab".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "lab".to_owned()),
            ("VPC_CNI_SOCKET", text(socket.to_owned())),
            ("VPC_CNI_STATE_DIR", text(folder.join("run"))),
            (
                "AWS_VPC_K8S_CNI_BACKING_STORE",
                text(folder.join("run").join("ipam.json")),
            ),
            ("HOST_CNI_CONFDIR_PATH", text(folder.join("cni"))),
            ("HOST_CNI_BIN_PATH", text(folder.join("bin"))),
            ("AWS_VPC_K8S_CNI_LOG_FILE", "stderr".to_owned()),
            (
                "AWS_VPC_K8S_PLUGIN_LOG_FILE",
                text(folder.join("log").join("plugin.log")),
            ),
            ("PATH", text(folder.join("no-programs"))),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}

/// Whether the daemon of node `number` runs, by the record it has in its folder; for processes
/// other than the lab's own.
///
/// # Errors
/// The record is there and unreadable.
pub fn recorded_daemon(lab: &LabFolder, number: u8) -> Result<Option<u32>, files::Error> {
    let record = node_folder(lab, number).join("ipamd.json");
    let process: Option<ProcessId> = files::read_json(&record)?;
    Ok(process
        .filter(|process| process.is_alive())
        .map(|process| process.pid))
}

/// Where the programs under test are, as an absolute path.
///
/// # Errors
/// There is no such folder.
pub(crate) fn absolute_bin_dir(bin_dir: &Path) -> Result<PathBuf, files::Error> {
    fs::canonicalize(bin_dir).map_err(|source| files::read_failed(bin_dir, source))
}
