//! The program as a person uses it: labs in the background, other processes that work on them,
//! and every way a lab can end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use vpc_lab::pid::ProcessId;
use vpc_lab::state::LabFolder;
use vpc_lab::{LabName, leftovers, recorded_daemon};

/// Where the labs of these tests have their folders.
const ROOT: &str = vpc_lab::state::STANDARD_ROOT;

/// One lab, spoken to by the program. It is taken down with this value.
struct Line {
    name: LabName,
    bin_dir: PathBuf,
}

impl Line {
    fn new(test: &str) -> Line {
        Line {
            name: common::lab_name(test),
            bin_dir: common::bin_dir(),
        }
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vpc-lab"));
        command.env("VPC_BIN_DIR", &self.bin_dir);
        command
            .args(["--name", self.name.as_str()])
            .args(words.split(' '));
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// What it prints when it succeeds.
    #[track_caller]
    fn says(&self, words: &str) -> String {
        let output = self.run(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it complains when it fails.
    #[track_caller]
    fn complains(&self, words: &str) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(1), "{words}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn folder(&self) -> LabFolder {
        LabFolder::of(Path::new(ROOT), &self.name)
    }

    fn left(&self) -> Vec<String> {
        leftovers(&self.name, Path::new(ROOT))
    }

    /// A folder with another program for ipamd.
    fn with_ipamd(mut self, folder: &Path, script: &str) -> Line {
        let plugin = fs::canonicalize(self.bin_dir.join("aws-cni")).unwrap();
        std::os::unix::fs::symlink(plugin, folder.join("aws-cni")).unwrap();
        let ipamd = folder.join("ipamd");
        fs::write(&ipamd, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&ipamd, fs::Permissions::from_mode(0o755)).unwrap();
        self.bin_dir = folder.to_owned();
        self
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.run("down");
    }
}

#[track_caller]
fn eventually(what: &str, check: impl Fn() -> bool) {
    for _ in 0..1000 {
        if check() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within 10 s: {what}");
}

#[test]
fn a_lab_stays_in_the_background_and_other_processes_work_on_it() {
    let line = Line::new("cplay");
    let said = line.says("up");
    assert!(said.contains("EC2 API on http://127.0.0.1:"), "{said}");
    let said = line.says("status");
    assert!(said.contains("node2") && said.contains("ens5"), "{said}");

    assert!(line.says("pod add web --node 1").contains("node1: 10.0.1."));
    let record = fs::read_to_string(line.folder().pods().join("web.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let address = record["wired"]["address"].as_str().unwrap().to_owned();
    line.says("pod add client --node 2");
    let said = line.says("exec client -- ip -4 -o addr show eth0");
    assert!(said.contains("10.0.2."), "{said}");
    assert!(
        line.run(&format!("exec client -- ping -c 1 -W 2 {address}"))
            .status
            .success()
    );
    assert!(line.says("node exec 1 -- ip -o link").contains("ens5"));
    assert_eq!(
        line.run("exec client -- ls /nonexistent").status.code(),
        Some(2)
    );
    let said = line.says("pod list");
    assert!(said.contains("web") && said.contains(&address), "{said}");
    line.says("pod del web");
    assert!(!line.says("pod list").contains("web"));

    assert!(line.complains("up").contains("is up, held by process"));
    line.says("down");
    assert_eq!(line.left(), Vec::<String>::new());
}

#[test]
fn names_that_do_not_exist_are_named_with_what_to_do() {
    let line = Line::new("cnames");
    assert!(line.complains("status").contains("vpc-lab up --name"));
    assert!(line.complains("pod add web").contains("there is no lab"));
    line.says("up");
    assert!(line.complains("pod add Web").contains("lower-case letters"));
    assert!(
        line.complains("pod add web --node 3")
            .contains("the nodes are 1 and 2")
    );
    assert!(line.complains("pod del web").contains("vpc-lab pod list"));
    assert!(
        line.complains("exec web -- true")
            .contains("there is no pod web")
    );
    assert!(
        line.complains("node exec 0 -- true")
            .contains("the nodes are 1 and 2")
    );
    line.says("pod add web");
    assert!(
        line.complains("pod add web --node 2")
            .contains("already, on node 1")
    );
    assert!(
        line.complains("exec web -- /no/such/program")
            .contains("/no/such/program")
    );
}

#[test]
fn a_killed_lab_leaves_no_daemon_and_the_next_one_clears_up() {
    let line = Line::new("ckill");
    line.says("up");
    line.says("pod add web");
    let daemons: Vec<ProcessId> = [1, 2]
        .map(|node| recorded_daemon(&line.folder(), node).unwrap().unwrap())
        .map(|pid| ProcessId::of(pid).unwrap())
        .to_vec();
    let owner = line.folder().owner().unwrap().unwrap();
    owner.signal(Signal::KILL).unwrap();
    eventually("the end of the daemons", || {
        daemons.iter().all(|daemon| !daemon.is_alive())
    });
    assert!(line.complains("status").contains("is dead"));
    assert!(line.complains("pod list").contains("vpc-lab down"));
    assert!(!line.left().is_empty());

    assert!(line.says("up").contains("clearing up"));
    assert!(!line.says("pod list").contains("web"));
    let owner = line.folder().owner().unwrap().unwrap();
    owner.signal(Signal::KILL).unwrap();
    eventually("the end of the lab", || !owner.is_alive());
    assert!(line.says("down").contains("was dead"));
    assert_eq!(line.left(), Vec::<String>::new());
    assert!(line.says("down").contains("There is no lab"));
}

#[test]
fn an_ipamd_that_ends_is_reported_with_its_last_words_and_nothing_is_left() {
    let folder = tempfile::TempDir::new().unwrap();
    let line = Line::new("cends").with_ipamd(folder.path(), "echo what a pity >&2; exit 64");
    let complaint = line.complains("up");
    assert!(complaint.contains("exit code 64"), "{complaint}");
    assert!(complaint.contains("what a pity"), "{complaint}");
    assert_eq!(line.left(), Vec::<String>::new());
}

#[test]
fn ctrl_c_while_a_lab_comes_up_leaves_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let line = Line::new("cintr").with_ipamd(folder.path(), "exec /bin/sleep 600");
    let mut child: Child = line.command("up").stdout(Stdio::piped()).spawn().unwrap();
    eventually("the daemons", || {
        matches!(recorded_daemon(&line.folder(), 2), Ok(Some(_)))
    });
    ProcessId::of(child.id())
        .unwrap()
        .signal(Signal::INT)
        .unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(line.left(), Vec::<String>::new());
}

#[test]
fn who_is_not_root_is_told_to_use_sudo_in_one_sentence() {
    let nobody = |words: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command
            .arg(env!("CARGO_BIN_EXE_vpc-lab"))
            .args(words.split(' '));
        command.output().unwrap()
    };
    for words in ["up", "down", "pod add web", "exec web -- true"] {
        let output = nobody(words);
        assert!(!output.status.success(), "{words}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(complaint.contains("sudo"), "{complaint}");
    }
}
