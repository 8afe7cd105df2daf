//! The programs by themselves, given what they cannot use: they say what is wrong and touch
//! nothing.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::fs::set_permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{Namespace, program};
use serde_json::Value;
use vpc_lab::probe::kernel;
use vpc_lab::probe::namespace::within;

/// EX_USAGE of sysexits.h.
const USAGE: i32 = 64;

#[tokio::test]
async fn ipamd_lists_every_bad_setting_with_its_value_and_what_is_allowed() {
    let host = Namespace::make("bad", "host");
    let folder = tempfile::tempdir().expect("a folder");
    let bad = [
        ("WARM_ENI_TARGET", "many"),
        ("IP_COOLDOWN_PERIOD", "-3"),
        ("AWS_VPC_ENI_MTU", "99999"),
        ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "perhaps"),
        ("WARM_IP_TARGTE", "5"),
    ];
    let output = ipamd(&host, folder.path(), &bad).await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(USAGE), "{text}");
    for (name, value) in &bad[..4] {
        let line = text
            .lines()
            .find(|line| line.contains(name))
            .unwrap_or_default();
        assert!(
            line.contains(value) && line.contains("allowed"),
            "{name}: {text}"
        );
    }
    let unknown = text
        .lines()
        .find(|line| line.contains("WARM_IP_TARGTE"))
        .unwrap_or_default();
    assert!(unknown.contains("WARM_IP_TARGET"), "no suggestion: {text}");
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("the folder")
            .count(),
        0
    );
}

#[tokio::test]
async fn ipamd_without_root_says_so_in_one_sentence() {
    let host = Namespace::make("user", "host");
    // Copied to where that user may read.
    let folder = tempfile::tempdir().expect("a folder");
    set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
    let program = folder.path().join("ipamd");
    std::fs::copy(common::program("ipamd"), &program).expect("a copy");
    let output = within(host.path(), move || {
        Command::new(program)
            .env_clear()
            .uid(65534)
            .gid(65534)
            .current_dir("/")
            .output()
    });
    let output = output
        .await
        .expect("the namespace")
        .expect("a program that starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(text.contains("root"), "{text}");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
}

#[tokio::test]
async fn aws_cni_refuses_bad_input_with_the_right_code_and_touches_nothing() {
    let host = Namespace::make("stdin", "host");
    let pod = Namespace::make("stdin", "pod");
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("ipamd.sock");
    let conf = |version: &str| {
        format!(
            r#"{{"cniVersion":"{version}","name":"aws-cni","type":"aws-cni","ipamdSocket":"{}"}}"#,
            socket.display()
        )
    };
    let cases = [
        ("{ not JSON", 6),
        (r#"["a", "list"]"#, 6),
        (r#"{"cniVersion":"1.0.0","type":"aws-cni"}"#, 7),
        (&conf("9.9.9"), 1),
        (&conf("2.0.0"), 1),
        // All right, but nobody listens at the socket: try again later.
        (&conf("1.0.0"), 11),
    ];
    for (stdin, code) in cases {
        let output = add(&host, &pod, stdin).await;
        let error: Value = serde_json::from_slice(&output.stdout).expect("an error object");
        assert_eq!(error["code"], code, "{stdin}: {error}");
        assert!(
            error["msg"].as_str().is_some_and(|text| !text.is_empty()),
            "{error}"
        );
        assert_eq!(output.status.code(), Some(1), "{stdin}");
    }
    for namespace in [&host, &pod] {
        assert_eq!(
            kernel::links(namespace.path()).await.expect("links").len(),
            1,
            "besides lo"
        );
        assert_eq!(
            kernel::rules(namespace.path()).await.expect("rules").len(),
            3
        );
        assert_eq!(
            kernel::routes(namespace.path())
                .await
                .expect("routes")
                .len(),
            0
        );
    }
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("the folder")
            .count(),
        0
    );
}

/// Runs ipamd with these settings and nothing else in its environment.
async fn ipamd(host: &Namespace, folder: &Path, settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program("ipamd"));
    command
        .env_clear()
        .env("VPC_CNI_SOCKET", folder.join("ipamd.sock"))
        .env("VPC_CNI_STATE_DIR", folder)
        .env("HOST_CNI_BIN_PATH", folder)
        .env("HOST_CNI_CONFDIR_PATH", folder)
        .env("AWS_VPC_K8S_CNI_LOG_FILE", "stderr")
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    let output = within(host.path(), move || command.output());
    output
        .await
        .expect("the namespace")
        .expect("a program that starts")
}

/// Runs ADD for a pod with this on standard input.
async fn add(host: &Namespace, pod: &Namespace, stdin: &str) -> Output {
    let mut command = Command::new(program("aws-cni"));
    command
        .env_clear()
        .env("CNI_COMMAND", "ADD")
        .env("CNI_CONTAINERID", "0123456789abcdef")
        .env("CNI_NETNS", pod.path())
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", "/opt/cni/bin")
        .env(
            "CNI_ARGS",
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web",
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let stdin = stdin.to_owned();
    let output = within(host.path(), move || {
        let mut child = command.spawn()?;
        let mut pipe = child.stdin.take().expect("a pipe");
        // A plugin may refuse before it has read everything.
        let _ = pipe.write_all(stdin.as_bytes());
        drop(pipe);
        child.wait_with_output()
    });
    output
        .await
        .expect("the namespace")
        .expect("a program that starts")
}
