//! What one interface of a pod needs, in the pod and on the host.
//!
//! ```text
//!   pod                                      host
//!   eth0  10.0.1.15/32                       eni<hash>
//!   default via 169.254.1.1                  route 10.0.1.15 dev eni<hash>      (main)
//!   169.254.1.1 dev eth0 scope link          rule to 10.0.1.15 → main           (512)
//!   169.254.1.1 lladdr <host end> permanent  rule from 10.0.1.15 → ENI's table  (1536)
//! ```
//!
//! Nobody has the gateway's address: the permanent neighbour entry sends everything to the host
//! end's MAC address, and the host forwards it. The first interface's routes are in the pod's
//! main table; a further one's are in a table of its own number, reached by its source address.

use std::net::{IpAddr, Ipv4Addr};

use vpc_model::{LinkName, MacAddress, RouteTableId, RulePriority};

use crate::hash::fnv1a;
use crate::pod::{PodPlan, PodTeardown};
use crate::state::{
    Address, Dev, LinkState, Neighbour, Route, Rule, Selector, State, Sysctl, host_net,
};

/// In a pod with several interfaces, `from <address>` → the interface's own table.
const FROM_INTERFACE: RulePriority = RulePriority(1);

/// The two ends of a pod's veth.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) pod: Dev,
    pub(crate) host: Dev,
    pub(crate) host_mac: MacAddress,
}

/// The MAC addresses of a new pair, host end first. Derived, so that no list of links has to be
/// read to find free ones, and a repeated ADD finds the same: the two ends are the only stations
/// on their wire, so they need differ from nobody but each other.
pub(crate) fn macs(plan: &PodPlan) -> (MacAddress, MacAddress) {
    let derive = |end: &str| {
        let name = plan.host_veth.as_str().as_bytes();
        let [_, _, bytes @ ..] =
            fnv1a(&[name, &plan.address.octets(), end.as_bytes()]).to_be_bytes();
        MacAddress::locally_administered(bytes)
    };
    (derive("host"), derive("pod"))
}

/// The gateway an interface's routes name.
fn gateway(index: u8) -> Ipv4Addr {
    let host = u16::from(index) + 1;
    let [high, low] = host.to_be_bytes();
    Ipv4Addr::new(169, 254, 1 + high, low)
}

/// The table of an interface's routes inside the pod.
pub(crate) fn table_inside(plan: &PodPlan) -> RouteTableId {
    match plan.index {
        0 => RouteTableId::MAIN,
        index => RouteTableId(index.into()),
    }
}

/// What the pod's namespace needs.
pub(crate) fn inside(plan: &PodPlan, ends: &Ends) -> State {
    let gateway = IpAddr::V4(gateway(plan.index));
    let table = table_inside(plan);
    let by_source = Rule {
        priority: FROM_INTERFACE,
        selector: Selector::From(host_net(plan.address)),
        table: Some(table),
    };
    State {
        links: vec![LinkState {
            dev: ends.pod.clone(),
            mtu: plan.mtu.get(),
            up: true,
        }],
        addresses: vec![Address {
            dev: ends.pod.clone(),
            address: host_net(plan.address),
        }],
        routes: vec![
            Route::on_link(host_net(gateway), &ends.pod, table),
            Route::default_via(gateway, &ends.pod, table),
        ],
        neighbours: vec![Neighbour {
            dev: ends.pod.clone(),
            address: gateway,
            mac: ends.host_mac,
        }],
        rules: if plan.index == 0 {
            Vec::new()
        } else {
            vec![by_source]
        },
        ..State::default()
    }
}

/// What the host's namespace needs, settings apart.
pub(crate) fn outside(plan: &PodPlan, ends: &Ends) -> State {
    State {
        links: vec![LinkState {
            dev: ends.host.clone(),
            mtu: plan.mtu.get(),
            up: true,
        }],
        routes: vec![Route::on_link(
            host_net(plan.address),
            &ends.host,
            RouteTableId::MAIN,
        )],
        rules: rules(plan.address, plan.table),
        ..State::default()
    }
}

/// Settings of the host end: a pod must not configure the node by router advertisements or
/// redirects. (Upstream sets `accept_redirects` to 1, under an error text that says "disable".)
/// They have to be written before the link goes up.
pub(crate) fn host_sysctls(host_veth: &LinkName) -> Vec<Sysctl> {
    ["accept_ra", "accept_redirects", "forwarding"]
        .into_iter()
        .map(|setting| Sysctl {
            name: format!("net/ipv6/conf/{host_veth}/{setting}"),
            value: "0".to_owned(),
        })
        .collect()
}

/// The rules of a pod's address. One in the main table needs none of its own: main is what the
/// rules end with.
pub(crate) fn rules(address: Ipv4Addr, table: RouteTableId) -> Vec<Rule> {
    let mut rules = vec![to_pod(address)];
    if table != RouteTableId::MAIN {
        rules.push(Rule {
            table: Some(table),
            ..any_from_pod(address)
        });
    }
    rules
}

/// The rule that leads to a pod.
pub(crate) fn to_pod(address: Ipv4Addr) -> Rule {
    Rule {
        priority: RulePriority::TO_POD,
        selector: Selector::To(host_net(address)),
        table: Some(RouteTableId::MAIN),
    }
}

/// Any rule that leads from a pod, for deletions.
pub(crate) fn any_from_pod(address: Ipv4Addr) -> Rule {
    Rule {
        priority: RulePriority::FROM_POD,
        selector: Selector::From(host_net(address)),
        table: None,
    }
}

/// The rules to take away with a pod.
pub(crate) fn rules_to_delete(teardown: &PodTeardown) -> [Rule; 2] {
    let from = any_from_pod(teardown.address);
    [
        to_pod(teardown.address),
        Rule {
            table: teardown.table,
            ..from
        },
    ]
}

/// The route to take away with a pod, over whichever link.
pub(crate) fn route_to_delete(teardown: &PodTeardown) -> Route {
    let anywhere = Dev {
        index: 0,
        name: None,
    };
    let route = Route::on_link(host_net(teardown.address), &anywhere, RouteTableId::MAIN);
    Route { dev: None, ..route }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::diff;

    fn plan(index: u8, table: u32) -> PodPlan {
        PodPlan {
            container_if: "eth0".parse().unwrap(),
            host_veth: "enicc21c2d7785".parse().unwrap(),
            address: Ipv4Addr::new(10, 0, 1, 15),
            index,
            mtu: 9001.try_into().unwrap(),
            table: RouteTableId(table),
        }
    }

    fn described(side: fn(&PodPlan, &Ends) -> State, plan: &PodPlan) -> Vec<String> {
        let ends = Ends {
            pod: Dev {
                index: 2,
                name: "eth0".parse().ok(),
            },
            host: Dev {
                index: 7,
                name: "enicc21c2d7785".parse().ok(),
            },
            host_mac: MacAddress([2, 0, 0, 0, 0, 1]),
        };
        diff(&State::default(), &side(plan, &ends)).describe()
    }

    #[test]
    fn a_pods_first_interface_has_upstreams_routes_and_neighbour() {
        assert_eq!(
            described(inside, &plan(0, 2)),
            [
                "set the MTU of eth0 to 9001",
                "set eth0 up",
                "add address 10.0.1.15/32 dev eth0",
                "set neighbour 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0 permanent",
                "set route 169.254.1.1 dev eth0 scope link table main",
                "set route default via 169.254.1.1 dev eth0 table main",
            ]
        );
    }

    #[test]
    fn a_further_interface_has_a_table_of_its_own() {
        let lines = described(inside, &plan(2, 10101));
        assert!(lines.contains(&"add rule from 10.0.1.15 priority 1 lookup 2".to_owned()));
        assert!(
            lines.contains(&"set route default via 169.254.1.3 dev eth0 table 2".to_owned()),
            "{lines:?}"
        );
    }

    #[test]
    fn only_a_pod_on_a_secondary_eni_has_a_rule_for_where_it_comes_from() {
        let on_primary = described(outside, &plan(0, 254));
        let on_secondary = described(outside, &plan(0, 2));
        let from = "add rule from 10.0.1.15 priority 1536 lookup 2".to_owned();
        assert!(
            !on_primary.iter().any(|line| line.contains("from")),
            "{on_primary:?}"
        );
        assert!(on_secondary.contains(&from), "{on_secondary:?}");
        assert!(on_primary.contains(&"add rule to 10.0.1.15 priority 512 lookup main".to_owned()));
    }

    #[test]
    fn the_two_ends_have_different_unicast_local_addresses() {
        let (host, pod) = macs(&plan(0, 2));
        assert_ne!(host, pod);
        for mac in [host, pod] {
            assert_eq!(mac.octets()[0] & 0x03, 0x02, "{mac}");
        }
    }

    #[test]
    fn the_last_index_still_has_a_gateway() {
        assert_eq!(gateway(0), Ipv4Addr::new(169, 254, 1, 1));
        assert_eq!(gateway(255), Ipv4Addr::new(169, 254, 2, 0));
    }
}
