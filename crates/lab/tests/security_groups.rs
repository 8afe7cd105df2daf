//! Pods share the security groups of their ENI: what a change of a group's rules, or of the ENI's
//! groups, lets pass and what it does not, for pods on the primary ENI and on a secondary one.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use common::pool::{assert_connected, config_with, up};
use vpc_aws::ec2::wire::{
    AuthorizeSecurityGroupEgressRequest, AuthorizeSecurityGroupIngressRequest,
    DescribeSecurityGroupsRequest, IpPermissionSpecification, IpRange,
    ModifyNetworkInterfaceAttributeRequest, RevokeSecurityGroupEgressRequest,
    RevokeSecurityGroupIngressRequest, UserIdGroupPair,
};
use vpc_lab::Pod;
use vpc_lab::demo::stage::{Demo, EniKind, kind_of};
use vpc_lab::probe::icmp::{Ping, ping};
use vpc_lab::probe::whoami::{self, Protocol};
use vpc_model::SecurityGroupId;
use vpc_sim::FabricEni;

/// How long an answer is waited for.
const SHORT: Duration = Duration::from_millis(400);
/// How often is asked until the network has followed the cloud.
const TRIES: usize = 25;
const PORT: i32 = whoami::PORT as i32;

#[tokio::test]
async fn a_change_of_rules_and_of_groups_allows_and_denies_traffic_of_pods() {
    let demo = up(config_with("groups", &[("WARM_IP_TARGET", "1")])).await;
    demo.add_pods(1, 0, 12).await.expect("pods");
    demo.add_pods(2, 0, 1).await.expect("pods");
    assert_connected(&demo, 1).await;
    for kind in [EniKind::Primary, EniKind::Secondary] {
        judge(&demo, kind).await;
        assert_connected(&demo, 1).await;
    }
    assert!(demo.counters().expect("counters").refused > 0);
    demo.down().await.expect("a clean end");
}

async fn judge(demo: &Demo, kind: EniKind) {
    let pod = demo.pods_on(1, kind).expect("pods").remove(0);
    let peer = demo.pods(2).expect("pods").remove(0);
    let cloud = Cloud { demo, kind };
    let eni = cloud.eni();
    let open = eni.security_groups.clone();
    let other = cloud.peers_group();
    let group = cloud.create_group();
    let ways = Ways { pod, peer };

    // A new group: everything may go out, and be answered; nothing may come in.
    cloud.set_groups(&[&group]);
    ways.are("a new group", [false, false, false], [true; 3])
        .await;

    let tcp = permission("tcp", Some(PORT), Some("10.0.2.0/24"), None);
    cloud.allow_in(&group, &tcp);
    ways.are("TCP in", [true, false, false], [true; 3]).await;
    let udp = permission("udp", Some(PORT), Some("10.0.2.0/24"), None);
    cloud.allow_in(&group, &udp);
    ways.are("UDP in", [true, true, false], [true; 3]).await;
    cloud.deny_in(&group, &tcp);
    ways.are("no TCP in", [false, true, false], [true; 3]).await;
    let wrong_port = permission("tcp", Some(PORT + 1), Some("10.0.2.0/24"), None);
    cloud.allow_in(&group, &wrong_port);
    let wrong_net = permission("tcp", Some(PORT), Some("10.0.1.0/24"), None);
    cloud.allow_in(&group, &wrong_net);
    ways.are("another port", [false, true, false], [true; 3])
        .await;
    // By the other side's group, whose pods are its members' addresses.
    let members = permission("-1", None, None, Some(&other));
    cloud.allow_in(&group, &members);
    ways.are("members in", [true; 3], [true; 3]).await;

    // Out: what comes in is answered nevertheless.
    let everything = permission("-1", None, Some("0.0.0.0/0"), None);
    cloud.deny_out(&group, &everything);
    ways.are("nothing out", [true; 3], [false; 3]).await;
    let ping = permission("icmp", None, Some("10.0.2.0/24"), None);
    cloud.allow_out(&group, &ping);
    ways.are("ping out", [true; 3], [false, false, true]).await;
    let tcp_out = permission("tcp", Some(PORT), None, Some(&other));
    cloud.allow_out(&group, &tcp_out);
    ways.are("TCP out", [true; 3], [true, false, true]).await;

    // The outside is reached by the primary ENI, whichever the pod's is.
    let outside = demo.on_premises().address;
    let seen = whoami::ask_patiently(ways.pod.netns(), Protocol::Tcp, outside, SHORT).await;
    match kind {
        EniKind::Primary => assert!(seen.is_err(), "{seen:?}"),
        EniKind::Secondary => {
            assert_eq!(seen.expect("an answer"), demo.node(1).primary_address());
        }
    }

    // Two groups let pass what either does; then the first ones again.
    let both: Vec<&SecurityGroupId> = open.iter().chain([&group]).collect();
    cloud.set_groups(&both);
    ways.are("both groups", [true; 3], [true; 3]).await;
    cloud.set_groups(&[&group]);
    ways.are("one of them", [true; 3], [true, false, true])
        .await;
    cloud.set_groups(&open.iter().collect::<Vec<_>>());
    ways.are("as it was", [true; 3], [true; 3]).await;
}

/// From a pod of the other node to the pod, and back; by TCP, UDP and ping.
struct Ways {
    pod: Pod,
    peer: Pod,
}

impl Ways {
    /// Waits until exactly these ways are open.
    async fn are(&self, when: &str, towards: [bool; 3], from: [bool; 3]) {
        let mut found = ([false; 3], [false; 3]);
        for _ in 0..TRIES {
            let (to_pod, from_pod) = tokio::join!(
                open(self.peer.netns(), self.pod.address),
                open(self.pod.netns(), self.peer.address)
            );
            found = (to_pod, from_pod);
            if found == (towards, from) {
                return;
            }
        }
        panic!(
            "{when}: TCP, UDP, ping towards {} and from it are {found:?}",
            self.pod.address
        );
    }
}

/// Which of TCP, UDP and ping pass.
async fn open(from: &Path, to: Ipv4Addr) -> [bool; 3] {
    let (tcp, udp, echo) = tokio::join!(
        whoami::ask_patiently(from, Protocol::Tcp, to, SHORT),
        whoami::ask_patiently(from, Protocol::Udp, to, SHORT),
        ping(from, Ping::new(to).patience(SHORT))
    );
    [tcp.is_ok(), udp.is_ok(), echo.is_ok()]
}

/// What an operator does in EC2.
struct Cloud<'a> {
    demo: &'a Demo,
    kind: EniKind,
}

impl Cloud<'_> {
    /// The first node's ENI of the kind.
    fn eni(&self) -> FabricEni {
        let instance = self.demo.instance(1).expect("an instance");
        let mut enis = instance.enis.into_iter();
        enis.find(|eni| kind_of(eni) == self.kind).expect("an ENI")
    }

    /// The group of the other node's ENIs, made for this test.
    fn peers_group(&self) -> SecurityGroupId {
        let group = self.new_group(&format!("peers of {:?}", self.kind));
        let open = permission("-1", None, Some("0.0.0.0/0"), None);
        self.allow_in(&group, &open);
        for eni in self.demo.instance(2).expect("an instance").enis {
            self.give(&eni, &[&group]);
        }
        group
    }

    fn create_group(&self) -> SecurityGroupId {
        self.new_group(&format!("judged {:?}", self.kind))
    }

    fn new_group(&self, name: &str) -> SecurityGroupId {
        let sim = self.demo.lab().sim();
        sim.with(|world, now| {
            let all = DescribeSecurityGroupsRequest::default();
            let all = world.describe_security_groups(&all, now).expect("groups");
            let vpc = all.security_groups.item[0].vpc_id.clone().expect("a VPC");
            let vpc = vpc.parse().expect("an id");
            world.create_security_group(&vpc, name).expect("a group")
        })
    }

    fn set_groups(&self, groups: &[&SecurityGroupId]) {
        self.give(&self.eni(), groups);
    }

    fn give(&self, eni: &FabricEni, groups: &[&SecurityGroupId]) {
        let request = ModifyNetworkInterfaceAttributeRequest {
            network_interface_id: Some(eni.id.to_string()),
            groups: groups.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let sim = self.demo.lab().sim();
        sim.with(|world, now| world.modify_network_interface_attribute(&request, now))
            .expect("other groups");
    }

    fn allow_in(&self, group: &SecurityGroupId, permission: &IpPermissionSpecification) {
        let request = AuthorizeSecurityGroupIngressRequest {
            group_id: Some(group.to_string()),
            ip_permissions: vec![permission.clone()],
            ..Default::default()
        };
        let sim = self.demo.lab().sim();
        sim.with(|world, now| world.authorize_security_group_ingress(&request, now))
            .expect("a rule");
    }

    fn deny_in(&self, group: &SecurityGroupId, permission: &IpPermissionSpecification) {
        let request = RevokeSecurityGroupIngressRequest {
            group_id: Some(group.to_string()),
            ip_permissions: vec![permission.clone()],
            ..Default::default()
        };
        let sim = self.demo.lab().sim();
        sim.with(|world, now| world.revoke_security_group_ingress(&request, now))
            .expect("no rule");
    }

    fn allow_out(&self, group: &SecurityGroupId, permission: &IpPermissionSpecification) {
        let request = AuthorizeSecurityGroupEgressRequest {
            group_id: Some(group.to_string()),
            ip_permissions: vec![permission.clone()],
            ..Default::default()
        };
        let sim = self.demo.lab().sim();
        sim.with(|world, now| world.authorize_security_group_egress(&request, now))
            .expect("a rule");
    }

    fn deny_out(&self, group: &SecurityGroupId, permission: &IpPermissionSpecification) {
        let request = RevokeSecurityGroupEgressRequest {
            group_id: Some(group.to_string()),
            ip_permissions: vec![permission.clone()],
            ..Default::default()
        };
        let sim = self.demo.lab().sim();
        sim.with(|world, now| world.revoke_security_group_egress(&request, now))
            .expect("no rule");
    }
}

fn permission(
    protocol: &str,
    port: Option<i32>,
    net: Option<&str>,
    group: Option<&SecurityGroupId>,
) -> IpPermissionSpecification {
    let range = net.map(|net| IpRange {
        cidr_ip: Some(net.to_owned()),
        ..Default::default()
    });
    let pair = group.map(|group| UserIdGroupPair {
        group_id: Some(group.to_string()),
        ..Default::default()
    });
    IpPermissionSpecification {
        ip_protocol: Some(protocol.to_owned()),
        from_port: port,
        to_port: port,
        ip_ranges: range.into_iter().collect(),
        user_id_group_pairs: pair.into_iter().collect(),
        ..Default::default()
    }
}
