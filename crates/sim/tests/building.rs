//! A whole VPC made and taken away by requests: networks, security groups, CIDR reservations,
//! instances.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{T0, addresses, at};
use vpc_aws::ec2::wire::*;
use vpc_model::Timestamp;
use vpc_sim::{ApiError, Span, World, WorldConfig};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn named(kind: &str, name: &str) -> Vec<TagSpecification> {
    vec![TagSpecification {
        resource_type: some(kind),
        tags: vec![Tag::new("Name", name)],
    }]
}

/// An empty world and short ways to build in it.
struct Site {
    world: World,
}

impl Site {
    fn new(config: WorldConfig) -> Self {
        Self {
            world: World::new(config),
        }
    }

    fn vpc(&mut self, cidr: &str) -> Result<String, ApiError> {
        let request = CreateVpcRequest {
            cidr_block: some(cidr),
            tag_specifications: named("vpc", "cluster"),
            ..Default::default()
        };
        let response = self.world.create_vpc_action(&request, T0)?;
        Ok(response.vpc.unwrap().vpc_id.unwrap())
    }

    fn subnet(&mut self, vpc: &str, cidr: &str) -> Result<Subnet, ApiError> {
        let request = CreateSubnetRequest {
            vpc_id: some(vpc),
            cidr_block: some(cidr),
            availability_zone: some("us-west-2b"),
            tag_specifications: named("subnet", "nodes"),
            ..Default::default()
        };
        let response = self.world.create_subnet_action(&request, T0)?;
        Ok(response.subnet.unwrap())
    }

    fn group(&mut self, vpc: &str, name: &str) -> String {
        let request = CreateSecurityGroupRequest {
            group_name: some(name),
            description: some("for tests"),
            vpc_id: some(vpc),
            ..Default::default()
        };
        let response = self.world.create_security_group_action(&request, T0);
        response.unwrap().group_id.unwrap()
    }

    fn describe_group(&mut self, id: &str) -> SecurityGroup {
        let request = DescribeSecurityGroupsRequest {
            group_ids: vec![id.to_owned()],
            ..Default::default()
        };
        let response = self.world.describe_security_groups(&request, T0).unwrap();
        response.security_groups.item.into_iter().next().unwrap()
    }

    fn authorize(
        &mut self,
        group: &str,
        permission: IpPermissionSpecification,
    ) -> Result<Vec<SecurityGroupRule>, ApiError> {
        let request = AuthorizeSecurityGroupIngressRequest {
            group_id: some(group),
            ip_permissions: vec![permission],
            ..Default::default()
        };
        let response = self.world.authorize_security_group_ingress(&request, T0)?;
        Ok(response.security_group_rules.item)
    }

    fn reserve(&mut self, subnet: &str, cidr: &str, kind: &str) -> Result<String, ApiError> {
        let request = CreateSubnetCidrReservationRequest {
            subnet_id: some(subnet),
            cidr: some(cidr),
            reservation_type: some(kind),
            ..Default::default()
        };
        let response = self.world.create_subnet_cidr_reservation(&request, T0)?;
        let reservation = response.subnet_cidr_reservation.unwrap();
        Ok(reservation.subnet_cidr_reservation_id.unwrap())
    }

    fn available(&mut self, subnet: &str) -> i32 {
        let request = DescribeSubnetsRequest {
            subnet_ids: vec![subnet.to_owned()],
            ..Default::default()
        };
        let response = self.world.describe_subnets(&request, T0).unwrap();
        response.subnets.item[0].available_ip_address_count.unwrap()
    }

    fn states(&mut self, now: Timestamp) -> Vec<String> {
        let request = DescribeInstancesRequest::default();
        let response = self.world.describe_instances(&request, now).unwrap();
        let reservations = response.reservations.item.into_iter();
        reservations
            .flat_map(|reservation| reservation.instances.item)
            .map(|instance| instance.state.unwrap().name.unwrap())
            .collect()
    }

    fn terminate(&mut self, ids: &[String], now: Timestamp) -> Vec<(String, String)> {
        let request = TerminateInstancesRequest {
            instance_ids: ids.to_vec(),
            ..Default::default()
        };
        let response = self.world.terminate_instances(&request, now).unwrap();
        let name = |state: Option<InstanceState>| state.unwrap().name.unwrap();
        let changes = response.terminating_instances.item.into_iter();
        changes
            .map(|change| (name(change.previous_state), name(change.current_state)))
            .collect()
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    result.unwrap_err().code
}

fn tcp(port: i32, cidr: &str) -> IpPermissionSpecification {
    IpPermissionSpecification {
        ip_protocol: some("tcp"),
        from_port: Some(port),
        to_port: Some(port),
        ip_ranges: vec![IpRange {
            cidr_ip: some(cidr),
            description: some("here"),
        }],
        ..Default::default()
    }
}

fn launch(subnet: &str, least: i32, most: i32) -> RunInstancesRequest {
    RunInstancesRequest {
        image_id: some("ami-00000000000000001"),
        instance_type: some("m5.large"),
        min_count: Some(least),
        max_count: Some(most),
        subnet_id: some(subnet),
        ..Default::default()
    }
}

#[test]
fn networks_are_made_described_and_taken_away_in_order() {
    let mut site = Site::new(WorldConfig::immediate(1));
    let vpc = site.vpc("10.0.0.7/16").unwrap();
    let described = site
        .world
        .describe_vpcs(&DescribeVpcsRequest::default(), T0)
        .unwrap();
    let described = &described.vpcs.item[0];
    assert_eq!(described.cidr_block.as_deref(), Some("10.0.0.0/16"));
    assert_eq!(described.tags.item, [Tag::new("Name", "cluster")]);
    let subnet = site.subnet(&vpc, "10.0.1.0/24").unwrap();
    assert_eq!(subnet.availability_zone_id.as_deref(), Some("usw2-az2"));
    assert_eq!(subnet.available_ip_address_count, Some(251));
    let subnet = subnet.subnet_id.unwrap();
    assert_eq!(
        code(site.subnet(&vpc, "10.0.1.128/25")),
        "InvalidSubnet.Conflict"
    );
    assert_eq!(
        code(site.subnet(&vpc, "10.1.0.0/24")),
        "InvalidSubnet.Range"
    );

    let delete_vpc = DeleteVpcRequest {
        vpc_id: some(&vpc),
        ..Default::default()
    };
    let delete_subnet = DeleteSubnetRequest {
        subnet_id: some(&subnet),
        ..Default::default()
    };
    assert_eq!(
        code(site.world.delete_vpc(&delete_vpc, T0)),
        "DependencyViolation"
    );
    let request = CreateNetworkInterfaceRequest {
        subnet_id: some(&subnet),
        ..Default::default()
    };
    let eni = site.world.create_network_interface(&request, T0).unwrap();
    let eni = eni.network_interface.unwrap().network_interface_id;
    assert_eq!(
        code(site.world.delete_subnet(&delete_subnet, T0)),
        "DependencyViolation"
    );
    let request = DeleteNetworkInterfaceRequest {
        network_interface_id: eni,
        ..Default::default()
    };
    site.world.delete_network_interface(&request, T0).unwrap();
    site.world.delete_subnet(&delete_subnet, T0).unwrap();
    site.world.delete_vpc(&delete_vpc, T0).unwrap();
    assert_eq!(
        code(site.world.delete_vpc(&delete_vpc, T0)),
        "InvalidVpcID.NotFound"
    );
    let dump = site.world.dump();
    for kind in ["vpcs", "subnets", "securityGroups", "enis"] {
        assert_eq!(dump[kind].as_array().unwrap().len(), 0, "{kind}");
    }
}

#[test]
fn quotas_are_those_of_ec2() {
    let mut site = Site::new(WorldConfig {
        max_subnets: 2,
        ..WorldConfig::immediate(1)
    });
    let vpc = site.vpc("10.0.0.0/16").unwrap();
    for number in 1..5 {
        site.vpc(&format!("10.{number}.0.0/16")).unwrap();
    }
    assert_eq!(code(site.vpc("10.9.0.0/16")), "VpcLimitExceeded");
    site.subnet(&vpc, "10.0.1.0/24").unwrap();
    site.subnet(&vpc, "10.0.2.0/24").unwrap();
    assert_eq!(
        code(site.subnet(&vpc, "10.0.3.0/24")),
        "SubnetLimitExceeded"
    );
}

#[test]
fn a_new_group_lets_everything_out_and_the_default_one_its_members_in() {
    let mut site = Site::new(WorldConfig::immediate(1));
    let vpc = site.vpc("10.0.0.0/16").unwrap();
    let id = site.group(&vpc, "web");
    let group = site.describe_group(&id);
    assert!(group.ip_permissions.item.is_empty());
    let out = &group.ip_permissions_egress.item;
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].ip_protocol.as_deref(), Some("-1"));
    assert_eq!(out[0].from_port, None);
    assert_eq!(
        out[0].ip_ranges.item[0].cidr_ip.as_deref(),
        Some("0.0.0.0/0")
    );
    let request = DescribeSecurityGroupsRequest {
        filters: vec![Filter::new("group-name", "default")],
        ..Default::default()
    };
    let found = site.world.describe_security_groups(&request, T0).unwrap();
    let default = &found.security_groups.item[0];
    let within = &default.ip_permissions.item[0].user_id_group_pairs.item[0];
    assert_eq!(within.group_id, default.group_id);
    let request = DeleteSecurityGroupRequest {
        group_id: default.group_id.clone(),
        ..Default::default()
    };
    assert_eq!(
        code(site.world.delete_security_group(&request, T0)),
        "CannotDelete"
    );
}

#[test]
fn rules_are_added_once_listed_by_traffic_and_taken_away() {
    let mut site = Site::new(WorldConfig::immediate(1));
    let vpc = site.vpc("10.0.0.0/16").unwrap();
    let (web, other) = (site.group(&vpc, "web"), site.group(&vpc, "other"));
    let first = site.authorize(&web, tcp(22, "10.0.0.9/8")).unwrap();
    assert_eq!(first[0].cidr_ipv4.as_deref(), Some("10.0.0.0/8"));
    assert_eq!(
        code(site.authorize(&web, tcp(22, "10.0.0.0/8"))),
        "InvalidPermission.Duplicate"
    );
    site.authorize(&web, tcp(22, "192.168.0.0/16")).unwrap();
    let from_other = IpPermissionSpecification {
        ip_protocol: some("-1"),
        user_id_group_pairs: vec![UserIdGroupPair {
            group_id: some(&other),
            ..Default::default()
        }],
        ..Default::default()
    };
    site.authorize(&web, from_other.clone()).unwrap();
    let permissions = site.describe_group(&web).ip_permissions.item;
    let ssh = |p: &&IpPermission| p.from_port == Some(22);
    let ssh = permissions.iter().find(ssh).unwrap();
    assert_eq!((permissions.len(), ssh.ip_ranges.item.len()), (2, 2));

    // A group that a rule names cannot go before the rule.
    let delete = DeleteSecurityGroupRequest {
        group_id: some(&other),
        ..Default::default()
    };
    assert_eq!(
        code(site.world.delete_security_group(&delete, T0)),
        "DependencyViolation"
    );
    let revoke = RevokeSecurityGroupIngressRequest {
        group_id: some(&web),
        ip_permissions: vec![from_other],
        ..Default::default()
    };
    let gone = site
        .world
        .revoke_security_group_ingress(&revoke, T0)
        .unwrap();
    let gone = &gone.revoked_security_group_rules.item;
    assert_eq!(gone[0].referenced_group_id.as_deref(), Some(other.as_str()));
    assert_eq!(
        code(site.world.revoke_security_group_ingress(&revoke, T0)),
        "InvalidPermission.NotFound"
    );
    site.world.delete_security_group(&delete, T0).unwrap();

    let by_id = RevokeSecurityGroupIngressRequest {
        group_id: some(&web),
        security_group_rule_ids: vec![first[0].security_group_rule_id.clone().unwrap()],
        ..Default::default()
    };
    site.world
        .revoke_security_group_ingress(&by_id, T0)
        .unwrap();
    assert_eq!(
        code(site.world.revoke_security_group_ingress(&by_id, T0)),
        "InvalidSecurityGroupRuleId.NotFound"
    );
    let egress = RevokeSecurityGroupEgressRequest {
        group_id: some(&web),
        ip_protocol: some("all"),
        cidr_ip: some("0.0.0.0/0"),
        ..Default::default()
    };
    site.world
        .revoke_security_group_egress(&egress, T0)
        .unwrap();
    let group = site.describe_group(&web);
    assert!(group.ip_permissions_egress.item.is_empty());
}

#[test]
fn the_sixty_first_rule_of_a_direction_is_refused_and_none_of_its_request_is_kept() {
    let mut site = Site::new(WorldConfig::immediate(1));
    let vpc = site.vpc("10.0.0.0/16").unwrap();
    let group = site.group(&vpc, "web");
    for port in 1..=59 {
        site.authorize(&group, tcp(port, "10.0.0.0/8")).unwrap();
    }
    let two = AuthorizeSecurityGroupIngressRequest {
        group_id: some(&group),
        ip_permissions: vec![tcp(60, "10.0.0.0/8"), tcp(61, "10.0.0.0/8")],
        ..Default::default()
    };
    assert_eq!(
        code(site.world.authorize_security_group_ingress(&two, T0)),
        "RulesPerSecurityGroupLimitExceeded"
    );
    assert_eq!(site.describe_group(&group).ip_permissions.item.len(), 59);
}

#[test]
fn a_reserved_range_is_left_alone_but_for_what_it_is_reserved_for() {
    let mut site = Site::new(WorldConfig::immediate(1));
    let vpc = site.vpc("10.0.0.0/16").unwrap();
    let subnet = site.subnet(&vpc, "10.0.1.0/26").unwrap().subnet_id.unwrap();
    assert_eq!(site.available(&subnet), 59);
    let id = site.reserve(&subnet, "10.0.1.16/28", "prefix").unwrap();
    assert_eq!(site.available(&subnet), 43);
    assert_eq!(
        code(site.reserve(&subnet, "10.0.1.16/27", "explicit")),
        "InvalidParameterValue"
    );
    assert_eq!(
        code(site.reserve(&subnet, "10.0.2.0/28", "explicit")),
        "InvalidParameterValue"
    );
    let get = GetSubnetCidrReservationsRequest {
        subnet_id: some(&subnet),
        ..Default::default()
    };
    let found = site.world.get_subnet_cidr_reservations(&get, T0).unwrap();
    let found = found.subnet_ipv4_cidr_reservations.item;
    assert_eq!(found[0].reservation_type.as_deref(), Some("prefix"));

    let mut create = CreateNetworkInterfaceRequest {
        subnet_id: some(&subnet),
        ipv4_prefix_count: Some(1),
        ..Default::default()
    };
    let eni = site.world.create_network_interface(&create, T0).unwrap();
    let eni = eni.network_interface.unwrap();
    let prefix = &eni.ipv4_prefixes.as_ref().unwrap().item[0];
    assert_eq!(prefix.ipv4_prefix.as_deref(), Some("10.0.1.16/28"));
    create.ipv4_prefix_count = None;
    create.secondary_private_ip_address_count = Some(20);
    let eni = site.world.create_network_interface(&create, T0).unwrap();
    let inside = |address: &String| {
        let last = address.rsplit('.').next().unwrap();
        (16..32).contains(&last.parse::<u8>().unwrap())
    };
    let all = addresses(&eni.network_interface.unwrap());
    assert!(!all.iter().any(inside), "{all:?}");

    let delete = DeleteSubnetCidrReservationRequest {
        subnet_cidr_reservation_id: some(&id),
        ..Default::default()
    };
    let before = site.available(&subnet);
    site.world
        .delete_subnet_cidr_reservation(&delete, T0)
        .unwrap();
    // The prefix that was taken from it stays taken.
    assert_eq!(site.available(&subnet), before);
    assert_eq!(
        code(site.world.delete_subnet_cidr_reservation(&delete, T0)),
        "InvalidSubnetCidrReservationID.NotFound"
    );
}

#[test]
fn instances_are_launched_run_and_end_with_their_enis() {
    let config = WorldConfig {
        launch: Span::exactly(Duration::from_secs(5)),
        terminate: Span::exactly(Duration::from_secs(10)),
        ..WorldConfig::immediate(1)
    };
    let mut site = Site::new(config);
    let vpc = site.vpc("10.0.0.0/16").unwrap();
    let subnet = site.subnet(&vpc, "10.0.1.0/24").unwrap();
    let subnet = subnet.subnet_id.unwrap();
    let group = site.group(&vpc, "web");
    let request = RunInstancesRequest {
        security_group_ids: vec![group.clone()],
        client_token: some("once"),
        tag_specifications: [
            named("instance", "node"),
            named("network-interface", "of-node"),
        ]
        .concat(),
        ..launch(&subnet, 1, 2)
    };
    let response = site.world.run_instances(&request, T0).unwrap();
    assert_eq!(site.world.run_instances(&request, T0).unwrap(), response);
    let instances = &response.instances.item;
    assert_eq!(instances.len(), 2);
    assert_eq!(instances[1].ami_launch_index, Some(1));
    assert_eq!(instances[0].tags.item, [Tag::new("Name", "node")]);
    let eni = &instances[0].network_interfaces.item[0];
    assert_eq!(eni.groups.item[0].group_id.as_deref(), Some(group.as_str()));
    assert_eq!(site.states(at(0)), ["pending", "pending"]);
    assert!(site.world.fabric().instances.is_empty());
    assert_eq!(site.world.next_event(), Some(at(5_000)));

    let ids: Vec<String> = instances
        .iter()
        .map(|instance| instance.instance_id.clone().unwrap())
        .collect();
    let path = "/latest/meta-data/instance-id";
    let imds =
        |site: &mut Site, millis| site.world.imds(&ids[0].parse().unwrap(), path, at(millis));
    assert_eq!(imds(&mut site, 4_999), None);
    assert_eq!(imds(&mut site, 5_000).as_ref(), Some(&ids[0]));
    assert_eq!(site.states(at(5_000)), ["running", "running"]);
    assert_eq!(site.world.fabric().instances.len(), 2);
    let described = site
        .world
        .describe_instances(&DescribeInstancesRequest::default(), at(5_000))
        .unwrap();
    assert_eq!(described.reservations.item.len(), 1);

    let changes = site.terminate(&ids, at(6_000));
    let expected = ("running".to_owned(), "shutting-down".to_owned());
    assert_eq!(changes, [expected.clone(), expected]);
    assert_eq!(site.available(&subnet), 249);
    assert_eq!(site.world.next_event(), Some(at(16_000)));
    assert_eq!(site.states(at(16_000)), ["terminated", "terminated"]);
    assert_eq!(site.available(&subnet), 251);
    let changes = site.terminate(&ids[..1], at(17_000));
    assert_eq!(changes[0].1, "terminated");
}

#[test]
fn as_many_instances_as_there_is_room_for_or_none() {
    let mut site = Site::new(WorldConfig::immediate(1));
    let vpc = site.vpc("10.0.0.0/16").unwrap();
    let subnet = site.subnet(&vpc, "10.0.1.0/28").unwrap();
    let subnet = subnet.subnet_id.unwrap();
    let before = site.world.dump();
    assert_eq!(
        code(site.world.run_instances(&launch(&subnet, 12, 20), T0)),
        "InsufficientFreeAddressesInSubnet"
    );
    let mut after = site.world.dump();
    after["now"] = before["now"].clone();
    assert_eq!(after, before);
    let response = site.world.run_instances(&launch(&subnet, 1, 20), T0);
    assert_eq!(response.unwrap().instances.item.len(), 11);
    assert_eq!(site.available(&subnet), 0);
}

#[test]
fn a_launch_has_the_enis_that_it_lists() {
    let mut site = Site::new(WorldConfig::immediate(1));
    let vpc = site.vpc("10.0.0.0/16").unwrap();
    let subnet = site.subnet(&vpc, "10.0.1.0/24").unwrap();
    let subnet = subnet.subnet_id.unwrap();
    let request = CreateNetworkInterfaceRequest {
        subnet_id: some(&subnet),
        ..Default::default()
    };
    let eni = site.world.create_network_interface(&request, T0).unwrap();
    let eni = eni.network_interface.unwrap().network_interface_id;
    let existing = InstanceNetworkInterfaceSpecification {
        network_interface_id: eni.clone(),
        device_index: Some(1),
        ..Default::default()
    };
    let primary = InstanceNetworkInterfaceSpecification {
        device_index: Some(0),
        subnet_id: some(&subnet),
        private_ip_address: some("10.0.1.77"),
        ipv4_prefix_count: Some(1),
        ..Default::default()
    };
    let request = RunInstancesRequest {
        subnet_id: None,
        network_interfaces: vec![existing, primary],
        ..launch(&subnet, 1, 1)
    };
    let response = site.world.run_instances(&request, T0).unwrap();
    let instance = &response.instances.item[0];
    assert_eq!(instance.private_ip_address.as_deref(), Some("10.0.1.77"));
    let enis = &instance.network_interfaces.item;
    assert_eq!(enis.len(), 2);
    assert_eq!(enis[0].ipv4_prefixes.as_ref().unwrap().item.len(), 1);
    assert_eq!(enis[1].network_interface_id, eni);
    let kept = |n: usize| enis[n].attachment.as_ref().unwrap().delete_on_termination;
    assert_eq!((kept(0), kept(1)), (Some(true), Some(false)));
    let id = instance.instance_id.clone().unwrap();
    assert_eq!(
        code(site.world.run_instances(&request, T0)),
        "InvalidIPAddress.InUse"
    );
    site.terminate(&[id], T0);
    let left = site.world.dump()["enis"].as_array().unwrap().len();
    assert_eq!(left, 1);
}

#[test]
fn tags_are_deleted_by_key_or_by_key_and_value() {
    let mut site = Site::new(WorldConfig::immediate(1));
    let vpc = site.vpc("10.0.0.0/16").unwrap();
    let create = CreateTagsRequest {
        resources: vec![vpc.clone()],
        tags: vec![Tag::new("a", "1"), Tag::new("b", "2")],
        ..Default::default()
    };
    site.world.create_tags(&create, T0).unwrap();
    let mut delete = DeleteTagsRequest {
        resources: vec![vpc],
        tags: vec![
            Tag::new("a", "other"),
            Tag {
                key: some("b"),
                value: None,
            },
        ],
        ..Default::default()
    };
    let left = |site: &mut Site| site.world.dump()["vpcs"][0]["tags"].to_string();
    site.world.delete_tags(&delete, T0).unwrap();
    assert_eq!(left(&mut site), r#"{"Name":"cluster","a":"1"}"#);
    delete.tags.clear();
    site.world.delete_tags(&delete, T0).unwrap();
    assert_eq!(left(&mut site), "{}");
}
