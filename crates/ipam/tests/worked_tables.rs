//! What a node holds at rest with given targets, pods and instance type: upstream's documented
//! tables (secondary IP mode), reached by executing plans until nothing is left to do.

#![allow(clippy::unwrap_used)]

mod executor;

use executor::Node;
use vpc_ipam::WarmTarget;

/// t3.small: 3 ENIs with 4 addresses each, one of them the ENI's own.
const T: (u32, u32) = (3, 3);
/// p3dn.24xlarge: 15 ENIs with 50 addresses each.
const P: (u32, u32) = (15, 49);

fn held(shape: (u32, u32), warm: WarmTarget, pods: u32) -> Vec<u32> {
    let mut node = Node::new(shape, warm);
    for pod in 0..pods {
        node.add(&format!("pod-{pod}"));
    }
    node.settle();
    node.per_eni()
}

fn check(shape: (u32, u32), warm: WarmTarget, rows: &[(u32, &[u32])]) {
    for (pods, expected) in rows {
        assert_eq!(
            held(shape, warm, *pods),
            *expected,
            "{warm:?} with {pods} pods"
        );
    }
}

#[test]
fn one_warm_eni_on_a_small_node() {
    check(
        T,
        WarmTarget::Enis(1),
        &[(0, &[3]), (5, &[3, 3, 3]), (9, &[3, 3, 3])],
    );
}

#[test]
fn one_warm_address_and_a_minimum_of_one_on_a_small_node() {
    let warm = WarmTarget::Ips {
        warm: 1,
        minimum: 1,
    };
    check(T, warm, &[(0, &[1]), (5, &[3, 3]), (9, &[3, 3, 3])]);
}

#[test]
fn two_warm_addresses_and_a_minimum_of_five_on_a_small_node() {
    let warm = WarmTarget::Ips {
        warm: 2,
        minimum: 5,
    };
    check(T, warm, &[(0, &[3, 2]), (5, &[3, 3, 1]), (9, &[3, 3, 3])]);
}

#[test]
fn one_warm_eni_on_a_large_node() {
    check(
        P,
        WarmTarget::Enis(1),
        &[(0, &[49]), (3, &[49, 49]), (95, &[49, 49, 49])],
    );
}

#[test]
fn five_warm_addresses_and_a_minimum_of_ten_on_a_large_node() {
    let warm = WarmTarget::Ips {
        warm: 5,
        minimum: 10,
    };
    check(
        P,
        warm,
        &[(0, &[10]), (7, &[12]), (15, &[20]), (45, &[49, 1])],
    );
}

#[test]
fn a_burst_and_its_end_give_enis_back() {
    for warm in [
        WarmTarget::Enis(1),
        WarmTarget::Ips {
            warm: 2,
            minimum: 5,
        },
    ] {
        let mut node = Node::new(T, warm);
        let before = {
            node.settle();
            node.per_eni()
        };
        for pod in 0..9 {
            node.add(&format!("pod-{pod}"));
        }
        node.settle();
        assert_eq!(node.per_eni(), [3, 3, 3]);
        for pod in 0..9 {
            node.remove(&format!("pod-{pod}"));
        }
        node.rest();
        let after: u32 = node.per_eni().iter().sum();
        assert!(
            after <= before.iter().sum::<u32>() + 3,
            "{warm:?}: {:?}",
            node.per_eni()
        );
        assert!(node.per_eni().len() < 3, "{warm:?}: {:?}", node.per_eni());
    }
}
