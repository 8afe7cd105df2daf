//! What a node holds at rest with given targets, pods and instance type: upstream's documented
//! tables, reached by executing plans until nothing is left to do. Where upstream's documents and
//! its formulas disagree, the formulas count.

use crate::executor::{Node, P, T};
use vpc_ipam::{Mode, WarmTarget};

/// Pods; slots per ENI; free addresses.
type Row<'a> = (u32, &'a [u32], u32);

fn check(mode: Mode, shape: (u32, u32), warm: WarmTarget, rows: &[Row<'_>]) {
    for (pods, slots, unused) in rows {
        let mut node = Node::in_subnets(shape, mode, warm, &["10.0.0.0/16"]);
        node.add_pods(*pods);
        node.settle();
        let row = format!("{warm:?} with {pods} pods");
        assert_eq!(node.slots(mode.slot()), *slots, "{row}");
        assert_eq!(node.pool.enis().count(), slots.len(), "{row}");
        assert_eq!(node.free(), *unused, "{row}");
        let total: u32 = slots.iter().sum::<u32>() * mode.slot().addresses();
        assert_eq!((node.total(), pods + unused), (total, total), "{row}");
    }
}

fn secondary(shape: (u32, u32), warm: WarmTarget, rows: &[Row<'_>]) {
    check(Mode::SecondaryIps, shape, warm, rows);
}

fn prefixes(shape: (u32, u32), warm: WarmTarget, rows: &[Row<'_>]) {
    check(Mode::Prefixes, shape, warm, rows);
}

const fn ips(warm: u32, minimum: u32) -> WarmTarget {
    WarmTarget::Ips { warm, minimum }
}

#[test]
fn one_warm_eni_on_a_small_node() {
    let rows: &[Row<'_>] = &[(0, &[3], 3), (5, &[3, 3, 3], 4), (9, &[3, 3, 3], 0)];
    secondary(T, WarmTarget::Enis(1), rows);
}

#[test]
fn one_warm_address_and_a_minimum_of_one_on_a_small_node() {
    let rows: &[Row<'_>] = &[(0, &[1], 1), (5, &[3, 3], 1), (9, &[3, 3, 3], 0)];
    secondary(T, ips(1, 1), rows);
}

#[test]
fn two_warm_addresses_and_a_minimum_of_five_on_a_small_node() {
    let rows: &[Row<'_>] = &[(0, &[3, 2], 5), (5, &[3, 3, 1], 2), (9, &[3, 3, 3], 0)];
    secondary(T, ips(2, 5), rows);
}

#[test]
fn one_warm_eni_on_a_large_node() {
    let rows: &[Row<'_>] = &[(0, &[49], 49), (3, &[49, 49], 95), (95, &[49, 49, 49], 52)];
    secondary(P, WarmTarget::Enis(1), rows);
}

#[test]
fn five_warm_addresses_and_a_minimum_of_ten_on_a_large_node() {
    let rows: &[Row<'_>] = &[
        (0, &[10], 10),
        (7, &[12], 5),
        (15, &[20], 5),
        (45, &[49, 1], 5),
    ];
    secondary(P, ips(5, 10), rows);
}

#[test]
fn one_warm_prefix_on_a_small_node() {
    let rows: &[Row<'_>] = &[
        (0, &[1], 16),
        (5, &[2], 27),
        (16, &[2], 16),
        (17, &[3], 31),
        (58, &[3, 2], 22),
    ];
    prefixes(T, WarmTarget::Prefixes(1), rows);
}

#[test]
fn one_warm_address_and_a_minimum_of_one_with_prefixes_on_a_small_node() {
    let rows: &[Row<'_>] = &[
        (0, &[1], 16),
        (5, &[1], 11),
        (17, &[2], 15),
        (58, &[3, 1], 6),
    ];
    prefixes(T, ips(1, 1), rows);
}

/// Upstream's document says one prefix without pods; its formula, and it, take two.
#[test]
fn seven_warm_addresses_and_a_minimum_of_twenty_with_prefixes_on_a_small_node() {
    let rows: &[Row<'_>] = &[
        (0, &[2], 32),
        (5, &[2], 27),
        (17, &[2], 15),
        (58, &[3, 2], 22),
    ];
    prefixes(T, ips(7, 20), rows);
}

/// Upstream's document shows two and three ENIs; one has room for all.
#[test]
fn one_warm_prefix_on_a_large_node() {
    let rows: &[Row<'_>] = &[(0, &[1], 16), (3, &[2], 29), (95, &[7], 17)];
    prefixes(P, WarmTarget::Prefixes(1), rows);
}

/// Upstream's document shows two ENIs with 45 pods; one has room for all.
#[test]
fn five_warm_addresses_and_a_minimum_of_ten_with_prefixes_on_a_large_node() {
    let rows: &[Row<'_>] = &[(0, &[1], 16), (7, &[1], 9), (15, &[2], 17), (45, &[4], 19)];
    prefixes(P, ips(5, 10), rows);
}

#[test]
fn a_burst_and_its_end_give_enis_back() {
    for warm in [WarmTarget::Enis(1), ips(2, 5)] {
        let mut node = Node::new(T, warm);
        node.settle();
        let before: u32 = node.total();
        node.add_pods(9);
        assert_eq!(node.per_eni(), [3, 3, 3]);
        for pod in 0..9 {
            node.remove(&format!("pod-{pod}"));
        }
        node.rest();
        assert!(node.total() <= before + 3, "{warm:?}: {:?}", node.per_eni());
        assert!(node.per_eni().len() < 3, "{warm:?}: {:?}", node.per_eni());
    }
}

#[test]
fn a_burst_and_its_end_give_prefixes_back() {
    for (warm, rest) in [(WarmTarget::Prefixes(1), 1), (ips(7, 20), 2)] {
        let mut node = Node::with_prefixes(T, warm);
        node.add_pods(58);
        assert_eq!(node.prefixes(), [3, 2]);
        for pod in 0..58 {
            node.remove(&format!("pod-{pod}"));
        }
        node.rest();
        assert_eq!(node.prefixes(), [rest], "{warm:?}");
        assert_eq!(node.pool.enis().count(), 1);
    }
}
