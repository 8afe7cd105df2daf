//! The ip rules of pods as the kernel has them, for comparing with who should have some.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use vpc_model::{RouteTableId, RulePriority};

use crate::error::Error;
use crate::netlink::Netlink;
use crate::state::{Rule, Selector};

/// The ip rules of one pod's address, as the kernel has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodRules {
    /// The pod's address.
    pub address: Ipv4Addr,
    /// Whether the rule that leads to the pod (512 → main) is there.
    pub to_pod: bool,
    /// Where the rule for traffic from the pod (1536) leads, if there is one. Of several, the
    /// first: that is the one the kernel follows.
    pub from_pod: Option<RouteTableId>,
}

/// The addresses for which the calling thread's network namespace has a pod's rules, in order.
///
/// # Errors
/// The operation that failed.
pub fn pods_on_node() -> Result<Vec<PodRules>, Error> {
    Ok(by_address(&Netlink::open()?.rules()?))
}

fn by_address(rules: &[Rule]) -> Vec<PodRules> {
    let mut found: BTreeMap<Ipv4Addr, PodRules> = BTreeMap::new();
    for rule in rules {
        let (net, to_pod) = match rule.selector {
            Selector::To(net) if rule.priority == RulePriority::TO_POD => (net, true),
            Selector::From(net) if rule.priority == RulePriority::FROM_POD => (net, false),
            Selector::To(_) | Selector::From(_) | Selector::Mark(_) => continue,
        };
        let Some(address) = single_v4(net) else {
            continue;
        };
        let bare = PodRules {
            address,
            to_pod: false,
            from_pod: None,
        };
        let pod = found.entry(address).or_insert(bare);
        if to_pod {
            pod.to_pod |= rule.table == Some(RouteTableId::MAIN);
        } else {
            pod.from_pod = pod.from_pod.or(rule.table);
        }
    }
    found.into_values().collect()
}

fn single_v4(net: IpNet) -> Option<Ipv4Addr> {
    match net.addr() {
        IpAddr::V4(address) if net.prefix_len() == 32 => Some(address),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(priority: RulePriority, selector: Selector, table: u32) -> Rule {
        Rule {
            priority,
            selector,
            table: Some(RouteTableId(table)),
        }
    }

    #[test]
    fn rules_are_gathered_by_the_address_they_are_for() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let (to, from) = (RulePriority::TO_POD, RulePriority::FROM_POD);
        let rules = [
            rule(to, Selector::To(net("10.0.1.9/32")), 254),
            rule(from, Selector::From(net("10.0.1.9/32")), 2),
            rule(from, Selector::From(net("10.0.1.9/32")), 3),
            rule(from, Selector::From(net("10.0.1.5/32")), 4),
            // Not a pod's: another priority, a network.
            rule(
                RulePriority::FROM_ENI,
                Selector::From(net("10.0.1.7/32")),
                2,
            ),
            rule(to, Selector::To(net("10.0.0.0/16")), 254),
        ];
        let address = |last| Ipv4Addr::new(10, 0, 1, last);
        assert_eq!(
            by_address(&rules),
            [
                PodRules {
                    address: address(5),
                    to_pod: false,
                    from_pod: Some(RouteTableId(4))
                },
                PodRules {
                    address: address(9),
                    to_pod: true,
                    from_pod: Some(RouteTableId(2))
                },
            ]
        );
    }
}
