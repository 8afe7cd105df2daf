//! Prefix delegation: both kinds of slot side by side, changes of mode with pods running, and
//! single addresses where a subnet has no block left.

use crate::executor::Node;
use vpc_ipam::{Ask, HeldBack, Mode, Reason, SlotKind, WarmTarget};

const M: (u32, u32) = (4, 14);

const fn ips(warm: u32, minimum: u32) -> WarmTarget {
    WarmTarget::Ips { warm, minimum }
}

fn switch(node: &mut Node, mode: Mode, warm: WarmTarget) {
    node.pool.set_mode(mode);
    node.targets.warm = warm;
}

#[test]
fn the_fullest_prefix_is_filled_first() {
    let mut node = Node::with_prefixes(M, WarmTarget::Prefixes(1));
    node.launched_with(Ask::Prefixes(3));
    for pod in 0..20 {
        node.allocate(&format!("pod-{pod}")).unwrap();
    }
    let counts = |node: &Node| -> Vec<u32> {
        let enis = node.pool.enis();
        let prefixes = enis.flat_map(vpc_ipam::Eni::prefixes);
        prefixes.map(|(_, counts)| counts.allocated).collect()
    };
    assert_eq!(counts(&node), [16, 4, 0]);
    for pod in 0..14 {
        node.remove(&format!("pod-{pod}"));
    }
    node.pass(31);
    for pod in 20..26 {
        node.allocate(&format!("pod-{pod}")).unwrap();
    }
    assert_eq!(counts(&node), [2, 10, 0]);
}

#[test]
fn with_pods_running_the_node_goes_over_to_prefixes_and_back() {
    let mut node = Node::new(M, ips(2, 0));
    node.add_pods(6);
    assert_eq!(node.slots(SlotKind::Address), [8]);
    switch(&mut node, Mode::Prefixes, WarmTarget::Prefixes(1));
    node.settle();
    assert_eq!(
        (node.slots(SlotKind::Address), node.prefixes()),
        (vec![8], vec![1])
    );
    let new = node.add("new").unwrap().address;
    let eni = node.pool.owner(new).unwrap();
    assert!(eni.singles().all(|(address, _)| address != new), "{new}");
    node.rest();
    // The unused single addresses went back; those of pods stay.
    assert_eq!(
        (node.slots(SlotKind::Address), node.prefixes()),
        (vec![6], vec![2])
    );
    for pod in 0..6 {
        node.remove(&format!("pod-{pod}"));
    }
    node.rest();
    assert_eq!(
        (node.slots(SlotKind::Address), node.prefixes()),
        (vec![], vec![2])
    );

    switch(&mut node, Mode::SecondaryIps, ips(2, 0));
    node.rest();
    // One prefix has a pod, and what is free in it is enough for now.
    assert_eq!(
        (node.slots(SlotKind::Address), node.prefixes()),
        (vec![], vec![1])
    );
    node.remove("new");
    node.rest();
    assert_eq!((node.free(), node.prefixes()), (16, vec![1]));
    assert_eq!(node.address_of("new"), None);
}

#[test]
fn a_full_node_makes_room_for_prefixes_by_giving_unused_addresses_back() {
    let mut node = Node::new((1, 3), ips(0, 3));
    node.add_pods(1);
    assert_eq!(node.slots(SlotKind::Address), [3]);
    switch(&mut node, Mode::Prefixes, WarmTarget::Prefixes(1));
    let plan = node.plan(0);
    assert_eq!(plan.actions, []);
    assert!(
        plan.held_back.contains(&HeldBack::NoRoom { max_enis: 1 }),
        "{plan:?}"
    );
    for _ in 0..10 {
        node.pass(10);
        node.settle_in_steps(0);
    }
    assert_eq!(
        (node.slots(SlotKind::Address), node.prefixes()),
        (vec![1], vec![1])
    );
}

/// A subnet with single addresses and no whole block.
fn without_blocks() -> (Node, Vec<std::net::Ipv4Addr>) {
    let warm = WarmTarget::Prefixes(1);
    let mut node = Node::in_subnets(M, Mode::Prefixes, warm, &["10.0.0.0/24"]);
    let gone = node.cloud.subnets[0].run_dry(30);
    (node, gone)
}

#[test]
fn without_a_free_block_single_addresses_take_the_place_of_prefixes() {
    let (mut node, _) = without_blocks();
    node.settle_in_steps(5);
    assert_eq!(node.prefixes(), [0; 0]);
    assert_eq!(node.free(), 8, "for five pods that wait, and three");
    let plan = node.plan(5);
    assert!(
        plan.held_back
            .iter()
            .any(|held| held.name() == "no_free_block"),
        "{plan:?}"
    );
    assert!(plan.wake_at.is_some());
    for pod in 0..5 {
        node.allocate(&format!("pod-{pod}")).unwrap();
    }
    node.settle_in_steps(3);
    assert_eq!(node.free(), 6);
}

#[test]
fn the_reason_for_single_addresses_is_named() {
    let (mut node, _) = without_blocks();
    // Two prefixes are refused, then one.
    for _ in 0..2 {
        let plan = node.plan(5);
        node.execute(&plan);
    }
    let plan = node.plan(5);
    let reasons: Vec<_> = plan.actions.iter().map(|action| action.because).collect();
    assert_eq!(reasons, [Reason::NoBlock { missing: 8 }]);
}

#[test]
fn when_blocks_come_back_the_node_returns_to_prefixes() {
    let (mut node, gone) = without_blocks();
    node.settle_in_steps(5);
    for pod in 0..5 {
        node.allocate(&format!("pod-{pod}")).unwrap();
    }
    for _ in 0..20 {
        node.pass(10);
        node.settle_in_steps(0);
    }
    assert_eq!((node.prefixes(), node.free()), (vec![], 3));
    let calls = node.cloud.calls;
    for _ in 0..60 {
        node.pass(10);
        node.settle_in_steps(0);
    }
    let retries = node.cloud.calls - calls;
    assert!(
        (3..=10).contains(&retries),
        "{retries} calls in ten minutes"
    );
    node.cloud.subnets[0].give_back(&gone);
    for _ in 0..30 {
        node.pass(10);
        node.settle_in_steps(0);
    }
    assert_eq!(node.prefixes(), [1]);
    assert_eq!(node.slots(SlotKind::Address), [5], "those of pods");
}

#[test]
fn another_subnet_with_blocks_goes_before_single_addresses() {
    let warm = WarmTarget::Prefixes(1);
    let subnets = ["10.0.0.0/24", "10.0.1.0/24"];
    let mut node = Node::in_subnets(M, Mode::Prefixes, warm, &subnets);
    let _ = node.cloud.subnets[0].run_dry(30);
    node.settle_in_steps(5);
    assert_eq!(node.slots(SlotKind::Address), [0; 0]);
    let second = node.facts.subnets[1].id.clone();
    let enis = node.pool.enis().filter(|eni| eni.subnet == second);
    assert_eq!(enis.map(vpc_ipam::Eni::prefix_count).sum::<u32>(), 2);
}
