//! What the end-to-end tests share: the programs under test, labs with names of their own, and
//! the one way to skip.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

pub(crate) mod console;
pub(crate) mod pool;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use vpc_lab::demo::stage::{Demo, shortened};
use vpc_lab::demo::table::{Outcome, Verdict};
use vpc_lab::{LabConfig, LabName};

/// The programs a lab needs.
pub(crate) const PROGRAMS: [&str; 2] = ["ipamd", "aws-cni"];

/// The folder of the programs under test: `VPC_BIN_DIR`, or where cargo builds them.
pub(crate) fn bin_dir() -> PathBuf {
    let folder = match std::env::var_os("VPC_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_BIN_EXE_vpc-lab"))
            .parent()
            .expect("a folder")
            .to_owned(),
    };
    for program in PROGRAMS {
        let path = folder.join(program);
        let how = "run `make test`, or `cargo build` and then `cargo test`";
        assert!(path.exists(), "{} is missing: {how}", path.display());
    }
    folder
}

/// A program under test.
pub(crate) fn program(name: &str) -> PathBuf {
    bin_dir().join(name)
}

/// A name that no other test, and no other run of this one, uses at the same time.
pub(crate) fn lab_name(test: &str) -> LabName {
    let mut number = std::process::id();
    let mut suffix = String::new();
    while number > 0 {
        suffix.extend(char::from_digit(number % 36, 36));
        number /= 36;
    }
    format!("{test}{suffix}")
        .parse()
        .expect("a short name of letters and digits")
}

/// A lab's configuration with the programs under test and the shortened times of the demo.
pub(crate) fn config(test: &str) -> LabConfig {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes network namespaces: run it as root"
    );
    let mut config = shortened(LabConfig::new(lab_name(test)));
    config.bin_dir = bin_dir();
    config
}

/// A lab with `pods` pods on each node.
pub(crate) async fn demo_with_pods(test: &str, pods: usize) -> Demo {
    let demo = Demo::up(config(test), |_| {}).await.expect("a lab");
    let (one, two) = tokio::join!(demo.add_pods(1, 0, pods), demo.add_pods(2, 0, pods));
    one.expect("pods on node1");
    two.expect("pods on node2");
    demo
}

/// Fails with the claims that do not hold, as the demo would print them.
#[track_caller]
pub(crate) fn assert_holds(verdicts: Vec<Verdict>) {
    assert!(!verdicts.is_empty(), "nothing was judged");
    let failed: Vec<String> = verdicts
        .into_iter()
        .filter(|verdict| verdict.outcome == Outcome::Failed)
        .map(|verdict| format!("{}: {}", verdict.claim, verdict.measured))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Records that `test` cannot run here and why. Without `make test`, which counts and prints the
/// record, there is nobody to see it, so the test fails instead.
#[track_caller]
pub(crate) fn skip(test: &str, reason: &str) {
    let record = std::env::var_os("VPC_TEST_SKIPS");
    let record = record.unwrap_or_else(|| panic!("{test} cannot run here: {reason}"));
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(record)
        .expect("the record");
    writeln!(file, "{test}: {reason}").expect("the record");
}

/// A network namespace for a test that needs no lab; it goes away when this is dropped.
pub(crate) struct Namespace {
    name: String,
    path: PathBuf,
}

impl Namespace {
    /// Makes `<test>-<kind>`.
    pub(crate) fn make(test: &str, kind: &str) -> Namespace {
        let name = format!("{}-{kind}", lab_name(test));
        let made = Command::new("ip")
            .args(["netns", "add", &name])
            .status()
            .expect("ip");
        assert!(
            made.success(),
            "cannot make network namespace {name}: run this test as root"
        );
        let path = Path::new("/run/netns").join(&name);
        Namespace { name, path }
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}
