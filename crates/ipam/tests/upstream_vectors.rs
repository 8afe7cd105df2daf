//! Upstream's own decisions, state by state: too low, too high, which ENI goes (secondary IP mode).

#![allow(clippy::unwrap_used)]

mod executor;

use executor::Node;
use vpc_ipam::{HeldBack, Plan, WarmTarget, Work};

fn ips(warm: u32, minimum: u32) -> WarmTarget {
    WarmTarget::Ips { warm, minimum }
}

/// A node with one ENI of `have` addresses, `used` of them pods', of which it can have `room`.
fn one_eni(warm: WarmTarget, (have, used, room): (u32, u32, u32)) -> Node {
    let mut node = Node::with_enis((3, room), warm, &[have]);
    for pod in 0..used {
        node.allocate(&format!("pod-{pod}")).unwrap();
    }
    node
}

fn asked_for(plan: &Plan) -> u32 {
    plan.actions
        .iter()
        .map(|action| match &action.work {
            Work::Assign { count, .. } => *count,
            Work::Create { addresses, .. } => *addresses,
            Work::Unassign { .. } | Work::Return { .. } => 0,
        })
        .sum()
}

fn is_low(warm: WarmTarget, state: (u32, u32, u32)) -> bool {
    asked_for(&one_eni(warm, state).plan(0)) > 0
}

fn returned(node: &mut Node) -> Vec<u8> {
    let plan = node.decide();
    let enis = plan.actions.iter().filter_map(|action| match &action.work {
        Work::Return { eni } => Some(node.pool.eni(eni).unwrap().device.0),
        Work::Create { .. } | Work::Assign { .. } | Work::Unassign { .. } => None,
    });
    enis.collect()
}

fn unassigned(node: &mut Node) -> usize {
    let plan = node.decide();
    let counts = plan.actions.iter().map(|action| match &action.work {
        Work::Unassign { addresses, .. } => addresses.len(),
        Work::Create { .. } | Work::Assign { .. } | Work::Return { .. } => 0,
    });
    counts.sum()
}

#[test]
fn a_warm_target_asks_for_what_is_missing() {
    for (have, missing) in [(0, 5), (2, 3), (5, 0)] {
        let node = one_eni(ips(5, 0), (have, 0, 14));
        assert_eq!(asked_for(&node.plan(0)), missing, "{have} free");
    }
}

#[test]
fn the_pool_is_too_low_where_upstream_says_so() {
    assert!(is_low(WarmTarget::Enis(1), (0, 0, 14)));
    assert!(is_low(WarmTarget::Enis(0), (0, 0, 14)));
    assert!(!is_low(ips(1, 0), (3, 0, 14)));
    assert!(is_low(WarmTarget::Enis(1), (3, 1, 3)));
    assert!(!is_low(WarmTarget::Enis(0), (3, 1, 3)));
    assert!(is_low(WarmTarget::Enis(0), (3, 3, 3)));
}

#[test]
fn a_node_with_as_many_addresses_as_pods_is_not_too_low() {
    let mut node = one_eni(ips(5, 0), (3, 0, 14));
    node.targets.max_pods = Some(3);
    let plan = node.plan(0);
    assert!(plan.actions.is_empty());
    assert_eq!(plan.held_back, [HeldBack::MaxPods { max_pods: 3 }]);
}

#[test]
fn the_eni_that_goes_is_upstreams() {
    let with = |warm| {
        // The primary full, then 2 and 1 free.
        let mut node = Node::with_enis((3, 3), warm, &[2, 2, 1]);
        node.allocate("a").unwrap();
        node.allocate("b").unwrap();
        assert_eq!(node.eni(0).allocated(), 2);
        node
    };
    assert_eq!(returned(&mut with(ips(3, 1))), Vec::<u8>::new());
    assert_eq!(returned(&mut with(ips(1, 5))), Vec::<u8>::new());
    let mut node = with(ips(2, 4));
    assert_eq!(returned(&mut node), [2]);
    let plan = node.plan(0);
    node.execute(&plan);
    node.targets.warm = ips(0, 3);
    assert_eq!(returned(&mut node), Vec::<u8>::new());
    node.targets.warm = ips(0, 2);
    assert_eq!(returned(&mut node), [1]);
}

#[test]
fn with_whole_enis_one_goes_when_more_than_one_too_many_is_free() {
    for (pods, goes) in [(3, true), (4, false)] {
        let mut node = Node::with_enis((3, 3), WarmTarget::Enis(1), &[3, 3, 3]);
        for pod in 0..pods {
            node.allocate(&format!("pod-{pod}")).unwrap();
        }
        assert_eq!(!returned(&mut node).is_empty(), goes, "{pods} pods");
    }
}

#[test]
fn with_whole_enis_single_addresses_are_never_given_back() {
    let mut node = Node::with_enis((3, 3), WarmTarget::Enis(0), &[3, 3, 3]);
    for pod in 0..7 {
        node.allocate(&format!("pod-{pod}")).unwrap();
    }
    for pod in [0, 1, 3, 4] {
        node.remove(&format!("pod-{pod}"));
    }
    assert_eq!(unassigned(&mut node), 0);
}

#[test]
fn single_addresses_go_down_to_the_larger_of_both_targets() {
    // (warm, minimum, pods) of 6 addresses on one ENI: upstream's `over`.
    for (warm, minimum, pods, over) in [
        (1, 0, 0, 5),
        (1, 4, 0, 2),
        (5, 0, 0, 1),
        (6, 0, 0, 0),
        (2, 0, 3, 1),
        (0, 6, 0, 0),
        (2, 5, 1, 1),
    ] {
        let mut node = one_eni(ips(warm, minimum), (6, pods, 6));
        assert_eq!(
            unassigned(&mut node),
            over,
            "warm {warm}, minimum {minimum}, {pods} pods"
        );
    }
}

#[test]
fn the_primary_stays_and_so_does_an_eni_with_a_pod() {
    let mut node = Node::with_enis((3, 3), ips(0, 0), &[3, 3, 3]);
    for pod in ["a", "b", "c", "d"] {
        node.allocate(pod).unwrap();
    }
    for pod in ["a", "b", "c"] {
        node.remove(pod);
    }
    assert_eq!(node.eni(1).allocated(), 1);
    assert_eq!(returned(&mut node), [2]);
}

#[test]
fn an_idle_eni_without_addresses_goes() {
    let mut node = Node::with_enis((3, 3), ips(1, 0), &[1, 0]);
    assert_eq!(returned(&mut node), [1]);
}
