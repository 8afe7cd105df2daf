//! Names of labs, nodes and pods, and the names of network namespaces made from them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where iproute2 keeps the files of named network namespaces (ip-netns(8)).
pub const NETNS_FOLDER: &str = "/run/netns";

/// How many nodes a lab has.
pub const NODES: u8 = 2;

/// The name of a lab: 1 to 12 lower-case letters and digits, a letter first.
///
/// Without a dash, so that no lab's namespaces begin with another lab's name and a dash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabName(String);

/// Text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} name is {name:?}; allowed: {allowed}")]
pub struct NameError {
    what: &'static str,
    name: String,
    allowed: &'static str,
}

impl LabName {
    /// The name a lab has when none is given.
    #[must_use]
    pub fn standard() -> LabName {
        LabName("lab".to_owned())
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The namespace of the VPC's router.
    #[must_use]
    pub fn router(&self) -> String {
        format!("{self}-vpc")
    }

    /// The namespace of the hosts outside the VPC.
    #[must_use]
    pub fn outside(&self) -> String {
        format!("{self}-outside")
    }

    /// The namespace of node `number`.
    #[must_use]
    pub fn node(&self, number: u8) -> String {
        format!("{self}-{}", node_name(number))
    }

    /// The namespace of pod `pod`.
    #[must_use]
    pub fn pod(&self, pod: &str) -> String {
        format!("{}{pod}", self.pod_prefix())
    }

    /// Whether the namespace `netns` belongs to this lab.
    #[must_use]
    pub fn owns(&self, netns: &str) -> bool {
        netns == self.router()
            || netns == self.outside()
            || (1..=NODES).any(|number| netns == self.node(number))
            || netns.starts_with(&self.pod_prefix())
    }

    fn pod_prefix(&self) -> String {
        format!("{self}-pod-")
    }
}

/// `node1`, `node2`: a node's name, in the cloud and in the lab's folder.
#[must_use]
pub fn node_name(number: u8) -> String {
    format!("node{number}")
}

/// The file of the namespace `netns`.
#[must_use]
pub fn netns_path(netns: &str) -> PathBuf {
    Path::new(NETNS_FOLDER).join(netns)
}

/// Checks a pod's name: what Kubernetes allows for the names of most objects (RFC 1123 label),
/// 1 to 63 lower-case letters, digits and dashes, neither first nor last a dash.
///
/// # Errors
/// [`NameError`], with what is allowed.
pub fn check_pod_name(name: &str) -> Result<(), NameError> {
    let good_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=63).contains(&name.len()) && name.bytes().all(good_byte);
    if fits && !name.starts_with('-') && !name.ends_with('-') {
        Ok(())
    } else {
        Err(NameError {
            what: "pod",
            name: name.to_owned(),
            allowed: "1 to 63 lower-case letters, digits and dashes, no dash first or last",
        })
    }
}

impl FromStr for LabName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<LabName, NameError> {
        let good_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=12).contains(&text.len()) && text.bytes().all(good_byte);
        if fits && text.starts_with(|first: char| first.is_ascii_lowercase()) {
            Ok(LabName(text.to_owned()))
        } else {
            Err(NameError {
                what: "lab",
                name: text.to_owned(),
                allowed: "1 to 12 lower-case letters and digits, a letter first",
            })
        }
    }
}

impl TryFrom<String> for LabName {
    type Error = NameError;

    fn try_from(text: String) -> Result<LabName, NameError> {
        text.parse()
    }
}

impl From<LabName> for String {
    fn from(name: LabName) -> String {
        name.0
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_owns_its_own_namespaces_and_no_other_labs() {
        let lab: LabName = "a1".parse().unwrap();
        for own in ["a1-vpc", "a1-outside", "a1-node1", "a1-node2", "a1-pod-web"] {
            assert!(lab.owns(own), "{own}");
        }
        for other in [
            "a1",
            "a10-vpc",
            "a-vpc",
            "a1-node3",
            "a1-node12",
            "a1-x",
            "cni-1",
        ] {
            assert!(!lab.owns(other), "{other}");
        }
    }

    #[test]
    fn a_lab_name_cannot_hold_a_dash_or_leave_its_folder() {
        for bad in ["", "a-b", "1a", "..", "a/b", "A", "abcdefghijklm"] {
            assert!(bad.parse::<LabName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pod_names_are_those_of_kubernetes() {
        for good in ["a", "web-0", "0"] {
            assert!(check_pod_name(good).is_ok(), "{good:?}");
        }
        for bad in ["", "-a", "a-", "a.b", "a/b", "A", &"a".repeat(64)] {
            assert!(check_pod_name(bad).is_err(), "{bad:?}");
        }
    }
}
