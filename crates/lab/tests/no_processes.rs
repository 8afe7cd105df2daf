//! ipamd and aws-cni start no process: no `ip`, `nft` or `iptables`, and nothing else either.
//!
//! Both run under strace, which records every execve(2) of a program and of all it may start.
//! Besides that the lab gives them a PATH in which there is nothing to find.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{PROGRAMS, assert_holds, bin_dir, config};
use vpc_lab::demo::claims::{addresses, outside, teardown};
use vpc_lab::demo::stage::Demo;

const STRACE: &str = "/usr/bin/strace";

#[tokio::test]
async fn neither_program_ever_starts_another_one() {
    assert!(
        Path::new(STRACE).exists(),
        "{STRACE} is missing: apt-get install strace"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config("noproc");
    config.bin_dir = traced_programs(folder.path());
    let demo = Demo::up(config, |_| {}).await.expect("a lab");
    let (one, two) = tokio::join!(demo.add_pods(1, 0, 12), demo.add_pods(2, 0, 12));
    one.expect("pods on node1");
    two.expect("pods on node2");
    assert_holds(addresses::are_wired_as_upstream_wires_them(&demo).await);
    assert_holds(outside::sees_the_pods_own_address_with_external_snat(&demo).await);
    assert_holds(teardown::leaves_no_trace(&demo).await);
    demo.down().await.expect("a clean end");

    let runs = executions(folder.path());
    // Two daemons, one of them started three times; an ADD and a DEL for each pod.
    assert!(runs["ipamd"].len() >= 4, "{:?}", runs["ipamd"]);
    assert!(
        runs["aws-cni"].len() >= 48,
        "{} runs",
        runs["aws-cni"].len()
    );
    for (program, runs) in &runs {
        let real = bin_dir().join(program).display().to_string();
        for run in runs {
            assert_eq!(run.len(), 1, "{program} started something: {run:?}");
            assert!(run[0].contains(&real), "{run:?}");
        }
    }
}

/// A folder with a script in each program's place that runs the real one under strace. With -D
/// the program stays the process that the lab started, and strace is the one beside it.
fn traced_programs(folder: &Path) -> PathBuf {
    for program in PROGRAMS {
        let real = bin_dir().join(program);
        let script = format!(
            "#!/bin/sh\nexec {STRACE} -D -f -qqq -e trace=execve,execveat -e signal=none \
             -o {}/{program}.$$.trace {} \"$@\"\n",
            folder.display(),
            real.display()
        );
        let path = folder.join(program);
        std::fs::write(&path, script).expect("a script");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
    }
    folder.to_owned()
}

/// Per program, for each of its runs, the successful and failed executions that strace saw.
fn executions(folder: &Path) -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let mut runs: BTreeMap<&str, Vec<Vec<String>>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let Some(program) = PROGRAMS
            .into_iter()
            .find(|program| name.starts_with(&format!("{program}.")) && name.ends_with(".trace"))
        else {
            continue;
        };
        let trace = std::fs::read_to_string(&path).expect("a trace");
        let run = trace
            .lines()
            .filter(|line| line.contains("exec"))
            .map(str::to_owned)
            .collect();
        runs.entry(program).or_default().push(run);
    }
    runs
}
