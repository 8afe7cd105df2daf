//! What one notification is about.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use vpc_model::{RouteTableId, RulePriority};

use super::Heard;
use crate::desired::nat;
use crate::netlink::socket::Reply;
use crate::netlink::{address, attributes, link, route, rule};
use crate::nft::is_of_table;
use crate::pods::prefix_of;
use crate::state::{Route, Scope, Selector};

/// `RTNLGRP_LINK`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV4_RULE`, `_IPV4_NETCONF`.
pub(super) const ROUTE_GROUPS: [u32; 5] = [link::GROUP, 5, 7, 8, 24];
/// `NFNLGRP_NFTABLES`.
pub(super) const NFT_GROUP: u32 = 7;

const RTM_NEWNETCONF: u16 = 80;

/// Notes what an rtnetlink message is about.
pub(super) fn of_route(heard: &mut Heard, message: &Reply) {
    let payload = message.payload.as_slice();
    match message.kind {
        link::RTM_NEWLINK | link::RTM_DELLINK => of_link(heard, message),
        address::RTM_NEWADDR | address::RTM_DELADDR => heard.node = true,
        route::RTM_NEWROUTE | route::RTM_DELROUTE => {
            let Some(route) = route::decode(payload) else {
                return;
            };
            match pod_of(&route) {
                None => heard.node = true,
                Some(pod) if message.kind == route::RTM_DELROUTE => {
                    heard.addresses.insert(pod);
                }
                Some(_) => {}
            }
        }
        rule::RTM_NEWRULE | rule::RTM_DELRULE => of_rule(heard, message),
        RTM_NEWNETCONF => heard.node |= is_one_setting(payload),
        _ => {}
    }
}

/// Notes what an nf_tables message is about: only our own table matters.
pub(super) fn of_nft(heard: &mut Heard, message: &Reply) {
    heard.node |= is_of_table(message, nat::TABLE);
}

fn of_link(heard: &mut Heard, message: &Reply) {
    /// `IFF_UP` in the flags that changed; a new link is told of as all of them.
    const IFF_UP: u32 = 1;
    let Some(link) = link::decode(&message.payload) else {
        return;
    };
    let of_pod = link.kind.as_deref() == Some("veth") && prefix_of(&link.name).is_some();
    if !of_pod {
        heard.node = true;
        return;
    }
    let changed = attributes::number(&message.payload, 12).unwrap_or(0);
    let went_down = !link.up && changed != u32::MAX && changed & IFF_UP != 0;
    if went_down && message.kind == link::RTM_NEWLINK {
        heard.links.insert(link.name);
    }
}

fn of_rule(heard: &mut Heard, message: &Reply) {
    let Some(rule) = rule::decode(&message.payload) else {
        return;
    };
    match rule.priority {
        RulePriority::FWMARK | RulePriority::EXTERNAL_SERVICE | RulePriority::FROM_ENI => {
            heard.node = true;
        }
        RulePriority::TO_POD | RulePriority::FROM_POD if message.kind == rule::RTM_DELRULE => {
            if let Selector::To(net) | Selector::From(net) = rule.selector {
                heard.addresses.extend(single(net));
            }
        }
        _ => {}
    }
}

/// The address of the pod whose route this is.
fn pod_of(route: &Route) -> Option<Ipv4Addr> {
    let bare = route.gateway.is_none() && route.scope == Scope::Link;
    let in_main = route.table == RouteTableId::MAIN;
    (bare && in_main).then(|| single(route.destination))?
}

fn single(net: IpNet) -> Option<Ipv4Addr> {
    match net.addr() {
        IpAddr::V4(address) if net.prefix_len() == 32 => Some(address),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// Whether a `RTM_NEWNETCONF` message (`struct netconfmsg` and `NETCONFA_*`, linux/netconf.h)
/// tells of one changed setting. Those of a new link name all its settings.
fn is_one_setting(payload: &[u8]) -> bool {
    const HEADER: usize = 4;
    const FORWARDING: u16 = 2;
    const RP_FILTER: u16 = 3;
    let kinds: Vec<u16> = attributes::read(payload.get(HEADER..).unwrap_or_default())
        .map(|(kind, _)| kind)
        .collect();
    kinds.contains(&FORWARDING) != kinds.contains(&RP_FILTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::socket::Batch;
    use crate::state::{Dev, Rule, host_net};

    fn message(kind: u16, fill: impl FnOnce(&mut Batch)) -> Reply {
        let mut batch = Batch::default();
        fill(&mut batch);
        let payload = batch.message(0)[16..].to_vec();
        Reply { kind, payload }
    }

    fn heard(message: &Reply) -> Heard {
        let mut heard = Heard::default();
        of_route(&mut heard, message);
        heard
    }

    #[test]
    fn a_pods_rule_or_route_that_goes_is_a_matter_of_the_pod_and_one_that_comes_of_nobody() {
        let address = Ipv4Addr::new(10, 0, 1, 9);
        let dev = Dev {
            index: 4,
            name: None,
        };
        let way = Route::on_link(host_net(address), &dev, RouteTableId::MAIN);
        let of_route = |kind| heard(&message(kind, |batch| route::add(batch, &way)));
        let to_pod = Rule {
            priority: RulePriority::TO_POD,
            selector: Selector::To(host_net(address)),
            table: Some(RouteTableId::MAIN),
        };
        let of_rule = |kind| heard(&message(kind, |batch| rule::add(batch, &to_pod)));
        for gone in [of_route(route::RTM_DELROUTE), of_rule(rule::RTM_DELRULE)] {
            assert!(gone.addresses.contains(&address) && !gone.node, "{gone:?}");
        }
        for came in [of_route(route::RTM_NEWROUTE), of_rule(rule::RTM_NEWRULE)] {
            assert!(came.is_empty(), "{came:?}");
        }
    }

    #[test]
    fn the_nodes_routes_and_rules_matter_whichever_way_they_change() {
        let dev = Dev {
            index: 4,
            name: None,
        };
        let gateway = Ipv4Addr::new(10, 0, 2, 1).into();
        let default = Route::default_via(gateway, &dev, RouteTableId(2));
        for kind in [route::RTM_NEWROUTE, route::RTM_DELROUTE] {
            assert!(heard(&message(kind, |batch| route::add(batch, &default))).node);
        }
        let rule = Rule {
            priority: RulePriority::FROM_ENI,
            selector: Selector::From("10.0.2.10/32".parse().unwrap()),
            table: Some(RouteTableId(2)),
        };
        for kind in [rule::RTM_NEWRULE, rule::RTM_DELRULE] {
            assert!(heard(&message(kind, |batch| rule::add(batch, &rule))).node);
        }
    }
}
