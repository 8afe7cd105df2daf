//! What the security groups of an ENI let pass, as a network that enforces them has to know it.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::{EniId, SecurityGroupId};

use super::World;
use super::rules::{Peer, Term};
use super::state::Eni;

/// What one rule of an ENI's security groups lets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricRule {
    /// Which way.
    pub direction: Direction,
    /// Of which kind.
    pub traffic: Traffic,
    /// With whom: networks that do not overlap; another group's members by their addresses.
    pub peers: Vec<Ipv4Net>,
}

/// As the ENI sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards the ENI.
    Ingress,
    /// From it.
    Egress,
}

/// Kinds of traffic that a rule tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// All of it.
    All,
    /// A protocol, by its number.
    Protocol(u8),
    /// TCP (6) or UDP (17) to a destination port from the first to the last.
    Ports {
        /// 6 or 17.
        protocol: u8,
        /// The first.
        first: u16,
        /// The last.
        last: u16,
    },
    /// ICMP of a type and code; nothing stands for any.
    Icmp {
        /// The type.
        kind: Option<u8>,
        /// The code.
        code: Option<u8>,
    },
}

impl FabricRule {
    /// Whether it lets everything pass.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        let everybody = self.peers.iter().any(|net| net.prefix_len() == 0);
        self.traffic == Traffic::All && everybody
    }
}

impl World {
    /// What the groups of an ENI let pass, IPv4 only.
    pub(super) fn guard(&self, eni: &Eni) -> Vec<FabricRule> {
        let groups = eni.security_groups.iter();
        groups
            .filter_map(|group| self.groups.get(group))
            .flat_map(|group| group.rules.values())
            .filter_map(|rule| self.fabric_rule(&rule.term))
            .collect()
    }

    fn fabric_rule(&self, term: &Term) -> Option<FabricRule> {
        let peers = match &term.peer {
            Peer::V4(net) => vec![*net],
            Peer::V6(_) => return None,
            Peer::Group(group) => self.members(group),
        };
        Some(FabricRule {
            direction: if term.egress {
                Direction::Egress
            } else {
                Direction::Ingress
            },
            traffic: traffic(term)?,
            peers,
        })
    }

    /// The addresses of the ENIs that have a group.
    fn members(&self, group: &SecurityGroupId) -> Vec<Ipv4Net> {
        let has = |(_, eni): &(&EniId, &Eni)| eni.security_groups.contains(group);
        let nets: Vec<Ipv4Net> = self
            .enis
            .iter()
            .filter(has)
            .flat_map(|(_, eni)| {
                let addresses = eni.all_addresses().into_iter().map(one);
                addresses.chain(eni.prefixes.iter().map(|prefix| Ipv4Net::from(*prefix)))
            })
            .collect();
        Ipv4Net::aggregate(&nets)
    }
}

fn one(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::from(address)
}

/// Nothing for what IPv4 does not have.
fn traffic(term: &Term) -> Option<Traffic> {
    let any = |number: i32| u8::try_from(number).ok();
    let port = |number: i32| u16::try_from(number).ok();
    let (first, last) = term.ports.unwrap_or((-1, -1));
    match term.protocol.as_str() {
        "-1" => Some(Traffic::All),
        "tcp" | "udp" => Some(Traffic::Ports {
            protocol: if term.protocol == "tcp" { 6 } else { 17 },
            first: port(first)?,
            last: port(last)?,
        }),
        "icmp" => Some(Traffic::Icmp {
            kind: any(first),
            code: any(last),
        }),
        "icmpv6" => None,
        number => number.parse().ok().map(Traffic::Protocol),
    }
}
