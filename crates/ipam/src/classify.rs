//! What each attached ENI is to us: one table, a reason for each.
//!
//! In this order, the first that holds:
//!
//! | the ENI | verdict |
//! |---|---|
//! | is on another network card | excluded: another pool's |
//! | carries no IP (`efa-only`) | excluded |
//! | is the primary, with custom networking | excluded: pods live in other subnets |
//! | is the primary | ours |
//! | tagged `node.k8s.amazonaws.com/no_manage` = `true` | excluded: unmanaged |
//! | tagged so with another value | ours |
//! | tagged `node.k8s.amazonaws.com/instance_id` = this instance | ours |
//! | its tags are not known (IMDS-only mode) | ours |
//! | not tagged by us, `MANAGE_UNTAGGED_ENI` | ours if that is set |
//!
//! and what would be ours is excluded all the same when its subnet is not for pods
//! ([`crate::subnets::exclusion`]). Tags, words and order are upstream's.

use std::collections::BTreeMap;

use serde::Serialize;
use vpc_model::{InstanceId, NetworkCard, SubnetId};

use crate::pool::EniKind;

/// The tag that says whose ENI it is, with the instance's id as its value.
pub const INSTANCE_TAG: &str = "node.k8s.amazonaws.com/instance_id";

/// The tag by which an operator takes an ENI out of our hands.
pub const NO_MANAGE_TAG: &str = "node.k8s.amazonaws.com/no_manage";

/// EC2's name for what an interface is (`InterfaceType`), as far as we tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceType {
    /// `interface` and everything that is like it.
    Interface,
    /// `trunk`.
    Trunk,
    /// `efa`.
    Efa,
    /// `efa-only`.
    EfaOnly,
}

impl InterfaceType {
    /// From EC2's name; a name that is not known is taken for an ordinary interface.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "trunk" => Self::Trunk,
            "efa" => Self::Efa,
            "efa-only" => Self::EfaOnly,
            _ => Self::Interface,
        }
    }
}

/// Whether an ENI is the one the instance was launched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// It is.
    Primary,
    /// It came later.
    Later,
}

/// Where the addresses of pods come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Networking {
    /// From the node's own subnet, or those that are tagged for pods.
    Node,
    /// From the subnet that an ENIConfig names (custom networking).
    Custom,
}

/// What is done with ENIs that carry neither of our tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untagged {
    /// They are ours (`MANAGE_UNTAGGED_ENI=true`, the default).
    Managed,
    /// They are left alone.
    Unmanaged,
}

/// An attached ENI, as far as its classification goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached<'a> {
    /// Whether it is the primary.
    pub position: Position,
    /// Its network card.
    pub card: NetworkCard,
    /// What EC2 says it is.
    pub interface_type: InterfaceType,
    /// Its tags; nothing if only metadata is known.
    pub tags: Option<&'a BTreeMap<String, String>>,
    /// Why its subnet is not for pods, if it is not.
    pub subnet: Option<Exclusion>,
}

/// What the node's settings say about ENIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// This instance.
    pub instance: InstanceId,
    /// The card whose pool is asked about.
    pub card: NetworkCard,
    /// Where pods' addresses come from.
    pub networking: Networking,
    /// What becomes of untagged ENIs.
    pub untagged: Untagged,
}

/// Why an ENI is not used for pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum Exclusion {
    /// It belongs to another pool.
    #[error("it is on network card {0}")]
    OtherCard(NetworkCard),
    /// It has no IP side.
    #[error("it is an EFA-only interface and carries no IP traffic")]
    NoIp,
    /// Custom networking.
    #[error(
        "it is the primary ENI, and with custom networking pods have addresses of the ENIConfig's \
         subnet"
    )]
    CustomNetworking,
    /// An operator's wish.
    #[error("it is tagged node.k8s.amazonaws.com/no_manage=true")]
    NoManage,
    /// It is somebody else's.
    #[error("it is not tagged as this node's, and MANAGE_UNTAGGED_ENI is false")]
    Untagged,
    /// The kernel side of it could not be set up.
    #[error("its link could not be found or wired; ipamd tries again")]
    NotWired,
    /// Its subnet is tagged against pods.
    #[error("its subnet {0} is tagged kubernetes.io/role/cni=0")]
    SubnetNotForPods(SubnetId),
    /// Its subnet is for the pods of other clusters.
    #[error(
        "its subnet {subnet} is tagged for other clusters (cni.networking.k8s.aws/cluster/…) and \
         not for {}",
        .cluster.as_deref().unwrap_or("this one, whose name is not known (CLUSTER_NAME)")
    )]
    SubnetOfOtherCluster {
        /// The subnet.
        subnet: SubnetId,
        /// This cluster.
        cluster: Option<String>,
    },
}

impl Exclusion {
    /// Whether the ENI itself is ours and only its subnet keeps it from pods. Such an ENI is given
    /// back when its last pod is gone.
    #[must_use]
    pub fn is_about_the_subnet(&self) -> bool {
        match self {
            Exclusion::SubnetNotForPods(_) | Exclusion::SubnetOfOtherCluster { .. } => true,
            Exclusion::OtherCard(_)
            | Exclusion::NoIp
            | Exclusion::CustomNetworking
            | Exclusion::NoManage
            | Exclusion::NotWired
            | Exclusion::Untagged => false,
        }
    }
}

/// Why an ENI is used for pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum Ours {
    /// It is the primary ENI.
    #[error("it is the primary ENI")]
    Primary,
    /// Our own tag is on it.
    #[error("it is tagged as this node's")]
    Tagged,
    /// The tag against management says otherwise.
    #[error("it is tagged node.k8s.amazonaws.com/no_manage, but not with \"true\"")]
    NotUnmanaged,
    /// Untagged ENIs are ours.
    #[error("it is not tagged, and MANAGE_UNTAGGED_ENI is true")]
    Untagged,
    /// Nobody asked EC2.
    #[error("its tags are not known, because EC2 is not asked")]
    TagsUnknown,
}

/// What an ENI is to us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Class {
    /// What it is to the node.
    pub kind: EniKind,
    /// Whether it is used for pods, and why.
    pub verdict: Result<Ours, Exclusion>,
}

impl Class {
    /// Why it is not used for pods; nothing for an ENI that is.
    #[must_use]
    pub fn exclusion(&self) -> Option<Exclusion> {
        self.verdict.as_ref().err().cloned()
    }
}

/// Classifies an attached ENI.
#[must_use]
pub fn classify(eni: &Attached<'_>, rules: &Rules) -> Class {
    let kind = match (eni.position, eni.interface_type) {
        (Position::Primary, _) => EniKind::Primary,
        (Position::Later, InterfaceType::Interface) => EniKind::Secondary,
        (Position::Later, InterfaceType::Trunk) => EniKind::Trunk,
        (Position::Later, InterfaceType::Efa) => EniKind::Efa,
        (Position::Later, InterfaceType::EfaOnly) => EniKind::EfaOnly,
    };
    let verdict = verdict(eni, rules).and_then(|ours| match &eni.subnet {
        Some(exclusion) => Err(exclusion.clone()),
        None => Ok(ours),
    });
    Class { kind, verdict }
}

fn verdict(eni: &Attached<'_>, rules: &Rules) -> Result<Ours, Exclusion> {
    if eni.card != rules.card {
        return Err(Exclusion::OtherCard(eni.card));
    }
    if eni.interface_type == InterfaceType::EfaOnly {
        return Err(Exclusion::NoIp);
    }
    match (eni.position, rules.networking) {
        (Position::Primary, Networking::Custom) => return Err(Exclusion::CustomNetworking),
        (Position::Primary, Networking::Node) => return Ok(Ours::Primary),
        (Position::Later, _) => {}
    }
    let Some(tags) = eni.tags else {
        return Ok(Ours::TagsUnknown);
    };
    if let Some(value) = tags.get(NO_MANAGE_TAG) {
        return if value == "true" {
            Err(Exclusion::NoManage)
        } else {
            Ok(Ours::NotUnmanaged)
        };
    }
    if tags.get(INSTANCE_TAG).map(String::as_str) == Some(rules.instance.as_str()) {
        return Ok(Ours::Tagged);
    }
    match rules.untagged {
        Untagged::Managed => Ok(Ours::Untagged),
        Untagged::Unmanaged => Err(Exclusion::Untagged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            instance: "i-1".parse().unwrap(),
            card: NetworkCard(0),
            networking: Networking::Node,
            untagged: Untagged::Unmanaged,
        }
    }

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn later(tags: &BTreeMap<String, String>) -> Attached<'_> {
        Attached {
            position: Position::Later,
            card: NetworkCard(0),
            interface_type: InterfaceType::Interface,
            tags: Some(tags),
            subnet: None,
        }
    }

    #[test]
    fn tags_decide_who_manages_an_eni_that_came_later() {
        let untagged = Rules {
            untagged: Untagged::Managed,
            ..rules()
        };
        let ours = [(INSTANCE_TAG, "i-1")];
        let others = [(INSTANCE_TAG, "i-2")];
        let unmanaged = [(INSTANCE_TAG, "i-1"), (NO_MANAGE_TAG, "true")];
        let not_unmanaged = [(NO_MANAGE_TAG, "false")];
        for (pairs, rules, expected) in [
            (&ours[..], rules(), Ok(Ours::Tagged)),
            (&others[..], rules(), Err(Exclusion::Untagged)),
            (&others[..], untagged.clone(), Ok(Ours::Untagged)),
            (&[][..], rules(), Err(Exclusion::Untagged)),
            (&[][..], untagged, Ok(Ours::Untagged)),
            (&unmanaged[..], rules(), Err(Exclusion::NoManage)),
            (&not_unmanaged[..], rules(), Ok(Ours::NotUnmanaged)),
        ] {
            let tags = tags(pairs);
            assert_eq!(
                classify(&later(&tags), &rules).verdict,
                expected,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn the_primary_is_ours_whatever_its_tags_but_not_with_custom_networking() {
        let tags = tags(&[(NO_MANAGE_TAG, "true")]);
        let primary = Attached {
            position: Position::Primary,
            ..later(&tags)
        };
        let class = classify(&primary, &rules());
        assert_eq!(class.kind, EniKind::Primary);
        assert_eq!(class.verdict, Ok(Ours::Primary));
        let custom = Rules {
            networking: Networking::Custom,
            ..rules()
        };
        let exclusion = classify(&primary, &custom).exclusion();
        assert_eq!(exclusion, Some(Exclusion::CustomNetworking));
    }

    #[test]
    fn the_kind_is_what_ec2_says_the_interface_is() {
        let tags = tags(&[(INSTANCE_TAG, "i-1")]);
        for (name, kind, ours) in [
            ("interface", EniKind::Secondary, true),
            ("branch", EniKind::Secondary, true),
            ("trunk", EniKind::Trunk, true),
            ("efa", EniKind::Efa, true),
            ("efa-only", EniKind::EfaOnly, false),
        ] {
            let eni = Attached {
                interface_type: InterfaceType::from_name(name),
                ..later(&tags)
            };
            let class = classify(&eni, &rules());
            assert_eq!((class.kind, class.verdict.is_ok()), (kind, ours), "{name}");
        }
    }

    #[test]
    fn another_card_and_an_excluded_subnet_keep_an_eni_from_pods() {
        let tags = tags(&[(INSTANCE_TAG, "i-1")]);
        let other_card = Attached {
            card: NetworkCard(1),
            ..later(&tags)
        };
        let exclusion = classify(&other_card, &rules()).exclusion();
        assert_eq!(exclusion, Some(Exclusion::OtherCard(NetworkCard(1))));
        let subnet = Exclusion::SubnetNotForPods("subnet-1".parse().unwrap());
        let excluded = Attached {
            subnet: Some(subnet.clone()),
            ..later(&tags)
        };
        assert_eq!(classify(&excluded, &rules()).exclusion(), Some(subnet));
    }

    #[test]
    fn without_tags_an_attached_eni_is_taken_for_ours() {
        let no_tags = BTreeMap::new();
        let unknown = Attached {
            tags: None,
            ..later(&no_tags)
        };
        let class = classify(&unknown, &rules());
        assert_eq!(class.verdict, Ok(Ours::TagsUnknown));
    }
}
