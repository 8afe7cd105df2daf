//! Addresses: `RTM_*ADDR` messages (`struct ifaddrmsg` and `IFA_*`, linux/if_addr.h).

use std::net::IpAddr;

use ipnet::IpNet;

use super::attributes::{self, Writer};
use super::family_of;
use super::socket::{Batch, CREATE, REPLACE};
use crate::state::{Address, Dev};

pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;
pub(crate) const RTM_GETADDR: u16 = 22;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
/// `IFA_F_NOPREFIXROUTE`: do not make the route to the address's network.
const NO_PREFIX_ROUTE: u32 = 0x200;
/// The length of `struct ifaddrmsg`.
const HEADER: usize = 8;
const SCOPE_UNIVERSE: u8 = 0;

/// Gives a link an address, without a route to its network: which table that belongs in is
/// ours to say.
pub(crate) fn add(batch: &mut Batch, address: &Address) {
    batch.push(RTM_NEWADDR, CREATE | REPLACE, |bytes| {
        write(bytes, address);
        // The kernel makes no such route for a single address, and shows the flag.
        if address.address.prefix_len() < address.address.max_prefix_len() {
            Writer(bytes).number(IFA_FLAGS, NO_PREFIX_ROUTE);
        }
    });
}

/// Takes an address away.
pub(crate) fn delete(batch: &mut Batch, address: &Address) {
    batch.push(RTM_DELADDR, 0, |bytes| write(bytes, address));
}

fn write(bytes: &mut Vec<u8>, address: &Address) {
    let net = address.address;
    header(
        bytes,
        family_of(net.addr()),
        net.prefix_len(),
        address.dev.index,
    );
    Writer(bytes)
        .address(IFA_LOCAL, net.addr())
        .address(IFA_ADDRESS, net.addr());
}

/// The payload that asks for a link's IPv4 addresses.
pub(crate) fn all_on(dev: &Dev) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    header(&mut bytes, super::AF_INET, 0, dev.index);
    bytes
}

fn header(bytes: &mut Vec<u8>, family: u8, prefix_length: u8, index: u32) {
    bytes.extend_from_slice(&[family, prefix_length, 0, SCOPE_UNIVERSE]);
    bytes.extend_from_slice(&index.to_ne_bytes());
}

/// Reads an `RTM_NEWADDR` message: `None` where it is of another link or not of global scope.
pub(crate) fn decode(payload: &[u8], dev: &Dev) -> Option<Address> {
    let (prefix_length, scope) = (*payload.get(1)?, *payload.get(3)?);
    if attributes::number(payload, 4)? != dev.index || scope != SCOPE_UNIVERSE {
        return None;
    }
    let mut local: Option<IpAddr> = None;
    let mut peer: Option<IpAddr> = None;
    for (kind, value) in attributes::read(payload.get(HEADER..)?) {
        match kind {
            IFA_LOCAL => local = attributes::address(value),
            IFA_ADDRESS => peer = attributes::address(value),
            _ => {}
        }
    }
    let address = IpNet::new(local.or(peer)?, prefix_length).ok()?;
    Some(Address {
        dev: dev.clone(),
        address,
    })
}
