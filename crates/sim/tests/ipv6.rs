//! IPv6 networks, addresses and prefixes.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use common::{T0, at, slow};
use ipnet::Ipv6Net;
use vpc_aws::ec2::wire::*;
use vpc_model::{InstanceId, Timestamp};
use vpc_sim::{ApiError, RunInstance, World, WorldConfig};

const VPC: &str = "2001:db8:1234::/56";
const SUBNET: &str = "2001:db8:1234:1::/64";

fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    result.unwrap_err().code
}

struct Setup {
    world: World,
    vpc: String,
    subnet: String,
    instance: InstanceId,
    /// The instance's second ENI, attached.
    eni: String,
}

fn setup(config: WorldConfig) -> Setup {
    let mut world = World::new(config);
    let request = CreateVpcRequest {
        cidr_block: Some("10.0.0.0/16".to_owned()),
        amazon_provided_ipv6_cidr_block: Some(true),
        ..Default::default()
    };
    let vpc = world.create_vpc_action(&request, T0).unwrap().vpc.unwrap();
    let network = &vpc.ipv6_cidr_block_associations.item[0];
    assert_eq!(network.ipv6_cidr_block.as_deref(), Some(VPC));
    let ipv4 = &vpc.cidr_block_associations.item[0];
    assert_ne!(network.association_id, ipv4.association_id);
    let vpc = vpc.vpc_id.unwrap();
    let made = make_subnet(&mut world, &vpc, "10.0.1.0/24", Some(SUBNET)).unwrap();
    let network = &made.ipv6_cidr_block_association_set.item[0];
    assert_eq!(network.ipv6_cidr_block.as_deref(), Some(SUBNET));
    let subnet = made.subnet_id.unwrap();
    let kind = "m5.large".parse().unwrap();
    let spec = RunInstance::new("node1", kind, subnet.parse().unwrap());
    let instance = world.run_instance(spec, T0).unwrap();
    let request = CreateNetworkInterfaceRequest {
        subnet_id: Some(subnet.clone()),
        ..Default::default()
    };
    let eni = world.create_network_interface(&request, T0).unwrap();
    let eni = eni.network_interface.unwrap().network_interface_id.unwrap();
    let request = AttachNetworkInterfaceRequest {
        network_interface_id: Some(eni.clone()),
        instance_id: Some(instance.to_string()),
        device_index: Some(1),
        ..Default::default()
    };
    world.attach_network_interface(&request, T0).unwrap();
    Setup {
        world,
        vpc,
        subnet,
        instance,
        eni,
    }
}

fn immediate() -> Setup {
    setup(WorldConfig::immediate(1))
}

fn make_subnet(
    world: &mut World,
    vpc: &str,
    cidr: &str,
    ipv6: Option<&str>,
) -> Result<Subnet, ApiError> {
    let request = CreateSubnetRequest {
        vpc_id: Some(vpc.to_owned()),
        cidr_block: Some(cidr.to_owned()),
        ipv6_cidr_block: ipv6.map(str::to_owned),
        ..Default::default()
    };
    Ok(world.create_subnet_action(&request, T0)?.subnet.unwrap())
}

impl Setup {
    fn ask(&self) -> AssignIpv6AddressesRequest {
        AssignIpv6AddressesRequest {
            network_interface_id: Some(self.eni.clone()),
            ..Default::default()
        }
    }

    fn assign(
        &mut self,
        request: &AssignIpv6AddressesRequest,
    ) -> Result<AssignIpv6AddressesResponse, ApiError> {
        self.world.assign_ipv6_addresses(request, T0)
    }

    fn described(&mut self) -> (Vec<String>, Vec<String>) {
        let request = DescribeNetworkInterfacesRequest {
            network_interface_ids: vec![self.eni.clone()],
            ..Default::default()
        };
        let answer = self.world.describe_network_interfaces(&request, T0);
        let eni = answer.unwrap().network_interfaces.item.remove(0);
        let addresses = eni.ipv6_addresses.item.into_iter();
        let prefixes = eni.ipv6_prefixes.map(|set| set.item).unwrap_or_default();
        (
            addresses.filter_map(|a| a.ipv6_address).collect(),
            prefixes.into_iter().filter_map(|p| p.ipv6_prefix).collect(),
        )
    }

    fn imds(&mut self, leaf: &str, now: Timestamp) -> Option<String> {
        let request = DescribeNetworkInterfacesRequest {
            network_interface_ids: vec![self.eni.clone()],
            ..Default::default()
        };
        let answer = self.world.describe_network_interfaces(&request, now);
        let mac = answer
            .unwrap()
            .network_interfaces
            .item
            .remove(0)
            .mac_address;
        let path = format!(
            "/latest/meta-data/network/interfaces/macs/{}/{leaf}",
            mac.unwrap()
        );
        self.world.imds(&self.instance, &path, now)
    }
}

#[test]
fn addresses_and_prefixes_are_the_subnets_and_nobody_elses() {
    let mut s = immediate();
    let subnet: Ipv6Net = SUBNET.parse().unwrap();
    let request = AssignIpv6AddressesRequest {
        ipv6_address_count: Some(3),
        ..s.ask()
    };
    let addresses = s.assign(&request).unwrap().assigned_ipv6_addresses.item;
    let parsed: BTreeSet<Ipv6Addr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    assert_eq!(parsed.len(), 3);
    assert!(parsed.iter().all(|address| subnet.contains(address)));
    let request = AssignIpv6AddressesRequest {
        ipv6_prefix_count: Some(2),
        ..s.ask()
    };
    let prefixes = s.assign(&request).unwrap().assigned_ipv6_prefixes.item;
    let nets: BTreeSet<Ipv6Net> = prefixes.iter().map(|p| p.parse().unwrap()).collect();
    assert_eq!(nets.len(), 2);
    for net in &nets {
        assert_eq!(net.prefix_len(), 80);
        assert!(subnet.contains(net));
        assert!(!parsed.iter().any(|address| net.contains(address)));
    }
    assert_eq!(s.described(), (addresses.clone(), prefixes.clone()));

    let back = UnassignIpv6AddressesRequest {
        network_interface_id: Some(s.eni.clone()),
        ipv6_addresses: addresses.clone(),
        ipv6_prefixes: prefixes,
    };
    s.world.unassign_ipv6_addresses(&back, T0).unwrap();
    assert_eq!(s.described(), (Vec::new(), Vec::new()));
    assert_eq!(
        code(s.world.unassign_ipv6_addresses(&back, T0)),
        "InvalidParameterValue"
    );
    // What was given back can be had again.
    let request = AssignIpv6AddressesRequest {
        ipv6_addresses: addresses,
        ..s.ask()
    };
    s.assign(&request).unwrap();
}

#[test]
fn what_cannot_be_assigned_is_refused_whole() {
    let mut s = immediate();
    let exact = |s: &Setup, addresses: &[&str], prefixes: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
        AssignIpv6AddressesRequest {
            ipv6_addresses: owned(addresses),
            ipv6_prefixes: owned(prefixes),
            ..s.ask()
        }
    };
    let first = exact(&s, &["2001:db8:1234:1::9"], &[]);
    s.assign(&first).unwrap();
    let prefix = exact(&s, &[], &["2001:db8:1234:1:7::/80"]);
    s.assign(&prefix).unwrap();
    let before = s.described();
    for (addresses, prefixes, expected) in [
        (
            vec!["2001:db8:1234:1::a", "2001:db8:1234:1::9"],
            vec![],
            "InvalidIPAddress.InUse",
        ),
        (
            vec!["2001:db8:1234:1:7::1"],
            vec![],
            "InvalidIPAddress.InUse",
        ),
        (vec!["2001:db8:1234:2::9"], vec![], "InvalidParameterValue"),
        (vec!["2001:db8:1234:1::3"], vec![], "InvalidParameterValue"),
        (vec!["10.0.1.9"], vec![], "InvalidParameterValue"),
        (
            vec![],
            vec!["2001:db8:1234:1:7::/80"],
            "InsufficientCidrBlocks",
        ),
        (
            vec![],
            vec!["2001:db8:1234:1::/80"],
            "InsufficientCidrBlocks",
        ),
        (
            vec![],
            vec!["2001:db8:1234:1:8::/96"],
            "InvalidParameterValue",
        ),
        (
            vec!["2001:db8:1234:1::b"],
            vec!["2001:db8:1234:1:9::/80"],
            "InvalidParameterCombination",
        ),
        (vec![], vec![], "MissingParameter"),
    ] {
        let request = exact(&s, &addresses, &prefixes);
        assert_eq!(
            code(s.assign(&request)),
            expected,
            "{addresses:?} {prefixes:?}"
        );
        assert_eq!(s.described(), before);
    }
    // An m5.large holds ten on an ENI; two are there.
    let request = AssignIpv6AddressesRequest {
        ipv6_address_count: Some(9),
        ..s.ask()
    };
    assert_eq!(code(s.assign(&request)), "PrivateIpAddressLimitExceeded");
}

#[test]
fn an_eni_can_have_them_from_the_start_and_gives_them_back_at_its_end() {
    let mut s = immediate();
    let request = CreateNetworkInterfaceRequest {
        subnet_id: Some(s.subnet.clone()),
        ipv6_prefixes: vec![Ipv6Prefix {
            ipv6_prefix: Some("2001:db8:1234:1:7::/80".to_owned()),
        }],
        ..Default::default()
    };
    let made = s.world.create_network_interface(&request, T0).unwrap();
    let made = made.network_interface.unwrap();
    assert_eq!(made.ipv6_prefixes.unwrap().item, request.ipv6_prefixes);
    assert_eq!(
        code(s.world.create_network_interface(&request, T0)),
        "InsufficientCidrBlocks"
    );
    let delete = DeleteNetworkInterfaceRequest {
        network_interface_id: made.network_interface_id,
        ..Default::default()
    };
    s.world.delete_network_interface(&delete, T0).unwrap();
    s.world.create_network_interface(&request, T0).unwrap();
}

#[test]
fn networks_must_be_the_vpcs_and_of_their_size() {
    let mut s = immediate();
    let vpc = s.vpc.clone();
    for (network, expected) in [
        (SUBNET, "InvalidSubnet.Conflict"),
        ("2001:db8:1234:2::/72", "InvalidSubnet.Range"),
        ("2001:db8:1235::/64", "InvalidSubnet.Range"),
        ("x", "InvalidParameterValue"),
    ] {
        let refused = make_subnet(&mut s.world, &vpc, "10.0.2.0/24", Some(network));
        assert_eq!(code(refused), expected, "{network}");
    }
    let without = make_subnet(&mut s.world, &vpc, "10.0.2.0/24", None).unwrap();
    let request = CreateNetworkInterfaceRequest {
        subnet_id: without.subnet_id,
        ipv6_address_count: Some(1),
        ..Default::default()
    };
    assert_eq!(
        code(s.world.create_network_interface(&request, T0)),
        "InvalidParameterValue"
    );
}

#[test]
fn metadata_shows_them_after_its_lag() {
    let mut s = setup(slow());
    for leaf in ["ipv6s", "ipv6-prefix"] {
        assert_eq!(s.imds(leaf, at(9_000)), None, "{leaf}");
    }
    let request = AssignIpv6AddressesRequest {
        ipv6_prefix_count: Some(1),
        ..s.ask()
    };
    let made = s.world.assign_ipv6_addresses(&request, at(9_000)).unwrap();
    assert_eq!(s.imds("ipv6-prefix", at(9_100)), None);
    assert_eq!(
        s.imds("ipv6-prefix", at(9_200)).as_ref(),
        Some(&made.assigned_ipv6_prefixes.item[0])
    );
    assert_eq!(
        s.imds("subnet-ipv6-cidr-blocks", at(9_200)).as_deref(),
        Some(SUBNET)
    );
    assert_eq!(
        s.imds("vpc-ipv6-cidr-blocks", at(9_200)).as_deref(),
        Some(VPC)
    );
}
