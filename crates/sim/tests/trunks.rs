//! Branch ENIs on trunk ENIs.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Setup, T0, at, immediate, setup, slow};
use vpc_aws::ec2::wire::*;
use vpc_sim::{ApiError, Span, WorldConfig};

fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    result.unwrap_err().code
}

fn eni(s: &mut Setup, kind: &str) -> String {
    let request = CreateNetworkInterfaceRequest {
        interface_type: Some(kind.to_owned()),
        ..s.request()
    };
    s.create(&request).unwrap().network_interface_id.unwrap()
}

fn ask(branch: &str, trunk: &str, vlan: i32) -> AssociateTrunkInterfaceRequest {
    AssociateTrunkInterfaceRequest {
        branch_interface_id: Some(branch.to_owned()),
        trunk_interface_id: Some(trunk.to_owned()),
        vlan_id: Some(vlan),
        ..Default::default()
    }
}

fn associate(
    s: &mut Setup,
    request: &AssociateTrunkInterfaceRequest,
) -> Result<TrunkInterfaceAssociation, ApiError> {
    let answer = s.world.associate_trunk_interface(request, T0)?;
    Ok(answer.interface_association.unwrap())
}

fn associations(s: &mut Setup, millis: u64) -> Vec<TrunkInterfaceAssociation> {
    let everything = DescribeTrunkInterfaceAssociationsRequest::default();
    let answer = s
        .world
        .describe_trunk_interface_associations(&everything, at(millis));
    answer.unwrap().interface_associations.item
}

fn status(s: &mut Setup, id: &str) -> Option<String> {
    s.describe(id, T0).status
}

#[test]
fn a_branch_is_in_use_on_its_trunk_until_it_is_taken_off() {
    let mut s = immediate();
    let (trunk, branch) = (eni(&mut s, "trunk"), eni(&mut s, "branch"));
    let made = associate(&mut s, &ask(&branch, &trunk, 7)).unwrap();
    assert_eq!(associations(&mut s, 0), std::slice::from_ref(&made));
    assert_eq!(made.interface_protocol.as_deref(), Some("VLAN"));
    assert_eq!(made.vlan_id, Some(7));
    assert_eq!(status(&mut s, &branch).as_deref(), Some("in-use"));
    for id in [&branch, &trunk] {
        assert_eq!(code(s.delete(id, T0)), "InvalidParameterValue");
    }

    let request = DisassociateTrunkInterfaceRequest {
        association_id: made.association_id,
        ..Default::default()
    };
    s.world.disassociate_trunk_interface(&request, T0).unwrap();
    assert_eq!(associations(&mut s, 0), []);
    assert_eq!(
        code(s.world.disassociate_trunk_interface(&request, T0)),
        "InvalidAssociationID.NotFound"
    );
    assert_eq!(status(&mut s, &branch).as_deref(), Some("available"));
    for id in [&branch, &trunk] {
        s.delete(id, T0).unwrap();
    }
}

#[test]
fn what_cannot_be_associated_is_refused_and_changes_nothing() {
    let mut s = immediate();
    let (trunk, branch) = (eni(&mut s, "trunk"), eni(&mut s, "branch"));
    let (taken, plain) = (eni(&mut s, "branch"), eni(&mut s, "interface"));
    associate(&mut s, &ask(&taken, &trunk, 1)).unwrap();
    let far = CreateNetworkInterfaceRequest {
        subnet_id: Some(s.other_zone.to_string()),
        interface_type: Some("branch".to_owned()),
        ..Default::default()
    };
    let far = s.create(&far).unwrap().network_interface_id.unwrap();
    let nothing = "eni-0123456789abcdef0";
    for (branch, trunk, vlan, expected) in [
        (plain.as_str(), trunk.as_str(), 2, "InvalidParameterValue"),
        (&branch, &plain, 2, "InvalidParameterValue"),
        (&branch, &trunk, 0, "InvalidParameterValue"),
        (&branch, &trunk, 4095, "InvalidParameterValue"),
        (&branch, &trunk, 1, "InvalidParameterValue"),
        (&taken, &trunk, 2, "InvalidNetworkInterface.InUse"),
        (&far, &trunk, 2, "InvalidParameterCombination"),
        (nothing, &trunk, 2, "InvalidNetworkInterfaceID.NotFound"),
        (&branch, "i-1", 2, "InvalidNetworkInterfaceId.Malformed"),
    ] {
        let refused = associate(&mut s, &ask(branch, trunk, vlan));
        assert_eq!(code(refused), expected, "{branch} {trunk} {vlan}");
    }
    let without_vlan = AssociateTrunkInterfaceRequest {
        vlan_id: None,
        ..ask(&branch, &trunk, 1)
    };
    assert_eq!(code(associate(&mut s, &without_vlan)), "MissingParameter");
    assert_eq!(associations(&mut s, 0).len(), 1);
}

#[test]
fn a_repeated_client_token_gives_the_same_association() {
    let mut s = immediate();
    let (trunk, branch) = (eni(&mut s, "trunk"), eni(&mut s, "branch"));
    let request = AssociateTrunkInterfaceRequest {
        client_token: Some("t-1".to_owned()),
        ..ask(&branch, &trunk, 9)
    };
    let first = associate(&mut s, &request).unwrap();
    assert_eq!(associate(&mut s, &request).unwrap(), first);
    let other = AssociateTrunkInterfaceRequest {
        vlan_id: Some(10),
        ..request
    };
    let another = AssociateTrunkInterfaceRequest {
        branch_interface_id: Some(eni(&mut s, "branch")),
        ..other.clone()
    };
    for reused in [other, another] {
        assert_eq!(
            code(associate(&mut s, &reused)),
            "IdempotentParameterMismatch"
        );
    }
    assert_eq!(associations(&mut s, 0), [first]);
}

#[test]
fn a_branch_cannot_be_attached_and_a_trunk_carries_its_branches_in_the_fabric() {
    let mut s = immediate();
    let (trunk, branch) = (eni(&mut s, "trunk"), eni(&mut s, "branch"));
    assert_eq!(code(s.attach(&branch, 1, T0)), "OperationNotPermitted");
    s.attach(&trunk, 1, T0).unwrap();
    associate(&mut s, &ask(&branch, &trunk, 11)).unwrap();

    let fabric = s.world.fabric();
    let enis = &fabric.instances[0].enis;
    let carried: Vec<_> = enis
        .iter()
        .flat_map(|eni| eni.branches.iter().map(|b| (eni.id.as_str(), b)))
        .collect();
    let [(on, found)] = carried.as_slice() else {
        panic!("{carried:?}");
    };
    assert_eq!(
        (*on, found.id.as_str(), found.vlan),
        (&*trunk, &*branch, 11)
    );
    let described = s.describe(&branch, T0);
    assert_eq!(described.mac_address, Some(found.mac.to_string()));
    assert_eq!(
        described.private_ip_address,
        Some(found.addresses[0].to_string())
    );
}

#[test]
fn the_associations_of_an_instances_trunk_go_with_it() {
    let mut s = immediate();
    let (trunk, branch) = (eni(&mut s, "trunk"), eni(&mut s, "branch"));
    let attachment = s.attach(&trunk, 1, T0).ok();
    let request = ModifyNetworkInterfaceAttributeRequest {
        network_interface_id: Some(trunk.clone()),
        attachment: Some(NetworkInterfaceAttachmentChanges {
            attachment_id: attachment,
            delete_on_termination: Some(true),
        }),
        ..Default::default()
    };
    s.world
        .modify_network_interface_attribute(&request, T0)
        .unwrap();
    associate(&mut s, &ask(&branch, &trunk, 3)).unwrap();
    let instance = s.instance.clone();
    s.world.terminate_instance(&instance, T0).unwrap();
    assert_eq!(associations(&mut s, 60_000), []);
    assert_eq!(status(&mut s, &branch).as_deref(), Some("available"));
}

#[test]
fn an_association_is_described_by_its_id_as_late_as_in_the_list() {
    let mut s = setup(WorldConfig {
        describe_lag: Span::millis(500, 500),
        ..slow()
    });
    let (trunk, branch) = (eni(&mut s, "trunk"), eni(&mut s, "branch"));
    // Before that, descriptions do not show the branch itself.
    s.world.advance(at(1_000));
    let request = ask(&branch, &trunk, 1);
    let made = s.world.associate_trunk_interface(&request, at(1_000));
    let made = made.unwrap().interface_association.unwrap();
    let off = DisassociateTrunkInterfaceRequest {
        association_id: made.association_id.clone(),
        ..Default::default()
    };
    let by_id = DescribeTrunkInterfaceAssociationsRequest {
        association_ids: made.association_id.clone().into_iter().collect(),
        ..Default::default()
    };
    let unknown = "InvalidAssociationID.NotFound";
    let seen = |s: &mut Setup, millis| {
        let world = &mut s.world;
        let answer = world.describe_trunk_interface_associations(&by_id, at(millis));
        answer.map(|answer| answer.interface_associations.item)
    };
    assert_eq!(code(seen(&mut s, 1_400)), unknown);
    assert_eq!(seen(&mut s, 1_600).unwrap(), std::slice::from_ref(&made));
    s.world
        .disassociate_trunk_interface(&off, at(2_000))
        .unwrap();
    assert_eq!(seen(&mut s, 2_400).unwrap(), [made]);
    assert_eq!(code(seen(&mut s, 2_600)), unknown);
}

#[test]
fn associations_are_described_late_and_page_by_page() {
    let mut s = setup(WorldConfig {
        describe_lag: Span::millis(500, 500),
        ..slow()
    });
    let trunk = eni(&mut s, "trunk");
    let branches: Vec<_> = (0..7).map(|_| eni(&mut s, "branch")).collect();
    for (vlan, branch) in (1..).zip(&branches) {
        associate(&mut s, &ask(branch, &trunk, vlan)).unwrap();
    }
    assert_eq!(associations(&mut s, 400), []);
    assert_eq!(associations(&mut s, 600).len(), 7);
    let (mut found, mut next_token) = (Vec::new(), None);
    loop {
        let request = DescribeTrunkInterfaceAssociationsRequest {
            max_results: Some(5),
            next_token,
            ..Default::default()
        };
        let page = s
            .world
            .describe_trunk_interface_associations(&request, at(600))
            .unwrap();
        let ids = page.interface_associations.item.into_iter();
        found.extend(ids.filter_map(|one| one.branch_interface_id));
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    let mut expected = branches;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
