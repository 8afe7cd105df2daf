//! Routes: `RTM_*ROUTE` messages (`struct rtmsg` and `RTA_*`, linux/rtnetlink.h).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use vpc_model::RouteTableId;

use super::attributes::{self, Writer};
use super::family_of;
use super::socket::{Batch, CREATE, EXCLUSIVE, REPLACE};
use crate::state::{Dev, Route, Scope};

pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;
pub(crate) const RTM_GETROUTE: u16 = 26;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;

/// `RTPROT_BOOT`, which upstream's routes have too. `ip route` does not print it.
const PROTOCOL_BOOT: u8 = 3;
const TYPE_UNICAST: u8 = 1;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const ANY: u8 = 0;
/// The length of `struct rtmsg`.
const HEADER: usize = 12;

/// Adds a route; refused (`EEXIST`) where there is one to the same destination.
pub(crate) fn add(batch: &mut Batch, route: &Route) {
    batch.push(RTM_NEWROUTE, CREATE | EXCLUSIVE, |bytes| {
        write(bytes, route, PROTOCOL_BOOT, TYPE_UNICAST);
    });
}

/// Sets the route to a destination in its table, whatever stood there.
pub(crate) fn replace(batch: &mut Batch, route: &Route) {
    batch.push(RTM_NEWROUTE, CREATE | REPLACE, |bytes| {
        write(bytes, route, PROTOCOL_BOOT, TYPE_UNICAST);
    });
}

/// Takes a route away.
pub(crate) fn delete(batch: &mut Batch, route: &Route) {
    batch.push(RTM_DELROUTE, 0, |bytes| write(bytes, route, ANY, ANY));
}

fn write(bytes: &mut Vec<u8>, route: &Route, protocol: u8, kind: u8) {
    let scope = match route.scope {
        Scope::Universe => SCOPE_UNIVERSE,
        Scope::Link => SCOPE_LINK,
    };
    let net = route.destination;
    bytes.extend_from_slice(&[family_of(net.addr()), net.prefix_len(), 0, 0]);
    // The table's number is in an attribute: this byte is too small for some.
    bytes.extend_from_slice(&[0, protocol, scope, kind, 0, 0, 0, 0]);
    let mut writer = Writer(bytes);
    writer.number(RTA_TABLE, route.table.0);
    if net.prefix_len() > 0 {
        writer.address(RTA_DST, net.addr());
    }
    if let Some(gateway) = route.gateway {
        writer.address(RTA_GATEWAY, gateway);
    }
    if let Some(dev) = &route.dev {
        writer.number(RTA_OIF, dev.index);
    }
    if route.metric != 0 {
        writer.number(RTA_PRIORITY, route.metric);
    }
    if let Some(source) = route.source {
        writer.address(RTA_PREFSRC, source);
    }
}

/// The payload that asks for a table's IPv4 routes. Kernels before 4.20 list all tables.
pub(crate) fn all_in(table: RouteTableId) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[0] = super::AF_INET;
    Writer(&mut bytes).number(RTA_TABLE, table.0);
    bytes
}

/// Reads an `RTM_NEWROUTE` message: `None` where it is not a unicast route over one link, the
/// only kind this crate makes.
pub(crate) fn decode(payload: &[u8]) -> Option<Route> {
    let (family, length) = (*payload.first()?, *payload.get(1)?);
    let scope = match *payload.get(6)? {
        SCOPE_UNIVERSE => Scope::Universe,
        SCOPE_LINK => Scope::Link,
        _ => return None,
    };
    if *payload.get(7)? != TYPE_UNICAST {
        return None;
    }
    let mut destination = unspecified(family);
    let (mut gateway, mut index, mut source) = (None, None, None);
    let (mut table, mut metric) = (u32::from(*payload.get(4)?), 0);
    for (kind, value) in attributes::read(payload.get(HEADER..)?) {
        match kind {
            RTA_DST => destination = attributes::address(value)?,
            RTA_GATEWAY => gateway = attributes::address(value),
            RTA_OIF => index = attributes::number(value, 0),
            RTA_PREFSRC => source = attributes::address(value),
            RTA_TABLE => table = attributes::number(value, 0)?,
            RTA_PRIORITY => metric = attributes::number(value, 0)?,
            RTA_MULTIPATH => return None,
            _ => {}
        }
    }
    Some(Route {
        destination: IpNet::new(destination, length).ok()?,
        gateway,
        dev: Some(Dev {
            index: index?,
            name: None,
        }),
        scope,
        table: RouteTableId(table),
        metric,
        source,
    })
}

fn unspecified(family: u8) -> IpAddr {
    if family == super::AF_INET {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    }
}
