//! Upstream's record of allocations (`ipam.json`): read when a node is upgraded from upstream, and
//! written so that it can go back.
//!
//! ```text
//! {"version":"vpc-cni-ipam/1","allocations":[{"networkName":"aws-cni","containerID":"…",
//!  "ifName":"eth0","ipv4":"10.0.1.5","allocationTimestamp":1692300000000000000,
//!  "metadata":{"k8sPodNamespace":"…","k8sPodName":"…","interfacesCount":1}}]}
//! ```
//!
//! One line and a newline; empty members are left out, `metadata` never is; the timestamp is in
//! nanoseconds since the Unix epoch (ours has milliseconds, so the last six digits are zeros).
//! There is a file for each network card. Cooldowns are not in it: upstream forgets them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use vpc_model::names::veth_suffix;
use vpc_model::{DeviceIndex, NetworkCard, PodKey, PodName, Timestamp};

use crate::ledger::{Holder, Ledger};

/// The only version there is.
pub const VERSION: &str = "vpc-cni-ipam/1";

const NANOS_PER_MILLI: u64 = 1_000_000;

/// A file that cannot be taken for what it should be.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It is not JSON of that form.
    #[error("the checkpoint cannot be read; remove it only if no pod of this node is alive")]
    Json(#[source] serde_json::Error),
    /// It is of another version.
    #[error("the checkpoint's version is {0:?}, only {VERSION:?} is known")]
    Version(String),
    /// Two sandboxes hold the same address.
    #[error("the checkpoint gives {address} to {first} and to {second}")]
    Twice {
        /// The address.
        address: Ipv4Addr,
        /// One.
        first: Box<PodKey>,
        /// The other.
        second: Box<PodKey>,
    },
}

/// What a checkpoint says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Who holds what. The device is not in the file: it counts once the ENI is known.
    pub holders: Vec<Holder>,
    /// Entries that were passed over.
    pub passed_over: Vec<PassedOver>,
}

/// An entry that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct PassedOver {
    /// The sandbox.
    pub key: PodKey,
    /// Why.
    pub why: Why,
}

/// Why an entry was passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It holds no IPv4 address.
    #[error("it holds no IPv4 address")]
    NoIpv4,
    /// The sandbox has a newer entry.
    #[error("a newer entry gives it {0}")]
    Older(Ipv4Addr),
}

#[derive(Serialize, Deserialize)]
struct File {
    #[serde(default)]
    version: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    allocations: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(default, rename = "networkName")]
    network: String,
    #[serde(default, rename = "containerID")]
    container_id: String,
    #[serde(default, rename = "ifName")]
    if_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    ipv4: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    ipv6: String,
    #[serde(default, rename = "allocationTimestamp")]
    allocated_at: i64,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Serialize, Deserialize)]
struct Metadata {
    #[serde(
        default,
        rename = "k8sPodNamespace",
        skip_serializing_if = "String::is_empty"
    )]
    namespace: String,
    #[serde(
        default,
        rename = "k8sPodName",
        skip_serializing_if = "String::is_empty"
    )]
    name: String,
    #[serde(default, rename = "interfacesCount", skip_serializing_if = "is_zero")]
    interfaces: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Entry>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Reads the checkpoint of a network card.
///
/// # Errors
/// It is damaged, of another version, or contradicts itself. Upstream does not start then, and
/// neither should we: the addresses of living pods are in it.
pub fn import(bytes: &[u8], card: NetworkCard) -> Result<Imported, CheckpointError> {
    let file: File = serde_json::from_slice(bytes).map_err(CheckpointError::Json)?;
    if file.version != VERSION {
        return Err(CheckpointError::Version(file.version));
    }
    let mut imported = Imported::default();
    let mut by_key: BTreeMap<PodKey, Holder> = BTreeMap::new();
    let mut by_address: BTreeMap<Ipv4Addr, PodKey> = BTreeMap::new();
    for entry in file.allocations {
        let (key, holder) = holder(entry, card);
        let Some(holder) = holder else {
            let why = Why::NoIpv4;
            imported.passed_over.push(PassedOver { key, why });
            continue;
        };
        if let Some(first) = by_address.insert(holder.address, key.clone())
            && first != key
        {
            return Err(CheckpointError::Twice {
                address: holder.address,
                first: Box::new(first),
                second: Box::new(key),
            });
        }
        let newer = match by_key.remove(&key) {
            Some(before) => {
                let (older, newer) = if before.since > holder.since {
                    (holder, before)
                } else {
                    (before, holder)
                };
                if older.address != newer.address {
                    by_address.remove(&older.address);
                    let why = Why::Older(newer.address);
                    let key = key.clone();
                    imported.passed_over.push(PassedOver { key, why });
                }
                newer
            }
            None => holder,
        };
        by_key.insert(key, newer);
    }
    imported.holders = by_key.into_values().collect();
    Ok(imported)
}

fn holder(entry: Entry, card: NetworkCard) -> (PodKey, Option<Holder>) {
    let key = PodKey {
        network: entry.network,
        container_id: entry.container_id,
        if_name: entry.if_name,
    };
    let holder = entry.ipv4.parse().ok().map(|address| Holder {
        key: key.clone(),
        pod: PodName {
            namespace: entry.metadata.namespace,
            name: entry.metadata.name,
        },
        address,
        device: DeviceIndex(0),
        card,
        since: Timestamp::from_millis(
            u64::try_from(entry.allocated_at).unwrap_or(0) / NANOS_PER_MILLI,
        ),
    });
    (key, holder)
}

impl Imported {
    /// Takes out the entries whose pod is gone: upstream's test, the host end of the pod's veth is
    /// not among the node's links. Entries that name no pod stay. What is taken out may have left
    /// ip rules behind.
    #[must_use]
    pub fn take_stale<'a>(&mut self, links: impl IntoIterator<Item = &'a str>) -> Vec<Holder> {
        let suffixes: BTreeSet<&str> = links
            .into_iter()
            .filter_map(|link| link.get(link.len().checked_sub(11)?..))
            .collect();
        let (alive, stale) = std::mem::take(&mut self.holders)
            .into_iter()
            .partition(|holder| {
                let unnamed = holder.pod.namespace.is_empty() || holder.pod.name.is_empty();
                unnamed || suffixes.contains(veth_suffix(&holder.pod, 0).as_str())
            });
        self.holders = alive;
        stale
    }
}

/// The checkpoint that upstream would have written. Entries are in the order of their keys
/// (upstream's order is random).
#[must_use]
pub fn export(ledger: &Ledger) -> String {
    let allocations = ledger.holders().map(|holder| Entry {
        network: holder.key.network.clone(),
        container_id: holder.key.container_id.clone(),
        if_name: holder.key.if_name.clone(),
        ipv4: holder.address.to_string(),
        ipv6: String::new(),
        allocated_at: i64::try_from(holder.since.as_millis().saturating_mul(NANOS_PER_MILLI))
            .unwrap_or(i64::MAX),
        metadata: Metadata {
            namespace: holder.pod.namespace.clone(),
            name: holder.pod.name.clone(),
            interfaces: 1,
        },
    });
    let file = File {
        version: VERSION.to_owned(),
        allocations: allocations.collect(),
    };
    // Strings and numbers: none of them fails to serialise.
    let mut text = serde_json::to_string(&file).unwrap_or_default();
    // Go's encoder escapes these, in strings, where alone they can stand.
    for (character, escape) in [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ] {
        if text.contains(character) {
            text = text.replace(character, escape);
        }
    }
    text.push('\n');
    text
}

/// The checkpoint's path for a network card, from that of card 0: `ipam.json` becomes
/// `ipam-nic-1.json` for card 1.
#[must_use]
pub fn path_for_card(path: &str, card: NetworkCard) -> String {
    if card.0 == 0 {
        return path.to_owned();
    }
    let base = path.strip_suffix(".json").unwrap_or(path);
    format!("{base}-nic-{card}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPSTREAMS: &str = concat!(
        r#"{"version":"vpc-cni-ipam/1","allocations":[{"networkName":"aws-cni","#,
        r#""containerID":"4f3c","ifName":"eth0","ipv4":"10.0.1.5","#,
        r#""allocationTimestamp":1692300000123000000,"metadata":{"k8sPodNamespace":"default","#,
        r#""k8sPodName":"sample-pod","interfacesCount":1}}]}"#,
        "\n"
    );

    fn entry(container: &str, ipv4: &str, at: u64) -> String {
        format!(r#"{{"networkName":"aws-cni","containerID":"{container}","ifName":"eth0","#)
            + &format!(r#""ipv4":"{ipv4}","allocationTimestamp":{at},"metadata":{{}}}}"#)
    }

    fn read(entries: &[String]) -> Result<Imported, CheckpointError> {
        let entries = entries.join(",");
        let text = format!(r#"{{"version":"vpc-cni-ipam/1","allocations":[{entries}]}}"#);
        import(text.as_bytes(), NetworkCard(0))
    }

    fn ledger(holders: Vec<Holder>) -> Ledger {
        let mut ledger = Ledger::default();
        for holder in holders {
            ledger.allocate(holder);
        }
        ledger
    }

    #[test]
    fn what_upstream_wrote_is_written_back_byte_for_byte() {
        let imported = import(UPSTREAMS.as_bytes(), NetworkCard(0)).unwrap();
        assert_eq!(imported.passed_over, []);
        let holder = &imported.holders[0];
        assert_eq!(holder.address, Ipv4Addr::new(10, 0, 1, 5));
        assert_eq!(holder.since, Timestamp::from_millis(1_692_300_000_123));
        assert_eq!(holder.pod.to_string(), "default/sample-pod");
        assert_eq!(export(&ledger(imported.holders)), UPSTREAMS);
    }

    #[test]
    fn a_node_without_pods_writes_an_empty_list_and_reads_gos_null() {
        let empty = "{\"version\":\"vpc-cni-ipam/1\",\"allocations\":[]}\n";
        assert_eq!(export(&Ledger::default()), empty);
        for text in [empty, r#"{"version":"vpc-cni-ipam/1","allocations":null}"#] {
            let imported = import(text.as_bytes(), NetworkCard(0)).unwrap();
            assert_eq!(imported, Imported::default());
        }
    }

    #[test]
    fn another_version_and_damage_are_errors() {
        let error = import(br#"{"version":"vpc-cni-ipam/2"}"#, NetworkCard(0)).unwrap_err();
        assert!(matches!(error, CheckpointError::Version(version) if version.ends_with("/2")));
        let cut = &UPSTREAMS.as_bytes()[..60];
        let error = import(cut, NetworkCard(0)).unwrap_err();
        assert!(matches!(error, CheckpointError::Json(_)));
    }

    #[test]
    fn one_address_for_two_sandboxes_is_an_error() {
        let error = read(&[entry("a", "10.0.0.1", 1), entry("b", "10.0.0.1", 2)]).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Twice { address, .. } if address.octets()[3] == 1)
        );
    }

    #[test]
    fn of_two_entries_for_a_sandbox_the_newer_counts() {
        let newer = entry("a", "10.0.0.1", 5_000_000);
        let older = entry("a", "10.0.0.2", 4_000_000);
        for entries in [[newer.clone(), older.clone()], [older, newer]] {
            let imported = read(&entries).unwrap();
            assert_eq!(imported.holders.len(), 1);
            assert_eq!(imported.holders[0].address, Ipv4Addr::new(10, 0, 0, 1));
            let why = &imported.passed_over[0].why;
            assert_eq!(*why, Why::Older(Ipv4Addr::new(10, 0, 0, 1)));
        }
    }

    #[test]
    fn an_entry_without_ipv4_is_passed_over_and_said_so() {
        let v6 = r#"{"networkName":"aws-cni","containerID":"c","ifName":"eth0","ipv6":"2001:db8::1","allocationTimestamp":1,"metadata":{}}"#;
        let imported = read(&[v6.to_owned()]).unwrap();
        assert_eq!(imported.holders, []);
        assert_eq!(imported.passed_over[0].why, Why::NoIpv4);
    }

    #[test]
    fn an_entry_whose_veth_is_gone_is_stale_and_one_without_a_pods_name_never_is() {
        let mut imported = import(UPSTREAMS.as_bytes(), NetworkCard(0)).unwrap();
        let unnamed = read(&[entry("b", "10.0.0.9", 1)]).unwrap().holders;
        imported.holders.extend(unnamed);
        let mut with_link = imported.clone();
        assert_eq!(with_link.take_stale(["lo", "enicc21c2d7785"]), []);
        assert_eq!(with_link.holders.len(), 2);
        let stale = imported.take_stale(["lo", "eni00000000000"]);
        assert_eq!(stale[0].pod.name, "sample-pod");
        assert_eq!(imported.holders[0].key.container_id, "b");
    }

    #[test]
    fn characters_that_gos_encoder_escapes_are_escaped() {
        let mut holders = import(UPSTREAMS.as_bytes(), NetworkCard(0))
            .unwrap()
            .holders;
        holders[0].pod.name = "a<b>&c".to_owned();
        let text = export(&ledger(holders));
        assert!(text.contains(r"a\u003cb\u003e\u0026c"), "{text}");
        let imported = import(text.as_bytes(), NetworkCard(0)).unwrap();
        assert_eq!(imported.holders[0].pod.name, "a<b>&c");
    }

    #[test]
    fn each_network_card_has_its_file() {
        let path = "/var/run/aws-node/ipam.json";
        assert_eq!(path_for_card(path, NetworkCard(0)), path);
        let second = "/var/run/aws-node/ipam-nic-1.json";
        assert_eq!(path_for_card(path, NetworkCard(1)), second);
    }
}
