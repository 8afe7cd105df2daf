//! Subnets in which somebody else takes addresses, through the world and through HTTP.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{T0, http, immediate, post, serve};
use vpc_aws::ec2::wire::*;
use vpc_sim::{ApiError, Occupation, Sim, World};

fn assign(
    world: &mut World,
    eni: &str,
    addresses: Option<i32>,
    prefixes: Option<i32>,
) -> Result<AssignPrivateIpAddressesResponse, ApiError> {
    let request = AssignPrivateIpAddressesRequest {
        network_interface_id: Some(eni.to_owned()),
        secondary_private_ip_address_count: addresses,
        ipv4_prefix_count: prefixes,
        ..Default::default()
    };
    world.assign_private_ip_addresses(&request, T0)
}

#[test]
fn a_subnet_runs_dry_and_gets_its_addresses_back() {
    let mut s = immediate();
    let (eni, subnet) = (s.primary_eni(), s.subnet.clone());
    let free = s.available();
    let taken = s
        .world
        .occupy(&subnet, Occupation::AllBut { left: 1 })
        .unwrap();
    assert_eq!(i32::try_from(taken.len()), Ok(free - 1));
    let refused = assign(&mut s.world, &eni, Some(2), None).unwrap_err();
    assert_eq!(refused.code, "InsufficientFreeAddressesInSubnet");
    assign(&mut s.world, &eni, Some(1), None).unwrap();
    let refused = s.create(&s.request()).unwrap_err();
    assert_eq!(refused.code, "InsufficientFreeAddressesInSubnet");
    assert_eq!(s.available(), 0);

    assert_eq!(s.world.vacate(&subnet).unwrap(), taken);
    assert_eq!(s.available(), free - 1);
    assert!(s.world.vacate(&subnet).unwrap().is_empty());
}

#[test]
fn a_subnet_in_pieces_has_addresses_and_no_prefix() {
    let mut s = immediate();
    let (eni, subnet) = (s.primary_eni(), s.subnet.clone());
    let taken = s.world.occupy(&subnet, Occupation::OneOfEachBlock).unwrap();
    // The first and the last of the sixteen blocks hold reserved addresses.
    assert_eq!(taken.len(), 14);
    let refused = assign(&mut s.world, &eni, None, Some(1)).unwrap_err();
    assert_eq!(refused.code, "InsufficientCidrBlocks");
    let creation = CreateNetworkInterfaceRequest {
        ipv4_prefix_count: Some(1),
        ..s.request()
    };
    assert_eq!(
        s.create(&creation).unwrap_err().code,
        "InsufficientCidrBlocks"
    );
    assign(&mut s.world, &eni, Some(3), None).unwrap();
    s.world.vacate(&subnet).unwrap();
    assign(&mut s.world, &eni, None, Some(1)).unwrap();
}

#[tokio::test]
async fn over_http_too_and_the_log_of_calls_says_when_and_why() {
    let s = immediate();
    let subnet = s.subnet.clone();
    let sim = Sim::new(s.world);
    let to = serve(sim.ec2_router()).await;
    let json = ("Content-Type", "application/json");
    let order = format!(r#"{{"subnet":"{subnet}","kind":"allBut","left":0}}"#);
    let reply = http(to, "POST /_sim/subnets/occupy", &[json], &order).await;
    assert_eq!(reply.unwrap().status, 200);
    let create = format!("Action=CreateNetworkInterface&Version=2016-11-15&SubnetId={subnet}");
    assert_eq!(post(to, &create).await.status, 400);
    let order = format!(r#"{{"subnet":"{subnet}"}}"#);
    let reply = http(to, "POST /_sim/subnets/vacate", &[json], &order).await;
    assert_eq!(reply.unwrap().status, 200);
    assert_eq!(post(to, &create).await.status, 200);
    let order = r#"{"subnet":"subnet-0","kind":"oneOfEachBlock"}"#;
    let reply = http(to, "POST /_sim/subnets/occupy", &[json], order).await;
    assert_eq!(reply.unwrap().status, 400);

    let log = http(to, "GET /_sim/calls/log", &[], "").await.unwrap().body;
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    let error = "InsufficientFreeAddressesInSubnet";
    assert_eq!(log[0]["action"], "CreateNetworkInterface");
    assert_eq!(log[0]["error"], error);
    assert!(log[1]["error"].is_null());
    let calls = sim.calls_since(T0);
    assert!(calls[0].at <= calls[1].at);
    assert_eq!(calls.len(), 2);
}

#[tokio::test]
async fn a_call_that_changes_something_is_answered_when_the_network_has_followed() {
    let s = immediate();
    let subnet = s.subnet.clone();
    let sim = Sim::new(s.world);
    let to = serve(sim.ec2_router()).await;
    let revision = || sim.with(|world, _| world.revision());
    sim.followed(revision());
    let create = format!("Action=CreateNetworkInterface&Version=2016-11-15&SubnetId={subnet}");
    let mut changes = sim.changes();
    changes.mark_unchanged();
    let reply = tokio::spawn(async move { post(to, &create).await });
    changes.changed().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!reply.is_finished());
    sim.followed(revision());
    assert_eq!(reply.await.unwrap().status, 200);
    let describe = "Action=DescribeSubnets&Version=2016-11-15";
    assert_eq!(post(to, describe).await.status, 200);
}
