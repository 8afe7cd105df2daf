//! ENIConfig, `crd.k8s.amazonaws.com/v1alpha1`: the subnet and the security groups of pods' ENIs
//! with custom networking. Cluster-scoped.

use kube::api::{ApiResource, NotUsed, Object};
use kube::core::GroupVersionKind;
use serde::Deserialize;
use vpc_model::{SecurityGroupId, SubnetId};

/// An ENIConfig as the API server has it.
pub(crate) type EniConfigObject = Object<Spec, NotUsed>;

/// What people write.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    subnet: String,
    security_groups: Vec<String>,
}

/// Where pods' ENIs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EniConfig {
    /// Their subnet.
    pub subnet: SubnetId,
    /// Their security groups; the primary ENI's where there are none.
    pub security_groups: Vec<SecurityGroupId>,
}

/// An ENIConfig cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EniConfigError {
    /// No subnet, or none that can be.
    #[error("spec.subnet of the ENIConfig is {value:?}; allowed: a subnet's id, subnet-…")]
    Subnet {
        /// The value.
        value: String,
    },
    /// A security group that cannot be.
    #[error(
        "spec.securityGroups of the ENIConfig has {value:?}; allowed: ids of security groups, sg-…"
    )]
    SecurityGroup {
        /// The value.
        value: String,
    },
}

pub(crate) fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("crd.k8s.amazonaws.com", "v1alpha1", "ENIConfig");
    ApiResource::from_gvk_with_plural(&kind, "eniconfigs")
}

impl EniConfig {
    pub(crate) fn of(spec: &Spec) -> Result<Self, EniConfigError> {
        let subnet = spec.subnet.parse().map_err(|_| EniConfigError::Subnet {
            value: spec.subnet.clone(),
        })?;
        let group = |value: &String| {
            value.parse().map_err(|_| EniConfigError::SecurityGroup {
                value: value.clone(),
            })
        };
        let groups = spec.security_groups.iter().map(group);
        Ok(Self {
            subnet,
            security_groups: groups.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: serde_json::Value) -> Result<EniConfig, EniConfigError> {
        EniConfig::of(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn subnet_and_groups_are_read() {
        let config =
            of(json!({"subnet": "subnet-1a", "securityGroups": ["sg-1", "sg-2"]})).unwrap();
        assert_eq!(config.subnet.as_str(), "subnet-1a");
        assert_eq!(config.security_groups.len(), 2);
        let alone = of(json!({"subnet": "subnet-1a"})).unwrap();
        assert!(alone.security_groups.is_empty());
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (spec, words) in [
            (json!({}), "spec.subnet of the ENIConfig is \"\""),
            (json!({"subnet": "vpc-1"}), "is \"vpc-1\""),
            (
                json!({"subnet": "subnet-1", "securityGroups": ["default"]}),
                "has \"default\"",
            ),
        ] {
            let said = of(spec).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }
}
