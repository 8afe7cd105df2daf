//! What the world says about its resources: describe actions, tags and metadata.

#![allow(clippy::unwrap_used)]

mod common;

use common::{T0, at, immediate, setup, slow};
use vpc_aws::ec2::wire::*;
use vpc_sim::world::Secondary;
use vpc_sim::{PublicAddress, RunInstance};

#[test]
fn filters_choose_enis() {
    let mut s = immediate();
    let primary = s.primary_eni();
    let request = CreateNetworkInterfaceRequest {
        description: Some("aws-K8S-i-9".to_owned()),
        tag_specifications: vec![TagSpecification {
            resource_type: Some("network-interface".to_owned()),
            tags: vec![Tag::new("owner", "cni")],
        }],
        secondary_private_ip_address_count: Some(1),
        ..s.request()
    };
    let other = s.create(&request).unwrap().network_interface_id.unwrap();
    let (subnet, vpc, instance) = (s.subnet.clone(), s.vpc.clone(), s.instance.clone());
    let both = {
        let mut both = vec![primary.clone(), other.clone()];
        both.sort();
        both
    };
    for (name, value, expected) in [
        (
            "attachment.instance-id",
            instance.as_str(),
            vec![primary.clone()],
        ),
        ("tag:owner", "cni", vec![other.clone()]),
        ("tag:owner", "c*", vec![other.clone()]),
        ("tag:owner", "x", vec![]),
        ("tag-key", "owner", vec![other.clone()]),
        ("status", "available", vec![other.clone()]),
        ("status", "in-use", vec![primary.clone()]),
        ("description", "aws-K8S-*", vec![other.clone()]),
        ("private-ip-address", "10.0.1.5", vec![other.clone()]),
        ("private-ip-address", "10.0.1.6", vec![]),
        (
            "addresses.private-ip-address",
            "10.0.1.6",
            vec![other.clone()],
        ),
        ("network-interface-id", &primary, vec![primary.clone()]),
        ("attachment.network-card-index", "0", vec![primary.clone()]),
        ("private-dns-name", "ip-10-0-1-4.*", vec![primary.clone()]),
        ("availability-zone-id", "usw2-az1", both.clone()),
        ("association.public-ip", "*", vec![]),
        ("ipv6-addresses.ipv6-address", "*", vec![]),
        ("subnet-id", subnet.as_str(), both.clone()),
        ("vpc-id", vpc.as_str(), both.clone()),
    ] {
        let found = s.filtered(vec![Filter::new(name, value)]).unwrap();
        assert_eq!(found, expected, "{name}={value}");
    }
    let two = vec![
        Filter::new("status", "available"),
        Filter::new("tag:owner", "x"),
    ];
    assert_eq!(s.filtered(two).unwrap(), [""; 0]);
    let error = s.filtered(vec![Filter::new("colour", "red")]).unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue");
}

#[test]
fn enis_are_listed_page_by_page() {
    let mut s = immediate();
    for _ in 0..11 {
        s.eni(0);
    }
    let mut request = DescribeNetworkInterfacesRequest {
        max_results: Some(5),
        ..Default::default()
    };
    let mut sizes = Vec::new();
    loop {
        let page = s.world.describe_network_interfaces(&request, T0).unwrap();
        sizes.push(page.network_interfaces.item.len());
        request.next_token = page.next_token;
        if request.next_token.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [5, 5, 2]);
}

#[test]
fn an_instance_lists_its_enis_by_device() {
    let mut s = immediate();
    let (first, second) = (s.eni(0), s.eni(0));
    s.attach(&first, 2, T0).unwrap();
    s.attach(&second, 1, T0).unwrap();
    let request = DescribeInstancesRequest {
        instance_ids: vec![s.instance.to_string()],
        ..Default::default()
    };
    let mut answer = s.world.describe_instances(&request, T0).unwrap();
    let instance = answer.reservations.item.remove(0).instances.item.remove(0);
    let devices: Vec<i32> = instance
        .network_interfaces
        .item
        .iter()
        .map(|eni| eni.attachment.as_ref().unwrap().device_index.unwrap())
        .collect();
    assert_eq!(devices, [0, 1, 2]);
    assert_eq!(instance.private_ip_address.as_deref(), Some("10.0.1.4"));
    assert_eq!(instance.tags.item, [Tag::new("Name", "node1")]);
    let request = DescribeInstancesRequest {
        instance_ids: vec!["i-00000000000000000".to_owned()],
        ..Default::default()
    };
    let error = s.world.describe_instances(&request, T0).unwrap_err();
    assert_eq!(error.code, "InvalidInstanceID.NotFound");
}

#[test]
fn subnets_are_chosen_by_vpc_and_zone() {
    let mut s = immediate();
    let request = DescribeSubnetsRequest {
        filters: vec![
            Filter::new("vpc-id", s.vpc.to_string()),
            Filter::new("availability-zone", "us-west-2b"),
        ],
        ..Default::default()
    };
    let found = s.world.describe_subnets(&request, T0).unwrap().subnets.item;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].subnet_id.as_deref(), Some(s.other_zone.as_str()));
    assert_eq!(found[0].cidr_block.as_deref(), Some("10.0.2.0/24"));
    assert_eq!(found[0].available_ip_address_count, Some(251));
}

#[test]
fn instance_types_come_from_the_table() {
    let s = immediate();
    let mut request = DescribeInstanceTypesRequest {
        instance_types: vec!["m5.large".to_owned()],
        ..Default::default()
    };
    let found = s.world.describe_instance_types(&request, T0).unwrap();
    let network = found.instance_types.item[0].network_info.clone().unwrap();
    assert_eq!(network.maximum_network_interfaces, Some(3));
    assert_eq!(network.ipv4_addresses_per_interface, Some(10));
    request.instance_types = vec!["m5.tiny".to_owned()];
    let error = s.world.describe_instance_types(&request, T0).unwrap_err();
    assert_eq!(error.code, "InvalidInstanceType");
    let all = DescribeInstanceTypesRequest::default();
    let page = s.world.describe_instance_types(&all, T0).unwrap();
    assert_eq!(page.instance_types.item.len(), 100);
    assert!(page.next_token.is_some());
}

#[test]
fn tags_are_set_on_all_resources_or_on_none() {
    let mut s = immediate();
    let eni = s.eni(0);
    let mut request = CreateTagsRequest {
        resources: vec![eni.clone(), "eni-00000000000000000".to_owned()],
        tags: vec![Tag::new("a", "1")],
        dry_run: None,
    };
    let error = s.world.create_tags(&request, T0).unwrap_err();
    assert_eq!(error.code, "InvalidNetworkInterfaceID.NotFound");
    assert!(s.describe(&eni, T0).tag_set.item.is_empty());

    request.resources = vec![eni.clone(), s.subnet.to_string(), s.instance.to_string()];
    s.world.create_tags(&request, T0).unwrap();
    request.tags = vec![Tag::new("a", "2"), Tag::new("b", "")];
    s.world.create_tags(&request, T0).unwrap();
    let expected = [Tag::new("a", "2"), Tag::new("b", "")];
    assert_eq!(s.describe(&eni, T0).tag_set.item, expected);

    request.tags = vec![Tag::new("aws:x", "")];
    let error = s.world.create_tags(&request, T0).unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue");
    request.tags = (0..50).map(|n| Tag::new(format!("k{n}"), "")).collect();
    let error = s.world.create_tags(&request, T0).unwrap_err();
    assert_eq!(error.code, "TagLimitExceeded");
    assert_eq!(s.describe(&eni, T0).tag_set.item, expected);
}

#[test]
fn metadata_tells_an_instance_about_itself() {
    let mut s = immediate();
    let spec = RunInstance {
        private_ip: Some("10.0.2.50".parse().unwrap()),
        secondary: Secondary::Prefixes(1),
        public: PublicAddress::FromPool,
        ..RunInstance::new("node2", "m5.large".parse().unwrap(), s.other_zone.clone())
    };
    s.instance = s.world.run_instance(spec, T0).unwrap();
    assert_eq!(
        s.world.instance_at("10.0.2.50".parse().unwrap()),
        Some(s.instance.clone())
    );
    let mac = s.imds("mac", T0).unwrap();
    let eni = |leaf: &str| format!("network/interfaces/macs/{mac}/{leaf}");
    for (path, expected) in [
        ("instance-type".to_owned(), Some("m5.large")),
        ("instance-id".to_owned(), Some(s.instance.clone().as_str())),
        ("local-ipv4".to_owned(), Some("10.0.2.50")),
        ("public-ipv4".to_owned(), Some("203.0.113.129")),
        ("placement/availability-zone".to_owned(), Some("us-west-2b")),
        (
            "placement/availability-zone-id".to_owned(),
            Some("usw2-az2"),
        ),
        ("placement/region".to_owned(), Some("us-west-2")),
        ("services/domain".to_owned(), Some("amazonaws.com")),
        ("services/partition".to_owned(), Some("aws")),
        (
            "hostname".to_owned(),
            Some("ip-10-0-2-50.us-west-2.compute.internal"),
        ),
        (
            "network/interfaces/macs/".to_owned(),
            Some(format!("{mac}/").as_str()),
        ),
        (eni("device-number"), Some("0")),
        (eni("local-ipv4s"), Some("10.0.2.50")),
        (eni("ipv4-prefix"), Some("10.0.2.16/28")),
        (eni("network-card"), None),
        (eni("subnet-id"), Some(s.other_zone.clone().as_str())),
        (eni("subnet-ipv4-cidr-block"), Some("10.0.2.0/24")),
        (eni("vpc-id"), Some(s.vpc.clone().as_str())),
        (eni("vpc-ipv4-cidr-blocks"), Some("10.0.0.0/16")),
        ("no-such-thing".to_owned(), None),
        (
            "network/interfaces/macs/02:00:00:00:00:00/vpc-id".to_owned(),
            None,
        ),
    ] {
        assert_eq!(s.imds(&path, T0).as_deref(), expected, "{path}");
    }
    let listing = s.imds(&eni(""), T0).unwrap();
    for leaf in listing.lines() {
        assert!(s.imds(&eni(leaf), T0).is_some(), "{leaf}");
    }
    let document = "/latest/dynamic/instance-identity/document";
    let document = s.world.imds(&s.instance, document, T0).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["privateIp"], "10.0.2.50");
}

#[test]
fn every_directory_of_metadata_lists_only_what_is_there() {
    let mut s = immediate();
    let mut open = vec![String::new()];
    let mut leaves = 0;
    while let Some(directory) = open.pop() {
        let text = s.imds(&directory, T0).unwrap();
        for member in text.lines() {
            let path = format!("{directory}{member}");
            if member.ends_with('/') {
                open.push(path);
            } else {
                assert!(s.imds(&path, T0).is_some(), "{path}");
                leaves += 1;
            }
        }
    }
    assert!(leaves > 20, "{leaves}");
}

#[test]
fn metadata_learns_of_changes_later_and_in_their_order() {
    let mut s = setup(slow());
    let eni = s.eni(0);
    let attachment = s.attach(&eni, 1, T0).unwrap();
    let mac = s.describe(&eni, T0).mac_address.unwrap();
    let known = |s: &mut common::Setup, now| {
        s.imds(&format!("network/interfaces/macs/{mac}/local-ipv4s"), now)
    };
    // The link is there after 1000 ms, metadata knows 200 ms later.
    let assign = AssignPrivateIpAddressesRequest {
        network_interface_id: Some(eni.clone()),
        secondary_private_ip_address_count: Some(1),
        ..Default::default()
    };
    s.world
        .assign_private_ip_addresses(&assign, at(100))
        .unwrap();
    assert_eq!(known(&mut s, at(1_199)), None);
    assert_eq!(
        known(&mut s, at(1_200)).as_deref(),
        Some("10.0.1.5\n10.0.1.6")
    );

    let unassign = UnassignPrivateIpAddressesRequest {
        network_interface_id: Some(eni.clone()),
        private_ip_addresses: vec!["10.0.1.6".to_owned()],
        ..Default::default()
    };
    s.world
        .unassign_private_ip_addresses(&unassign, at(5_000))
        .unwrap();
    assert_eq!(
        known(&mut s, at(5_199)).as_deref(),
        Some("10.0.1.5\n10.0.1.6")
    );
    assert_eq!(known(&mut s, at(5_200)).as_deref(), Some("10.0.1.5"));

    s.detach(&attachment, at(6_000)).unwrap();
    assert_eq!(known(&mut s, at(8_199)).as_deref(), Some("10.0.1.5"));
    assert_eq!(known(&mut s, at(8_200)), None);
}

#[test]
fn frozen_metadata_learns_nothing_and_then_catches_up() {
    let mut s = immediate();
    let (primary, mac) = (s.primary_eni(), s.imds("mac", T0).unwrap());
    let instance = s.instance.clone();
    let known = |s: &mut common::Setup, now| {
        let path = format!("network/interfaces/macs/{mac}/local-ipv4s");
        s.imds(&path, now).unwrap().lines().count()
    };
    s.world.freeze_metadata(&instance, at(60_000)).unwrap();
    let assign = AssignPrivateIpAddressesRequest {
        network_interface_id: Some(primary),
        secondary_private_ip_address_count: Some(4),
        ..Default::default()
    };
    s.world
        .assign_private_ip_addresses(&assign, at(1_000))
        .unwrap();
    assert_eq!(s.world.next_event(), Some(at(60_000)));
    assert_eq!(known(&mut s, at(59_999)), 1);
    assert_eq!(known(&mut s, at(60_000)), 5);
    assert_eq!(s.world.next_event(), None);
}

#[test]
fn an_eni_that_metadata_hides_is_attached_all_the_same() {
    let mut s = immediate();
    let eni = s.eni(0);
    let refused = s.world.hide_from_metadata(&eni.parse().unwrap(), at(1));
    assert_eq!(refused.unwrap_err().code, "IncorrectState");
    s.attach(&eni, 1, T0).unwrap();
    let listed = |s: &mut common::Setup, now| {
        let listing = s.imds("network/interfaces/macs/", now).unwrap();
        listing.lines().count()
    };
    assert_eq!(listed(&mut s, T0), 2);
    let id = eni.parse().unwrap();
    s.world.hide_from_metadata(&id, at(5_000)).unwrap();
    assert_eq!(listed(&mut s, at(4_999)), 1);
    let mac = s.describe(&eni, at(4_999)).mac_address.unwrap();
    let leaf = format!("network/interfaces/macs/{mac}/device-number");
    assert_eq!(s.imds(&leaf, at(4_999)), None);
    assert_eq!(s.world.fabric().instances[0].enis.len(), 2);
    assert_eq!(listed(&mut s, at(5_000)), 2);
    assert_eq!(s.imds(&leaf, at(5_000)).as_deref(), Some("1"));

    // Without its primary ENI's entry an instance still knows its own name.
    let primary = s.primary_eni().parse().unwrap();
    s.world.hide_from_metadata(&primary, at(9_000)).unwrap();
    let instance = s.instance.to_string();
    assert_eq!(s.imds("instance-id", at(8_000)), Some(instance));
    assert_eq!(listed(&mut s, at(8_000)), 1);
}
