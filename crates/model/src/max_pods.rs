//! How many pods a node can have.
//!
//! The formula is that of Amazon EKS: ENIs × (IPv4 addresses per ENI − 1) + 2, by 16 in prefix
//! mode. The two are pods with the node's own address, aws-node and kube-proxy.

use crate::instance_types::InstanceLimits;
use crate::prefix::Ipv4Prefix;

/// Pods that have the node's own address and need none.
const HOST_NETWORK_PODS: u32 = 2;
/// Up to so many virtual CPUs the smaller recommendation holds (max-pods calculator of the EKS
/// images).
const FEW_VCPUS: u32 = 30;
/// Kubernetes' own recommendation for a node ("Considerations for large clusters").
const FEW_PODS: u32 = 110;
/// What Amazon EKS recommends for large nodes.
const MANY_PODS: u32 = 250;

/// How the cluster gives addresses to pods, as far as it decides how many there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scheme {
    /// /28 prefixes instead of single addresses (`ENABLE_PREFIX_DELEGATION`).
    pub prefixes: bool,
    /// The primary ENI gives no addresses (`AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG`).
    pub custom_networking: bool,
    /// An ENI is the trunk of branch ENIs (`ENABLE_POD_ENI`) and gives no addresses itself.
    pub trunk: bool,
    /// The most ENIs, the primary included (`MAX_ENI`); the type's limit if absent.
    pub max_enis: Option<u32>,
}

/// How many pods a node can have, and by which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPods {
    /// ENIs that give addresses to pods.
    pub enis: u32,
    /// Addresses or prefixes on each of them.
    pub slots_per_eni: u32,
    /// Addresses for pods in a slot: 1, or 16 with prefixes.
    pub addresses_per_slot: u32,
    /// As many pods as there can be addresses for, and those without one of their own.
    pub pods: u32,
    /// The same, but at most what is recommended for the number of CPUs: 110, or 250 above 30.
    pub recommended: u32,
}

/// The scheme is not for the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaxPodsError {
    /// Prefixes need the Nitro system (EC2 user guide, "Prefix delegation").
    #[error("the type is not built on the Nitro System, and EC2 assigns prefixes to no other")]
    NoPrefixes,
    /// Nothing is left for pods.
    #[error("of {enis} ENIs none is left to give addresses to pods")]
    NoEnis {
        /// The ENIs there can be.
        enis: u32,
    },
}

impl MaxPods {
    /// How many pods a node with these limits can have.
    ///
    /// # Errors
    /// The type has no prefixes; no ENI is left for pods.
    pub fn of(limits: &InstanceLimits, scheme: Scheme) -> Result<Self, MaxPodsError> {
        if scheme.prefixes && !limits.supports_prefixes() {
            return Err(MaxPodsError::NoPrefixes);
        }
        let all = scheme.max_enis.unwrap_or(limits.enis).min(limits.enis);
        let without = u32::from(scheme.custom_networking) + u32::from(scheme.trunk);
        let enis = all.saturating_sub(without);
        if enis == 0 {
            return Err(MaxPodsError::NoEnis { enis: all });
        }
        let slots_per_eni = limits.secondary_addresses_per_eni();
        let addresses_per_slot = if scheme.prefixes { Ipv4Prefix::SIZE } else { 1 };
        let pods = enis * slots_per_eni * addresses_per_slot + HOST_NETWORK_PODS;
        let cap = if limits.vcpus > FEW_VCPUS {
            MANY_PODS
        } else {
            FEW_PODS
        };
        Ok(Self {
            enis,
            slots_per_eni,
            addresses_per_slot,
            pods,
            recommended: pods.min(cap),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance_types::InstanceTypes;

    fn of(name: &str, scheme: Scheme) -> Result<MaxPods, MaxPodsError> {
        let limits = InstanceTypes::builtin().get(&name.parse().unwrap());
        MaxPods::of(limits.unwrap(), scheme)
    }

    fn pods(name: &str, scheme: Scheme) -> (u32, u32) {
        let found = of(name, scheme).unwrap();
        (found.pods, found.recommended)
    }

    const PLAIN: Scheme = Scheme {
        prefixes: false,
        custom_networking: false,
        trunk: false,
        max_enis: None,
    };

    #[test]
    fn types_have_the_published_numbers() {
        for (name, expected) in [
            ("t3.medium", 17),
            ("m5.large", 29),
            ("c5.xlarge", 58),
            ("m5.4xlarge", 234),
            ("m5.24xlarge", 737),
            ("p5.48xlarge", 100),
            ("p5en.48xlarge", 198),
            ("p3.16xlarge", 234),
            ("u-24tb1.metal", 737),
        ] {
            assert_eq!(pods(name, PLAIN).0, expected, "{name}");
        }
    }

    #[test]
    fn the_recommendation_goes_by_cpus() {
        // 16 and 96 of them.
        assert_eq!(pods("m5.4xlarge", PLAIN).1, 110);
        assert_eq!(pods("m5.24xlarge", PLAIN).1, 250);
        assert_eq!(pods("t3.medium", PLAIN).1, 17);
    }

    #[test]
    fn each_part_of_a_scheme_counts() {
        let prefixes = Scheme {
            prefixes: true,
            ..PLAIN
        };
        assert_eq!(pods("m5.large", prefixes), (3 * 9 * 16 + 2, 110));
        let custom = Scheme {
            custom_networking: true,
            ..PLAIN
        };
        assert_eq!(pods("m5.large", custom).0, 2 * 9 + 2);
        let both = Scheme {
            trunk: true,
            ..custom
        };
        assert_eq!(pods("m5.large", both).0, 9 + 2);
        let few = Scheme {
            max_enis: Some(2),
            ..PLAIN
        };
        assert_eq!(pods("m5.large", few).0, 2 * 9 + 2);
        let many = Scheme {
            max_enis: Some(99),
            ..PLAIN
        };
        assert_eq!(pods("m5.large", many).0, 29);
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let prefixes = Scheme {
            prefixes: true,
            ..PLAIN
        };
        assert_eq!(of("m4.large", prefixes), Err(MaxPodsError::NoPrefixes));
        let nothing = Scheme {
            custom_networking: true,
            max_enis: Some(1),
            ..PLAIN
        };
        assert_eq!(
            of("m5.large", nothing),
            Err(MaxPodsError::NoEnis { enis: 1 })
        );
    }
}
