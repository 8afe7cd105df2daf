//! Which address a pod gets, and when it can be another pod's.

#![allow(clippy::unwrap_used)]

mod executor;

use std::time::Duration;

use executor::{Node, key};
use vpc_ipam::allocate::undo;
use vpc_ipam::{Event, Snapshot, WarmTarget, release};

const NONE: WarmTarget = WarmTarget::Ips {
    warm: 0,
    minimum: 0,
};

fn device_of(node: &mut Node, pod: &str) -> u8 {
    node.allocate(pod).unwrap().device.0
}

#[test]
fn the_fullest_eni_comes_first() {
    let mut node = Node::with_enis((3, 3), NONE, &[2, 3, 3]);
    for pod in ["a", "b", "c"] {
        node.allocate(pod).unwrap();
    }
    assert_eq!((node.eni(0).allocated(), node.eni(1).allocated()), (2, 1));
    node.remove("a");
    node.remove("b");
    node.pass(60);
    // The primary is empty now; the ENI with a pod goes on being filled.
    assert_eq!(device_of(&mut node, "d"), 1);
    assert_eq!(device_of(&mut node, "e"), 1);
    assert_eq!(device_of(&mut node, "f"), 0);
}

#[test]
fn of_two_equally_full_enis_the_older_comes_first_then_the_lower_id() {
    let mut node = Node::with_enis((3, 3), NONE, &[0, 1, 1]);
    assert_eq!(device_of(&mut node, "a"), 1, "they are equally old");
    let late = node.new_eni(vpc_ipam::EniKind::Secondary, vpc_model::DeviceIndex(3), 1);
    node.apply(Event::EniFound(late));
    assert_eq!(device_of(&mut node, "b"), 2, "the older one");
    assert_eq!(device_of(&mut node, "c"), 3);
}

#[test]
fn the_address_that_has_been_free_the_longest_comes_first() {
    let mut node = Node::with_enis((1, 3), NONE, &[3]);
    let addresses = ["a", "b", "c"].map(|pod| node.allocate(pod).unwrap().address);
    assert!(addresses.is_sorted(), "equally long: the lower first");
    for pod in ["b", "c", "a"] {
        node.remove(pod);
        node.pass(1);
    }
    node.pass(60);
    let again = ["d", "e", "f"].map(|pod| node.allocate(pod).unwrap().address);
    assert_eq!(again, [addresses[1], addresses[2], addresses[0]]);
}

#[test]
fn a_released_address_is_not_handed_out_again_within_the_cooldown() {
    let mut node = Node::with_enis((1, 1), NONE, &[1]);
    let first = node.allocate("a").unwrap();
    node.remove("a");
    node.pass(29);
    assert!(node.allocate("b").is_err());
    node.pass(1);
    assert_eq!(node.allocate("b").unwrap().address, first.address);
}

#[test]
fn a_repeated_add_says_so_and_gets_the_same_address() {
    let mut node = Node::with_enis((1, 2), NONE, &[2]);
    let first = node.allocate("a").unwrap();
    node.pass(5);
    let again = node.allocate("a").unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!((again.address, again.since), (first.address, first.since));
}

#[test]
fn a_repeated_release_finds_nothing() {
    let mut node = Node::with_enis((1, 2), NONE, &[2]);
    node.allocate("a").unwrap();
    node.remove("a");
    let error = release(&mut node.pool, &key("a"), node.now, Duration::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "aws-cni/a/eth0 holds no address");
}

#[test]
fn an_undone_allocation_is_free_at_once_and_comes_first() {
    let mut node = Node::with_enis((1, 3), NONE, &[3]);
    node.allocate("a").unwrap();
    let undone = node.allocate("b").unwrap();
    undo(&mut node.pool, &undone);
    node.pool.check().unwrap();
    assert_eq!(node.allocate("c").unwrap().address, undone.address);
}

#[test]
fn nothing_of_an_eni_that_is_given_back_is_handed_out() {
    let mut node = Node::with_enis((2, 2), NONE, &[0, 2]);
    let eni = node.id(1);
    node.apply(Event::ReturnBegun { eni: eni.clone() });
    assert!(node.allocate("a").is_err());
    node.apply(Event::ReturnFailed {
        eni,
        reason: "InternalError".to_owned(),
    });
    assert!(node.allocate("a").is_ok());
}

#[test]
fn a_refusal_says_where_the_addresses_are() {
    let mut node = Node::new((2, 3), NONE);
    let empty = node.allocate("a").unwrap_err();
    assert_eq!(
        empty.to_string(),
        "the node's ENIs have no addresses for pods yet"
    );

    let mut node = Node::with_enis((2, 3), NONE, &[3, 2]);
    let leaving: Vec<_> = node
        .eni(1)
        .addresses()
        .map(|(address, _)| address)
        .collect();
    let eni = node.id(1);
    node.apply(Event::UnassignBegun {
        eni,
        addresses: leaving,
    });
    for pod in ["a", "b", "c"] {
        node.allocate(pod).unwrap();
    }
    node.remove("a");
    let taken = node.allocate("d").unwrap_err();
    let until = node.now + Duration::from_secs(30);
    assert_eq!(
        taken.to_string(),
        format!(
            "all 5 addresses of the node are taken (2 by pods, 1 resting after a release, 2 on \
             their way back to the VPC); the next one is free at {until}"
        )
    );
}

#[test]
fn a_snapshot_counts_what_is_there() {
    let mut node = Node::with_enis((2, 3), NONE, &[3, 2]);
    node.allocate("a").unwrap();
    node.allocate("b").unwrap();
    node.remove("a");
    let snapshot = Snapshot::of(&node.pool);
    assert_eq!(
        (
            snapshot.total,
            snapshot.allocated,
            snapshot.cooling,
            snapshot.free
        ),
        (5, 1, 1, 3)
    );
    assert_eq!((snapshot.creating, snapshot.unplaced), (0, 0));
    let enis: Vec<_> = snapshot
        .enis
        .iter()
        .map(|eni| (eni.total, eni.allocated, eni.free))
        .collect();
    assert_eq!(enis, [(3, 1, 1), (2, 0, 2)]);
    let eni = node.id(0);
    node.apply(Event::Returned { eni });
    assert_eq!(Snapshot::of(&node.pool).unplaced, 1);
}
