//! The nf_tables table `ip aws-cni`: source translation, and the marks that keep a connection on
//! the primary ENI.
//!
//! ```text
//!  arriving                                                      leaving
//!  mangle-prerouting (-150)      nat-prerouting (-90)            nat-postrouting (110)
//!   primary ENI, to the node:     to the node: return             by vlan*: return
//!     mark the connection         from a pod: jump snat-mark      to the VPC: return
//!   from a pod:                     to the VPC: return            to the node: return
//!     the connection's mark         else: mark the connection     else: snat to the node's
//!     → the packet's mark         marked: mark the packet               address
//! ```
//!
//! The mark decides the way (rule 1024 → main → primary ENI), and only by the primary ENI can a
//! translated packet leave: EC2 drops what leaves an ENI with an address that is not its own.
//! The first packet of a connection is marked in `nat-prerouting`, those that follow it (which
//! nat chains do not see) in `mangle-prerouting`.
//!
//! Priorities: behind kube-proxy's at -100 and 100, so that what is decided on is where a packet
//! really goes, and that a translation of kube-proxy's stands. Names and priorities of
//! `nat-prerouting` and `snat-mark` are upstream's, which takes the table over by them.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use vpc_model::{Connmark, LinkName, VethPrefix};

use crate::host::{ExternalSnat, HostFacts, NodePort, SnatRandomization};
use crate::nft::expression::{
    Expression, Mark, PortChoice, Source, clear_mark, connection_has, destination_in,
    input_begins_with, input_is, is_local, output_begins_with, set_mark, source_nat,
};
use crate::nft::table::{Base, Chain, ChainKind, Hook, Rule, Table};

/// The table's name, which is upstream's.
pub(crate) const TABLE: &str = "aws-cni";
/// What the links of pods with security groups of their own begin with.
const BRANCH_PREFIX: &str = "vlan";
pub(crate) const SNAT_MARK: &str = "snat-mark";
pub(crate) const PREROUTING: &str = "nat-prerouting";
pub(crate) const POSTROUTING: &str = "nat-postrouting";
/// The comment of the rule that translates; its counter counts translated connections.
pub(crate) const TRANSLATED: &str = "leaves the VPC with the node's address";

/// The table the facts ask for; `None` where nothing is translated and nothing marked.
/// `prefixes` are what the host veths of pods begin with.
pub(crate) fn table(
    facts: &HostFacts,
    primary: &LinkName,
    prefixes: &BTreeSet<VethPrefix>,
) -> Option<Table> {
    let translates = facts.external_snat == ExternalSnat::Off;
    let mut chains = Vec::new();
    if translates {
        chains.push(snat_mark(facts));
        chains.push(nat_prerouting(facts, prefixes));
        chains.push(nat_postrouting(facts));
    }
    chains.extend(mangle_prerouting(facts, primary, prefixes));
    (!chains.is_empty()).then_some(Table {
        name: TABLE,
        chains,
    })
}

/// Networks to which pods speak with their own addresses.
fn untranslated(facts: &HostFacts) -> BTreeSet<Ipv4Net> {
    facts
        .vpc_cidrs
        .iter()
        .chain(&facts.exclude_snat_cidrs)
        .map(Ipv4Net::trunc)
        .collect()
}

fn base(kind: ChainKind, hook: Hook, priority: i32) -> Option<Base> {
    Some(Base {
        kind,
        hook,
        priority,
    })
}

fn nat_prerouting(facts: &HostFacts, prefixes: &BTreeSet<VethPrefix>) -> Chain {
    let mark = facts.connmark;
    let mut rules = vec![Rule::new(
        "traffic to the node itself is not marked",
        &[&is_local(Source::DestinationType), &[Expression::Return]],
    )];
    rules.extend(prefixes.iter().map(|prefix| {
        Rule::new(
            "new connections of pods",
            &[
                &input_begins_with(prefix.as_str()),
                &[Expression::Count, Expression::Jump(SNAT_MARK)],
            ],
        )
    }));
    rules.push(Rule::new(
        "marked connections leave by the primary ENI",
        &[
            &connection_has(mark),
            &[Expression::Count],
            &set_mark(Mark::Packet, mark),
        ],
    ));
    Chain {
        name: PREROUTING,
        base: base(ChainKind::Nat, Hook::Prerouting, -90),
        rules,
    }
}

fn snat_mark(facts: &HostFacts) -> Chain {
    let stays = |net: Ipv4Net| {
        Rule::new(
            "keeps the pod's address",
            &[
                &[Expression::Count],
                &destination_in(net),
                &[Expression::Return],
            ],
        )
    };
    let mut rules: Vec<Rule> = untranslated(facts).into_iter().map(stays).collect();
    rules.push(Rule::new(
        "leaves the VPC: to be translated",
        &[
            &[Expression::Count],
            &set_mark(Mark::Connection, facts.connmark),
        ],
    ));
    Chain {
        name: SNAT_MARK,
        base: None,
        rules,
    }
}

fn nat_postrouting(facts: &HostFacts) -> Chain {
    let ports = match facts.randomize {
        SnatRandomization::None => PortChoice::Keep,
        SnatRandomization::HashRandom => PortChoice::Random,
        SnatRandomization::Prng => PortChoice::FullyRandom,
    };
    let mut rules = vec![Rule::new(
        "pods with security groups of their own leave by their own ENI",
        &[&output_begins_with(BRANCH_PREFIX), &[Expression::Return]],
    )];
    rules.extend(untranslated(facts).into_iter().map(|net| {
        Rule::new(
            "keeps the pod's address",
            &[&destination_in(net), &[Expression::Return]],
        )
    }));
    rules.push(Rule::new(
        "traffic to the node itself is not translated",
        &[&is_local(Source::DestinationType), &[Expression::Return]],
    ));
    rules.push(Rule::new(
        TRANSLATED,
        &[
            &[Expression::Count],
            &source_nat(facts.primary_ip, ports, facts.ports),
        ],
    ));
    Chain {
        name: POSTROUTING,
        base: base(ChainKind::Nat, Hook::Postrouting, 110),
        rules,
    }
}

/// Marks and restores (upstream's three rules in the mangle table). `None` where nothing marks.
fn mangle_prerouting(
    facts: &HostFacts,
    primary: &LinkName,
    prefixes: &BTreeSet<VethPrefix>,
) -> Option<Chain> {
    let node_port = facts.node_port == NodePort::On;
    let mut rules = Vec::new();
    if node_port {
        rules.push(Rule::new(
            "connections to the node by the primary ENI are answered by it",
            &[
                &input_is(primary),
                &is_local(Source::DestinationTypeOnInput),
                &set_mark(Mark::Connection, facts.connmark),
            ],
        ));
    }
    if node_port || facts.external_snat == ExternalSnat::Off {
        for prefix in prefixes {
            rules.extend(restore(prefix.as_str(), facts.connmark));
        }
    }
    if node_port {
        rules.extend(restore(BRANCH_PREFIX, facts.connmark));
    }
    let base = base(ChainKind::Filter, Hook::Prerouting, -150);
    (!rules.is_empty()).then_some(Chain {
        name: "mangle-prerouting",
        base,
        rules,
    })
}

/// Gives a pod's packets the mark of their connection. Two rules, since a rule cannot join a
/// mark's other bits with bits of another mark before kernel 6.13, and those other bits belong
/// to others (kube-proxy, network policy).
fn restore(prefix: &str, mark: Connmark) -> [Rule; 2] {
    [
        Rule::new(
            "packets of pods start unmarked",
            &[&input_begins_with(prefix), &clear_mark(Mark::Packet, mark)],
        ),
        Rule::new(
            "packets of marked connections leave by the primary ENI",
            &[
                &input_begins_with(prefix),
                &connection_has(mark),
                &set_mark(Mark::Packet, mark),
            ],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use vpc_model::{MacAddress, Mtu, VethPrefix};

    use super::*;

    fn chains(external_snat: ExternalSnat, node_port: NodePort) -> Vec<(&'static str, usize)> {
        let facts = HostFacts {
            primary_mac: MacAddress([2, 0, 0, 0, 0, 1]),
            primary_ip: Ipv4Addr::new(10, 0, 1, 5),
            vpc_cidrs: vec![
                "10.0.0.0/16".parse().unwrap(),
                "100.64.0.0/10".parse().unwrap(),
            ],
            // Written with a host part, and once more than needed.
            exclude_snat_cidrs: vec!["10.0.7.7/16".parse().unwrap()],
            external_snat,
            node_port,
            randomize: SnatRandomization::Prng,
            ports: None,
            external_service_cidrs: Vec::new(),
            veth_prefix: VethPrefix::default(),
            mtu: Mtu::default(),
            connmark: Connmark::default(),
        };
        let prefixes = BTreeSet::from([VethPrefix::default()]);
        let table = table(&facts, &"ens5".parse().unwrap(), &prefixes);
        table.map_or_else(Vec::new, |table| {
            table
                .chains
                .iter()
                .map(|chain| (chain.name, chain.rules.len()))
                .collect()
        })
    }

    #[test]
    fn each_row_of_the_matrix_has_its_chains_and_no_other() {
        use ExternalSnat as Snat;
        let nat = [
            ("snat-mark", 3),
            ("nat-prerouting", 3),
            ("nat-postrouting", 5),
        ];
        let with = |mangle| [&nat[..], &[("mangle-prerouting", mangle)]].concat();
        assert_eq!(chains(Snat::Off, NodePort::On), with(5));
        assert_eq!(chains(Snat::Off, NodePort::Off), with(2));
        assert_eq!(chains(Snat::On, NodePort::On), [("mangle-prerouting", 5)]);
        assert_eq!(chains(Snat::On, NodePort::Off), []);
    }

    #[test]
    fn rules_that_do_different_things_have_different_digests() {
        let stays = |net: &str| {
            let parts: [&[Expression]; 1] = [&destination_in(net.parse().unwrap())];
            Rule::new("x", &parts).digest()
        };
        assert_eq!(stays("10.0.0.0/16"), stays("10.0.0.0/16"));
        assert_ne!(stays("10.0.0.0/16"), stays("10.0.0.0/17"));
    }
}
