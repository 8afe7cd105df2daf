//! What the node needs that is nobody's in particular: forwarding, the primary ENI's settings,
//! and the rules that lead marked connections, and those to external services, to the primary ENI.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};
use vpc_model::{Connmark, LinkName, RouteTableId, RulePriority};

use super::eni::{LOOSE, rp_filter};
use crate::host::{ExternalSnat, HostFacts, NodePort};
use crate::state::{Link, LinkState, Rule, Selector, State, Sysctl};

/// The settings: whether IPv4 packets are forwarded at all, and the primary ENI's reverse path
/// filter.
pub(crate) fn sysctls(primary: &LinkName) -> [String; 2] {
    [
        "net/ipv4/ip_forward".to_owned(),
        rp_filter(primary.as_str()),
    ]
}

/// The rule that leads marked packets to the main table.
pub(crate) fn mark_rule(mark: Connmark) -> Rule {
    Rule {
        priority: RulePriority::FWMARK,
        selector: Selector::Mark(mark),
        table: Some(RouteTableId::MAIN),
    }
}

/// The rules that lead to the primary ENI, each once.
fn rules(facts: &HostFacts) -> Vec<Rule> {
    let services: BTreeSet<Ipv4Net> = facts
        .external_service_cidrs
        .iter()
        .map(Ipv4Net::trunc)
        .collect();
    let to_service = |net| Rule {
        priority: RulePriority::EXTERNAL_SERVICE,
        selector: Selector::To(IpNet::V4(net)),
        table: Some(RouteTableId::MAIN),
    };
    let mark = marks(facts).then(|| mark_rule(facts.connmark));
    mark.into_iter()
        .chain(services.into_iter().map(to_service))
        .collect()
}

/// Whether anything marks connections.
fn marks(facts: &HostFacts) -> bool {
    facts.external_snat == ExternalSnat::Off || facts.node_port == NodePort::On
}

/// What the node needs, tables apart. The primary ENI's reverse path filter is loose because
/// answers to translated connections arrive there for pods whose way out is another ENI.
pub(crate) fn wanted(facts: &HostFacts, primary: &Link) -> State {
    let [forward, filter] = sysctls(&primary.name);
    State {
        sysctls: vec![
            Sysctl {
                name: forward,
                value: "1".to_owned(),
            },
            Sysctl {
                name: filter,
                value: LOOSE.to_owned(),
            },
        ],
        links: vec![LinkState {
            mtu: facts.mtu.get(),
            ..primary.state()
        }],
        rules: rules(facts),
        ..State::default()
    }
}
