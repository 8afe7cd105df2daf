//! Which subnets new ENIs go to, and which existing ENIs are in a subnet that is not for pods.
//!
//! Subnets are tagged: `kubernetes.io/role/cni` says whether one is for pods, and tags
//! `cni.networking.k8s.aws/cluster/<name>` for which clusters' pods; without any of the latter it
//! is for all. Upstream's rules:
//!
//! | `kubernetes.io/role/cni` | the node's own subnet | another one |
//! |---|---|---|
//! | `0` | no | no |
//! | absent or empty | yes | no |
//! | anything else | if it is for this cluster | if it is for this cluster |

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::Serialize;
use vpc_model::SubnetId;

use crate::classify::Exclusion;

/// The tag that says whether a subnet is for pods.
pub const ROLE_TAG: &str = "kubernetes.io/role/cni";

/// What the tags that name clusters begin with.
pub const CLUSTER_TAG_PREFIX: &str = "cni.networking.k8s.aws/cluster/";

/// A subnet of the node's VPC and availability zone, as EC2 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetInfo {
    /// Its id.
    pub id: SubnetId,
    /// Its network.
    pub cidr: Ipv4Net,
    /// How many of its addresses are free (`AvailableIpAddressCount`).
    pub available: u32,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A subnet for new ENIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its id.
    pub id: SubnetId,
    /// Its network.
    pub cidr: Ipv4Net,
}

/// The subnets for new ENIs, the one with the most free addresses first, then by id. There may be
/// none.
#[must_use]
pub fn candidates(
    subnets: &[SubnetInfo],
    node_subnet: &SubnetId,
    cluster: Option<&str>,
) -> Vec<Candidate> {
    let mut usable: Vec<&SubnetInfo> = subnets
        .iter()
        .filter(|subnet| is_candidate(subnet, node_subnet, cluster))
        .collect();
    usable.sort_by_key(|subnet| (std::cmp::Reverse(subnet.available), subnet.id.clone()));
    usable
        .into_iter()
        .map(|subnet| Candidate {
            id: subnet.id.clone(),
            cidr: subnet.cidr,
        })
        .collect()
}

fn is_candidate(subnet: &SubnetInfo, node_subnet: &SubnetId, cluster: Option<&str>) -> bool {
    match subnet.tags.get(ROLE_TAG).map(String::as_str) {
        Some("0") => false,
        None | Some("") => subnet.id == *node_subnet,
        Some(_) => is_for(subnet, cluster),
    }
}

/// Why the pods of an ENI in this subnet are the last: nothing for a subnet that is for pods, and
/// for one that is not tagged at all.
#[must_use]
pub fn exclusion(subnet: &SubnetInfo, cluster: Option<&str>) -> Option<Exclusion> {
    match subnet.tags.get(ROLE_TAG).map(String::as_str) {
        Some("0") => Some(Exclusion::SubnetNotForPods(subnet.id.clone())),
        None | Some("") => None,
        Some(_) if is_for(subnet, cluster) => None,
        Some(_) => Some(Exclusion::SubnetOfOtherCluster {
            subnet: subnet.id.clone(),
            cluster: cluster.map(str::to_owned),
        }),
    }
}

/// Whether a subnet is for the pods of this cluster. Without a cluster name, every one is.
fn is_for(subnet: &SubnetInfo, cluster: Option<&str>) -> bool {
    let Some(cluster) = cluster.filter(|name| !name.is_empty()) else {
        return true;
    };
    let mut named = subnet
        .tags
        .keys()
        .filter_map(|key| key.strip_prefix(CLUSTER_TAG_PREFIX))
        .peekable();
    named.peek().is_none() || named.any(|name| name == cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(number: u32, available: u32, tags: &[(&str, &str)]) -> SubnetInfo {
        SubnetInfo {
            id: id(number),
            cidr: format!("10.0.{number}.0/24").parse().unwrap(),
            available,
            tags: tags
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn id(number: u32) -> SubnetId {
        format!("subnet-{number}").parse().unwrap()
    }

    fn is_usable(tags: &[(&str, &str)], node_subnet: u32, cluster: Option<&str>) -> bool {
        !candidates(&[subnet(1, 9, tags)], &id(node_subnet), cluster).is_empty()
    }

    #[test]
    fn tags_decide_as_upstreams_table_says() {
        let own = ("cni.networking.k8s.aws/cluster/blue", "shared");
        let other = ("cni.networking.k8s.aws/cluster/green", "shared");
        for (tags, own_subnet, other_subnet) in [
            (&[][..], true, false),
            (&[(ROLE_TAG, "")][..], true, false),
            (&[(ROLE_TAG, "0")][..], false, false),
            (&[(ROLE_TAG, "1")][..], true, true),
            (&[(ROLE_TAG, "1"), own][..], true, true),
            (&[(ROLE_TAG, "1"), other][..], false, false),
            (&[(ROLE_TAG, "1"), own, other][..], true, true),
            (&[other][..], true, false),
        ] {
            assert_eq!(
                is_usable(tags, 1, Some("blue")),
                own_subnet,
                "own, {tags:?}"
            );
            assert_eq!(
                is_usable(tags, 2, Some("blue")),
                other_subnet,
                "other, {tags:?}"
            );
        }
        for unnamed in [None, Some("")] {
            assert!(is_usable(&[(ROLE_TAG, "1"), other], 2, unnamed));
        }
    }

    #[test]
    fn the_subnet_with_the_most_free_addresses_comes_first() {
        let subnets = [
            subnet(1, 5, &[]),
            subnet(2, 80, &[(ROLE_TAG, "1")]),
            subnet(3, 80, &[(ROLE_TAG, "1")]),
            subnet(4, 200, &[]),
        ];
        let order = candidates(&subnets, &id(1), None);
        let order: Vec<_> = order.into_iter().map(|candidate| candidate.id).collect();
        assert_eq!(order, [id(2), id(3), id(1)]);
    }

    #[test]
    fn existing_enis_are_excluded_only_by_tags_that_say_so() {
        let other = ("cni.networking.k8s.aws/cluster/green", "shared");
        let excluded = |tags: &[(&str, &str)]| exclusion(&subnet(7, 9, tags), Some("blue"));
        assert_eq!(excluded(&[]), None);
        assert_eq!(excluded(&[(ROLE_TAG, "")]), None);
        assert_eq!(excluded(&[other]), None);
        assert_eq!(excluded(&[(ROLE_TAG, "1")]), None);
        assert_eq!(
            excluded(&[(ROLE_TAG, "0")]),
            Some(Exclusion::SubnetNotForPods(id(7)))
        );
        let exclusion = excluded(&[(ROLE_TAG, "1"), other]).unwrap();
        assert!(exclusion.is_about_the_subnet());
        assert!(
            exclusion.to_string().contains("not for blue"),
            "{exclusion}"
        );
    }
}
