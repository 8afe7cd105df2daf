//! How long allocate, release and plan take as the pool grows. `cargo bench -p vpc-ipam`.
//!
//! Prints nanoseconds per operation, the median of many rounds. Exits with 1 when allocate and
//! release take more than 2 µs each at 100,000 addresses, or a plan is not linear in ENIs.

// A benchmark is the one place in this crate that asks what time it is.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vpc_ipam::ledger::Ledger;
use vpc_ipam::{
    EniKind, Event, Facts, Mode, NewEni, Pool, Provisioning, Slots, Targets, WarmTarget, allocate,
    plan, release,
};
use vpc_model::{DeviceIndex, Ipv4Prefix, MacAddress, NetworkCard, PodKey, PodName, Timestamp};

/// The promise: what allocate and release may each take at 100,000 addresses.
const BUDGET: u128 = 2_000;

/// Pairs of a release and an allocate that are measured at once.
const ROUND: u32 = 64;

fn key(number: u32) -> PodKey {
    PodKey {
        network: "aws-cni".to_owned(),
        // As long as containerd's, and as little in order.
        container_id: format!(
            "{:064x}",
            u128::from(number)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
                .rotate_left(40)
        ),
        if_name: "eth0".to_owned(),
    }
}

fn pod(number: u32) -> PodName {
    PodName {
        namespace: "default".to_owned(),
        name: format!("deployment-7d9c-{number}"),
    }
}

/// A pool with that many ENIs, and addresses on each, none taken.
fn pool(mode: Mode, enis: u32, addresses: u32) -> Pool {
    let mut pool = Pool::new(Ledger::default()).in_mode(mode);
    for number in 0..enis {
        let first = u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number * 0x1_0000;
        let range = (first..first + addresses).map(Ipv4Addr::from);
        let slots = match mode {
            Mode::SecondaryIps => Slots::of_addresses(range.collect()),
            Mode::Prefixes => {
                Slots::of_prefixes(range.step_by(16).map(Ipv4Prefix::containing).collect())
            }
        };
        let found = NewEni {
            id: format!("eni-{number:08x}").parse().unwrap(),
            kind: if number == 0 {
                EniKind::Primary
            } else {
                EniKind::Secondary
            },
            exclusion: None,
            mac: MacAddress([2, 0, 0, 0, 0, 0]),
            card: NetworkCard(0),
            device: DeviceIndex(u8::try_from(number).unwrap()),
            subnet: "subnet-1".parse().unwrap(),
            subnet_cidr: "10.0.0.0/8".parse().unwrap(),
            primary: Ipv4Addr::from(first + 0xffff),
            slots,
            attached_at: None,
        };
        pool.apply(Event::EniFound(found), Timestamp::from_millis(1));
    }
    pool
}

fn median(mut rounds: Vec<Duration>, per_round: u32) -> u128 {
    rounds.sort();
    rounds[rounds.len() / 2].as_nanos() / u128::from(per_round)
}

/// Nanoseconds for an allocate and for a release in a pool nine tenths full.
fn verbs(mode: Mode, enis: u32, addresses: u32) -> (u128, u128) {
    let mut pool = pool(mode, enis, addresses);
    let mut now = Timestamp::from_millis(1_000);
    let full = enis * addresses * 9 / 10;
    let pods: Vec<_> = (0..full + 400 * ROUND)
        .map(|number| (key(number), pod(number)))
        .collect();
    for (key, pod) in &pods[..usize::try_from(full).unwrap()] {
        allocate(&mut pool, key, pod, now).unwrap();
    }
    let (mut adds, mut dels) = (Vec::new(), Vec::new());
    let mut next = full;
    let round = ROUND.min(enis * addresses / 20);
    for number in 0..400 {
        now = now + Duration::from_millis(100);
        let batch = |from: u32| from as usize..(from + round) as usize;
        let started = Instant::now();
        for (key, pod) in &pods[batch(next)] {
            allocate(&mut pool, key, pod, now).unwrap();
        }
        adds.push(started.elapsed());
        next += round;
        // Pods end in another order than they came.
        let gone = (number * 7_919 * round) % (full - round);
        let started = Instant::now();
        let mut released = 0;
        for (key, _) in pods[batch(gone)].iter().chain(&pods[batch(next - round)]) {
            if released == round {
                break;
            }
            if release(&mut pool, key, now, Duration::from_millis(50)).is_ok() {
                released += 1;
            }
        }
        dels.push(started.elapsed());
    }
    (median(adds, round), median(dels, round))
}

/// Nanoseconds for a plan that finds nothing to do.
fn planning(enis: u32) -> u128 {
    let mut pool = pool(Mode::SecondaryIps, enis, 49);
    let now = Timestamp::from_millis(1_000_000);
    for number in 0..enis * 49 - 5 {
        allocate(&mut pool, &key(number), &pod(number), now).unwrap();
    }
    let targets = Targets {
        warm: WarmTarget::Ips {
            warm: 5,
            minimum: 0,
        },
        max_enis: enis,
        per_eni: 49,
        max_pods: None,
        cooldown: Duration::from_secs(30),
        eni_min_age: Duration::from_secs(60),
        return_delay: Duration::from_secs(30),
    };
    let facts = Facts {
        demand: 0,
        provisioning: Provisioning::Enabled,
        subnets: Vec::new(),
        reserved_enis: 0,
    };
    let rounds = (0..400).map(|_| {
        let started = Instant::now();
        for _ in 0..ROUND {
            assert!(plan(&pool, &targets, &facts, now).actions.is_empty());
        }
        started.elapsed()
    });
    median(rounds.collect(), ROUND)
}

fn main() -> ExitCode {
    let mut kept = true;
    println!(
        "{:>10} {:>12} {:>14} {:>14}",
        "addresses", "mode", "allocate ns", "release ns"
    );
    for mode in [Mode::SecondaryIps, Mode::Prefixes] {
        for (enis, addresses) in [(2, 48), (4, 256), (10, 1_008), (100, 1_008)] {
            let (add, del) = verbs(mode, enis, addresses);
            let total = enis * addresses;
            println!(
                "{total:>10} {:>12} {add:>14} {del:>14}",
                format!("{mode:?}")
            );
            kept &= add <= BUDGET && del <= BUDGET;
        }
    }
    println!("{:>10} {:>14} {:>14}", "ENIs", "plan ns", "ns per ENI");
    let mut each = Vec::new();
    for enis in [2, 8, 32, 96] {
        let nanos = planning(enis);
        each.push(nanos / u128::from(enis));
        println!("{enis:>10} {nanos:>14} {:>14}", nanos / u128::from(enis));
    }
    // Linear but for what no longer fits the nearest cache.
    kept &= each.last() <= each.first().map(|first| first * 3).as_ref();
    if kept {
        ExitCode::SUCCESS
    } else {
        println!("a budget is exceeded");
        ExitCode::FAILURE
    }
}
