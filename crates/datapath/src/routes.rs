//! The host routes of pods as the kernel has them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use vpc_model::{LinkName, RouteTableId};

use crate::error::Error;
use crate::netlink::Netlink;

/// The addresses to which a route of their own (/32) leads in the main table of the calling
/// thread's network namespace, and over which link; nothing for a link that went meanwhile.
///
/// # Errors
/// The operation that failed.
pub fn to_hosts() -> Result<BTreeMap<Ipv4Addr, Option<LinkName>>, Error> {
    let mut host = Netlink::open()?;
    let routes = host.routes(RouteTableId::MAIN)?;
    let links = host.links()?;
    let name = |index| {
        let link = links.iter().find(|link| link.index == index);
        link.map(|link| link.name.clone())
    };
    let one = |route: crate::state::Route| match route.destination.addr() {
        IpAddr::V4(address) if route.destination.prefix_len() == 32 => {
            Some((address, name(route.dev?.index)))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    };
    Ok(routes.into_iter().filter_map(one).collect())
}
