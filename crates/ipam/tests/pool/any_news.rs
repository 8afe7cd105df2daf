//! What holds for any news, in any order, sensible or not: and which address a pod gets then.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use vpc_ipam::allocate::held;
use vpc_ipam::classify::Exclusion;
use vpc_ipam::ledger::Ledger;
use vpc_ipam::{
    AddressState, Ask, CreationId, Eni, EniKind, Event, Mode, NewEni, Pool, Refusal, SlotKind,
    Slots, allocate, release,
};
use vpc_model::{DeviceIndex, EniId, Ipv4Prefix, MacAddress, NetworkCard, Timestamp};

use crate::executor::{key, pod};

const COOLDOWN: Duration = Duration::from_secs(30);

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    News(Event),
    Add(u32),
    Del(u32),
    Pass(u64),
    Restart,
}

fn eni(number: u8) -> EniId {
    format!("eni-{number}").parse().unwrap()
}

/// Three blocks, in which single addresses and prefixes get into each other's way.
fn slots() -> impl Strategy<Value = Slots> {
    let addresses: Vec<_> = (0..48_u32)
        .map(|last| Ipv4Addr::from(0x0a00_0010 + last))
        .collect();
    let prefixes: Vec<_> = addresses
        .iter()
        .step_by(16)
        .map(|first| Ipv4Prefix::containing(*first))
        .collect();
    prop_oneof![
        subsequence(addresses, 0..6).prop_map(Slots::of_addresses),
        subsequence(prefixes, 0..3).prop_map(Slots::of_prefixes),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    (1..4_u32, any::<bool>()).prop_map(|(count, prefixes)| {
        if prefixes {
            Ask::Prefixes(count)
        } else {
            Ask::Addresses(count)
        }
    })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        Just(Refusal::SubnetFull),
        Just(Refusal::NoBlock),
        Just(Refusal::EniFull),
        Just(Refusal::NoSuchEni),
        Just(Refusal::TooManyEnis),
        Just(Refusal::PlaceTaken),
        Just(Refusal::Other),
    ]
}

fn kind() -> impl Strategy<Value = EniKind> {
    prop_oneof![
        6 => Just(EniKind::Secondary),
        1 => Just(EniKind::Trunk),
        1 => Just(EniKind::Efa),
        1 => Just(EniKind::EfaOnly),
    ]
}

fn exclusion() -> impl Strategy<Value = Option<Exclusion>> {
    prop_oneof![5 => Just(None), 1 => Just(Some(Exclusion::NoManage))]
}

/// ENI `n` is at device `n`: EC2 attaches no two at one place.
fn new_eni() -> impl Strategy<Value = NewEni> {
    (0..4_u8, kind(), exclusion(), slots()).prop_map(|(number, kind, exclusion, slots)| NewEni {
        id: eni(number),
        kind,
        exclusion,
        mac: MacAddress([2, 0, 0, 0, 0, number]),
        card: NetworkCard(0),
        device: DeviceIndex(number),
        subnet: "subnet-1".parse().unwrap(),
        subnet_cidr: "10.0.0.0/16".parse().unwrap(),
        primary: Ipv4Addr::new(10, 0, 9, number),
        slots,
        attached_at: None,
    })
}

/// News of an ENI, whether it is known or not.
fn news_of_an_eni() -> impl Strategy<Value = Event> {
    let no = || "no".to_owned();
    prop_oneof![
        6 => new_eni().prop_map(Event::EniFound),
        3 => (0..4_u8, ask()).prop_map(|(eni_, ask)| Event::AssignBegun { eni: eni(eni_), ask }),
        6 => (0..4_u8, ask(), slots())
            .prop_map(|(number, ask, slots)| Event::Assigned { eni: eni(number), ask, slots }),
        2 => (0..4_u8, ask(), refusal()).prop_map(move |(number, ask, refusal)| {
            Event::AssignFailed { eni: eni(number), ask, refusal, reason: no() }
        }),
        4 => (0..4_u8, slots()).prop_map(|(number, slots)| Event::SlotsFound {
            eni: eni(number),
            slots
        }),
        3 => (0..4_u8, slots()).prop_map(|(number, slots)| Event::SlotsLost {
            eni: eni(number),
            slots
        }),
        3 => (0..4_u8, slots()).prop_map(|(number, slots)| Event::UnassignBegun {
            eni: eni(number),
            slots
        }),
        3 => (0..4_u8, slots()).prop_map(|(number, slots)| Event::Unassigned {
            eni: eni(number),
            slots
        }),
        2 => (0..4_u8, slots()).prop_map(move |(number, slots)| Event::UnassignFailed {
            eni: eni(number),
            slots,
            reason: no()
        }),
        1 => (0..4_u8).prop_map(|number| Event::ReturnBegun { eni: eni(number) }),
        1 => (0..4_u8).prop_map(|number| Event::Returned { eni: eni(number) }),
        1 => (0..4_u8).prop_map(move |number| Event::ReturnFailed { eni: eni(number), reason: no() }),
        1 => (0..4_u8).prop_map(|number| Event::EniLost { eni: eni(number) }),
        1 => (0..4_u8, kind(), exclusion()).prop_map(|(number, kind, exclusion)| {
            Event::Reclassified { eni: eni(number), kind, exclusion }
        }),
    ]
}

/// News of a creation. Its ENI is at the device that has its number.
fn news_of_a_creation() -> impl Strategy<Value = Event> {
    let begun = (4..7_u8, ask()).prop_map(|(device, ask)| Event::CreationBegun {
        creation: CreationId(u64::from(device)),
        device: DeviceIndex(device),
        subnet: "subnet-1".parse().unwrap(),
        ask,
    });
    let attaching = (4..7_u8).prop_map(|device| Event::CreationAttaching {
        creation: CreationId(u64::from(device)),
        eni: eni(device),
    });
    let created = (4..7_u8, slots(), new_eni()).prop_map(|(device, slots, new)| Event::Created {
        creation: CreationId(u64::from(device)),
        eni: NewEni {
            id: eni(device),
            device: DeviceIndex(device),
            slots,
            ..new
        },
    });
    let failed = (4..7_u8, refusal()).prop_map(|(device, refusal)| Event::CreationFailed {
        creation: CreationId(u64::from(device)),
        refusal,
        reason: "no".to_owned(),
    });
    prop_oneof![2 => begun, 1 => attaching, 2 => created, 1 => failed]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => news_of_an_eni().prop_map(Step::News),
        2 => news_of_a_creation().prop_map(Step::News),
        8 => (0..30_u32).prop_map(Step::Add),
        5 => (0..30_u32).prop_map(Step::Del),
        2 => (1..40_u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

/// The address that the rules of `allocate` name, found by looking at all of them.
fn by_the_rules(pool: &Pool) -> Option<Ipv4Addr> {
    let wanted = pool.mode().slot();
    let mut found = [wanted, wanted.other()]
        .into_iter()
        .filter_map(|kind| of_the_fullest_eni(pool, kind));
    found.next()
}

fn of_the_fullest_eni(pool: &Pool, kind: SlotKind) -> Option<Ipv4Addr> {
    let givers = pool.enis().filter(|eni| eni.gives_addresses());
    let with_free = givers.filter(|eni| !free(eni, kind).is_empty());
    let fullest =
        with_free.min_by_key(|eni| (Reverse(eni.allocated()), eni.since, eni.id.clone()))?;
    let pods_beside = |address: Ipv4Addr| match kind {
        SlotKind::Address => (0, None),
        SlotKind::Prefix => {
            let prefix = Ipv4Prefix::containing(address);
            let beside = prefix.addresses();
            let is_held = |address: &Ipv4Addr| {
                matches!(fullest.state_of(*address), Some(AddressState::Allocated(_)))
            };
            (beside.filter(is_held).count(), Some(prefix))
        }
    };
    let free = free(fullest, kind).into_iter();
    let best = free.min_by_key(|(since, address)| {
        let (pods, prefix) = pods_beside(*address);
        (Reverse(pods), prefix, *since, *address)
    });
    best.map(|(_, address)| address)
}

fn free(eni: &Eni, kind: SlotKind) -> Vec<(Timestamp, Ipv4Addr)> {
    let in_prefix = |address: Ipv4Addr| {
        let mut prefixes = eni.prefixes();
        prefixes.any(|(prefix, _)| prefix.contains(address))
    };
    let all = eni.addresses();
    let free = all.filter_map(|(address, state)| match state {
        AddressState::Free { since } => Some((*since, address)),
        AddressState::Allocated(_) | AddressState::Cooling { .. } | AddressState::Unassigning => {
            None
        }
    });
    free.filter(|(_, address)| in_prefix(*address) == (kind == SlotKind::Prefix))
        .collect()
}

/// What pods have, and since when what they had rests: kept from the answers alone.
#[derive(Default)]
struct Book {
    held: BTreeMap<u32, Ipv4Addr>,
    released: BTreeMap<Ipv4Addr, Timestamp>,
}

/// Lets a step happen; says what is wrong with its answer.
fn happen(
    pool: &mut Pool,
    book: &mut Book,
    now: &mut Timestamp,
    step: Step,
) -> Result<(), TestCaseError> {
    match step {
        // Our own doing, and only where nothing is.
        Step::News(Event::CreationBegun { device, .. })
            if pool.enis().any(|eni| eni.device == device) => {}
        Step::News(event) => pool.apply(event, *now),
        Step::Add(number) => {
            pool.advance(*now);
            let expected = by_the_rules(pool);
            let name = number.to_string();
            let got = allocate(pool, &key(&name), &pod(&name), *now).ok();
            let got = got.map(|got| got.address);
            if let Some(before) = book.held.get(&number) {
                prop_assert_eq!(got, Some(*before), "a repeated ADD");
                return Ok(());
            }
            prop_assert_eq!(got, expected, "not what the rules say");
            if let Some(address) = got {
                let other = book.held.iter().find(|(_, held)| **held == address);
                prop_assert_eq!(other, None, "{} is held already", address);
                let released = book.released.get(&address);
                let rested = released.is_none_or(|released| now.since(*released) >= COOLDOWN);
                prop_assert!(rested, "{address} rests");
                book.held.insert(number, address);
            }
        }
        Step::Del(number) => {
            let got = release(pool, &key(&number.to_string()), *now, COOLDOWN).ok();
            let got = got.map(|got| got.address);
            prop_assert_eq!(got, book.held.remove(&number), "DEL");
            book.released.extend(got.map(|address| (address, *now)));
        }
        Step::Pass(seconds) => *now = *now + Duration::from_secs(seconds),
        Step::Restart => *pool = Pool::new(pool.to_ledger()).in_mode(pool.mode()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_is_said_pods_keep_their_addresses_and_new_ones_get_what_the_rules_say(
        with_prefixes in any::<bool>(),
        steps in vec(step(), 1..120),
    ) {
        let mode = if with_prefixes { Mode::Prefixes } else { Mode::SecondaryIps };
        let mut pool = Pool::new(Ledger::default()).in_mode(mode);
        let (mut book, mut now) = (Book::default(), Timestamp::from_millis(1_000_000));
        for step in steps {
            happen(&mut pool, &mut book, &mut now, step)?;
            prop_assert_eq!(pool.check(), Ok(()));
            prop_assert_eq!(pool.allocated(), book.held.len());
            for (number, address) in &book.held {
                let found = held(&pool, &key(&number.to_string())).map(|held| held.address);
                prop_assert_eq!(found, Some(*address));
            }
        }
    }
}
