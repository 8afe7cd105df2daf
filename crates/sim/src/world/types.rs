//! `DescribeInstanceTypes`, from the table of instance types.

use vpc_aws::ec2::wire::{
    DescribeInstanceTypesRequest, DescribeInstanceTypesResponse, InstanceTypeInfo, NetworkCardInfo,
    NetworkInfo, VCpuInfo,
};
use vpc_model::instance_types::{CardLimits, Hypervisor, InstanceLimits, InstanceTypes};
use vpc_model::{InstanceType, Timestamp};

use super::World;
use super::filter::chosen;
use super::modify::refuse_dry_run;
use super::page::Paging;
use super::state::Tags;
use crate::error::ApiError;

impl World {
    /// Describes instance types, as far as the table of types goes.
    ///
    /// # Errors
    /// As EC2's: a type that does not exist (`InvalidInstanceType`), an unknown filter, a bad page
    /// size or token.
    pub fn describe_instance_types(
        &self,
        request: &DescribeInstanceTypesRequest,
        _now: Timestamp,
    ) -> Result<DescribeInstanceTypesResponse, ApiError> {
        refuse_dry_run(request.dry_run)?;
        let table = InstanceTypes::builtin();
        let names = &request.instance_types;
        let exists = |name: &str| table.iter().any(|(known, _)| known.as_str() == name);
        let unknown: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| !exists(name))
            .collect();
        if !unknown.is_empty() {
            return Err(ApiError::client(
                "InvalidInstanceType",
                format!(
                    "The following supplied instance types do not exist: [{}]",
                    unknown.join(", ")
                ),
            ));
        }
        let mut found = Vec::new();
        for (name, limits) in table.iter() {
            let (hypervisor, bare_metal) = kind(limits.hypervisor);
            let meets = chosen(&request.filters, &Tags::new(), |facts| {
                facts
                    .with("instance-type", [name])
                    .with("bare-metal", [bare_metal])
                    .with("hypervisor", hypervisor)
                    .with(
                        "processor-info.supported-architecture",
                        [architecture(name)],
                    )
                    .with("network-info.maximum-network-interfaces", [enis(limits)])
                    .with("network-info.maximum-network-cards", [limits.cards.len()])
                    .with(
                        "network-info.ipv4-addresses-per-interface",
                        [limits.ipv4_per_eni],
                    )
            })?;
            let named = names.is_empty() || names.iter().any(|n| n == name.as_str());
            if named && meets {
                found.push((name.to_string(), describe(name, limits)));
            }
        }
        let paging = Paging {
            max_results: request.max_results,
            next_token: request.next_token.as_deref(),
            by_id: !names.is_empty(),
            sizes: (5, 100),
        };
        let (page, next_token) = paging.cut(found)?;
        Ok(DescribeInstanceTypesResponse {
            instance_types: page.into(),
            next_token,
            ..Default::default()
        })
    }
}

/// What EC2 calls the hypervisor, absent on bare metal; and whether it is bare metal.
fn kind(hypervisor: Hypervisor) -> (Option<&'static str>, bool) {
    match hypervisor {
        Hypervisor::Nitro => (Some("nitro"), false),
        Hypervisor::Xen => (Some("xen"), false),
        Hypervisor::Metal => (None, true),
    }
}

/// The processor architecture of a type: by EC2's naming, a `g` among the attributes after the
/// generation's number means Graviton, that is Arm.
pub(super) fn architecture(instance_type: &InstanceType) -> &'static str {
    let name = instance_type.as_str();
    let family = name.split('.').next().unwrap_or_default();
    if let Some(generation) = family.strip_prefix("mac") {
        return match generation {
            "1" => "x86_64_mac",
            _ => "arm64_mac",
        };
    }
    let attributes = family.trim_start_matches(|c: char| !c.is_ascii_digit());
    let attributes = attributes.split('-').next().unwrap_or_default();
    if family == "a1" || attributes.contains('g') {
        "arm64"
    } else {
        "x86_64"
    }
}

/// ENIs over all cards.
fn enis(limits: &InstanceLimits) -> u32 {
    limits.cards.iter().map(|card| card.enis).sum()
}

fn describe(name: &InstanceType, limits: &InstanceLimits) -> InstanceTypeInfo {
    let number = |value: u32| i32::try_from(value).ok();
    let (hypervisor, bare_metal) = kind(limits.hypervisor);
    let card = |card: &CardLimits| NetworkCardInfo {
        network_card_index: Some(card.card.0.into()),
        network_performance: None,
        maximum_network_interfaces: number(card.enis),
    };
    InstanceTypeInfo {
        instance_type: Some(name.to_string()),
        bare_metal: Some(bare_metal),
        hypervisor: hypervisor.map(str::to_owned),
        v_cpu_info: Some(VCpuInfo {
            default_v_cpus: number(limits.vcpus),
        }),
        network_info: Some(NetworkInfo {
            maximum_network_interfaces: number(enis(limits)),
            maximum_network_cards: i32::try_from(limits.cards.len()).ok(),
            default_network_card_index: Some(limits.default_card.0.into()),
            network_cards: limits.cards.iter().map(card).collect(),
            ipv4_addresses_per_interface: number(limits.ipv4_per_eni),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_type_tells_its_architecture() {
        for (name, expected) in [
            ("m5.large", "x86_64"),
            ("g5.xlarge", "x86_64"),
            ("g5g.xlarge", "arm64"),
            ("m6g.large", "arm64"),
            ("c7gn.16xlarge", "arm64"),
            ("is4gen.medium", "arm64"),
            ("a1.large", "arm64"),
            ("u-6tb1.metal", "x86_64"),
            ("gr6.4xlarge", "x86_64"),
            ("mac1.metal", "x86_64_mac"),
            ("mac2-m2.metal", "arm64_mac"),
        ] {
            let kind = name.parse().unwrap();
            assert_eq!(architecture(&kind), expected, "{name}");
        }
    }
}
