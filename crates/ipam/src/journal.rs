//! The journal of allocations: what a record looks like, and what a file of them means.
//!
//! The file begins with [`HEADER`]; then records follow, each a line:
//! eight hexadecimal digits of CRC-32 (IEEE 802.3) over the rest, a space, a JSON object, a
//! newline. Text, so that an operator can read it in a bad hour.
//!
//! A record that was cut off at the end of the file (power failed while it was written) is a torn
//! tail: it never took effect and is cut. A damaged record with whole ones behind it is an error:
//! the file is not guessed at.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vpc_model::{EniId, Ipv4Prefix, PodKey, Timestamp};

use crate::ledger::{Holder, Ledger, Slot};
use crate::plan::Work;
use crate::pool::{Event, Pool, Slots};

/// The first line of a journal.
pub const HEADER: &str = "vpc-cni-journal/1\n";

/// How long what was given back is not taken for ours because it is seen: instance metadata and
/// EC2's descriptions lag behind (upstream's reconcile waits for 60 s), and a call that was retried
/// takes effect late.
pub const REMEMBERED: Duration = Duration::from_secs(120);

/// How long what is written before EC2 is asked holds. The call may take effect as late as its last
/// attempt (eight, ten seconds each, with pauses), and is seen late from then on.
pub const INTENT: Duration = Duration::from_secs(300);

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Record {
    /// A sandbox got an address.
    Allocate {
        /// Who and what.
        #[serde(flatten)]
        holder: Holder,
    },
    /// A sandbox gave its address back; it rests until then.
    Release {
        /// The sandbox.
        key: PodKey,
        /// The end of the cooldown.
        until: Timestamp,
    },
    /// An address rests until then (written when the journal is compacted).
    Cooling {
        /// The address.
        address: Ipv4Addr,
        /// The end of the cooldown.
        until: Timestamp,
    },
    /// Slots are about to be given back; written before EC2 is asked. Instance metadata may show
    /// them for a while although EC2 has taken them. One that EC2 did not take after all is, after
    /// a restart, only believed to be there when that time is over, or when a pod has it.
    GiveBack {
        /// Of which ENI.
        eni: EniId,
        /// Which secondary addresses.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        addresses: Vec<Ipv4Addr>,
        /// Which prefixes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        prefixes: Vec<Ipv4Prefix>,
        /// Until when metadata is not believed about them: [`INTENT`] from now, and [`REMEMBERED`]
        /// from when EC2 has answered.
        until: Timestamp,
    },
    /// An ENI is about to be given back; written before EC2 is asked, and again, with `until` = now,
    /// when EC2 did not take it.
    ReturnEni {
        /// Which.
        eni: EniId,
        /// Until when metadata is not believed about it: [`INTENT`] from now, and [`REMEMBERED`] from
        /// when EC2 has answered.
        until: Timestamp,
    },
    /// An ENI is about to be created; written before EC2 is asked.
    CreateEni {
        /// The client token of the request.
        token: String,
        /// When.
        at: Timestamp,
    },
    /// That creation has come to an end.
    CreateEniDone {
        /// The client token of the request.
        token: String,
    },
}

impl Record {
    /// What is to be written before EC2 is asked to take something back: metadata may go on showing
    /// as ours what is somebody else's by then. Requests for more need none; the creation of an
    /// ENI has its own record.
    #[must_use]
    pub fn of_intent(work: &Work, now: Timestamp) -> Option<Self> {
        let until = now + INTENT;
        match work {
            Work::Unassign { eni, slots } => Some(Self::give_back(eni, slots, until)),
            Work::Return { eni } => Some(Self::ReturnEni {
                eni: eni.clone(),
                until,
            }),
            Work::Create { .. } | Work::Assign { .. } => None,
        }
    }

    fn give_back(eni: &EniId, slots: &Slots, until: Timestamp) -> Self {
        Self::GiveBack {
            eni: eni.clone(),
            addresses: slots.addresses.clone(),
            prefixes: slots.prefixes.clone(),
            until,
        }
    }

    /// What is to be written before `event` is applied, so that a restart knows it: what EC2 has
    /// taken back, or says is gone, is shown by metadata for some time yet; what it did not take
    /// is ours still, and so is what it gave again.
    #[must_use]
    pub fn of_event(event: &Event, pool: &Pool, now: Timestamp) -> Option<Self> {
        let until = now + REMEMBERED;
        match event {
            Event::Assigned { eni, slots, .. } => {
                let left = |slot| {
                    pool.ledger().was_given_back(eni, slot, now) && !pool.is_leaving(eni, slot)
                };
                let addresses = slots.addresses.iter().copied();
                let prefixes = slots.prefixes.iter().copied();
                let again = Slots {
                    addresses: addresses.filter(|it| left(Slot::Address(*it))).collect(),
                    prefixes: prefixes.filter(|it| left(Slot::Prefix(*it))).collect(),
                };
                (!again.is_empty()).then(|| Self::give_back(eni, &again, now))
            }
            Event::SlotsLost { eni, slots } | Event::Unassigned { eni, slots } => {
                Some(Self::give_back(eni, slots, until))
            }
            Event::EniLost { eni } | Event::Returned { eni } => Some(Self::ReturnEni {
                eni: eni.clone(),
                until,
            }),
            Event::UnassignFailed { eni, slots, .. } => Some(Self::give_back(eni, slots, now)),
            Event::ReturnFailed { eni, .. } => Some(Self::ReturnEni {
                eni: eni.clone(),
                until: now,
            }),
            Event::EniFound(_)
            | Event::CreationBegun { .. }
            | Event::CreationAttaching { .. }
            | Event::Created { .. }
            | Event::CreationFailed { .. }
            | Event::AssignBegun { .. }
            | Event::AssignFailed { .. }
            | Event::SlotsFound { .. }
            | Event::UnassignBegun { .. }
            | Event::ReturnBegun { .. }
            | Event::Reclassified { .. } => None,
        }
    }
}

/// A journal that cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The file is something else.
    #[error("the file does not begin with {HEADER:?}: it is not a journal of this version")]
    Header,
    /// A damaged record with whole ones behind it.
    #[error(
        "the record at offset {offset} is damaged ({problem}) and others follow it; the file is \
         left as it is"
    )]
    Damaged {
        /// Where the record begins, in bytes from the start of the file.
        offset: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// What a journal says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Who holds what, and what rests.
    pub ledger: Ledger,
    /// Client tokens of creations without an end, oldest first.
    pub open_creations: Vec<(String, Timestamp)>,
    /// How many records there are.
    pub records: usize,
    /// How much of the file is whole, in bytes; what is behind is a torn tail.
    pub valid: usize,
    /// How much is not.
    pub torn: usize,
}

/// A record's line.
#[must_use]
pub fn encode(record: &Record) -> String {
    // A record is made of strings, numbers and addresses: none of them fails to serialise.
    let body = serde_json::to_string(record).unwrap_or_default();
    format!("{:08x} {body}\n", crc32(body.as_bytes()))
}

/// Reads a journal.
///
/// # Errors
/// The file is not a journal, or is damaged before its end.
pub fn replay(bytes: &[u8]) -> Result<Replay, JournalError> {
    let mut replay = Replay::default();
    if bytes.len() < HEADER.len() && HEADER.as_bytes().starts_with(bytes) {
        replay.torn = bytes.len();
        return Ok(replay);
    }
    if !bytes.starts_with(HEADER.as_bytes()) {
        return Err(JournalError::Header);
    }
    let mut offset = HEADER.len();
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        match (decode(line), end) {
            (Ok(record), Some(end)) => {
                apply(&mut replay, record);
                replay.records += 1;
                offset += end + 1;
            }
            (Err(problem), Some(end)) if end + 1 < rest.len() => {
                return Err(JournalError::Damaged { offset, problem });
            }
            (Ok(_) | Err(_), _) => break,
        }
    }
    replay.valid = offset;
    replay.torn = bytes.len() - offset;
    Ok(replay)
}

/// The records that say the same as a long history: a compacted journal.
#[must_use]
pub fn compact(ledger: &Ledger, open_creations: &[(String, Timestamp)]) -> Vec<Record> {
    let holders = ledger.holders().map(|holder| Record::Allocate {
        holder: holder.clone(),
    });
    let cooling = ledger
        .cooling()
        .map(|(address, until)| Record::Cooling { address, until });
    let given_back = ledger.given_back().map(|(eni, slot, until)| {
        let (addresses, prefixes) = match slot {
            Slot::Address(address) => (vec![address], Vec::new()),
            Slot::Prefix(prefix) => (Vec::new(), vec![prefix]),
        };
        Record::GiveBack {
            eni: eni.clone(),
            addresses,
            prefixes,
            until,
        }
    });
    let returned = ledger.returned().map(|(eni, until)| Record::ReturnEni {
        eni: eni.clone(),
        until,
    });
    let creations = open_creations.iter().map(|(token, at)| Record::CreateEni {
        token: token.clone(),
        at: *at,
    });
    holders
        .chain(cooling)
        .chain(given_back)
        .chain(returned)
        .chain(creations)
        .collect()
}

fn apply(replay: &mut Replay, record: Record) {
    match record {
        Record::Allocate { holder } => replay.ledger.allocate(holder),
        Record::Release { key, until } => {
            replay.ledger.release(&key, until);
        }
        Record::Cooling { address, until } => replay.ledger.cool(address, until),
        Record::GiveBack {
            eni,
            addresses,
            prefixes,
            until,
        } => {
            let singles = addresses.into_iter().map(Slot::Address);
            for slot in singles.chain(prefixes.into_iter().map(Slot::Prefix)) {
                replay.ledger.give_back(&eni, slot, until);
            }
        }
        Record::ReturnEni { eni, until } => replay.ledger.return_eni(eni, until),
        Record::CreateEni { token, at } => replay.open_creations.push((token, at)),
        Record::CreateEniDone { token } => {
            replay.open_creations.retain(|(open, _)| *open != token);
        }
    }
}

fn decode(line: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not text".to_owned())?;
    let (sum, body) = text
        .split_once(' ')
        .ok_or_else(|| "no checksum".to_owned())?;
    let sum = u32::from_str_radix(sum, 16).map_err(|_| "no checksum".to_owned())?;
    if sum != crc32(body.as_bytes()) {
        return Err("the checksum does not match".to_owned());
    }
    serde_json::from_str(body).map_err(|error| error.to_string())
}

/// What each value of a byte does to the checksum.
const CRC_TABLE: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut row: u32 = 0;
    while row < 256 {
        let mut crc = row;
        let mut bit = 0;
        while bit < 8 {
            let lowest = crc & 1;
            crc >>= 1;
            if lowest == 1 {
                crc ^= 0xEDB8_8320;
            }
            bit += 1;
        }
        table[row as usize] = crc;
        row += 1;
    }
    table
}

/// CRC-32 as Ethernet, gzip and PNG use it (reflected, polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        let [lowest, ..] = (crc ^ u32::from(*byte)).to_le_bytes();
        (crc >> 8) ^ CRC_TABLE[usize::from(lowest)]
    });
    !crc
}

#[cfg(test)]
mod tests {
    use vpc_model::{DeviceIndex, NetworkCard, PodName};

    use super::*;
    use crate::pool::Ask;

    fn holder(name: &str, last: u8) -> Holder {
        Holder {
            key: PodKey {
                network: "aws-cni".to_owned(),
                container_id: name.to_owned(),
                if_name: "eth0".to_owned(),
            },
            pod: PodName {
                namespace: "default".to_owned(),
                name: name.to_owned(),
            },
            address: Ipv4Addr::new(10, 0, 1, last),
            device: DeviceIndex(1),
            card: NetworkCard(0),
            since: Timestamp::from_millis(5),
        }
    }

    fn journal(records: &[Record]) -> Vec<u8> {
        let mut text = HEADER.to_owned();
        text.extend(records.iter().map(encode));
        text.into_bytes()
    }

    fn some_records() -> Vec<Record> {
        let until = Timestamp::from_millis(30_000);
        vec![
            Record::Allocate {
                holder: holder("a", 10),
            },
            Record::Allocate {
                holder: holder("b", 11),
            },
            Record::CreateEni {
                token: "t1".to_owned(),
                at: until,
            },
            Record::Release {
                key: holder("a", 10).key,
                until,
            },
            Record::CreateEniDone {
                token: "t1".to_owned(),
            },
            Record::GiveBack {
                eni: "eni-1".parse().unwrap(),
                addresses: vec![Ipv4Addr::new(10, 0, 1, 12)],
                prefixes: vec![Ipv4Prefix::containing(Ipv4Addr::new(10, 0, 1, 32))],
                until,
            },
            Record::ReturnEni {
                eni: "eni-1".parse().unwrap(),
                until,
            },
            Record::CreateEni {
                token: "t2".to_owned(),
                at: until,
            },
        ]
    }

    #[test]
    fn the_checksum_is_the_one_everybody_uses() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_journal_replays_to_what_was_recorded() {
        let replay = replay(&journal(&some_records())).unwrap();
        assert_eq!(replay.records, 8);
        assert_eq!(replay.torn, 0);
        assert_eq!(replay.ledger.holders().count(), 1);
        assert_eq!(replay.ledger.cooling().count(), 1);
        assert_eq!(replay.ledger.given_back().count(), 2);
        assert_eq!(replay.ledger.returned().count(), 1);
        assert_eq!(replay.open_creations.len(), 1);
    }

    /// A single address of a prefix that was given back says nothing about the prefix.
    #[test]
    fn of_what_ec2_gives_that_is_remembered_which_was_given_back() {
        let eni: EniId = "eni-1".parse().unwrap();
        let address = Ipv4Addr::new(10, 0, 1, 32);
        let prefix = Slot::Prefix(Ipv4Prefix::containing(address));
        let (now, later) = (Timestamp::from_millis(1_000), Timestamp::from_millis(9_000));
        let mut ledger = Ledger::default();
        ledger.give_back(&eni, prefix, later);
        let pool = Pool::new(ledger.clone());
        let assigned = |slots| Event::Assigned {
            eni: eni.clone(),
            ask: Ask::Addresses(1),
            slots,
        };
        let other = assigned(Slots::of_addresses(vec![address]));
        assert_eq!(Record::of_event(&other, &pool, now), None);
        let again = assigned(Slots::of_prefixes(vec![Ipv4Prefix::containing(address)]));
        let record = Record::of_event(&again, &pool, now).unwrap();
        let mut records = compact(&ledger, &[]);
        records.push(record);
        let replay = replay(&journal(&records)).unwrap();
        assert!(!replay.ledger.was_given_back(&eni, prefix, now));
    }

    #[test]
    fn a_compacted_journal_says_the_same() {
        let long = replay(&journal(&some_records())).unwrap();
        let short = replay(&journal(&compact(&long.ledger, &long.open_creations))).unwrap();
        assert_eq!(short.ledger, long.ledger);
        assert_eq!(short.open_creations, long.open_creations);
    }

    #[test]
    fn cut_anywhere_it_replays_to_the_records_that_are_whole() {
        let records = some_records();
        let whole = journal(&records);
        for length in 0..whole.len() {
            let cut = replay(&whole[..length]).unwrap();
            assert_eq!(cut.valid + cut.torn, length, "cut at {length}");
            let again = replay(&whole[..cut.valid]).unwrap();
            assert_eq!(again.ledger, cut.ledger);
            assert_eq!(again.torn, 0);
        }
    }

    #[test]
    fn damage_before_the_end_is_an_error_that_names_the_offset() {
        let mut bytes = journal(&some_records());
        let at = HEADER.len() + 20;
        bytes[at] ^= 1;
        let error = replay(&bytes).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { offset, .. } if offset == HEADER.len()));
    }

    #[test]
    fn another_file_is_not_taken_for_a_journal() {
        assert_eq!(
            replay(b"{\"version\":\"vpc-cni-ipam/1\"}"),
            Err(JournalError::Header)
        );
    }
}
