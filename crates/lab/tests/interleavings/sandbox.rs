//! A sandbox, and the plugin run for it with a place where it is killed.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::{Namespace, program};
use crate::dice::Dice;

/// The system calls at which a plugin may be killed: those that reach out of it.
const CALLS: [&str; 9] = [
    "openat", "connect", "sendto", "recvfrom", "write", "read", "socket", "setns", "close",
];

/// Where to kill it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KillPoint {
    call: &'static str,
    /// At which of those calls.
    count: usize,
}

impl KillPoint {
    pub(crate) fn drawn(dice: &mut Dice) -> KillPoint {
        KillPoint {
            call: dice.one_of(&CALLS),
            count: 1 + dice.below(8),
        }
    }
}

/// What the runtime knows of a sandbox.
pub(crate) struct Sandbox {
    pub(crate) pod: usize,
    pub(crate) container_id: String,
    /// Nothing when the namespace went without a DEL.
    pub(crate) netns: Option<Namespace>,
    netns_path: PathBuf,
    /// What ADD printed, while the sandbox is to be wired.
    pub(crate) wired: Option<Value>,
    /// What ADD ever printed.
    pub(crate) result: Option<Value>,
}

/// How a plugin ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With what it printed.
    Well(String),
    /// With an error object.
    Badly(String),
    /// By a signal.
    Killed,
}

/// Where plugins are run.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) node: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) log: PathBuf,
}

impl Sandbox {
    pub(crate) fn new(history: u64, pod: usize, serial: usize) -> Sandbox {
        let netns = Namespace::make("ord", &format!("{history}-{pod}-{serial}"));
        Sandbox {
            pod,
            container_id: format!("h{history}-c{serial}"),
            netns_path: netns.path().to_owned(),
            netns: Some(netns),
            wired: None,
            result: None,
        }
    }

    /// A run of the plugin, ready to be started.
    pub(crate) fn verb(
        &self,
        place: &Place,
        verb: &str,
        previous: Option<&Value>,
        kill: Option<KillPoint>,
    ) -> impl FnOnce() -> Ended + Send + use<> {
        let mut conf = conf(place);
        if let Some(previous) = previous {
            conf["prevResult"] = previous.clone();
        }
        let mut command = command(place, verb, kill);
        command
            .env("CNI_CONTAINERID", &self.container_id)
            .env("CNI_NETNS", &self.netns_path)
            .env(
                "CNI_ARGS",
                format!(
                    "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod{}",
                    self.pod
                ),
            );
        move || run(command, &conf)
    }
}

/// GC with these containers to be kept.
pub(crate) fn gc(
    place: &Place,
    keep: &[String],
    kill: Option<KillPoint>,
) -> impl FnOnce() -> Ended + Send + use<> {
    let mut conf = conf(place);
    let valid = |id: &String| json!({ "containerID": id, "ifname": "eth0" });
    conf["cni.dev/valid-attachments"] = keep.iter().map(valid).collect();
    let command = command(place, "GC", kill);
    move || run(command, &conf)
}

fn conf(place: &Place) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "aws-cni", "type": "aws-cni",
        "ipamdSocket": place.socket, "pluginLogFile": place.log
    })
}

fn command(place: &Place, verb: &str, kill: Option<KillPoint>) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net={}", place.node.display()))
        .arg("--");
    if let Some(KillPoint { call, count }) = kill {
        command.args(["strace", "-qq", "-o", "/dev/null", "-e"]);
        command.arg(format!("trace={call}"));
        command.arg("-e");
        command.arg(format!("inject={call}:signal=KILL:when={count}"));
    }
    command
        .arg(program("aws-cni"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("CNI_COMMAND", verb)
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", "/opt/cni/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(mut command: Command, conf: &Value) -> Ended {
    let mut child = command.spawn().expect("a plugin that starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Who is dead reads nothing.
    let _ = stdin.write_all(conf.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => Ended::Well(said),
        Some(1) => Ended::Badly(said),
        _ => Ended::Killed,
    }
}
