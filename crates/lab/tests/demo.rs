//! The demo as a user runs it, stopped half-way.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use common::{bin_dir, lab_name};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use vpc_lab::LabConfig;
use vpc_lab::cleanup::leftovers;

/// How long a stopped demo may take to clean up.
const CLEAN_UP: Duration = Duration::from_secs(30);

#[tokio::test]
async fn ctrl_c_while_the_vpc_comes_up_leaves_nothing_behind() {
    interrupted_after("demoa", 1).await;
}

#[tokio::test]
async fn ctrl_c_while_pods_are_added_leaves_nothing_behind() {
    interrupted_at("demob", "adding pods").await;
}

async fn interrupted_after(test: &str, lines: usize) {
    let mut demo = Demo::start(test);
    for _ in 0..lines {
        demo.line().await.expect("a line of progress");
    }
    demo.interrupt().await;
}

async fn interrupted_at(test: &str, step: &str) {
    let mut demo = Demo::start(test);
    while let Some(line) = demo.line().await {
        if line.contains(step) {
            // Into the step, not at its door.
            tokio::time::sleep(Duration::from_millis(300)).await;
            demo.interrupt().await;
            return;
        }
    }
    panic!("the demo ended before {step:?}");
}

struct Demo {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
    config: LabConfig,
}

impl Demo {
    fn start(test: &str) -> Demo {
        let config = LabConfig::new(lab_name(test));
        let mut child = Command::new(env!("CARGO_BIN_EXE_vpc-lab"))
            .args(["demo", "--name", &config.name.to_string()])
            .env("VPC_BIN_DIR", bin_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("vpc-lab");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        Demo {
            child,
            lines,
            config,
        }
    }

    async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.expect("text")
    }

    /// Ctrl-C twice, as impatient people do; then nothing of the lab may be left.
    async fn interrupt(mut self) {
        let pid = i32::try_from(self.child.id().expect("a running demo")).expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        for _ in 0..2 {
            rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
        }
        let drain = async { while let Ok(Some(_)) = self.lines.next_line().await {} };
        let (status, ()) =
            tokio::time::timeout(CLEAN_UP, async { tokio::join!(self.child.wait(), drain) })
                .await
                .expect("an end in time");
        let status = status.expect("an exit status");
        assert_eq!((status.code(), status.signal()), (Some(130), None));
        assert_eq!(
            leftovers(&self.config.name, &self.config.state_root),
            Vec::<String>::new()
        );
    }
}
