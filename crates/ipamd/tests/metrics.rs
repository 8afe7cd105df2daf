//! The exported series against docs/metrics.md and upstream's list, and their values against the
//! pool.

#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "shared with tests that need more of it")]
mod cloud;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloud::{Cloud, Daemon, pool_eni, start};
use vpc_aws::budget::{Call, Counts, Latency, Scope};
use vpc_datapath::counters::{Conntrack, Counted, Counters};
use vpc_ipam::WarmTarget;
use vpc_ipamd::metrics::{Ec2Facts, Facts, KernelFacts, ProcessFacts, catalogue, render};
use vpc_ipamd::readiness::Readiness;
use vpc_model::{PodKey, PodName};

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

/// A family: its type and labels.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

/// What upstream exports (v1.23.1): name, type, labels.
const UPSTREAM: &[(&str, &str, &[&str])] = &[
    ("awscni_build_info", "gauge", &["version", "goversion"]),
    ("awscni_ipamd_error_count", "counter", &["fn"]),
    ("awscni_ipamd_action_inprogress", "gauge", &["fn"]),
    ("awscni_eni_max", "gauge", &[]),
    ("awscni_ip_max", "gauge", &[]),
    ("awscni_eni_allocated", "gauge", &[]),
    ("awscni_total_ip_addresses", "gauge", &[]),
    ("awscni_assigned_ip_addresses", "gauge", &[]),
    ("awscni_total_ipv4_prefixes", "gauge", &[]),
    ("awscni_reconcile_count", "counter", &["fn"]),
    ("awscni_add_ip_req_count", "counter", &[]),
    ("awscni_del_ip_req_count", "counter", &["reason"]),
    ("awscni_pod_eni_error_count", "counter", &["fn"]),
    (
        "awscni_aws_api_latency_ms",
        "summary",
        &["api", "error", "status"],
    ),
    ("awscni_aws_api_error_count", "counter", &["api", "error"]),
    ("awscni_aws_utils_error_count", "counter", &["fn", "error"]),
    ("awscni_ec2api_req_count", "counter", &["fn"]),
    ("awscni_ec2api_error_count", "counter", &["fn"]),
    ("awscni_force_removed_enis", "counter", &[]),
    ("awscni_force_removed_ips", "counter", &[]),
    ("awscni_assigned_ip_per_cidr", "gauge", &["cidr"]),
    ("awscni_assigned_ip_per_eni", "gauge", &["eni"]),
    ("awscni_no_available_ip_addresses", "counter", &[]),
    (
        "awscni_ipamd_startup_duration_seconds",
        "histogram",
        &["success", "with_api_server", "failure_reason"],
    ),
    (
        "awscni_ipamd_node_initialization_duration_seconds",
        "histogram",
        &["success"],
    ),
    ("awscni_connmark_backend", "gauge", &["backend"]),
    ("awscni_connmark_reconcile_total", "counter", &["result"]),
];

#[tokio::test]
async fn what_is_exported_is_what_the_document_says() {
    let exported = families(&exposition_with_everything().await);
    let documented = documented();
    for (name, family) in &exported {
        assert_eq!(
            Some(family),
            documented.get(name),
            "{name} in docs/metrics.md"
        );
    }
    for name in documented.keys() {
        assert!(exported.contains_key(name), "{name} is documented only");
    }
}

#[tokio::test]
async fn upstreams_series_keep_their_names_types_and_labels() {
    let exported = families(&exposition_with_everything().await);
    for (name, kind, labels) in UPSTREAM {
        let labels = labels.iter().map(ToString::to_string).collect();
        let expected = ((*kind).to_owned(), labels);
        assert_eq!(exported.get(*name), Some(&expected), "{name}");
    }
    let theirs: BTreeSet<&str> = UPSTREAM.iter().map(|(name, ..)| *name).collect();
    for name in exported.keys().filter(|name| name.starts_with("awscni_")) {
        assert!(theirs.contains(name.as_str()), "{name} is not upstream's");
    }
}

#[test]
fn the_document_has_the_catalogues_tables() {
    let (_, rest) = DOCUMENT.split_once("<!-- metrics:begin -->\n").unwrap();
    let (tables, _) = rest.split_once("<!-- metrics:end -->").unwrap();
    let made = catalogue::markdown();
    assert_eq!(
        tables, made,
        "cargo run -p vpc-ipamd --example metrics_table prints what belongs between the marks"
    );
}

#[tokio::test]
async fn the_gauges_are_what_the_pool_holds() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let mut daemon = start(folder.path(), &cloud);
    let enis = vec![pool_eni(0, &[11, 12]), pool_eni(1, &[21, 22, 23])];
    daemon.learn(&cloud, WarmTarget::Enis(0), enis);
    daemon.until(Readiness::is_ready).await;
    for name in ["a", "b"] {
        daemon
            .pool
            .allocate(key(name), PodName::default())
            .await
            .unwrap();
    }
    daemon.pool.release(key("a")).await.unwrap();
    let text = scrape(&daemon, Ec2Facts::default()).await;
    for (series, value) in [
        ("awscni_eni_allocated", "2"),
        ("awscni_eni_max", "1"),
        ("awscni_ip_max", "9"),
        ("awscni_total_ip_addresses", "5"),
        ("awscni_assigned_ip_addresses", "1"),
        (r#"awscni_assigned_ip_per_cidr{cidr="10.0.1.0/24"}"#, "1"),
        (r#"vpc_cni_addresses{state="free",subnet="subnet-1"}"#, "3"),
        (
            r#"vpc_cni_addresses{state="cooling",subnet="subnet-1"}"#,
            "1",
        ),
        (r#"vpc_cni_enis{kind="primary",state="ready"}"#, "1"),
        ("vpc_cni_ready", "1"),
        ("vpc_cni_translated_connections_total", "7"),
        ("vpc_cni_conntrack_entries", "30"),
        ("vpc_cni_conntrack_limit", "1000"),
        ("vpc_cni_conntrack_insert_failed_total", "2"),
        (r#"vpc_cni_conntrack_dropped_total{which="new"}"#, "5"),
        (r#"vpc_cni_conntrack_dropped_total{which="old"}"#, "3"),
        ("vpc_cni_journal_syncs_total", "3"),
        (r#"awscni_ipamd_action_inprogress{fn="nodeInit"}"#, "0"),
    ] {
        assert_eq!(value_of(&text, series), value, "{series}");
    }
    daemon.end().await;
}

#[tokio::test]
async fn a_dry_subnet_is_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    cloud.run_dry();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(
        &cloud,
        WarmTarget::Ips {
            warm: 0,
            minimum: 0,
        },
        vec![pool_eni(0, &[])],
    );
    daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap_err();
    let text = scrape(&daemon, Ec2Facts::default()).await;
    assert_eq!(
        value_of(&text, r#"vpc_cni_held_back{reason="subnet_full"}"#),
        "1"
    );
    let failed = r#"awscni_ipamd_error_count{fn="increaseIPPoolAllocIPAddressesFailed"}"#;
    assert_ne!(value_of(&text, failed), "0");
    let waited = r#"vpc_cni_address_wait_seconds_count{outcome="refused"}"#;
    assert_eq!(value_of(&text, waited), "1");
    assert_eq!(value_of(&text, "vpc_cni_ready"), "0");
    daemon.end().await;
}

fn kernel() -> Counters {
    Counters {
        translated: Some(Counted {
            packets: 7,
            bytes: 420,
        }),
        conntrack: Conntrack {
            entries: 30,
            limit: Some(1000),
            insert_failed: 2,
            dropped: 5,
            early_dropped: 3,
        },
    }
}

fn key(name: &str) -> PodKey {
    PodKey {
        network: "aws-cni".to_owned(),
        container_id: name.to_owned(),
        if_name: "eth0".to_owned(),
    }
}

async fn scrape(daemon: &Daemon, ec2: Ec2Facts) -> String {
    let facts = Facts {
        look: daemon.pool.look().await.unwrap(),
        ec2,
        kernel: KernelFacts(Some(kernel())),
        process: ProcessFacts::default(),
    };
    render(&facts, daemon.pool.tally())
}

/// An exposition in which every family has a sample.
async fn exposition_with_everything() -> String {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    cloud.run_dry();
    let mut daemon = start(folder.path(), &cloud);
    let warm = WarmTarget::Ips {
        warm: 5,
        minimum: 0,
    };
    daemon.learn(&cloud, warm, vec![pool_eni(0, &[11])]);
    daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    daemon
        .until(|readiness| matches!(readiness, Readiness::NoAddress(_)))
        .await;
    let mut ec2 = Ec2Facts::default();
    for action in ["DeleteNetworkInterface", "AttachNetworkInterface"] {
        let call = Call {
            action,
            scope: Scope::Part,
        };
        let mut latency = Latency {
            sum: Duration::from_millis(80),
            ..Latency::default()
        };
        latency.buckets[2] = 1;
        let latencies = ["ok", "throttled"]
            .map(|outcome| (outcome, latency.clone()))
            .into();
        ec2.counts.insert(
            call,
            Counts {
                latencies,
                ..Counts::default()
            },
        );
        ec2.rates.insert(call, 0.5);
    }
    let text = scrape(&daemon, ec2).await;
    daemon.end().await;
    text
}

fn value_of<'a>(text: &'a str, series: &str) -> &'a str {
    let mut found = text.lines().filter_map(|line| line.rsplit_once(' '));
    let found = found.find(|(name, _)| *name == series);
    found.unwrap_or_else(|| panic!("no {series} in\n{text}")).1
}

/// The families of an exposition; fails where a family has samples with different labels.
fn families(text: &str) -> Families {
    let mut families = Families::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            let before = families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
            assert!(before.is_none(), "{name} twice");
            current = Some(name.to_owned());
        } else if !line.starts_with('#') {
            let name = current.clone().unwrap();
            let family = families.get_mut(&name).unwrap();
            assert!(line.starts_with(&name), "{line} under {name}");
            let labels: BTreeSet<String> = labels(line);
            let first = family.1.is_empty();
            assert!(first || family.1 == labels, "{line}");
            family.1 = labels;
        }
    }
    families
}

fn labels(line: &str) -> BTreeSet<String> {
    let Some((_, labels)) = line.split_once('{') else {
        return BTreeSet::new();
    };
    let (labels, _) = labels.rsplit_once('}').unwrap();
    let names = labels
        .split("\",")
        .map(|pair| pair.split_once('=').unwrap().0.to_owned());
    names.filter(|name| name != "le").collect()
}

/// The series of the document's tables.
fn documented() -> Families {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|line| line.split(" | ").collect::<Vec<_>>());
    let rows = rows.filter(|cells| cells.len() == 4);
    rows.map(|cells| {
        let name = cells[0].trim_start_matches("| ").trim_matches('`');
        let labels = cells[2]
            .split(", ")
            .map(|label| label.trim().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        (name.to_owned(), (cells[1].to_owned(), labels.collect()))
    })
    .collect()
}
