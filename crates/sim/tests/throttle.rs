//! Request limits, in virtual time and over HTTP.

#![allow(clippy::unwrap_used)]

mod common;

use common::{T0, at, http, immediate, post, serve};
use vpc_aws::ec2::wire::*;
use vpc_model::Timestamp;
use vpc_sim::{ActionLimits, Bucket, Demand, RateLimits, Sim, World};

fn limited(limits: RateLimits) -> World {
    let mut world = immediate().world;
    world.set_rate_limits(Some(limits));
    world
}

/// How many of a hundred thousand calls at one moment are admitted.
fn admitted(world: &mut World, action: &str, params: &[(&str, &str)], now: Timestamp) -> usize {
    let params: Vec<(String, String)> = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let demand = Demand::of(action, &params);
    let calls = (0..100_000).map(|_| world.admit(&demand, now));
    calls.take_while(Result::is_ok).count()
}

#[test]
fn every_action_has_the_burst_and_the_rate_that_aws_documents() {
    let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", "vpc-1")];
    let page = [("MaxResults", "5")];
    let by_id = [("NetworkInterfaceId.1", "eni-1")];
    for (action, params, burst, per_second) in [
        ("DescribeNetworkInterfaces", &filter[..], 100, 20),
        ("DescribeNetworkInterfaces", &page[..], 100, 20),
        ("DescribeNetworkInterfaces", &[], 50, 10),
        ("DescribeNetworkInterfaces", &by_id[..], 50, 10),
        ("DescribeInstances", &[], 50, 10),
        ("DescribeSecurityGroups", &[], 50, 10),
        ("DescribeSubnets", &[], 100, 20),
        ("GetSubnetCidrReservations", &[], 100, 20),
        ("AttachNetworkInterface", &[], 50, 5),
        ("DetachNetworkInterface", &[], 50, 5),
        ("UnassignPrivateIpAddresses", &[], 50, 5),
        ("CreateNetworkInterface", &[], 100, 5),
        ("DeleteNetworkInterface", &[], 100, 5),
        ("ModifyNetworkInterfaceAttribute", &[], 100, 5),
        ("AssignPrivateIpAddresses", &[], 100, 5),
        ("CreateTags", &[], 100, 10),
        ("CreateSubnetCidrReservation", &[], 5, 1),
        ("RunInstances", &[], 5, 2),
    ] {
        let mut world = limited(RateLimits::default());
        let mut count = |millis| admitted(&mut world, action, params, at(millis));
        assert_eq!(count(0), burst, "{action} {params:?}");
        assert_eq!(count(1_000), per_second, "{action} {params:?}");
        assert_eq!(count(1_000), 0);
        // A token at a time, as it comes; and never more than the bucket holds.
        let step = 1_000 / u64::try_from(per_second).unwrap();
        assert_eq!(count(1_000 + step - 1), 0);
        assert_eq!(count(1_000 + step), 1);
        assert_eq!(count(10_000_000), burst);
        // A clock that goes back gives nothing.
        assert_eq!(count(0), 0);
    }
}

#[test]
fn one_action_s_calls_leave_the_others_alone() {
    let mut world = limited(RateLimits::default());
    assert_eq!(admitted(&mut world, "AttachNetworkInterface", &[], T0), 50);
    assert_eq!(admitted(&mut world, "DetachNetworkInterface", &[], T0), 50);
    let page = [("MaxResults", "5")];
    let describe = "DescribeNetworkInterfaces";
    assert_eq!(admitted(&mut world, describe, &[], T0), 50);
    assert_eq!(admitted(&mut world, describe, &page, T0), 100);
}

#[test]
fn resources_are_counted_besides_requests_and_a_refused_call_takes_nothing() {
    let mut world = limited(RateLimits::default());
    let run = |count| [("MinCount", "1"), ("MaxCount", count)];
    assert_eq!(admitted(&mut world, "RunInstances", &run("600"), T0), 1);
    assert_eq!(admitted(&mut world, "RunInstances", &run("401"), T0), 0);
    // Five requests and 1000 instances; the refused one is not among them.
    assert_eq!(admitted(&mut world, "RunInstances", &run("100"), T0), 4);
    assert_eq!(admitted(&mut world, "RunInstances", &run("1"), at(500)), 1);
    let ids = [("InstanceId.1", "i-1"), ("InstanceId.2", "i-2")];
    assert_eq!(admitted(&mut world, "TerminateInstances", &ids, T0), 50);
}

#[test]
fn a_raised_quota_replaces_the_default() {
    let raised = ActionLimits {
        unfiltered: Some(Bucket {
            size: 120,
            per_second: 20,
        }),
        ..ActionLimits::default()
    };
    let action = "DescribeSecurityGroups";
    let actions = [(action.to_owned(), raised)].into();
    let mut world = limited(RateLimits { actions });
    assert_eq!(admitted(&mut world, action, &[], T0), 120);
    assert_eq!(admitted(&mut world, action, &[], at(1_000)), 20);
    assert_eq!(
        admitted(&mut world, action, &[("MaxResults", "5")], T0),
        100
    );
}

#[test]
fn without_limits_nothing_is_refused_and_a_request_in_its_wire_form_counts() {
    let mut world = immediate().world;
    assert_eq!(admitted(&mut world, "CreateTags", &[], T0), 100_000);
    world.set_rate_limits(Some(RateLimits::default()));
    let request = AttachNetworkInterfaceRequest::default();
    let calls = (0..60).map(|_| world.admit_request(&request, T0));
    let refused: Vec<_> = calls.filter_map(Result::err).collect();
    assert_eq!(refused.len(), 10);
    assert_eq!(refused[0].status, 503);
    assert_eq!(refused[0].code, "RequestLimitExceeded");
    assert!(refused[0].message.contains("ec2:AttachNetworkInterface"));
    world.set_rate_limits(None);
    assert_eq!(
        admitted(&mut world, "AttachNetworkInterface", &[], T0),
        100_000
    );
}

#[tokio::test]
async fn limits_are_set_over_http_and_refusals_are_in_the_log_of_calls() {
    let sim = Sim::new(immediate().world);
    let to = serve(sim.ec2_router()).await;
    let tag = "Action=CreateTags&Version=2016-11-15&ResourceId.1=eni-1&Tag.1.Key=a";
    let json = ("Content-Type", "application/json");
    let limits = r#"{"actions":{"CreateTags":{"requests":{"size":2,"perSecond":0}}}}"#;
    let reply = http(to, "PUT /_sim/limits", &[json], limits).await.unwrap();
    assert_eq!(reply.status, 204, "{}", reply.body);
    let reply = http(to, "GET /_sim/limits", &[], "").await.unwrap();
    assert!(reply.body.contains(r#""size":2"#), "{}", reply.body);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(post(to, tag).await.status);
    }
    // Calls that fail take a token too.
    assert_eq!(statuses, [400, 400, 503, 503]);
    let errors = &sim.calls().actions["CreateTags"].errors;
    assert_eq!(errors["RequestLimitExceeded"], 2);
    let log = sim.calls_since(Timestamp::ZERO);
    let throttled = |error: &Option<String>| error.as_deref() == Some("RequestLimitExceeded");
    assert_eq!(log.iter().filter(|call| throttled(&call.error)).count(), 2);

    let bad = r#"{"actions":{"CreateTags":{"size":2}}}"#;
    let reply = http(to, "PUT /_sim/limits", &[json], bad).await.unwrap();
    assert_eq!(reply.status, 422);
    let reply = http(to, "DELETE /_sim/limits", &[], "").await.unwrap();
    assert_eq!(reply.status, 204);
    assert_eq!(post(to, tag).await.status, 400);
    let reply = http(to, "GET /_sim/limits", &[], "").await.unwrap();
    assert_eq!(reply.body, "null");
}
