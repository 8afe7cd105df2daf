//! A secondary ENI's link, address, route table and rule.
//!
//! What it needs is in `desired::eni`. Here that is compared with what the link has, and
//! what differs is changed: what is right is never taken away and set again, since pods' traffic
//! runs over it (removing a link's last address makes the kernel drop every route over the link,
//! in every table). Nothing is changed by a second call.
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::{LinkName, MacAddress, Mtu, RouteTableId, RulePriority};

use crate::apply;
use crate::desired::eni::{self as desired, ReversePath};
use crate::diff::diff;
use crate::error::{Error, Errors};
use crate::netlink::Netlink;
use crate::state::{Link, Rule, Selector, State, Sysctl, host_net};
use crate::step::{Changes, Step};
use crate::sysctl;

/// A secondary ENI as the kernel should know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EniFacts {
    /// The ENI's MAC address, by which its link is found.
    pub mac: MacAddress,
    /// The ENI's own address.
    pub primary_ip: Ipv4Addr,
    /// The network of its subnet.
    pub subnet: Ipv4Net,
    /// Its route table.
    pub table: RouteTableId,
    /// Its MTU.
    pub mtu: Mtu,
}

/// What [`apply`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EniReport {
    /// The ENI's link.
    pub link: LinkName,
    /// One sentence per change; empty when everything was right.
    pub changed: Vec<String>,
}

/// Makes an ENI's state what `facts` ask for, and touches nothing that is right. Addresses the
/// link has beside the ENI's own are removed: a pod's address on the node's link would end its
/// traffic there.
///
/// # Errors
/// [`Error::NotASecondaryTable`] for the main table; [`Error::NoSuchLink`] when no link has the
/// MAC address; otherwise the operation that failed.
pub fn apply(facts: &EniFacts) -> Result<EniReport, Error> {
    if facts.table == RouteTableId::MAIN {
        return Err(Error::NotASecondaryTable { table: facts.table });
    }
    let mut netlink = Netlink::open()?;
    let link = find(&mut netlink, facts.mac)?.name;
    let what = format!("ENI {} ({link})", facts.mac);
    let changed = apply::converge(&what, &mut netlink, |netlink| difference(netlink, facts))?;
    Ok(EniReport { link, changed })
}

fn find(netlink: &mut Netlink, mac: MacAddress) -> Result<Link, Error> {
    netlink.link_by_mac(mac)?.ok_or(Error::NoSuchLink { mac })
}

fn difference(netlink: &mut Netlink, facts: &EniFacts) -> Result<Changes, Error> {
    let link = find(netlink, facts.mac)?;
    let all = reverse_path("all")?;
    let own = reverse_path(link.name.as_str())?;
    let wanted = desired::wanted(facts, &link.dev(), ReversePath { all, link: own });
    Ok(diff(&observe(netlink, facts, &link, own)?, &wanted))
}

fn reverse_path(link: &str) -> Result<u8, Error> {
    let value = sysctl::read(&desired::rp_filter(link))?;
    Ok(value.and_then(|value| value.parse().ok()).unwrap_or(0))
}

/// What the link has of what could be wanted: all its addresses; in the ENI's table the two
/// routes, over whichever link; in main the one to the subnet that the kernel makes; and the
/// rules from the ENI's address.
fn observe(
    netlink: &mut Netlink,
    facts: &EniFacts,
    link: &Link,
    filter: u8,
) -> Result<State, Error> {
    let dev = link.dev();
    let wanted = desired::wanted(facts, &dev, ReversePath { all: 0, link: 0 });
    let mut routes = netlink.routes_naming(facts.table, &dev)?;
    routes.retain(|route| {
        wanted
            .routes
            .iter()
            .any(|w| w.destination == route.destination)
    });
    let subnet = facts.subnet.trunc().into();
    let connected = netlink
        .routes_naming(RouteTableId::MAIN, &dev)?
        .into_iter()
        .filter(|route| {
            route.dev.as_ref() == Some(&dev)
                && route.destination == subnet
                && route.gateway.is_none()
        });
    routes.extend(connected);
    let mut rules = netlink.rules()?;
    rules.retain(|rule| from_eni(rule, facts.primary_ip));
    Ok(State {
        sysctls: vec![Sysctl {
            name: desired::rp_filter(link.name.as_str()),
            value: filter.to_string(),
        }],
        links: vec![link.state()],
        addresses: netlink.addresses(&dev)?,
        routes,
        neighbours: Vec::new(),
        rules,
    })
}

fn from_eni(rule: &Rule, primary_ip: Ipv4Addr) -> bool {
    rule.priority == RulePriority::FROM_ENI && rule.selector == Selector::From(host_net(primary_ip))
}

/// Takes away what names an ENI that is to go: every rule from its address, whichever its
/// priority, and the routes of its table. The link takes the rest with it.
///
/// # Errors
/// All that the kernel refused; the rest was done nevertheless.
pub fn remove(primary_ip: Ipv4Addr, table: RouteTableId) -> Result<(), Errors> {
    if table == RouteTableId::MAIN {
        return Err(Errors(vec![Error::NotASecondaryTable { table }]));
    }
    let mut netlink = Netlink::open().map_err(|error| Errors(vec![error]))?;
    let mut failed = Vec::new();
    let mut steps = Vec::new();
    match netlink.rules() {
        Ok(mut rules) => {
            rules.retain(|rule| rule.selector == Selector::From(host_net(primary_ip)));
            steps.extend(rules.into_iter().map(Step::DeleteRule));
        }
        Err(error) => failed.push(error),
    }
    match netlink.routes(table) {
        Ok(routes) => steps.extend(routes.into_iter().map(Step::DeleteRoute)),
        Err(error) => failed.push(error),
    }
    failed.extend(apply::all_steps(&mut netlink, &steps));
    Errors::check(failed)
}
