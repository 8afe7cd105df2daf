//! What placement is worth: the same history with our placement and with upstream's, which takes
//! a random ENI, a random prefix of it and a random address.

// The cloud in memory is the integration tests'; this uses a part of it.
#[allow(dead_code, unused_imports)]
#[path = "../../tests/pool/executor/mod.rs"]
mod executor;
#[allow(dead_code)]
#[path = "../../tests/pool/history/random.rs"]
mod random;

use executor::{Node, key, pod};
use random::Random;

use super::*;
use crate::{Mode, WarmTarget};

/// Who chooses the address.
#[derive(Clone, Copy)]
enum Placement {
    Ours,
    Random,
}

/// An address that upstream might have chosen.
fn random_free(node: &Node, random: &mut Random) -> Option<(EniId, Ipv4Addr)> {
    let enis: Vec<_> = node.pool.enis().filter(|eni| eni.free() > 0).collect();
    let eni = *random.pick(&enis)?;
    let is_free = |state: &AddressState| matches!(state, AddressState::Free { .. });
    let free = eni.addresses().filter(|(_, state)| is_free(state));
    let free: Vec<_> = free.map(|(address, _)| address).collect();
    let blocks = |address: &Ipv4Addr| vpc_model::Ipv4Prefix::containing(*address);
    let mut prefixes: Vec<_> = free.iter().map(blocks).collect();
    prefixes.dedup();
    let prefix = *random.pick(&prefixes)?;
    let inside: Vec<_> = free
        .into_iter()
        .filter(|address| prefix.contains(*address))
        .collect();
    Some((eni.id.clone(), *random.pick(&inside)?))
}

fn add(node: &mut Node, name: &str, placement: Placement, random: &mut Random) {
    match placement {
        Placement::Ours => {
            node.allocate(name).unwrap();
        }
        Placement::Random => {
            let (eni, address) = random_free(node, random).unwrap();
            let holder = Holder {
                key: key(name),
                pod: pod(name),
                address,
                device: DeviceIndex(0),
                card: NetworkCard(0),
                since: node.now,
            };
            node.pool.hold(&eni, address, holder);
        }
    }
}

/// Addresses held, summed over the minutes of a history: some fifteen pods that come and go, and
/// every two hours a burst of eighty that end within half an hour.
fn held_over_time(mode: Mode, warm: WarmTarget, placement: Placement, seed: u64) -> u64 {
    let mut history = Random::new(seed);
    let mut choice = Random::new(!seed);
    let mut node = Node::in_subnets((8, 14), mode, warm, &["10.0.0.0/16"]);
    let mut pods: Vec<(u64, String)> = Vec::new();
    let mut sum = 0;
    for minute in 0..600 {
        let burst = if minute % 120 == 0 { 80 } else { 0 };
        for number in 0..=burst {
            let lives = 5 + history.below(if number == 0 { 20 } else { 25 });
            let name = format!("pod-{minute}-{number}");
            node.settle_in_steps(1);
            add(&mut node, &name, placement, &mut choice);
            pods.push((minute + lives, name));
        }
        pods.retain(|(end, name)| {
            if *end == minute {
                node.remove(name);
            }
            *end != minute
        });
        node.pass(60);
        node.settle_in_steps(0);
        sum += u64::from(node.total());
    }
    sum
}

#[test]
fn random_placement_holds_a_quarter_more_for_longer_where_prefixes_are_counted() {
    let warm = WarmTarget::Prefixes(1);
    let total = |placement| -> u64 {
        let seeds = 0..5;
        seeds
            .map(|seed| held_over_time(Mode::Prefixes, warm, placement, seed))
            .sum()
    };
    let (ours, random) = (total(Placement::Ours), total(Placement::Random));
    assert!(random * 100 >= ours * 125, "ours {ours}, random {random}");
}

#[test]
fn random_placement_holds_a_quarter_more_for_longer_where_enis_are_counted() {
    let warm = WarmTarget::Enis(1);
    let total = |placement| -> u64 {
        let seeds = 0..5;
        seeds
            .map(|seed| held_over_time(Mode::SecondaryIps, warm, placement, seed))
            .sum()
    };
    let (ours, random) = (total(Placement::Ours), total(Placement::Random));
    assert!(random * 100 >= ours * 125, "ours {ours}, random {random}");
}
