//! The life of an ENI: create, attach, modify, detach, delete.

#![allow(clippy::unwrap_used)]

mod common;

use common::{T0, addresses, at, immediate, setup, slow};
use vpc_aws::ec2::wire::*;
use vpc_sim::{RunInstance, Span, World, WorldConfig};

fn code<T: std::fmt::Debug>(result: Result<T, vpc_sim::ApiError>) -> String {
    result.unwrap_err().code
}

#[test]
fn a_new_eni_has_the_lowest_free_addresses_and_the_default_group() {
    let mut s = immediate();
    let request = CreateNetworkInterfaceRequest {
        secondary_private_ip_address_count: Some(2),
        description: Some("aws-K8S-i-1".to_owned()),
        tag_specifications: vec![TagSpecification {
            resource_type: Some("network-interface".to_owned()),
            tags: vec![Tag::new("k", "v")],
        }],
        ..s.request()
    };
    let eni = s.create(&request).unwrap();
    // 10.0.1.4 is the instance's.
    assert_eq!(addresses(&eni), ["10.0.1.5", "10.0.1.6", "10.0.1.7"]);
    assert_eq!(eni.status.as_deref(), Some("available"));
    assert_eq!(eni.tag_set.item, [Tag::new("k", "v")]);
    assert_eq!(eni.groups.item[0].group_name.as_deref(), Some("default"));
    assert_eq!(eni.availability_zone.as_deref(), Some("us-west-2a"));
    assert_eq!(eni.availability_zone_id.as_deref(), Some("usw2-az1"));
    assert!(eni.attachment.is_none());
    assert_eq!(s.available(), 251 - 1 - 3);
}

#[test]
fn a_repeated_client_token_gives_the_same_eni_and_another_request_is_refused() {
    let mut s = immediate();
    let request = CreateNetworkInterfaceRequest {
        client_token: Some("t-1".to_owned()),
        secondary_private_ip_address_count: Some(3),
        ..s.request()
    };
    let first = s.create(&request).unwrap();
    let before = s.available();
    assert_eq!(s.create(&request).unwrap(), first);
    assert_eq!(s.available(), before);
    let other = CreateNetworkInterfaceRequest {
        secondary_private_ip_address_count: Some(4),
        ..request
    };
    assert_eq!(code(s.create(&other)), "IdempotentParameterMismatch");
}

#[test]
fn explicit_addresses_are_taken_and_a_second_request_for_them_is_refused() {
    let mut s = immediate();
    let spec = |address: &str, primary| PrivateIpAddressSpecification {
        primary: Some(primary),
        private_ip_address: Some(address.to_owned()),
    };
    let request = CreateNetworkInterfaceRequest {
        private_ip_addresses: vec![spec("10.0.1.30", true), spec("10.0.1.20", false)],
        ..s.request()
    };
    let eni = s.create(&request).unwrap();
    assert_eq!(addresses(&eni), ["10.0.1.30", "10.0.1.20"]);
    let before = s.available();
    assert_eq!(code(s.create(&request)), "InvalidIPAddress.InUse");
    assert_eq!(s.available(), before);
    for (address, expected) in [
        ("10.0.2.9", "InvalidParameterValue"),
        ("10.0.1.1", "InvalidParameterValue"),
        ("x", "InvalidParameterValue"),
    ] {
        let request = CreateNetworkInterfaceRequest {
            private_ip_address: Some(address.to_owned()),
            ..s.request()
        };
        assert_eq!(code(s.create(&request)), expected, "{address}");
    }
}

#[test]
fn prefixes_are_aligned_blocks_that_count_sixteen_addresses() {
    let mut s = immediate();
    let request = CreateNetworkInterfaceRequest {
        ipv4_prefix_count: Some(2),
        ..s.request()
    };
    let eni = s.create(&request).unwrap();
    let prefixes: Vec<String> = eni
        .ipv4_prefixes
        .unwrap()
        .item
        .into_iter()
        .map(|p| p.ipv4_prefix.unwrap())
        .collect();
    assert_eq!(prefixes, ["10.0.1.16/28", "10.0.1.32/28"]);
    assert_eq!(s.available(), 251 - 1 - 1 - 32);
    let both = CreateNetworkInterfaceRequest {
        secondary_private_ip_address_count: Some(1),
        ..request
    };
    assert_eq!(code(s.create(&both)), "InvalidParameterCombination");
}

#[test]
fn bad_ids_and_parameters_have_ec2s_codes() {
    let mut s = immediate();
    let base = s.request();
    for (request, expected) in [
        (CreateNetworkInterfaceRequest::default(), "MissingParameter"),
        (
            CreateNetworkInterfaceRequest {
                subnet_id: Some("subnet-00000000".to_owned()),
                ..base.clone()
            },
            "InvalidSubnetID.NotFound",
        ),
        (
            CreateNetworkInterfaceRequest {
                groups: vec!["sg-00000000000000000".to_owned()],
                ..base.clone()
            },
            "InvalidGroup.NotFound",
        ),
        (
            CreateNetworkInterfaceRequest {
                secondary_private_ip_address_count: Some(50),
                ..base.clone()
            },
            "PrivateIpAddressLimitExceeded",
        ),
        (
            CreateNetworkInterfaceRequest {
                dry_run: Some(true),
                ..base.clone()
            },
            "DryRunOperation",
        ),
    ] {
        assert_eq!(code(s.create(&request)), expected);
    }
    assert_eq!(
        code(s.delete("eni-00000000000000000", T0)),
        "InvalidNetworkInterfaceID.NotFound"
    );
    for malformed in [
        "vol-00000000",
        "eni-",
        "eni-1",
        "eni-0000000g",
        "eni-000000000",
    ] {
        let refused = s.delete(malformed, T0);
        assert_eq!(
            code(refused),
            "InvalidNetworkInterfaceId.Malformed",
            "{malformed}"
        );
    }
    assert_eq!(
        code(s.detach("eni-1", T0)),
        "InvalidNetworkInterfaceAttachmentId.Malformed"
    );
    assert_eq!(
        code(s.detach("eni-attach-00000000000000000", T0)),
        "InvalidAttachmentID.NotFound"
    );
    let message = s.delete("eni-00000000000000000", T0).unwrap_err().message;
    assert!(message.contains("'eni-00000000000000000'"), "{message}");
    assert_eq!(s.available(), 250);
}

#[test]
fn the_region_holds_only_so_many_enis() {
    let mut s = setup(WorldConfig {
        max_enis: 2,
        ..WorldConfig::immediate(1)
    });
    s.eni(0);
    let request = s.request();
    assert_eq!(code(s.create(&request)), "NetworkInterfaceLimitExceeded");
}

#[test]
fn an_attachment_becomes_visible_step_by_step() {
    let mut s = setup(slow());
    let eni = s.eni(0);
    s.attach(&eni, 1, T0).unwrap();
    let status = |eni: &NetworkInterface| eni.attachment.clone().unwrap().status.unwrap();
    let links = |s: &common::Setup| s.world.fabric().instances[0].enis.len();
    let described = s.describe(&eni, T0);
    assert_eq!(described.status.as_deref(), Some("in-use"));
    assert_eq!(status(&described), "attaching");
    assert_eq!(links(&s), 1);
    assert_eq!(s.world.next_event(), Some(at(1_000)));

    let revision = s.world.revision();
    s.world.advance(at(1_000));
    assert_eq!(links(&s), 2);
    assert!(s.world.revision() > revision);
    assert_eq!(status(&s.describe(&eni, at(1_499))), "attaching");
    assert_eq!(status(&s.describe(&eni, at(1_500))), "attached");
    assert_eq!(s.world.next_event(), None);

    let fabric = s.world.fabric();
    assert_eq!(fabric.instances[0].enis[1].device.0, 1);
    let subnet = fabric.subnets.iter().find(|subnet| subnet.id == s.subnet);
    assert_eq!(subnet.unwrap().gateway.to_string(), "10.0.1.1");
}

#[test]
fn a_detach_takes_time_and_until_then_the_eni_cannot_be_deleted() {
    let mut s = setup(slow());
    let eni = s.eni(0);
    let attachment = s.attach(&eni, 1, T0).unwrap();
    let refused = s.delete(&eni, at(5_000)).unwrap_err();
    assert_eq!(refused.code, "InvalidParameterValue");
    assert!(
        refused.message.ends_with("is currently in use."),
        "{refused}"
    );
    s.detach(&attachment, at(5_000)).unwrap();
    assert_eq!(code(s.detach(&attachment, at(5_100))), "IncorrectState");
    let refused = s.delete(&eni, at(6_999)).unwrap_err();
    assert_eq!(refused.code, "InvalidParameterValue");
    assert!(
        refused.message.ends_with("is currently in use."),
        "{refused}"
    );
    assert_eq!(s.world.fabric().instances[0].enis.len(), 2);
    s.world.advance(at(7_000));
    assert_eq!(s.world.fabric().instances[0].enis.len(), 1);
    assert_eq!(
        s.describe(&eni, at(7_000)).status.as_deref(),
        Some("available")
    );
    let before = s.available();
    s.delete(&eni, at(7_000)).unwrap();
    assert_eq!(s.available(), before + 1);
    assert_eq!(
        code(s.delete(&eni, at(7_000))),
        "InvalidNetworkInterfaceID.NotFound"
    );
}

#[test]
fn an_instance_takes_no_more_enis_than_its_type_allows() {
    let mut s = immediate();
    let (first, second, third) = (s.eni(0), s.eni(0), s.eni(0));
    s.attach(&first, 1, T0).unwrap();
    let error = s.attach(&second, 1, T0).unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue");
    assert!(error.message.contains("device index '1'"), "{error}");
    s.attach(&second, 7, T0).unwrap();
    assert_eq!(code(s.attach(&third, 2, T0)), "AttachmentLimitExceeded");
    assert_eq!(
        code(s.attach(&first, 3, T0)),
        "InvalidNetworkInterface.InUse"
    );
    assert_eq!(code(s.attach(&third, 100, T0)), "InvalidParameterValue");
}

#[test]
fn an_eni_of_another_zone_or_with_too_many_addresses_is_not_attached() {
    let mut s = immediate();
    let request = CreateNetworkInterfaceRequest {
        subnet_id: Some(s.other_zone.to_string()),
        ..Default::default()
    };
    let far = s.create(&request).unwrap().network_interface_id.unwrap();
    assert_eq!(code(s.attach(&far, 1, T0)), "InvalidParameterCombination");
    let full = s.eni(10);
    assert_eq!(
        code(s.attach(&full, 1, T0)),
        "PrivateIpAddressLimitExceeded"
    );
}

#[test]
fn the_primary_eni_cannot_be_detached() {
    let mut s = immediate();
    let primary = s.primary_eni();
    let attachment = s.describe(&primary, T0).attachment.unwrap();
    let refused = s.detach(&attachment.attachment_id.unwrap(), T0);
    assert_eq!(code(refused), "OperationNotPermitted");
}

#[test]
fn attributes_are_modified_one_at_a_time() {
    let mut s = immediate();
    let eni = s.eni(0);
    let attachment = s.attach(&eni, 1, T0).unwrap();
    let vpc = s.vpc.clone();
    let group = s
        .world
        .create_security_group(&vpc, "pods")
        .unwrap()
        .to_string();
    let base = ModifyNetworkInterfaceAttributeRequest {
        network_interface_id: Some(eni.clone()),
        ..Default::default()
    };
    let termination = ModifyNetworkInterfaceAttributeRequest {
        attachment: Some(NetworkInterfaceAttachmentChanges {
            attachment_id: Some(attachment),
            delete_on_termination: Some(true),
        }),
        ..base.clone()
    };
    let groups = ModifyNetworkInterfaceAttributeRequest {
        groups: vec![group.clone()],
        ..base.clone()
    };
    let check = ModifyNetworkInterfaceAttributeRequest {
        source_dest_check: Some(AttributeBooleanValue { value: Some(false) }),
        ..base.clone()
    };
    for request in [&termination, &groups, &check] {
        s.world
            .modify_network_interface_attribute(request, T0)
            .unwrap();
    }
    let described = s.describe(&eni, T0);
    assert_eq!(
        described.attachment.unwrap().delete_on_termination,
        Some(true)
    );
    assert_eq!(described.groups.item[0].group_id.as_ref(), Some(&group));
    assert_eq!(described.source_dest_check, Some(false));
    let fabric = s.world.fabric();
    assert!(!fabric.instances[0].enis[1].source_dest_check);

    let both = ModifyNetworkInterfaceAttributeRequest {
        groups: vec![group],
        ..check
    };
    let refused = s.world.modify_network_interface_attribute(&both, T0);
    assert_eq!(code(refused), "InvalidParameterCombination");
    let refused = s.world.modify_network_interface_attribute(&base, T0);
    assert_eq!(code(refused), "MissingParameter");
}

#[test]
fn a_terminated_instance_takes_along_only_what_is_deleted_on_termination() {
    let mut s = immediate();
    let eni = s.eni(0);
    s.attach(&eni, 1, T0).unwrap();
    let instance = s.instance.clone();
    s.world.terminate_instance(&instance, T0).unwrap();
    assert_eq!(s.describe(&eni, T0).status.as_deref(), Some("available"));
    assert_eq!(s.available(), 250);
    assert!(s.world.fabric().instances.is_empty());
    assert_eq!(s.imds("mac", T0), None);
    assert_eq!(code(s.attach(&eni, 1, T0)), "IncorrectInstanceState");
}

#[test]
fn equal_seeds_and_calls_give_equal_worlds() {
    let build = |seed| {
        let mut s = setup(WorldConfig {
            seed,
            ..WorldConfig::default()
        });
        let eni = s.eni(3);
        s.attach(&eni, 1, T0).unwrap();
        s.world.dump()
    };
    assert_eq!(build(5), build(5));
    assert_ne!(build(5), build(6));
}

#[test]
fn subnets_and_types_that_cannot_be_are_refused() {
    let mut world = World::new(WorldConfig::immediate(1));
    let vpc = world.create_vpc("10.0.0.0/16".parse().unwrap());
    let mut subnet = |cidr: &str| world.create_subnet(&vpc, cidr.parse().unwrap(), "us-west-2a");
    let id = subnet("10.0.0.0/24").unwrap();
    assert_eq!(code(subnet("10.0.0.128/25")), "InvalidSubnet.Conflict");
    assert_eq!(code(subnet("10.1.0.0/24")), "InvalidSubnet.Range");
    assert_eq!(code(subnet("10.0.1.0/29")), "InvalidSubnet.Range");
    let spec = RunInstance::new("n", "m5.largish".parse().unwrap(), id);
    assert_eq!(code(world.run_instance(spec, T0)), "InvalidInstanceType");
}

#[test]
fn descriptions_show_a_change_later_and_the_change_is_there_at_once() {
    let lag = Span::millis(700, 700);
    let mut s = setup(WorldConfig {
        describe_lag: lag,
        ..WorldConfig::immediate(1)
    });
    let before = s.world.next_event();
    let eni = s
        .create(&s.request())
        .unwrap()
        .network_interface_id
        .unwrap();
    let by_id = DescribeNetworkInterfacesRequest {
        network_interface_ids: vec![eni.clone()],
        ..Default::default()
    };
    let describe = |world: &mut World, millis| {
        let answer = world.describe_network_interfaces(&by_id, at(millis));
        answer.map(|answer| answer.network_interfaces.item[0].clone())
    };
    let missing = describe(&mut s.world, 699).unwrap_err();
    assert_eq!(missing.code, "InvalidNetworkInterfaceID.NotFound");
    assert_eq!(addresses(&describe(&mut s.world, 700).unwrap()).len(), 1);

    let assign = AssignPrivateIpAddressesRequest {
        network_interface_id: Some(eni.clone()),
        secondary_private_ip_address_count: Some(2),
        ..Default::default()
    };
    let mut assign = |millis| s.world.assign_private_ip_addresses(&assign, at(millis));
    let first = assign(1_000).unwrap().assigned_private_ip_addresses.item;
    let second = assign(1_500).unwrap().assigned_private_ip_addresses.item;
    assert_ne!(first, second);
    assert_eq!(addresses(&describe(&mut s.world, 1_699).unwrap()).len(), 1);
    assert_eq!(addresses(&describe(&mut s.world, 1_700).unwrap()).len(), 5);

    let delete = DeleteNetworkInterfaceRequest {
        network_interface_id: Some(eni),
        ..Default::default()
    };
    s.world
        .delete_network_interface(&delete, at(2_000))
        .unwrap();
    assert!(describe(&mut s.world, 2_699).is_ok());
    assert!(describe(&mut s.world, 2_700).is_err());
    assert_eq!(s.world.next_event(), before);
}
