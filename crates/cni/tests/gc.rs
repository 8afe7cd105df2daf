//! GC: what the runtime lists reaches ipamd, and what came of it the log.

#![allow(
    clippy::unwrap_used,
    reason = "in a test file helpers may fail the test too"
)]

mod support;

use serde_json::{Value, json};
use support::{Manner, Node, Pod};

/// GC with the runtime's list under `field`.
fn gc(node: &Node, field: &str, list: Value) -> support::Ran {
    let mut runtime = Pod::new(node, "");
    runtime.fields = json!({ "cniVersion": "1.1.0" });
    runtime.fields[field] = list;
    runtime.call("GC", None)
}

#[test]
fn what_is_not_listed_is_freed_and_what_is_listed_stays() {
    let node = Node::new();
    let (kept, lost) = (Pod::new(&node, "kept"), Pod::new(&node, "lost"));
    kept.add();
    lost.add();
    let list = json!([{ "containerID": "kept-sandbox", "ifname": "eth0" }]);
    let ran = gc(&node, "cni.dev/valid-attachments", list);
    ran.silent();
    let log = ran.log();
    assert_eq!(log["verb"], "GC");
    assert_eq!(log["listed"], 1);
    assert_eq!(log["freed"], json!(["10.0.1.21"]));
    assert_eq!(node.ipamd.as_ref().unwrap().holders(), 1);
    // What the plugin must not do is guess: the kernel's state is ipamd's to judge.
    assert_eq!(node.rules_of("10.0.1.20"), ["512/main", "1536/2"]);
}

#[test]
fn an_empty_list_is_a_list_however_the_runtime_writes_it() {
    for (field, list) in [
        ("cni.dev/valid-attachments", json!([])),
        ("cni.dev/valid-attachments", Value::Null),
        ("cni.dev/attachments", json!([])),
    ] {
        let node = Node::new();
        Pod::new(&node, "lost").add();
        gc(&node, field, list).silent();
        assert_eq!(node.ipamd.as_ref().unwrap().holders(), 0, "{field}");
    }
}

#[test]
fn upstreams_ipamd_frees_nothing_and_that_is_no_error() {
    let node = Node::with(Manner {
        is_upstream: true,
        ..Default::default()
    });
    Pod::new(&node, "lost").add();
    let ran = gc(&node, "cni.dev/valid-attachments", json!([]));
    ran.silent();
    assert!(ran.log()["warnings"][0].as_str().unwrap().contains("GC"));
    assert_eq!(node.ipamd.as_ref().unwrap().holders(), 1);
}

#[test]
fn without_ipamd_gc_is_to_be_tried_again() {
    let node = Node::without_ipamd();
    let error = gc(&node, "cni.dev/valid-attachments", json!([])).error(11);
    assert!(error.contains("ipamd.sock"), "{error}");
}
