//! Subnets that are full, or nearly: who is asked, for how much, how often.

use crate::executor::Node;
use vpc_ipam::{Ask, HeldBack, Mode, Refusal, WarmTarget, Work};

const M: (u32, u32) = (4, 14);

const fn ips(warm: u32, minimum: u32) -> WarmTarget {
    WarmTarget::Ips { warm, minimum }
}

fn two_subnets() -> Node {
    let subnets = ["10.0.0.0/24", "10.0.1.0/24"];
    Node::in_subnets(M, Mode::SecondaryIps, ips(2, 0), &subnets)
}

#[test]
fn a_nearly_full_subnet_gives_what_it_has() {
    let mut node = Node::in_subnets(M, Mode::SecondaryIps, ips(2, 0), &["10.0.0.0/24"]);
    let _ = node.cloud.subnets[0].run_dry(5);
    node.settle_in_steps(10);
    assert_eq!(node.free(), 5);
    assert_eq!(node.cloud.subnets[0].available(), 0);
    let held = node.plan(10).held_back;
    assert!(
        held.iter().any(|held| held.name() == "subnet_full"),
        "{held:?}"
    );
}

#[test]
fn the_other_subnet_is_used_when_the_first_is_full() {
    let mut node = two_subnets();
    let _ = node.cloud.subnets[0].run_dry(0);
    node.settle_in_steps(6);
    let second = node.facts.subnets[1].id.clone();
    let enis = node.pool.enis().filter(|eni| eni.subnet == second);
    assert_eq!(enis.map(vpc_ipam::Eni::free).sum::<u32>(), 8);
}

#[test]
fn a_dry_subnet_is_asked_rarely_and_used_as_soon_as_it_is_asked_again() {
    let mut node = Node::in_subnets(M, Mode::SecondaryIps, ips(2, 0), &["10.0.0.0/24"]);
    let gone = node.cloud.subnets[0].run_dry(0);
    let before = node.cloud.calls;
    for _ in 0..360 {
        node.settle_in_steps(1);
        node.pass(10);
    }
    let calls = node.cloud.calls - before;
    assert!((30..=45).contains(&calls), "{calls} calls in an hour");
    node.cloud.subnets[0].give_back(&gone);
    let wake_at = node.plan(1).wake_at.unwrap();
    assert!(wake_at.since(node.now).as_secs() <= 120, "{wake_at}");
    node.now = wake_at;
    node.settle_in_steps(1);
    assert_eq!(node.free(), 3);
}

#[test]
fn what_is_refused_for_another_reason_stops_everything_for_a_second() {
    let mut node = two_subnets();
    let plan = node.plan(1);
    let Work::Assign { eni, ask } = plan.actions[0].work.clone() else {
        panic!("{plan:?}");
    };
    node.pool.apply(plan.actions[0].work.begun(), node.now);
    let failed = vpc_ipam::Event::AssignFailed {
        eni,
        ask,
        refusal: Refusal::Other,
        reason: "RequestLimitExceeded".to_owned(),
    };
    node.pool.apply(failed, node.now);
    let plan = node.plan(1);
    assert_eq!(plan.actions, []);
    let held = &plan.held_back[0];
    assert_eq!(held.name(), "back_off");
    assert!(held.to_string().contains("RequestLimitExceeded"), "{held}");
    node.pass(1);
    node.settle_in_steps(1);
    assert_eq!(node.free(), 3);
    assert_eq!(node.pool.back_offs().count(), 0);
}

#[test]
fn an_eni_that_ec2_says_is_full_does_not_stop_the_others() {
    let mut node = two_subnets();
    let primary = node.primary();
    let failed = vpc_ipam::Event::AssignFailed {
        eni: primary.clone(),
        ask: Ask::Addresses(3),
        refusal: Refusal::EniFull,
        reason: "PrivateIpAddressLimitExceeded".to_owned(),
    };
    node.pool.apply(failed, node.now);
    let plan = node.plan(1);
    assert!(
        matches!(plan.actions[0].work, Work::Create { .. }),
        "{plan:?}"
    );
    assert_eq!(plan.held_back, []);
}

#[test]
fn without_a_subnet_for_pods_the_node_says_so() {
    let mut node = two_subnets();
    node.launched_with(Ask::Addresses(14));
    node.facts.subnets.clear();
    let plan = node.plan(20);
    assert_eq!(
        (plan.actions, plan.held_back),
        (vec![], vec![HeldBack::NoSubnet])
    );
}

#[test]
fn an_eni_in_a_subnet_that_is_no_longer_for_pods_serves_its_pods_and_goes_when_they_are_gone() {
    let mut node = two_subnets();
    node.add_pods(20);
    let second = node.pool.enis().find(|eni| eni.device.0 == 1).unwrap();
    let (id, kind) = (second.id.clone(), second.kind);
    let exclusion = vpc_ipam::classify::Exclusion::SubnetNotForPods(second.subnet.clone());
    let event = vpc_ipam::Event::Reclassified {
        eni: id.clone(),
        kind,
        exclusion: Some(exclusion),
    };
    node.pool.apply(event, node.now);
    let held = node.pool.eni(&id).unwrap().allocated();
    assert!(held > 0);
    node.add_pods(25);
    assert_eq!(node.pool.eni(&id).unwrap().allocated(), held, "no new pods");
    node.rest();
    assert_eq!(node.pool.eni(&id).unwrap().allocated(), held, "pods stay");
    for pod in 0..25 {
        node.remove(&format!("pod-{pod}"));
    }
    node.rest();
    assert!(node.pool.eni(&id).is_none());
}
