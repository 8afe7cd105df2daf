//! What the node needs that is nobody's in particular: forwarding, the primary ENI's settings,
//! and the rule that leads marked connections to the primary ENI.

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
        rules: if marks(facts) {
            vec![mark_rule(facts.connmark)]
        } else {
            Vec::new()
        },
        ..State::default()
    }
}
