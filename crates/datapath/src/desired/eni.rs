//! What a secondary ENI's link needs.
//!
//! ```text
//!   address <primary>/<len> dev ens6          (no route to the subnet in main)
//!   table T:  <subnet + 1> dev ens6 scope link
//!             default via <subnet + 1> dev ens6
//!   rule from <primary> → T                   (32765)
//! ```
//!
//! The subnet stays out of the main table: the primary ENI, which may be in the same subnet, must
//! remain the way out for everything that is not a pod's.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use vpc_model::RulePriority;

use crate::eni::EniFacts;
use crate::state::{Address, Dev, LinkState, Route, Rule, Selector, State, Sysctl, host_net};

/// `rp_filter`: accept a packet when its source is reachable at all, over any link.
pub(crate) const LOOSE: &str = "2";
const STRICT: u8 = 1;

/// The reverse path filter's settings: the kernel uses the larger of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReversePath {
    pub(crate) all: u8,
    pub(crate) link: u8,
}

/// The name of a link's reverse path filter.
pub(crate) fn rp_filter(link: &str) -> String {
    format!("net/ipv4/conf/{link}/rp_filter")
}

/// The VPC router's address in a subnet: the first one behind the network's own (EC2 reserves it).
pub(crate) fn gateway(subnet: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()).wrapping_add(1))
}

/// What the ENI needs. The reverse path filter is loosened where it is strict: the way back to a
/// source that is not a pod's leads over the primary ENI.
pub(crate) fn wanted(facts: &EniFacts, dev: &Dev, filter: ReversePath) -> State {
    let gateway = gateway(facts.subnet);
    let subnet = IpNet::V4(facts.subnet);
    let address = IpNet::new(facts.primary_ip.into(), subnet.prefix_len())
        .unwrap_or(host_net(facts.primary_ip));
    let name = dev.name.as_ref().map_or("all", |name| name.as_str());
    let loosened = Sysctl {
        name: rp_filter(name),
        value: LOOSE.to_owned(),
    };
    let strict = filter.all.max(filter.link) == STRICT;
    State {
        sysctls: if strict { vec![loosened] } else { Vec::new() },
        links: vec![LinkState {
            dev: dev.clone(),
            mtu: facts.mtu.get(),
            up: true,
        }],
        addresses: vec![Address {
            dev: dev.clone(),
            address,
        }],
        routes: vec![
            Route::on_link(host_net(gateway), dev, facts.table),
            Route::default_via(IpAddr::V4(gateway), dev, facts.table),
        ],
        neighbours: Vec::new(),
        rules: vec![Rule {
            priority: RulePriority::FROM_ENI,
            selector: Selector::From(host_net(facts.primary_ip)),
            table: Some(facts.table),
        }],
    }
}

#[cfg(test)]
mod tests {
    use vpc_model::{MacAddress, RouteTableId};

    use super::*;
    use crate::diff::diff;

    fn described(filter: ReversePath) -> Vec<String> {
        let facts = EniFacts {
            mac: MacAddress([2, 0, 0, 0, 0, 9]),
            primary_ip: Ipv4Addr::new(10, 0, 2, 130),
            subnet: "10.0.2.128/25".parse().unwrap(),
            table: RouteTableId(3),
            mtu: 9001.try_into().unwrap(),
        };
        let dev = Dev {
            index: 5,
            name: "ens6".parse().ok(),
        };
        diff(&State::default(), &wanted(&facts, &dev, filter)).describe()
    }

    #[test]
    fn an_enis_gateway_is_the_first_address_of_its_subnet() {
        let lines = described(ReversePath { all: 0, link: 0 });
        assert_eq!(
            lines,
            [
                "set the MTU of ens6 to 9001",
                "set ens6 up",
                "add address 10.0.2.130/25 dev ens6",
                "add rule from 10.0.2.130 priority 32765 lookup 3",
                "set route 10.0.2.129 dev ens6 scope link table 3",
                "set route default via 10.0.2.129 dev ens6 table 3",
            ]
        );
    }

    #[test]
    fn only_a_strict_reverse_path_filter_is_loosened() {
        let loosens = |all, link| described(ReversePath { all, link })[0].contains("rp_filter");
        assert!(loosens(1, 0) && loosens(0, 1) && loosens(1, 1));
        assert!(!loosens(0, 0) && !loosens(2, 0) && !loosens(1, 2));
    }
}
