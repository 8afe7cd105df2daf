//! Who gets which address, and what happens when it is given back.

use std::collections::BTreeMap;

use crate::executor::{Node, T, key, pod};
use vpc_ipam::allocate::{held, undo};
use vpc_ipam::ledger::{Holder, Ledger};
use vpc_ipam::{Ask, EniKind, Event, Pool, WarmTarget, allocate, release};
use vpc_model::{DeviceIndex, PodKey};

const WARM: WarmTarget = WarmTarget::Ips {
    warm: 2,
    minimum: 0,
};

#[test]
fn a_repeated_add_gets_the_same_address() {
    let mut node = Node::new(T, WARM);
    let first = node.add("a").unwrap();
    assert!(!first.repeated);
    node.pass(5);
    let again = node.allocate("a").unwrap();
    assert!(again.repeated);
    assert_eq!((again.address, again.since), (first.address, first.since));
}

#[test]
fn a_released_address_is_not_handed_out_again_within_the_cooldown() {
    let mut node = Node::new(T, WarmTarget::Enis(0));
    node.settle();
    let first = node.allocate("a").unwrap().address;
    for name in ["b", "c"] {
        node.allocate(name).unwrap();
    }
    node.remove("a");
    let error = node.allocate("d").unwrap_err();
    let until = node.now + node.targets.cooldown;
    assert_eq!((error.cooling, error.soonest), (1, Some(until)));
    assert!(error.to_string().contains("1 are resting"), "{error}");
    node.pass(29);
    assert!(node.allocate("d").is_err());
    node.pass(1);
    assert_eq!(node.allocate("d").unwrap().address, first);
}

#[test]
fn the_address_that_has_been_free_the_longest_is_handed_out_first() {
    let mut node = Node::new(T, WarmTarget::Enis(0));
    node.settle();
    let order: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|name| node.allocate(name).unwrap().address)
        .collect();
    assert!(
        order.is_sorted(),
        "of equally old ones the lowest: {order:?}"
    );
    for name in ["b", "c", "a"] {
        node.remove(name);
        node.pass(1);
    }
    node.pass(60);
    let again: Vec<_> = ["d", "e", "f"]
        .into_iter()
        .map(|name| node.allocate(name).unwrap().address)
        .collect();
    assert_eq!(again, [order[1], order[2], order[0]]);
}

#[test]
fn the_fullest_eni_gives_first_and_the_older_of_two() {
    let mut node = Node::new((3, 3), WarmTarget::Enis(0));
    node.launched_with(Ask::Addresses(3));
    for device in [1, 2] {
        node.pass(1);
        let eni = node.new_eni(EniKind::Secondary, DeviceIndex(device), Ask::Addresses(3));
        node.pool.apply(Event::EniFound(eni), node.now);
    }
    let mut per_device: BTreeMap<u8, u32> = BTreeMap::new();
    let mut order = Vec::new();
    for name in 0..9 {
        let device = node.allocate(&format!("pod-{name}")).unwrap().device.0;
        *per_device.entry(device).or_default() += 1;
        order.push(device);
    }
    assert_eq!(order, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    node.remove("pod-0");
    node.remove("pod-1");
    node.remove("pod-8");
    node.pass(60);
    assert_eq!(
        node.allocate("new").unwrap().device.0,
        2,
        "the fullest with a free one"
    );
}

#[test]
fn an_allocation_that_was_not_recorded_leaves_no_trace() {
    let mut node = Node::new(T, WarmTarget::Enis(0));
    node.settle();
    let before = node.free();
    let got = node.allocate("a").unwrap();
    undo(&mut node.pool, &got);
    node.pool.check().unwrap();
    assert_eq!(node.free(), before);
    assert_eq!(held(&node.pool, &key("a")), None);
    assert_eq!(node.allocate("b").unwrap().address, got.address);
}

#[test]
fn a_release_of_an_unknown_sandbox_is_an_error() {
    let mut node = Node::new(T, WARM);
    let cooldown = node.targets.cooldown;
    let error = release(&mut node.pool, &key("nobody"), node.now, cooldown).unwrap_err();
    assert_eq!(error.0, key("nobody"));
}

fn holder(node: &Node, key: PodKey, address: std::net::Ipv4Addr) -> Holder {
    Holder {
        key,
        pod: pod("old"),
        address,
        device: DeviceIndex(0),
        card: vpc_model::NetworkCard(0),
        since: node.now,
    }
}

#[test]
fn a_sandbox_that_an_early_upstream_recorded_is_released_by_its_container_id() {
    let mut node = Node::new(T, WARM);
    let old = PodKey {
        network: "_migrated-from-cri".to_owned(),
        container_id: "abc".to_owned(),
        if_name: "unknown".to_owned(),
    };
    let mut ledger = Ledger::default();
    let address = "10.0.0.77".parse().unwrap();
    ledger.allocate(holder(&node, old.clone(), address));
    node.pool = Pool::new(ledger);
    let cooldown = node.targets.cooldown;
    let released = release(&mut node.pool, &key("abc"), node.now, cooldown).unwrap();
    assert_eq!((released.key, released.address), (old, address));
    assert_eq!(node.pool.allocated(), 0);
}

#[test]
fn allocations_and_cooldowns_survive_a_restart_whatever_metadata_shows_first() {
    let mut node = Node::new(T, WarmTarget::Enis(0));
    node.settle();
    let kept = node.allocate("kept").unwrap();
    let cooled = node.allocate("gone").unwrap().address;
    node.remove("gone");
    let ledger = node.pool.to_ledger();
    let primary = node.primary();
    let eni = node.pool.eni(&primary).unwrap().clone();

    let mut pool = Pool::new(ledger);
    // Before any ENI is known: the pod has its address, and its DEL would find it.
    let early = held(&pool, &key("kept")).unwrap();
    assert_eq!((early.address, early.eni), (kept.address, None));
    assert!(allocate(&mut pool, &key("new"), &pod("new"), node.now).is_err());
    let found = vpc_ipam::NewEni {
        id: eni.id.clone(),
        kind: eni.kind,
        exclusion: None,
        mac: eni.mac,
        card: eni.card,
        device: eni.device,
        subnet: eni.subnet.clone(),
        subnet_cidr: eni.subnet_cidr,
        primary: eni.primary,
        slots: node.cloud_slots(&primary),
        attached_at: None,
    };
    pool.apply(Event::EniFound(found), node.now);
    pool.check().unwrap();
    assert_eq!(held(&pool, &key("kept")).unwrap().eni, Some(eni.id));
    let mut others = Vec::new();
    while let Ok(got) = allocate(
        &mut pool,
        &key(&others.len().to_string()),
        &pod("x"),
        node.now,
    ) {
        others.push(got.address);
    }
    assert_eq!(others.len(), 1);
    assert!(!others.contains(&cooled));
    assert!(!others.contains(&kept.address));
}
