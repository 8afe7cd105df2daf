//! Links: `RTM_*LINK` messages (`struct ifinfomsg` and `IFLA_*`, linux/if_link.h).

use std::os::fd::{AsRawFd, BorrowedFd};

use vpc_model::{LinkName, MacAddress, Mtu};

use super::attributes::{self, Writer};
use super::socket::{Batch, CREATE, EXCLUSIVE};
use crate::state::Link;

pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_GETLINK: u16 = 18;
/// `RTNLGRP_LINK`: notifications about links.
pub(crate) const GROUP: u32 = 1;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_TXQLEN: u16 = 13;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
/// `RTEXT_FILTER_SKIP_STATS`: leave the counters out of the answer.
const SKIP_STATS: u32 = 1 << 3;
const IFF_UP: u32 = 1;
/// The length of `struct ifinfomsg`.
const HEADER: usize = 16;

/// A veth pair to be made, each end in its own namespace from the start.
#[derive(Debug)]
pub(crate) struct VethPair<'a> {
    /// The end in the socket's namespace. It is made up: it may carry routes at once.
    pub(crate) near: VethEnd<'a>,
    /// The other end. It is made down: the kernel refuses `IFF_UP` here (`ENOTCONN`), since the
    /// ends are not joined yet when it opens this one.
    pub(crate) far: VethEnd<'a>,
    /// The other end's namespace.
    pub(crate) far_namespace: BorrowedFd<'a>,
    /// The MTU of both.
    pub(crate) mtu: Mtu,
}

/// One end of a veth pair. The MAC address is set at creation, so that udev's
/// `MACAddressPolicy=persistent` leaves it alone.
#[derive(Debug)]
pub(crate) struct VethEnd<'a> {
    pub(crate) name: &'a LinkName,
    pub(crate) mac: MacAddress,
}

/// Makes a veth pair; refused where either name is taken.
pub(crate) fn create(batch: &mut Batch, pair: &VethPair<'_>) {
    batch.push(RTM_NEWLINK, CREATE | EXCLUSIVE, |bytes| {
        header(bytes, 0, IFF_UP, IFF_UP);
        let mut writer = Writer(bytes);
        end(&mut writer, &pair.near, pair.mtu);
        writer.nest(IFLA_LINKINFO, |info| {
            info.bytes(IFLA_INFO_KIND, b"veth");
            info.nest(IFLA_INFO_DATA, |data| {
                data.enclose(VETH_INFO_PEER, |peer| {
                    header(peer.0, 0, 0, 0);
                    end(peer, &pair.far, pair.mtu);
                    let namespace = pair.far_namespace.as_raw_fd().cast_unsigned();
                    peer.number(IFLA_NET_NS_FD, namespace);
                });
            });
        });
    });
}

fn end(writer: &mut Writer<'_>, end: &VethEnd<'_>, mtu: Mtu) {
    writer
        .text(IFLA_IFNAME, end.name.as_str())
        .bytes(IFLA_ADDRESS, &end.mac.octets())
        .number(IFLA_MTU, mtu.get())
        // No queue: packets go straight to the other end.
        .number(IFLA_TXQLEN, 0);
}

/// Asks for one link by its name.
pub(crate) fn get(batch: &mut Batch, name: &LinkName) {
    batch.push(RTM_GETLINK, 0, |bytes| {
        header(bytes, 0, 0, 0);
        Writer(bytes)
            .text(IFLA_IFNAME, name.as_str())
            .number(IFLA_EXT_MASK, SKIP_STATS);
    });
}

/// The payload that asks for all links.
pub(crate) fn all() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 8);
    header(&mut bytes, 0, 0, 0);
    Writer(&mut bytes).number(IFLA_EXT_MASK, SKIP_STATS);
    bytes
}

/// Takes a link into or out of service.
pub(crate) fn set_up(batch: &mut Batch, index: u32, up: bool) {
    batch.push(RTM_NEWLINK, 0, |bytes| {
        header(bytes, index, u32::from(up) * IFF_UP, IFF_UP);
    });
}

/// Sets a link's MTU.
pub(crate) fn set_mtu(batch: &mut Batch, index: u32, mtu: u32) {
    batch.push(RTM_NEWLINK, 0, |bytes| {
        header(bytes, index, 0, 0);
        Writer(bytes).number(IFLA_MTU, mtu);
    });
}

/// Gives a link another name.
pub(crate) fn rename(batch: &mut Batch, index: u32, name: &LinkName) {
    batch.push(RTM_NEWLINK, 0, |bytes| {
        header(bytes, index, 0, 0);
        Writer(bytes).text(IFLA_IFNAME, name.as_str());
    });
}

/// Deletes a link.
pub(crate) fn delete(batch: &mut Batch, index: u32) {
    batch.push(RTM_DELLINK, 0, |bytes| header(bytes, index, 0, 0));
}

fn header(bytes: &mut Vec<u8>, index: u32, flags: u32, change: u32) {
    bytes.extend_from_slice(&[0; 4]);
    for value in [index, flags, change] {
        bytes.extend_from_slice(&value.to_ne_bytes());
    }
}

/// Reads an `RTM_NEWLINK` message. `None` for one without a name.
pub(crate) fn decode(payload: &[u8]) -> Option<Link> {
    let (mut name, mut mac, mut mtu, mut peer, mut kind) = (None, None, 0, None, None);
    for (attribute, value) in attributes::read(payload.get(HEADER..)?) {
        match attribute {
            IFLA_IFNAME => name = attributes::text(value)?.parse().ok(),
            IFLA_ADDRESS => mac = <[u8; 6]>::try_from(value).ok().map(MacAddress),
            IFLA_MTU => mtu = attributes::number(value, 0)?,
            IFLA_LINK => peer = attributes::number(value, 0).filter(|index| *index != 0),
            IFLA_LINKINFO => kind = kind_of(value),
            _ => {}
        }
    }
    Some(Link {
        index: attributes::number(payload, 4)?,
        name: name?,
        mac,
        mtu,
        up: attributes::number(payload, 8)? & IFF_UP != 0,
        kind,
        peer,
    })
}

fn kind_of(info: &[u8]) -> Option<String> {
    let (_, value) = attributes::read(info).find(|(kind, _)| *kind == IFLA_INFO_KIND)?;
    attributes::text(value).map(str::to_owned)
}
