//! A node to run the plugin on: a network namespace, a fake ipamd on a real socket, and pods.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses a part of this, and helpers may fail the test too"
)]

mod daemon;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

pub use daemon::{FakeAgent, FakeIpamd, Manner};

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A network namespace, deleted in the end.
pub struct Netns {
    pub name: String,
}

impl Netns {
    pub fn new() -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("cnitest-{}-{serial}", std::process::id());
        ip(&["netns", "add", &name]);
        Self { name }
    }

    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// What `ip -j` says inside.
    pub fn ip(&self, arguments: &[&str]) -> Value {
        let output = self
            .command("ip")
            .arg("-j")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "ip {arguments:?}: {output:?}");
        if output.stdout.is_empty() {
            return json!([]);
        }
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Changes something inside with `ip`.
    pub fn change(&self, arguments: &str) {
        let output = self
            .command("ip")
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "ip {arguments}: {output:?}");
    }

    /// A command to be run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .stderr(Stdio::null())
            .status();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "ip {arguments:?}: {output:?}; these tests need root"
    );
}

/// Some fields of each object in a list.
fn only(fields: &[&str], list: &Value) -> Vec<Value> {
    let one = |object: &Value| {
        fields
            .iter()
            .map(|field| ((*field).to_owned(), object[*field].clone()))
            .collect()
    };
    list.as_array().unwrap().iter().map(one).collect()
}

/// Waits for something the kernel does in its own time, and gives up loudly.
pub fn until(condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("it did not come about");
}

/// A node: its namespace, its ipamd, and a folder for sockets and logs.
pub struct Node {
    pub netns: Netns,
    pub ipamd: Option<FakeIpamd>,
    folder: tempfile::TempDir,
}

impl Node {
    /// With an ipamd that has addresses to give.
    pub fn new() -> Self {
        let mut node = Self::without_ipamd();
        node.ipamd = Some(FakeIpamd::start(&node.socket(), Manner::default()));
        node
    }

    pub fn with(manner: Manner) -> Self {
        let mut node = Self::without_ipamd();
        node.ipamd = Some(FakeIpamd::start(&node.socket(), manner));
        node
    }

    pub fn without_ipamd() -> Self {
        let netns = Netns::new();
        netns.change("link set lo up");
        netns.change("link add primary type veth peer name wire");
        netns.change("address add 10.0.1.5/24 dev primary");
        netns.change("link set primary up");
        netns.change("link set wire up");
        Self {
            netns,
            ipamd: None,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("ipamd.sock")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("plugin.log")
    }

    /// Releases that wait for ipamd.
    pub fn queued(&self) -> Vec<vpc_rpc::release_queue::Release> {
        let folder = vpc_rpc::release_queue::beside(&self.socket());
        let queued = vpc_rpc::release_queue::read(&folder).unwrap();
        assert!(queued.unreadable.is_empty());
        queued
            .releases
            .into_iter()
            .map(|(_, release)| release)
            .collect()
    }

    /// Everything the plugin may have touched outside the pod.
    pub fn state(&self) -> Value {
        json!({
            "links": only(&["ifname", "address", "mtu"], &self.netns.ip(&["link"])),
            // Without their flags, which follow the carrier of the link in its own time.
            "routes": only(
                &["dst", "dev", "table", "gateway", "scope", "prefsrc", "type"],
                &self.netns.ip(&["-4", "route", "show", "table", "all"]),
            ),
            "rules": self.netns.ip(&["-4", "rule"]),
        })
    }

    /// Waits until the node has as many links as `before`: the kernel removes the veths of
    /// namespaces that are gone in its own time.
    pub fn settle(&self, before: &Value) {
        let count = |state: &Value| state["links"].as_array().unwrap().len();
        until(|| count(&self.state()) == count(before));
    }

    /// The rules about an address, as "priority/table".
    pub fn rules_of(&self, address: &str) -> Vec<String> {
        let rules = self.netns.ip(&["rule"]);
        let about = |rule: &&Value| rule["src"] == address || rule["dst"] == address;
        let shown =
            |rule: &Value| format!("{}/{}", rule["priority"], rule["table"].as_str().unwrap());
        rules
            .as_array()
            .unwrap()
            .iter()
            .filter(about)
            .map(shown)
            .collect()
    }

    /// The link the route to an address leads over.
    pub fn route_to(&self, address: &str) -> Option<String> {
        let routes = self.netns.ip(&["route", "show", "table", "main"]);
        let route = routes
            .as_array()
            .unwrap()
            .iter()
            .find(|route| route["dst"] == address)?;
        Some(route["dev"].as_str().unwrap().to_owned())
    }
}

/// A pod's sandbox on a node, and how the runtime calls the plugin for it.
pub struct Pod {
    pub netns: Option<Netns>,
    pub netns_path: PathBuf,
    pub container_id: String,
    pub name: String,
    /// Fields of the network configuration besides those every call has.
    pub fields: Value,
    /// `CNI_ARGS` instead of what the kubelet passes.
    pub arguments: Option<String>,
    socket: PathBuf,
    node: PathBuf,
}

/// What the plugin left behind.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Pod {
    pub fn new(node: &Node, name: &str) -> Self {
        let netns = Netns::new();
        Self {
            netns_path: netns.path(),
            netns: Some(netns),
            container_id: format!("{name}-sandbox"),
            name: name.to_owned(),
            fields: json!({ "cniVersion": "1.0.0" }),
            arguments: None,
            socket: node.socket(),
            node: node.netns.path(),
        }
    }

    /// Executes the plugin in the node's namespace, as a runtime does.
    pub fn call(&self, verb: &str, previous: Option<&Value>) -> Ran {
        let mut conf = json!({
            "name": "aws-cni", "type": "aws-cni", "ipamdSocket": self.socket, "pluginLogFile": "stderr"
        });
        for (field, value) in self.fields.as_object().unwrap() {
            conf[field] = value.clone();
        }
        if let Some(previous) = previous {
            conf["prevResult"] = previous.clone();
        }
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.node.display()));
        command.arg("--").arg(env!("CARGO_BIN_EXE_aws-cni"));
        command
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", &self.container_id);
        command
            .env("CNI_NETNS", &self.netns_path)
            .env("CNI_IFNAME", "eth0");
        command
            .env("CNI_PATH", "/opt/cni/bin")
            .env("CNI_ARGS", self.arguments());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let written = std::io::Write::write_all(
            &mut child.stdin.take().unwrap(),
            conf.to_string().as_bytes(),
        );
        written.unwrap();
        Ran::from(child.wait_with_output().unwrap())
    }

    /// ADD that must succeed: its result.
    pub fn add(&self) -> Value {
        self.call("ADD", None).result()
    }

    fn arguments(&self) -> String {
        if let Some(arguments) = &self.arguments {
            return arguments.clone();
        }
        format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={}",
            self.name, self.container_id
        )
    }

    /// What `ip -j` says inside the pod.
    pub fn ip(&self, arguments: &[&str]) -> Value {
        self.netns.as_ref().unwrap().ip(arguments)
    }

    /// Takes the namespace away, and waits until its veth is gone from the node.
    pub fn lose_netns(&mut self, node: &Node) {
        let veth = node.route_to(&self.address()).unwrap_or_default();
        self.netns = None;
        until(|| veth.is_empty() || !node.netns.ip(&["link"]).to_string().contains(&veth));
    }

    /// The address inside the pod.
    pub fn address(&self) -> String {
        let links = self.ip(&["-4", "address", "show", "dev", "eth0"]);
        links[0]["addr_info"][0]["local"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Ran {
    /// The result of a verb that must have succeeded.
    pub fn result(&self) -> Value {
        assert_eq!(self.status, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// That the verb succeeded and printed nothing.
    pub fn silent(&self) {
        assert_eq!((self.status, self.stdout.as_str()), (0, ""), "{self:?}");
    }

    /// The error of a verb that must have failed with `code`: message and details.
    pub fn error(&self, code: u32) -> String {
        assert_eq!(self.status, 1, "{self:?}");
        let object: Value = serde_json::from_str(&self.stdout).unwrap();
        assert_eq!(object["code"], code, "{self:?}");
        format!(
            "{} | {}",
            object["msg"].as_str().unwrap(),
            object["details"].as_str().unwrap_or("")
        )
    }

    /// The line the verb logged on standard error.
    pub fn log(&self) -> Value {
        serde_json::from_str(&self.stderr).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
