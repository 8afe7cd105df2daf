//! `vpcctl pool` as a person runs it: upstream's worked tables, row by row, and what is refused.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use serde_json::{Value, json};

fn pool(instance_type: &str, pods: u32, settings: &[&str], more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpcctl"));
    command.args(["pool", "--instance-type", instance_type, "--pods"]);
    command.arg(pods.to_string()).args(more);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.output().unwrap()
}

fn answer(instance_type: &str, pods: u32, settings: &[&str]) -> Value {
    let output = pool(instance_type, pods, settings, &["--format", "json"]);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a row of the tables holds per ENI: secondary addresses, or prefixes.
#[derive(Clone, Copy)]
enum Held {
    SecondaryIps,
    Prefixes,
}

/// Pods; slots per ENI; unused addresses.
type Row<'a> = (u32, &'a [u64], u64);

fn check(held: Held, instance_type: &str, settings: &[&str], rows: &[Row<'_>]) {
    let mut settings = settings.to_vec();
    let (name, other, size) = match held {
        Held::SecondaryIps => ("secondary_ips", "prefixes", 1),
        Held::Prefixes => ("prefixes", "secondary_ips", 16),
    };
    if let Held::Prefixes = held {
        settings.push("ENABLE_PREFIX_DELEGATION=true");
    }
    for (pods, slots, unused) in rows {
        let found = answer(instance_type, *pods, &settings);
        let row = format!("{instance_type} {settings:?} with {pods} pods: {found}");
        let enis = found["enis"].as_array().unwrap();
        let sum = |name: &str| -> u64 { enis.iter().map(|eni| eni[name].as_u64().unwrap()).sum() };
        let of = |name: &str| -> Vec<u64> {
            let numbers = enis.iter().map(|eni| eni[name].as_u64().unwrap());
            numbers.collect()
        };
        assert_eq!(of(name), *slots, "{row}");
        assert_eq!(sum(other), 0, "{row}");
        let total: u64 = slots.iter().sum::<u64>() * size;
        assert_eq!(found["total"], total, "{row}");
        assert_eq!(found["allocated"], *pods, "{row}");
        assert_eq!(sum("allocated"), u64::from(*pods), "{row}");
        assert_eq!(found["unused"], *unused, "{row}");
        let primary = enis.iter().map(|eni| eni["primary"].as_bool().unwrap());
        assert_eq!(primary.filter(|primary| *primary).count(), 1, "{row}");
        assert_eq!(enis[0]["primary"], true, "{row}");
    }
}

const T: &str = "t3.small";
const P: &str = "p3dn.24xlarge";

#[test]
fn secondary_addresses_on_a_small_node() {
    let rows = |settings: &[&str], rows: &[Row<'_>]| check(Held::SecondaryIps, T, settings, rows);
    rows(
        &["WARM_ENI_TARGET=1"],
        &[(0, &[3], 3), (5, &[3, 3, 3], 4), (9, &[3, 3, 3], 0)],
    );
    rows(
        &["WARM_IP_TARGET=1", "MINIMUM_IP_TARGET=1"],
        &[(0, &[1], 1), (5, &[3, 3], 1), (9, &[3, 3, 3], 0)],
    );
    rows(
        &["WARM_IP_TARGET=2", "MINIMUM_IP_TARGET=5"],
        &[(0, &[3, 2], 5), (5, &[3, 3, 1], 2), (9, &[3, 3, 3], 0)],
    );
}

#[test]
fn secondary_addresses_on_a_large_node() {
    let rows = |settings: &[&str], rows: &[Row<'_>]| check(Held::SecondaryIps, P, settings, rows);
    rows(
        &["WARM_ENI_TARGET=1"],
        &[(0, &[49], 49), (3, &[49, 49], 95), (95, &[49, 49, 49], 52)],
    );
    rows(
        &["WARM_IP_TARGET=5", "MINIMUM_IP_TARGET=10"],
        &[
            (0, &[10], 10),
            (7, &[12], 5),
            (15, &[20], 5),
            (45, &[49, 1], 5),
        ],
    );
}

/// Where upstream's document and its formula differ (7 and 20 without pods), the formula counts.
#[test]
fn prefixes_on_a_small_node() {
    let rows = |settings: &[&str], rows: &[Row<'_>]| check(Held::Prefixes, T, settings, rows);
    rows(
        &["WARM_PREFIX_TARGET=1"],
        &[
            (0, &[1], 16),
            (5, &[2], 27),
            (16, &[2], 16),
            (17, &[3], 31),
            (58, &[3, 2], 22),
        ],
    );
    rows(
        &["WARM_IP_TARGET=1", "MINIMUM_IP_TARGET=1"],
        &[
            (0, &[1], 16),
            (5, &[1], 11),
            (17, &[2], 15),
            (58, &[3, 1], 6),
        ],
    );
    rows(
        &["WARM_IP_TARGET=7", "MINIMUM_IP_TARGET=20"],
        &[
            (0, &[2], 32),
            (5, &[2], 27),
            (17, &[2], 15),
            (58, &[3, 2], 22),
        ],
    );
}

/// Upstream's document shows further ENIs with 3, 45 and 95 pods; the first has room for all.
#[test]
fn prefixes_on_a_large_node() {
    let rows = |settings: &[&str], rows: &[Row<'_>]| check(Held::Prefixes, P, settings, rows);
    rows(
        &["WARM_PREFIX_TARGET=1"],
        &[(0, &[1], 16), (3, &[2], 29), (95, &[7], 17)],
    );
    rows(
        &["WARM_IP_TARGET=5", "MINIMUM_IP_TARGET=10"],
        &[(0, &[1], 16), (7, &[1], 9), (15, &[2], 17), (45, &[4], 19)],
    );
}

#[test]
fn the_answer_has_these_fields_and_no_others() {
    let eni = json!({"primary": true, "secondary_ips": 9, "prefixes": 0, "allocated": 2});
    let more = json!({"primary": false, "secondary_ips": 9, "prefixes": 0, "allocated": 0});
    assert_eq!(
        answer("m5.large", 2, &[]),
        json!({"enis": [eni, more], "total": 18, "allocated": 2, "unused": 16, "held_back": []})
    );
}

#[test]
fn what_a_full_node_would_do_is_held_back_with_a_reason() {
    let found = answer(T, 12, &[]);
    assert_eq!(found["allocated"], 9);
    assert_eq!(found["held_back"][0]["name"], "no_room");
    let text = pool(T, 12, &[], &[]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("3 pods get no address"), "{text}");
}

#[test]
fn a_subnet_without_addresses_is_named_as_ec2_names_it() {
    let output = pool(
        "m5.large",
        20,
        &[],
        &["--subnet-cidr", "10.1.0.0/28", "--format", "json"],
    );
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let held = &found["held_back"][0];
    assert_eq!(held["name"], "subnet_full", "{found}");
    let reason = held["reason"].as_str().unwrap();
    assert!(
        reason.contains("InsufficientFreeAddressesInSubnet"),
        "{reason}"
    );
}

#[test]
fn the_pool_is_capped_by_the_pods_a_node_may_run() {
    let more = ["--max-pods", "4", "--format", "json"];
    let output = pool("m5.large", 2, &["WARM_IP_TARGET=10"], &more);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["total"], &found["unused"]), (&json!(4), &json!(2)));
    assert_eq!(found["held_back"][0]["name"], "max_pods", "{found}");
}

#[test]
fn what_cannot_be_asked_ends_with_64_and_names_what_is_allowed() {
    for (instance_type, settings, more, words) in [
        ("m5.larg", vec![], vec![], vec!["m5.larg", "m5.large"]),
        (
            "m5.large",
            vec!["WARM_IP_TARGET=x"],
            vec![],
            vec!["WARM_IP_TARGET", "whole number"],
        ),
        (
            "m5.large",
            vec!["WARM_IPS=1"],
            vec![],
            vec!["WARM_IPS", "no such setting"],
        ),
        (
            "m5.large",
            vec!["MAX_ENI=1", "MAX_ENI=2"],
            vec![],
            vec!["MAX_ENI", "one value"],
        ),
        (
            "m5.large",
            vec!["nothing"],
            vec![],
            vec!["nothing", "NAME=VALUE"],
        ),
        (
            "m5.large",
            vec![],
            vec!["--subnet-cidr", "10.0.0.0/29"],
            vec!["/29", "/16 to /28"],
        ),
        (
            "m5.large",
            vec![],
            vec!["--max-pods", "0"],
            vec!["--max-pods", "1..=65536"],
        ),
        (
            "m5.large",
            vec![],
            vec!["--format", "xml"],
            vec!["xml", "json"],
        ),
    ] {
        let output = pool(instance_type, 1, &settings, &more);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{complaint}");
        assert!(output.stdout.is_empty());
        for word in words {
            assert!(complaint.contains(word), "{word:?} is not in {complaint:?}");
        }
    }
}
