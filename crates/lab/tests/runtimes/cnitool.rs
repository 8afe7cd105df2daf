//! `cnitool`, the CNI project's client, on a node of the lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use vpc_lab::demo::stage::Demo;

use crate::common::{Namespace, bin_dir};

/// The program, where `make test` could build it.
pub(crate) fn program() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("VPC_CNITOOL")?);
    path.is_file().then_some(path)
}

/// `cnitool` with the daemon's conflist in some version, checks enabled.
pub(crate) struct Tool {
    program: PathBuf,
    folder: tempfile::TempDir,
    node: PathBuf,
    version: String,
}

/// A sandbox: a network namespace.
pub(crate) struct Sandbox {
    netns: Namespace,
    name: String,
}

impl Sandbox {
    pub(crate) fn path(&self) -> &Path {
        self.netns.path()
    }

    /// Changes something inside.
    pub(crate) fn ip(&self, arguments: &str) {
        let done = Command::new("nsenter")
            .arg(format!("--net={}", self.path().display()))
            .args(["--", "ip"])
            .args(arguments.split(' '))
            .status();
        assert!(done.expect("ip").success(), "ip {arguments}");
    }
}

impl Tool {
    pub(crate) fn new(demo: &Demo, program: &Path, version: &str) -> Tool {
        let folder = tempfile::tempdir().expect("a folder");
        let tool = Tool {
            program: program.to_owned(),
            folder,
            node: demo.node(1).netns().to_owned(),
            version: version.to_owned(),
        };
        let text = fs::read(demo.node(1).conflist()).expect("the daemon's conflist");
        let mut list: Value = serde_json::from_slice(&text).expect("JSON");
        list["cniVersion"] = json!(version);
        list["disableCheck"] = json!(false);
        tool.write(&list);
        tool
    }

    fn write(&self, list: &Value) {
        let path = self.folder.path().join("10-aws.conflist");
        fs::write(path, list.to_string()).expect("a file");
    }

    pub(crate) async fn sandbox(&self, number: usize) -> Sandbox {
        let version = self.version.replace('.', "");
        let name = format!("s{version}-{number}");
        let netns = Namespace::make("cnt", &name);
        Sandbox { netns, name }
    }

    /// ADD that must succeed: its result.
    pub(crate) async fn add(&self, sandbox: &Sandbox) -> Value {
        let said = self.run("add", sandbox).await;
        let said = said.unwrap_or_else(|failure| panic!("ADD: {failure}"));
        serde_json::from_str(&said).expect("a result")
    }

    /// ADD with other fields of our plugin from now on.
    pub(crate) async fn add_with(
        &self,
        sandbox: &Sandbox,
        fields: &Value,
    ) -> Result<String, String> {
        let path = self.folder.path().join("10-aws.conflist");
        let text = fs::read(path).expect("the conflist");
        let mut list: Value = serde_json::from_slice(&text).expect("JSON");
        for (name, value) in fields.as_object().expect("an object") {
            list["plugins"][0][name] = value.clone();
        }
        self.write(&list);
        self.run("add", sandbox).await
    }

    pub(crate) async fn check(&self, sandbox: &Sandbox) -> Result<String, String> {
        self.run("check", sandbox).await
    }

    /// DEL that must succeed.
    pub(crate) async fn del(&self, sandbox: &Sandbox) {
        let said = self.run("del", sandbox).await;
        said.unwrap_or_else(|failure| panic!("DEL: {failure}"));
    }

    async fn run(&self, verb: &str, sandbox: &Sandbox) -> Result<String, String> {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.node.display()))
            .arg("--")
            .arg(&self.program)
            .args([verb, "aws-cni"])
            .arg(sandbox.path())
            .env("NETCONFPATH", self.folder.path())
            .env("CNI_PATH", bin_dir())
            .env(
                "CNI_ARGS",
                format!(
                    "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={}",
                    sandbox.name
                ),
            );
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ran.expect("a task that ends").expect("cnitool");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{} {}", text(&output.stdout), text(&output.stderr)))
        }
    }
}
