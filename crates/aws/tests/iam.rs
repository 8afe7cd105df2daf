//! `docs/iam.md` against the code: every permission on the page is for a request the clients send,
//! every request the clients send has its permission, and no policy allows more than its mode needs.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use vpc_aws::ec2::wire::{self, Request};

/// What all modes need.
const ALWAYS: &[&str] = &[
    wire::AttachNetworkInterfaceRequest::ACTION,
    wire::CreateNetworkInterfaceRequest::ACTION,
    wire::CreateTagsRequest::ACTION,
    wire::DeleteNetworkInterfaceRequest::ACTION,
    wire::DescribeInstanceTypesRequest::ACTION,
    wire::DescribeInstancesRequest::ACTION,
    wire::DescribeNetworkInterfacesRequest::ACTION,
    wire::DescribeSubnetsRequest::ACTION,
    wire::DetachNetworkInterfaceRequest::ACTION,
    wire::ModifyNetworkInterfaceAttributeRequest::ACTION,
];

const V4: &[&str] = &[
    wire::AssignPrivateIpAddressesRequest::ACTION,
    wire::UnassignPrivateIpAddressesRequest::ACTION,
];

const V6: &[&str] = &[
    wire::AssignIpv6AddressesRequest::ACTION,
    wire::UnassignIpv6AddressesRequest::ACTION,
];

/// The sections of the page that have a policy, and what each allows.
fn modes() -> BTreeMap<&'static str, BTreeSet<String>> {
    let ec2 = |lists: &[&[&str]]| -> BTreeSet<String> {
        let actions = lists.iter().flat_map(|list| list.iter());
        actions.map(|action| format!("ec2:{action}")).collect()
    };
    let reservations = wire::GetSubnetCidrReservationsRequest::ACTION;
    let trunks = wire::DescribeTrunkInterfaceAssociationsRequest::ACTION;
    BTreeMap::from([
        ("Secondary IP addresses", ec2(&[ALWAYS, V4])),
        ("Prefix delegation", ec2(&[ALWAYS, V4, &[reservations]])),
        ("Custom networking", ec2(&[ALWAYS, V4])),
        ("IPv6", ec2(&[ALWAYS, V6])),
        ("Security groups for pods", ec2(&[ALWAYS, V4, &[trunks]])),
        (
            "Metrics",
            BTreeSet::from(["cloudwatch:PutMetricData".to_owned()]),
        ),
    ])
}

#[test]
fn every_policy_allows_what_its_mode_needs_and_nothing_else() {
    let policies = policies();
    let sections: Vec<&str> = policies.keys().map(String::as_str).collect();
    assert_eq!(sections, modes().into_keys().collect::<Vec<_>>());
    for (section, needed) in modes() {
        let allowed: BTreeSet<String> = statements(&policies[section])
            .iter()
            .flat_map(|statement| texts(&statement["Action"]))
            .collect();
        assert_eq!(allowed, needed, "{section}");
    }
}

#[test]
fn every_request_the_clients_send_has_its_permission_and_the_reverse() {
    let documented: BTreeSet<String> = modes().into_values().flatten().collect();
    assert_eq!(sent(), documented);
    let page = page();
    let rows: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(action, _)| action.to_owned())
        .collect();
    assert_eq!(rows, documented, "the table");
}

#[test]
fn what_changes_something_is_never_allowed_on_everything() {
    for (section, policy) in policies() {
        for statement in statements(&policy) {
            assert_eq!(statement["Effect"], "Allow");
            let looks = texts(&statement["Action"]).iter().all(|action| {
                ["ec2:Describe", "ec2:Get"]
                    .iter()
                    .any(|verb| action.starts_with(verb))
            });
            let resources = texts(&statement["Resource"]);
            // The one write without resources is bound to a name space instead.
            let bound = statement["Condition"]["StringEquals"]["cloudwatch:namespace"].is_string();
            let everything = resources.iter().any(|resource| resource == "*");
            assert_eq!(everything, looks || bound, "{section}: {statement}");
        }
    }
}

#[test]
fn only_enis_of_ours_are_deleted_or_detached() {
    const TAG: &str = "aws:ResourceTag/node.k8s.amazonaws.com/instance_id";
    for (section, policy) in policies() {
        for statement in statements(&policy) {
            let takes_away = texts(&statement["Action"])
                .iter()
                .any(|action| action.starts_with("ec2:De") && !action.starts_with("ec2:Describe"));
            let enis = texts(&statement["Resource"])
                .iter()
                .any(|resource| resource.contains("network-interface"));
            if takes_away && enis {
                assert_eq!(statement["Condition"]["Null"][TAG], "false", "{section}");
            }
        }
    }
}

/// The actions of all requests that the clients' own code makes.
fn sent() -> BTreeSet<String> {
    let mut sent = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in rust_files(&folder.join("ec2")) {
        if path.components().any(|part| part.as_os_str() == "wire") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for part in text.split("wire::").skip(1) {
            let name: String = part
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            if let Some(action) = name.strip_suffix("Request") {
                sent.insert(format!("ec2:{action}"));
            }
        }
    }
    sent.remove("ec2:");
    let cloudwatch = std::fs::read_to_string(folder.join("cloudwatch/mod.rs")).unwrap();
    let constants = cloudwatch
        .lines()
        .filter(|line| line.contains("const PUT_"));
    for line in constants {
        let action = line.split('"').nth(1).unwrap();
        sent.insert(format!("cloudwatch:{action}"));
    }
    sent
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/iam.md");
    std::fs::read_to_string(path).unwrap()
}

/// The policies of the page by the section they stand in; one per section.
fn policies() -> BTreeMap<String, Value> {
    let mut policies = BTreeMap::new();
    for section in page().split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        if let Some((_, rest)) = section.split_once("```json\n") {
            let (json, after) = rest.split_once("```").unwrap();
            assert!(!after.contains("```"), "{heading} has one policy");
            policies.insert(heading.to_owned(), serde_json::from_str(json).unwrap());
        }
    }
    policies
}

fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().unwrap()
}

/// A text or a list of texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}
