//! The protocols, byte by byte, on loopback.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{FORM, Reply, SIGNED, http, immediate, post, serve, setup, slow};
use vpc_aws::ec2::wire::*;
use vpc_sim::fault::{Effect, Fault, METADATA};
use vpc_sim::{IdentifyBy, Sim};

fn code(reply: &Reply) -> String {
    let document = ErrorResponse::from_xml(&reply.body).unwrap();
    assert!(document.request_id.is_some());
    document.errors.error[0].code.clone().unwrap()
}

#[tokio::test]
async fn a_form_is_answered_with_xml() {
    let s = immediate();
    let (subnet, sim) = (s.subnet.clone(), Sim::new(s.world));
    let to = serve(sim.ec2_router()).await;
    let body = format!(
        "Action=CreateNetworkInterface&Version=2016-11-15&SubnetId={subnet}\
         &SecondaryPrivateIpAddressCount=1&Description=a+b%26c"
    );
    let reply = post(to, &body).await;
    assert_eq!(reply.status, 200);
    let head = reply.head.to_lowercase();
    assert!(
        head.contains("content-type: text/xml;charset=utf-8"),
        "{head}"
    );
    let answer = CreateNetworkInterfaceResponse::from_xml(&reply.body).unwrap();
    assert!(answer.request_id.is_some());
    let eni = answer.network_interface.unwrap();
    assert_eq!(eni.description.as_deref(), Some("a b&c"));
    assert_eq!(eni.private_ip_addresses.item.len(), 2);

    let query = "GET /?Action=DescribeSubnets&Version=2016-11-15";
    let reply = http(to, query, &[SIGNED], "").await.unwrap();
    let answer = DescribeSubnetsResponse::from_xml(&reply.body).unwrap();
    assert_eq!(answer.subnets.item.len(), 2);
    assert_eq!(sim.calls().of("DescribeSubnets"), 1);
    assert_eq!(sim.calls().total(), 2);
}

#[tokio::test]
async fn requests_that_cannot_be_carried_out_get_ec2s_error_document() {
    let to = serve(Sim::new(immediate().world).ec2_router()).await;
    let version = "&Version=2016-11-15";
    for (body, status, expected) in [
        (
            "Action=Fly&Version=2016-11-15".to_owned(),
            400,
            "InvalidAction",
        ),
        ("Version=2016-11-15".to_owned(), 400, "MissingAction"),
        ("Action=DescribeSubnets".to_owned(), 400, "MissingParameter"),
        (
            "Action=DescribeSubnets&Version=1999".to_owned(),
            400,
            "NoSuchVersion",
        ),
        (
            format!("Action=DescribeSubnets&Colour=red{version}"),
            400,
            "UnknownParameter",
        ),
        (
            format!("Action=DescribeSubnets&MaxResults=x{version}"),
            400,
            "InvalidParameterValue",
        ),
        (
            format!("Action=DescribeSubnets&DryRun=true{version}"),
            412,
            "DryRunOperation",
        ),
        (
            format!("Action=AttachNetworkInterface{version}"),
            400,
            "MissingParameter",
        ),
        ("Action=%".to_owned(), 400, "MalformedQueryString"),
        (
            format!(
                "Action=DeleteNetworkInterface&NetworkInterfaceId=eni-00000000000000001{version}"
            ),
            400,
            "InvalidNetworkInterfaceID.NotFound",
        ),
    ] {
        let reply = post(to, &body).await;
        assert_eq!(
            (reply.status, code(&reply).as_str()),
            (status, expected),
            "{body}"
        );
    }
    let unsigned = http(to, "POST /", &[FORM], "Action=DescribeSubnets")
        .await
        .unwrap();
    assert_eq!(
        (unsigned.status, code(&unsigned).as_str()),
        (401, "AuthFailure")
    );
}

#[tokio::test]
async fn faults_are_injected_counted_and_cleared() {
    let s = immediate();
    let (subnet, sim) = (s.subnet.clone(), Sim::new(s.world));
    let to = serve(sim.ec2_router()).await;
    let rule = r#"{"action":"DescribeSubnets","count":1,
        "effect":{"kind":"error","code":"RequestLimitExceeded","status":503}}"#;
    let json = ("Content-Type", "application/json");
    let reply = http(to, "POST /_sim/faults", &[json], rule).await.unwrap();
    assert_eq!(reply.status, 201, "{}", reply.body);
    let describe = "Action=DescribeSubnets&Version=2016-11-15";
    let reply = post(to, describe).await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (503, "RequestLimitExceeded")
    );
    assert_eq!(post(to, describe).await.status, 200);

    // A lost answer: the ENI exists, the caller gets nothing.
    sim.add_fault(Fault::lost_response("CreateNetworkInterface", 1));
    let create = format!("Action=CreateNetworkInterface&Version=2016-11-15&SubnetId={subnet}");
    assert!(http(to, "POST /", &[SIGNED, FORM], &create).await.is_none());
    let world = http(to, "GET /_sim/world", &[], "").await.unwrap();
    let world: serde_json::Value = serde_json::from_str(&world.body).unwrap();
    assert_eq!(world["enis"].as_array().unwrap().len(), 2);

    sim.add_fault(Fault {
        action: None,
        count: None,
        probability: None,
        effect: Effect::Error {
            code: "Unavailable".to_owned(),
            status: 503,
            message: String::new(),
        },
    });
    assert_eq!(post(to, describe).await.status, 503);
    let reply = http(to, "DELETE /_sim/faults", &[], "").await.unwrap();
    assert_eq!(reply.status, 204);
    assert_eq!(post(to, describe).await.status, 200);

    let calls = http(to, "GET /_sim/calls", &[], "").await.unwrap();
    let calls: serde_json::Value = serde_json::from_str(&calls.body).unwrap();
    assert_eq!(calls["DescribeSubnets"]["ok"], 2);
    assert_eq!(
        calls["DescribeSubnets"]["errors"]["RequestLimitExceeded"],
        1
    );
    assert_eq!(calls["CreateNetworkInterface"]["ok"], 1);
}

async fn token(to: SocketAddr, ttl: &str) -> Reply {
    let header = ("X-aws-ec2-metadata-token-ttl-seconds", ttl);
    http(to, "PUT /latest/api/token", &[header], "")
        .await
        .unwrap()
}

async fn get(to: SocketAddr, path: &str, token: &str) -> Reply {
    let header = ("X-aws-ec2-metadata-token", token);
    http(to, &format!("GET {path}"), &[header], "")
        .await
        .unwrap()
}

#[tokio::test]
async fn metadata_needs_a_token_that_is_valid() {
    let s = immediate();
    let who = IdentifyBy::Instance(s.instance.clone());
    let to = serve(Sim::new(s.world).imds_router(who)).await;
    let path = "/latest/meta-data/local-ipv4";
    let reply = http(to, &format!("GET {path}"), &[], "").await.unwrap();
    assert_eq!(reply.status, 401);
    assert_eq!(get(to, path, "made-up").await.status, 401);
    for ttl in ["0", "21601", "x", "-1"] {
        assert_eq!(token(to, ttl).await.status, 400, "{ttl}");
    }
    let reply = http(to, "PUT /latest/api/token", &[], "").await.unwrap();
    assert_eq!(reply.status, 400);
    let ttl = ("X-aws-ec2-metadata-token-ttl-seconds", "60");
    let forwarded = ("X-Forwarded-For", "10.0.0.1");
    let reply = http(to, "PUT /latest/api/token", &[ttl, forwarded], "")
        .await
        .unwrap();
    assert_eq!(reply.status, 403);

    let issued = token(to, "21600").await;
    assert_eq!(issued.status, 200);
    let head = issued.head.to_lowercase();
    assert!(
        head.contains("x-aws-ec2-metadata-token-ttl-seconds: 21600"),
        "{head}"
    );
    let reply = get(to, path, &issued.body).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "10.0.1.4"));
    assert_eq!(
        get(to, "/latest/meta-data/nothing", &issued.body)
            .await
            .status,
        404
    );
    let brief = token(to, "1").await.body;
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(get(to, path, &brief).await.status, 401);
    let listing = get(to, "/latest/meta-data/", &issued.body).await.body;
    assert!(listing.lines().any(|line| line == "network/"), "{listing}");
}

#[tokio::test]
async fn metadata_knows_the_instance_by_its_address() {
    let s = immediate();
    let mut world = s.world;
    let vpc = world.create_vpc("127.0.0.0/16".parse().unwrap());
    let subnet = world
        .create_subnet(&vpc, "127.0.0.0/24".parse().unwrap(), "us-west-2a")
        .unwrap();
    let to = serve(Sim::new(world.clone()).imds_router(IdentifyBy::PeerAddress)).await;
    assert_eq!(token(to, "60").await.status, 403);

    // Loopback's own address cannot be given away, so the caller binds to a free one.
    let spec = vpc_sim::RunInstance {
        private_ip: Some("127.0.0.77".parse().unwrap()),
        ..vpc_sim::RunInstance::new("local", "m5.large".parse().unwrap(), subnet)
    };
    let id = world.run_instance(spec, common::T0).unwrap();
    let to = serve(Sim::new(world).imds_router(IdentifyBy::PeerAddress)).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.77:0".parse().unwrap()).unwrap();
    let stream = socket.connect(to).await.unwrap();
    let ttl = ("X-aws-ec2-metadata-token-ttl-seconds", "60");
    let issued = common::exchange(stream, "PUT /latest/api/token", &[ttl], "")
        .await
        .unwrap();
    assert_eq!(issued.status, 200);
    // Another caller may not use the token.
    assert_eq!(
        get(to, "/latest/meta-data/instance-id", &issued.body)
            .await
            .status,
        403
    );
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.77:0".parse().unwrap()).unwrap();
    let stream = socket.connect(to).await.unwrap();
    let header = ("X-aws-ec2-metadata-token", issued.body.as_str());
    let reply = common::exchange(stream, "GET /latest/meta-data/instance-id", &[header], "").await;
    assert_eq!(reply.unwrap().body, id.to_string());
}

#[tokio::test]
async fn the_world_moves_by_itself_and_tells_of_it() {
    let mut s = setup(slow());
    let eni = s.eni(0);
    let instance = s.instance.clone();
    let sim = Sim::new(s.world);
    let runner = tokio::spawn({
        let sim = sim.clone();
        async move { sim.run().await }
    });
    let mut changes = sim.changes();
    let request = AttachNetworkInterfaceRequest {
        network_interface_id: Some(eni),
        instance_id: Some(instance.to_string()),
        device_index: Some(1),
        ..Default::default()
    };
    sim.with(|world, now| world.attach_network_interface(&request, now))
        .unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(30), async {
        // Nobody but the runner touches the world: `fabric` would advance it.
        loop {
            changes.changed().await.unwrap();
            if sim.fabric().instances[0].enis.len() == 2 {
                break;
            }
        }
    });
    seen.await.unwrap();
    runner.abort();
}

#[tokio::test]
async fn metadata_goes_wrong_on_demand_and_apart_from_ec2() {
    let s = immediate();
    let who = IdentifyBy::Instance(s.instance.clone());
    let sim = Sim::new(s.world);
    let imds = serve(sim.imds_router(who)).await;
    let token = token(imds, "60").await.body;
    let path = "/latest/meta-data/instance-id";

    // A rule for any action means EC2's actions.
    sim.add_fault(Fault {
        action: None,
        count: None,
        probability: None,
        effect: Effect::LostResponse,
    });
    assert_eq!(get(imds, path, &token).await.status, 200);
    sim.clear_faults();
    sim.add_fault(Fault::lost_response(METADATA, 1));
    let header = ("X-aws-ec2-metadata-token", token.as_str());
    let lost = http(imds, &format!("GET {path}"), &[header], "").await;
    assert!(lost.is_none());
    sim.add_fault(Fault::error(METADATA, 1, "", 503));
    assert_eq!(get(imds, path, &token).await.status, 503);
    assert_eq!(get(imds, path, &token).await.status, 200);
    assert_eq!(sim.calls().total(), 0);
}

#[tokio::test]
async fn metadata_can_be_stale_or_incomplete_on_demand() {
    let mut s = immediate();
    let (instance, unattached) = (s.instance.clone(), s.eni(0));
    let sim = Sim::new(s.world);
    let ec2 = serve(sim.ec2_router()).await;
    let imds = serve(sim.imds_router(IdentifyBy::Instance(instance.clone()))).await;
    let token = token(imds, "60").await.body;

    // An assignment that metadata does not learn of.
    sim.add_fault(Fault {
        action: Some("AssignPrivateIpAddresses".to_owned()),
        count: Some(1),
        probability: None,
        effect: Effect::StaleMetadata { millis: 3_600_000 },
    });
    let eni = sim.fabric().instances[0].enis[0].clone();
    let assign = format!(
        "Action=AssignPrivateIpAddresses&Version=2016-11-15&NetworkInterfaceId={}\
         &SecondaryPrivateIpAddressCount=1",
        eni.id
    );
    assert_eq!(post(ec2, &assign).await.status, 200);
    let leaf = format!(
        "/latest/meta-data/network/interfaces/macs/{}/local-ipv4s",
        eni.mac
    );
    assert_eq!(get(imds, &leaf, &token).await.body, "10.0.1.4");

    let json = ("Content-Type", "application/json");
    let order = format!(r#"{{"instance":"{instance}","millis":0}}"#);
    let reply = http(ec2, "POST /_sim/metadata/freeze", &[json], &order).await;
    assert_eq!(reply.unwrap().status, 204);
    assert_eq!(get(imds, &leaf, &token).await.body, "10.0.1.4\n10.0.1.6");
    let order = format!(r#"{{"eni":"{}","millis":60000}}"#, eni.id);
    let reply = http(ec2, "POST /_sim/metadata/hide", &[json], &order).await;
    assert_eq!(reply.unwrap().status, 204);
    assert_eq!(get(imds, &leaf, &token).await.status, 404);
    let order = format!(r#"{{"eni":"{unattached}","millis":60000}}"#);
    let reply = http(ec2, "POST /_sim/metadata/hide", &[json], &order).await;
    assert_eq!(reply.unwrap().status, 400);
}
