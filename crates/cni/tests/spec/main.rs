//! What the program prints, held to the specification's shape in each of its versions, and to
//! upstream's golden results.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test file helpers may fail the test too"
)]

mod schema;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use support::{Manner, Node, Pod};

const VERSIONS: [&str; 7] = [
    "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
];

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn result_schema(version: &str) -> Value {
    read(match version {
        "0.1.0" | "0.2.0" => include_str!("schema/result-0.1.json"),
        "0.3.0" | "0.3.1" | "0.4.0" => include_str!("schema/result-0.3.json"),
        "1.0.0" => include_str!("schema/result-1.0.json"),
        "1.1.0" => include_str!("schema/result-1.1.json"),
        other => panic!("{other}"),
    })
}

#[track_caller]
fn valid(schema: &Value, value: &Value) {
    let faults = schema::faults(schema, value);
    assert!(faults.is_empty(), "{value:#}: {faults:?}");
}

#[test]
fn results_are_valid_in_the_version_that_was_asked_for_and_in_no_other_family() {
    for version in VERSIONS {
        for interfaces in [1, 2] {
            let node = Node::with(Manner {
                interfaces,
                ..Manner::default()
            });
            let mut pod = Pod::new(&node, "web");
            pod.fields = json!({ "cniVersion": version });
            let result = pod.add();
            assert_eq!(result["cniVersion"], version);
            valid(&result_schema(version), &result);
            for other in VERSIONS {
                let is_same_family = result_schema(other) == result_schema(version);
                let faults = schema::faults(&result_schema(other), &result);
                assert_eq!(faults.is_empty(), is_same_family, "{version} as {other}");
            }
        }
    }
}

#[test]
fn errors_are_valid_and_speak_their_callers_version() {
    let schema = read(include_str!("schema/error.json"));
    let node = Node::without_ipamd();
    for version in VERSIONS {
        for (fields, code) in [
            (json!({ "mtu": "abc" }), 7),
            (json!({ "mtu": 7 }), 6),
            (json!({}), 11),
        ] {
            let mut pod = Pod::new(&node, "web");
            pod.fields = fields;
            pod.fields["cniVersion"] = json!(version);
            let ran = pod.call("ADD", None);
            ran.error(code);
            let object = read(&ran.stdout);
            valid(&schema, &object);
            assert_eq!(object["cniVersion"], version);
        }
    }
    let mut pod = Pod::new(&node, "web");
    pod.fields = json!({ "cniVersion": "9.9.9" });
    valid(&schema, &read(&pod.call("ADD", None).stdout));
}

#[test]
fn a_result_becomes_the_previous_result_of_every_later_verb() {
    for version in VERSIONS {
        let node = Node::new();
        let mut pod = Pod::new(&node, "web");
        pod.fields = json!({ "cniVersion": version });
        let result = pod.add();
        if version > "0.3.1" {
            pod.call("CHECK", Some(&result)).silent();
        }
        pod.call("DEL", Some(&result)).silent();
        assert_eq!(node.rules_of("10.0.1.20"), [""; 0]);
    }
}

#[test]
fn version_lists_what_upstream_lists() {
    let node = Node::without_ipamd();
    let ran = Pod::new(&node, "web").call("VERSION", None);
    let answer = read(&ran.stdout);
    valid(&read(include_str!("schema/versions.json")), &answer);
    assert_eq!(answer["supportedVersions"], json!(VERSIONS));
    // One line with upstream's order of keys.
    let expected = format!(
        "{{\"cniVersion\":\"1.1.0\",\"supportedVersions\":{}}}\n",
        json!(VERSIONS)
    );
    assert_eq!(ran.stdout, expected);
}

#[test]
fn upstreams_names_and_result_for_a_pod_on_two_cards_are_ours() {
    let node = Node::with(Manner {
        interfaces: 2,
        ..Manner::default()
    });
    let mut pod = Pod::new(&node, "");
    pod.arguments = Some(String::new());
    pod.container_id = "c".to_owned();
    pod.fields = json!({ "cniVersion": "0.4.0" });
    let expected = json!({
        "cniVersion": "0.4.0",
        "interfaces": [
            { "name": "eni3a52ce78095" },
            { "name": "eth0", "mac": "2", "sandbox": pod.netns_path },
            { "name": "enice799470a46" },
            { "name": "mNicIf1", "mac": "2", "sandbox": pod.netns_path },
            { "name": "dummy3a52ce78095", "mac": "0", "sandbox": "1" }
        ],
        "ips": [
            { "version": "4", "interface": 1, "address": "10.0.1.20/32" },
            { "version": "4", "interface": 3, "address": "10.0.1.21/32" }
        ],
        "dns": {}
    });
    assert_eq!(pod.add(), expected);
}

#[test]
fn a_runtime_that_reads_mac_addresses_finds_nothing_else_there() {
    let node = Node::new();
    let mut pod = Pod::new(&node, "web");
    pod.fields = json!({ "cniVersion": "0.4.0", "resultEncoding": "plain" });
    let result = pod.add();
    let real = pod.ip(&["link", "show", "eth0"])[0]["address"].clone();
    let expected = json!([
        { "name": result["interfaces"][0]["name"] },
        { "name": "eth0", "mac": real, "sandbox": pod.netns_path }
    ]);
    assert_eq!(result["interfaces"], expected);
    pod.call("CHECK", Some(&result)).silent();
    pod.call("DEL", Some(&result)).silent();
    assert_eq!(node.rules_of("10.0.1.20"), [""; 0]);
}
