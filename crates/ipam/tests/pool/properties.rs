//! What holds for any journal, any checkpoint, any pool and any news.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;
use vpc_ipam::checkpoint::{export, import};
use vpc_ipam::journal::{self, HEADER, Record, replay};
use vpc_ipam::ledger::{Holder, Ledger};
use vpc_model::{DeviceIndex, Ipv4Prefix, NetworkCard, PodKey, PodName, Timestamp};

/// So few that they meet often.
fn address() -> impl Strategy<Value = Ipv4Addr> {
    (0..40_u32).prop_map(|last| Ipv4Addr::from(0x0a00_0000 + last))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..50_u64).prop_map(|seconds| Timestamp::from_millis(seconds * 1_000))
}

fn key() -> impl Strategy<Value = PodKey> {
    (0..12_u32).prop_map(|number| crate::executor::key(&format!("pod-{number}")))
}

fn holder() -> impl Strategy<Value = Holder> {
    (key(), address(), 0..4_u8, time()).prop_map(|(key, address, device, since)| Holder {
        pod: crate::executor::pod(&key.container_id),
        key,
        address,
        device: DeviceIndex(device),
        card: NetworkCard(0),
        since,
    })
}

fn record() -> impl Strategy<Value = Record> {
    let eni = || (0..3_u32).prop_map(|number| format!("eni-{number}").parse().unwrap());
    let token = || (0..5_u32).prop_map(|number| format!("token-{number}"));
    let prefix = address().prop_map(Ipv4Prefix::containing);
    prop_oneof![
        6 => holder().prop_map(|holder| Record::Allocate { holder }),
        4 => (key(), time()).prop_map(|(key, until)| Record::Release { key, until }),
        1 => (address(), time()).prop_map(|(address, until)| Record::Cooling { address, until }),
        1 => (eni(), vec(address(), 0..3), vec(prefix, 0..2), time()).prop_map(
            |(eni, addresses, prefixes, until)| {
                Record::GiveBack { eni, addresses, prefixes, until }
            }
        ),
        1 => (eni(), time()).prop_map(|(eni, until)| Record::ReturnEni { eni, until }),
        1 => (token(), time()).prop_map(|(token, at)| Record::CreateEni { token, at }),
        1 => token().prop_map(|token| Record::CreateEniDone { token }),
    ]
}

fn file(records: &[Record]) -> Vec<u8> {
    let lines = records.iter().map(journal::encode);
    let text: String = std::iter::once(HEADER.to_owned()).chain(lines).collect();
    text.into_bytes()
}

/// Allocations and cooldowns, as a reader with a pencil would keep them.
#[derive(Debug, Default, PartialEq)]
struct Book {
    held: Vec<(PodKey, Ipv4Addr)>,
    resting: BTreeMap<Ipv4Addr, Timestamp>,
}

impl Book {
    fn read(records: &[Record]) -> Self {
        let mut book = Self::default();
        for record in records {
            book.note(record);
        }
        book.held.sort();
        book
    }

    fn note(&mut self, record: &Record) {
        match record {
            Record::Allocate { holder } => {
                self.held
                    .retain(|(key, address)| *key != holder.key && *address != holder.address);
                self.held.push((holder.key.clone(), holder.address));
                self.resting.remove(&holder.address);
            }
            Record::Release { key, until } => {
                if let Some(at) = self.held.iter().position(|(held, _)| held == key) {
                    let (_, address) = self.held.remove(at);
                    self.resting.insert(address, *until);
                }
            }
            Record::Cooling { address, until } => {
                self.resting.insert(*address, *until);
            }
            Record::GiveBack { .. }
            | Record::ReturnEni { .. }
            | Record::CreateEni { .. }
            | Record::CreateEniDone { .. } => {}
        }
    }

    fn of(ledger: &Ledger) -> Self {
        let holders = ledger.holders();
        Self {
            held: holders
                .map(|holder| (holder.key.clone(), holder.address))
                .collect(),
            resting: ledger.cooling().collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_journal_means_what_its_records_say_one_after_the_other(records in vec(record(), 0..40)) {
        let replayed = replay(&file(&records)).unwrap();
        prop_assert_eq!(replayed.records, records.len());
        prop_assert_eq!(Book::of(&replayed.ledger), Book::read(&records));
        let held: BTreeSet<_> = replayed.ledger.holders().map(|holder| holder.address).collect();
        prop_assert_eq!(held.len(), replayed.ledger.len(), "an address is held twice");
    }

    #[test]
    fn a_compacted_journal_says_the_same(records in vec(record(), 0..40)) {
        let before = replay(&file(&records)).unwrap();
        let compacted = journal::compact(&before.ledger, &before.open_creations);
        let after = replay(&file(&compacted)).unwrap();
        prop_assert_eq!(&after.ledger, &before.ledger);
        prop_assert_eq!(&after.open_creations, &before.open_creations);
        let again = journal::compact(&after.ledger, &after.open_creations);
        prop_assert_eq!(again, compacted, "compacting is a fixed point");
    }

    #[test]
    fn cut_anywhere_a_journal_says_what_its_whole_records_say(
        records in vec(record(), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = file(&records);
        let cut = cut.index(bytes.len() + 1);
        let replayed = replay(&bytes[..cut]).unwrap();
        let whole = &records[..replayed.records];
        prop_assert_eq!(&replayed.ledger, &replay(&file(whole)).unwrap().ledger);
        prop_assert_eq!(replayed.valid + replayed.torn, cut);
        // What is left when the torn tail is cut off can be appended to.
        if cut >= HEADER.len() {
            let mut mended = bytes[..replayed.valid].to_vec();
            mended.extend(&file(&records)[HEADER.len()..]);
            prop_assert_eq!(replay(&mended).unwrap().records, replayed.records + records.len());
        }
    }

    #[test]
    fn a_damaged_journal_is_refused_or_loses_its_last_record_and_never_says_something_else(
        records in vec(record(), 1..12),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let mut bytes = file(&records);
        let at = at.index(bytes.len());
        // Without the end of a line two records are one line, which may be the torn one.
        let lines = if bytes[at] == b'\n' { 2 } else { 1 };
        bytes[at] ^= flip;
        if let Ok(replayed) = replay(&bytes) {
            prop_assert!(replayed.records + lines >= records.len());
            let whole = &records[..replayed.records];
            prop_assert_eq!(replayed.ledger, replay(&file(whole)).unwrap().ledger);
        }
    }

    #[test]
    fn what_is_exported_is_imported_the_same(
        holders in vec((holder(), any::<[String; 5]>(), 0..9_000_000_000_000_u64), 0..20),
    ) {
        let mut ledger = Ledger::default();
        for (holder, [network, container_id, if_name, namespace, name], millis) in holders {
            ledger.allocate(Holder {
                key: PodKey { network, container_id, if_name },
                pod: PodName { namespace, name },
                since: Timestamp::from_millis(millis),
                // The file does not know it.
                device: DeviceIndex(0),
                ..holder
            });
        }
        let imported = import(export(&ledger).as_bytes(), NetworkCard(0)).unwrap();
        prop_assert_eq!(imported.passed_over, []);
        let expected: Vec<_> = ledger.holders().cloned().collect();
        prop_assert_eq!(&imported.holders, &expected);
        let mut again = Ledger::default();
        for holder in imported.holders {
            again.allocate(holder);
        }
        prop_assert_eq!(export(&again), export(&ledger));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = replay(&bytes);
        let _ = import(&bytes, NetworkCard(0));
        let _ = replay(&[HEADER.as_bytes(), &bytes].concat());
    }
}
