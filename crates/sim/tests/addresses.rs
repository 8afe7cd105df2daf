//! Secondary addresses and prefixes, and the accounting of subnets.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{Setup, T0, addresses, immediate};
use proptest::prelude::*;
use vpc_aws::ec2::wire::*;
use vpc_sim::{ApiError, RunInstance};

fn assign(
    s: &mut Setup,
    eni: &str,
    (ips, prefixes): (Option<i32>, Option<i32>),
) -> Result<AssignPrivateIpAddressesResponse, ApiError> {
    let request = AssignPrivateIpAddressesRequest {
        network_interface_id: Some(eni.to_owned()),
        secondary_private_ip_address_count: ips,
        ipv4_prefix_count: prefixes,
        ..Default::default()
    };
    s.world.assign_private_ip_addresses(&request, T0)
}

fn unassign(s: &mut Setup, eni: &str, ips: &[&str], prefixes: &[&str]) -> Result<(), ApiError> {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    let request = UnassignPrivateIpAddressesRequest {
        network_interface_id: Some(eni.to_owned()),
        private_ip_addresses: texts(ips),
        ipv4_prefixes: texts(prefixes),
    };
    s.world
        .unassign_private_ip_addresses(&request, T0)
        .map(drop)
}

#[test]
fn assign_answers_with_the_new_addresses_only() {
    let mut s = immediate();
    let eni = s.primary_eni();
    let answer = assign(&mut s, &eni, (Some(2), None)).unwrap();
    let new: Vec<String> = answer
        .assigned_private_ip_addresses
        .item
        .into_iter()
        .map(|a| a.private_ip_address.unwrap())
        .collect();
    assert_eq!(new, ["10.0.1.5", "10.0.1.6"]);
    assert!(answer.assigned_ipv4_prefixes.is_none());
    assert_eq!(s.available(), 248);
}

#[test]
fn an_eni_holds_no_more_than_its_instance_type_allows() {
    let mut s = immediate();
    let eni = s.primary_eni();
    assign(&mut s, &eni, (Some(8), None)).unwrap();
    let before = s.available();
    let error = assign(&mut s, &eni, (Some(2), None)).unwrap_err();
    assert_eq!(error.code, "PrivateIpAddressLimitExceeded");
    assert_eq!(s.available(), before);
    assign(&mut s, &eni, (None, Some(1))).unwrap();
    let error = assign(&mut s, &eni, (None, Some(1))).unwrap_err();
    assert_eq!(error.code, "PrivateIpAddressLimitExceeded");
}

#[test]
fn prefixes_are_for_nitro_only() {
    let mut s = immediate();
    let xen = RunInstance::new("old", "t2.medium".parse().unwrap(), s.subnet.clone());
    let id = s.world.run_instance(xen, T0).unwrap();
    let filter = Filter::new("attachment.instance-id", id);
    let eni = s.filtered(vec![filter]).unwrap().remove(0);
    let error = assign(&mut s, &eni, (None, Some(1))).unwrap_err();
    assert_eq!(error.code, "UnsupportedOperation");
}

#[test]
fn a_subnet_that_is_used_up_says_so() {
    let mut s = immediate();
    let vpc = s.vpc.clone();
    let small = s
        .world
        .create_subnet(&vpc, "10.0.9.0/28".parse().unwrap(), "us-west-2a");
    let request = CreateNetworkInterfaceRequest {
        subnet_id: Some(small.unwrap().to_string()),
        secondary_private_ip_address_count: Some(8),
        ..Default::default()
    };
    let eni = s.create(&request).unwrap().network_interface_id.unwrap();
    let error = assign(&mut s, &eni, (Some(3), None)).unwrap_err();
    assert_eq!(error.code, "InsufficientFreeAddressesInSubnet");
    assign(&mut s, &eni, (Some(2), None)).unwrap();
    let error = assign(&mut s, &eni, (None, Some(1))).unwrap_err();
    assert_eq!(error.code, "InsufficientCidrBlocks");
}

#[test]
fn unassign_takes_all_or_nothing() {
    let mut s = immediate();
    let eni = s.eni(3);
    let before = s.available();
    for bad in [&["10.0.1.6", "10.0.1.99"][..], &["10.0.1.5"]] {
        let error = unassign(&mut s, &eni, bad, &[]).unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
        assert!(error.message.contains("not assigned"), "{error}");
    }
    assert_eq!(s.available(), before);
    assert_eq!(
        unassign(&mut s, &eni, &[], &[]).unwrap_err().code,
        "MissingParameter"
    );
    unassign(&mut s, &eni, &["10.0.1.6", "10.0.1.8"], &[]).unwrap();
    assert_eq!(s.available(), before + 2);
    assert_eq!(addresses(&s.describe(&eni, T0)), ["10.0.1.5", "10.0.1.7"]);
}

#[test]
fn an_address_moves_to_another_eni_only_when_that_is_allowed() {
    let mut s = immediate();
    let (from, to) = (s.eni(1), s.eni(0));
    let mut request = AssignPrivateIpAddressesRequest {
        network_interface_id: Some(to.clone()),
        private_ip_addresses: vec!["10.0.1.6".to_owned()],
        ..Default::default()
    };
    let error = s
        .world
        .assign_private_ip_addresses(&request, T0)
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameterValue");
    request.allow_reassignment = Some(true);
    let before = s.available();
    s.world.assign_private_ip_addresses(&request, T0).unwrap();
    assert_eq!(s.available(), before);
    assert_eq!(addresses(&s.describe(&from, T0)), ["10.0.1.5"]);
    assert_eq!(addresses(&s.describe(&to, T0)), ["10.0.1.7", "10.0.1.6"]);
}

#[derive(Debug, Clone)]
enum Step {
    Create(Option<i32>, Option<i32>),
    Assign(usize, Option<i32>, Option<i32>),
    Unassign(usize, usize),
    Delete(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let count = || proptest::option::of(1..12i32);
    prop_oneof![
        (count(), count()).prop_map(|(a, b)| Step::Create(a, b)),
        (0..8usize, count(), count()).prop_map(|(e, a, b)| Step::Assign(e, a, b)),
        (0..8usize, 0..8usize).prop_map(|(e, n)| Step::Unassign(e, n)),
        (0..8usize).prop_map(Step::Delete),
    ]
}

/// Carries a step out; a refusal is as good as a success.
fn perform(s: &mut Setup, step: &Step) {
    let enis = s
        .filtered(vec![Filter::new("status", "available")])
        .unwrap();
    let pick = |n: usize| enis.get(n % enis.len().max(1)).cloned().unwrap_or_default();
    match *step {
        Step::Create(ips, prefixes) => {
            let request = CreateNetworkInterfaceRequest {
                secondary_private_ip_address_count: ips,
                ipv4_prefix_count: prefixes,
                ..s.request()
            };
            s.create(&request).ok();
        }
        Step::Assign(eni, ips, prefixes) => {
            assign(s, &pick(eni), (ips, prefixes)).ok();
        }
        Step::Unassign(eni, count) if !enis.is_empty() => {
            let eni = pick(eni);
            let described = s.describe(&eni, T0);
            let all = addresses(&described);
            let some: Vec<&str> = all.iter().skip(1).take(count).map(String::as_str).collect();
            unassign(s, &eni, &some, &[]).ok();
            let prefixes = described.ipv4_prefixes.unwrap_or_default().item;
            let first = prefixes.into_iter().next().and_then(|p| p.ipv4_prefix);
            unassign(
                s,
                &eni,
                &[],
                &first.iter().map(String::as_str).collect::<Vec<_>>(),
            )
            .ok();
        }
        Step::Unassign(..) => {}
        Step::Delete(eni) => {
            s.delete(&pick(eni), T0).ok();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_address_is_held_twice_and_the_count_matches(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let mut s = immediate();
        for step in steps {
            perform(&mut s, &step);
            let mut held = BTreeSet::new();
            let mut count = 0;
            for id in s.filtered(Vec::new()).unwrap() {
                let eni = s.describe(&id, T0);
                let singles = addresses(&eni).into_iter().map(|a| a.parse().unwrap());
                let prefixes = eni.ipv4_prefixes.unwrap_or_default().item.into_iter();
                let blocks = prefixes.flat_map(|p| {
                    let prefix: vpc_model::Ipv4Prefix = p.ipv4_prefix.unwrap().parse().unwrap();
                    prefix.addresses()
                });
                for address in singles.chain(blocks) {
                    let [a, b, c, last] = address.octets();
                    prop_assert_eq!([a, b, c], [10, 0, 1]);
                    prop_assert!((4..255).contains(&last), "{} is reserved", address);
                    prop_assert!(held.insert(address), "{} twice", address);
                    count += 1;
                }
            }
            prop_assert_eq!(s.available(), 251 - count);
        }
    }
}
