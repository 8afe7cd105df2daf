//! What the kernel has or should have, as plain data: links, addresses, routes, rules,
//! neighbours and settings. One vocabulary for both, so that a difference is a comparison.
//!
//! Everything prints as one would type it for ip(8).

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use vpc_model::{Connmark, LinkName, MacAddress, RouteTableId, RulePriority};

/// A link by the index the kernel knows it by. The name is for people: two of equal index are
/// the same link.
#[derive(Clone)]
pub(crate) struct Dev {
    pub(crate) index: u32,
    pub(crate) name: Option<LinkName>,
}

/// A link as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: LinkName,
    pub(crate) mac: Option<MacAddress>,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    /// The driver's name for virtual links (`veth`, `vlan`…); hardware has none.
    pub(crate) kind: Option<String>,
    /// A veth's other end, a vlan's lower link: an index in that link's own namespace.
    pub(crate) peer: Option<u32>,
}

/// What of a link's own attributes matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkState {
    pub(crate) dev: Dev,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
}

/// An address of global scope on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) dev: Dev,
    /// The address with the length of its network.
    pub(crate) address: IpNet,
}

/// How far a route's destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Behind a gateway, or anywhere (`global`).
    Universe,
    /// On the link.
    Link,
}

/// A unicast route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) destination: IpNet,
    pub(crate) gateway: Option<IpAddr>,
    /// `None` only in a deletion: over whichever link.
    pub(crate) dev: Option<Dev>,
    pub(crate) scope: Scope,
    pub(crate) table: RouteTableId,
    pub(crate) metric: u32,
    /// The source address it prefers, which the kernel gives the routes it makes itself.
    pub(crate) source: Option<IpAddr>,
}

/// A policy rule that leads to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) priority: RulePriority,
    pub(crate) selector: Selector,
    /// `None` only in a deletion: whichever table it leads to.
    pub(crate) table: Option<RouteTableId>,
}

/// Which packets a rule is for. The kernel can combine these; our rules have one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selector {
    From(IpNet),
    To(IpNet),
    /// IPv4 packets that have all bits of the mark set.
    Mark(Connmark),
}

/// A permanent neighbour entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) dev: Dev,
    pub(crate) address: IpAddr,
    pub(crate) mac: MacAddress,
}

/// A kernel setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sysctl {
    /// The path below /proc/sys, with slashes: link names may contain dots.
    pub(crate) name: String,
    pub(crate) value: String,
}

/// One namespace's state, as far as somebody cares for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) sysctls: Vec<Sysctl>,
    pub(crate) links: Vec<LinkState>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) routes: Vec<Route>,
    pub(crate) neighbours: Vec<Neighbour>,
    pub(crate) rules: Vec<Rule>,
}

impl Link {
    /// The link as others refer to it.
    pub(crate) fn dev(&self) -> Dev {
        Dev {
            index: self.index,
            name: Some(self.name.clone()),
        }
    }

    /// The link's own part of a [`State`].
    pub(crate) fn state(&self) -> LinkState {
        LinkState {
            dev: self.dev(),
            mtu: self.mtu,
            up: self.up,
        }
    }
}

impl Route {
    /// A route to a destination that is on the link itself.
    pub(crate) fn on_link(destination: IpNet, dev: &Dev, table: RouteTableId) -> Self {
        Self {
            destination,
            gateway: None,
            dev: Some(dev.clone()),
            scope: Scope::Link,
            table,
            metric: 0,
            source: None,
        }
    }

    /// The same route, with the link's name if it leads over `dev`.
    pub(crate) fn named(self, dev: &Dev) -> Self {
        let dev = self
            .dev
            .map(|over| if over == *dev { dev.clone() } else { over });
        Self { dev, ..self }
    }

    /// The IPv4 default route.
    pub(crate) fn default_via(gateway: IpAddr, dev: &Dev, table: RouteTableId) -> Self {
        Self {
            destination: IpNet::V4(Ipv4Net::default()),
            gateway: Some(gateway),
            scope: Scope::Universe,
            ..Self::on_link(IpNet::V4(Ipv4Net::default()), dev, table)
        }
    }
}

/// The network that contains just `address`.
pub(crate) fn host_net(address: impl Into<IpAddr>) -> IpNet {
    IpNet::from(address.into())
}

impl PartialEq for Dev {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for Dev {}

impl fmt::Display for Dev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => name.fmt(f),
            None => write!(f, "#{}", self.index),
        }
    }
}

impl fmt::Debug for Dev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} dev {}", self.address, self.dev)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("route ")?;
        if self.destination.prefix_len() == 0 {
            f.write_str("default")?;
        } else {
            write!(f, "{}", short_net(self.destination))?;
        }
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        if self.scope == Scope::Link {
            f.write_str(" scope link")?;
        }
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        write!(f, " table {}", table_name(self.table))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.selector {
            Selector::From(net) => write!(f, "rule from {}", short_net(net))?,
            Selector::To(net) => write!(f, "rule to {}", short_net(net))?,
            Selector::Mark(mark) => write!(f, "rule fwmark {0:#x}/{0:#x}", mark.0)?,
        }
        write!(f, " priority {}", self.priority.0)?;
        match self.table {
            Some(table) => write!(f, " lookup {}", table_name(table)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "neighbour {} lladdr {} dev {} permanent",
            self.address, self.mac, self.dev
        )
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sysctl {} = {}", self.name, self.value)
    }
}

fn table_name(table: RouteTableId) -> String {
    if table == RouteTableId::MAIN {
        "main".to_owned()
    } else {
        table.to_string()
    }
}

fn short_net(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_prints_as_one_would_type_it() {
        let dev = Dev {
            index: 3,
            name: "eth0".parse().ok(),
        };
        let gateway: IpAddr = "169.254.1.1".parse().unwrap();
        let main = RouteTableId::MAIN;
        assert_eq!(
            Route::on_link(host_net(gateway), &dev, main).to_string(),
            "route 169.254.1.1 dev eth0 scope link table main"
        );
        assert_eq!(
            Route::default_via(gateway, &dev, RouteTableId(2)).to_string(),
            "route default via 169.254.1.1 dev eth0 table 2"
        );
        let rule = |selector| Rule {
            priority: RulePriority(5),
            selector,
            table: Some(main),
        };
        assert_eq!(
            rule(Selector::From("10.0.0.0/24".parse().unwrap())).to_string(),
            "rule from 10.0.0.0/24 priority 5 lookup main"
        );
        assert_eq!(
            rule(Selector::Mark(Connmark(0x80))).to_string(),
            "rule fwmark 0x80/0x80 priority 5 lookup main"
        );
        assert_eq!(
            Dev {
                index: 9,
                name: None
            }
            .to_string(),
            "#9"
        );
    }
}
