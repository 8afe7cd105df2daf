//! Neighbour entries: `RTM_*NEIGH` messages (`struct ndmsg` and `NDA_*`, linux/neighbour.h).

use vpc_model::MacAddress;

use super::attributes::{self, Writer};
use super::family_of;
use super::socket::{Batch, CREATE, REPLACE};
use crate::state::{Dev, Neighbour};

const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
pub(crate) const RTM_GETNEIGH: u16 = 30;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
/// `NUD_PERMANENT`: never asked for, never forgotten.
const PERMANENT: u16 = 0x80;
/// The length of `struct ndmsg`.
const HEADER: usize = 12;

/// Sets a permanent entry.
pub(crate) fn replace(batch: &mut Batch, neighbour: &Neighbour) {
    batch.push(RTM_NEWNEIGH, CREATE | REPLACE, |bytes| {
        write(bytes, neighbour);
    });
}

/// Takes an entry away.
pub(crate) fn delete(batch: &mut Batch, neighbour: &Neighbour) {
    batch.push(RTM_DELNEIGH, 0, |bytes| write(bytes, neighbour));
}

fn write(bytes: &mut Vec<u8>, neighbour: &Neighbour) {
    header(
        bytes,
        family_of(neighbour.address),
        neighbour.dev.index,
        PERMANENT,
    );
    Writer(bytes)
        .address(NDA_DST, neighbour.address)
        .bytes(NDA_LLADDR, &neighbour.mac.octets());
}

/// The payload that asks for all IPv4 entries.
pub(crate) fn all() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    header(&mut bytes, super::AF_INET, 0, 0);
    bytes
}

fn header(bytes: &mut Vec<u8>, family: u8, index: u32, state: u16) {
    bytes.extend_from_slice(&[family, 0, 0, 0]);
    bytes.extend_from_slice(&index.to_ne_bytes());
    bytes.extend_from_slice(&state.to_ne_bytes());
    bytes.extend_from_slice(&[0, 0]);
}

/// Reads an `RTM_NEWNEIGH` message: `None` where it is of another link or not permanent.
pub(crate) fn decode(payload: &[u8], dev: &Dev) -> Option<Neighbour> {
    let permanent = attributes::short(payload, 8)? & PERMANENT != 0;
    if attributes::number(payload, 4)? != dev.index || !permanent {
        return None;
    }
    let (mut address, mut mac) = (None, None);
    for (kind, value) in attributes::read(payload.get(HEADER..)?) {
        match kind {
            NDA_DST => address = attributes::address(value),
            NDA_LLADDR => mac = <[u8; 6]>::try_from(value).ok().map(MacAddress),
            _ => {}
        }
    }
    Some(Neighbour {
        dev: dev.clone(),
        address: address?,
        mac: mac?,
    })
}
