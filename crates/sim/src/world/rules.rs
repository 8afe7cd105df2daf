//! Rules of security groups: read from requests, and as answers have them.
//!
//! Which values are allowed is after the API reference of `AuthorizeSecurityGroupIngress` and the
//! data type `IpPermission`; the texts of refusals are EC2's as they are seen in public.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::{Ipv4Net, Ipv6Net};
use vpc_aws::ec2::wire::{
    IpPermission, IpPermissionSpecification, IpRange, Ipv6Range, ReferencedSecurityGroup,
    RevokedSecurityGroupRule, SecurityGroupRule, UserIdGroupPair,
};
use vpc_model::{SecurityGroupId, VpcId};

use super::World;
use super::lookup::{different_networks, parse_id, required};
use super::random::Random;
use super::state::{SecurityGroup, Tags};
use super::tags::to_wire;
use crate::error::ApiError;

/// The first and the last port, or ICMP's type and code; `None` is all of them.
pub(crate) type Ports = Option<(i32, i32)>;

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) term: Term,
    pub(crate) description: Option<String>,
    pub(crate) tags: Tags,
}

/// What a rule allows. A group has each at most once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Term {
    pub(crate) egress: bool,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
    pub(crate) protocol: String,
    /// First and last port, or ICMP type and code; `None` with protocols that have neither.
    pub(crate) ports: Ports,
    pub(crate) peer: Peer,
}

/// Whom a rule allows traffic with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    V4(Ipv4Net),
    V6(Ipv6Net),
    Group(SecurityGroupId),
}

/// The rules that a new group has: anything may go out; into the default group of a VPC, whatever
/// comes from a member of it.
pub(super) fn at_first(group: &SecurityGroupId, is_default: bool) -> BTreeMap<String, Rule> {
    // Ids that follow from the group's, so that making one takes one random number as ever.
    let mut random = of_group(group);
    let mut with_id = |rule| (rule_id(&mut random), rule);
    let out = with_id(all_traffic(true, Peer::V4(Ipv4Net::default())));
    let within = is_default.then(|| with_id(all_traffic(false, Peer::Group(group.clone()))));
    std::iter::once(out).chain(within).collect()
}

/// The rule, with its id, that anything may come in.
pub(super) fn everything_in(group: &SecurityGroupId) -> (String, Rule) {
    let mut random = of_group(group);
    // Behind those that the group had at first.
    for _ in 0..2 {
        random.next();
    }
    let rule = all_traffic(false, Peer::V4(Ipv4Net::default()));
    (rule_id(&mut random), rule)
}

fn of_group(group: &SecurityGroupId) -> Random {
    let digits = group.as_str().trim_start_matches("sg-0");
    Random::new(u64::from_str_radix(digits, 16).unwrap_or_default())
}

fn all_traffic(egress: bool, peer: Peer) -> Rule {
    Rule {
        term: Term {
            egress,
            protocol: "-1".to_owned(),
            ports: None,
            peer,
        },
        description: None,
        tags: Tags::new(),
    }
}

/// A new rule's id.
pub(super) fn rule_id(random: &mut Random) -> String {
    format!("sgr-0{:016x}", random.next())
}

/// The protocol and ports of a permission.
fn traffic(
    permission: &IpPermissionSpecification,
) -> Result<(String, Option<(i32, i32)>), ApiError> {
    let text = required(
        permission.ip_protocol.as_deref(),
        "ipPermissions.ipProtocol",
    )?;
    let protocol = match text.to_ascii_lowercase().as_str() {
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        "-1" | "all" => return Ok(("-1".to_owned(), None)),
        number if number.parse::<u8>().is_ok() => return Ok((number.to_owned(), None)),
        _ => {
            return Err(ApiError::invalid(format!(
                "Invalid value '{text}' for IP protocol. Unknown protocol."
            )));
        }
    };
    let ports = match (protocol, permission.from_port, permission.to_port) {
        ("tcp" | "udp", Some(from), Some(to)) => port_range(from, to)?,
        ("tcp" | "udp", _, _) => {
            return Err(ApiError::invalid(
                "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
            ));
        }
        (_, from, to) => icmp(from.unwrap_or(-1), to.unwrap_or(-1))?,
    };
    Ok((protocol.to_owned(), Some(ports)))
}

fn port_range(from: i32, to: i32) -> Result<(i32, i32), ApiError> {
    if let Some(outside) = [from, to].into_iter().find(|p| !(0..=65_535).contains(p)) {
        let message = format!("TCP/UDP port ({outside}) out of range");
        return Err(ApiError::invalid(message));
    }
    if from > to {
        let message = format!("Invalid TCP port range ({from}:{to})");
        return Err(ApiError::invalid(message));
    }
    Ok((from, to))
}

fn icmp(kind: i32, code: i32) -> Result<(i32, i32), ApiError> {
    let known = |number| (-1..=255).contains(&number);
    if known(kind) && known(code) {
        return Ok((kind, code));
    }
    let message = format!("ICMP type ({kind}) or code ({code}) out of range");
    Err(ApiError::invalid(message))
}

fn network<T: std::str::FromStr>(text: Option<&str>, parameter: &str) -> Result<T, ApiError> {
    let text = required(text, parameter)?;
    let malformed = |_| ApiError::invalid(format!("CIDR block {text} is malformed"));
    text.parse().map_err(malformed)
}

impl World {
    /// The rules that permissions of a request stand for.
    ///
    /// # Errors
    /// `MissingParameter`, `InvalidParameterValue`, `InvalidGroup.NotFound`,
    /// `InvalidPrefixListID.NotFound`.
    pub(super) fn rules(
        &self,
        vpc: &VpcId,
        egress: bool,
        permissions: &[IpPermissionSpecification],
    ) -> Result<Vec<Rule>, ApiError> {
        let mut rules = Vec::new();
        for permission in permissions {
            let (protocol, ports) = traffic(permission)?;
            let peers = self.peers(vpc, permission)?;
            rules.extend(peers.into_iter().map(|(peer, description)| Rule {
                term: Term {
                    egress,
                    protocol: protocol.clone(),
                    ports,
                    peer,
                },
                description,
                tags: Tags::new(),
            }));
        }
        let mut terms: Vec<&Term> = rules.iter().map(|rule| &rule.term).collect();
        terms.sort_unstable();
        if terms.windows(2).any(|pair| pair[0] == pair[1]) {
            let message = "The same permission must not appear multiple times";
            return Err(ApiError::invalid(message));
        }
        Ok(rules)
    }

    fn peers(
        &self,
        vpc: &VpcId,
        permission: &IpPermissionSpecification,
    ) -> Result<Vec<(Peer, Option<String>)>, ApiError> {
        let mut peers = Vec::new();
        for range in &permission.ip_ranges {
            let net: Ipv4Net = network(range.cidr_ip.as_deref(), "ipRanges.cidrIp")?;
            peers.push((Peer::V4(net.trunc()), range.description.clone()));
        }
        for range in &permission.ipv6_ranges {
            let net: Ipv6Net = network(range.cidr_ipv6.as_deref(), "ipv6Ranges.cidrIpv6")?;
            peers.push((Peer::V6(net.trunc()), range.description.clone()));
        }
        for pair in &permission.user_id_group_pairs {
            let text = required(pair.group_id.as_deref(), "groups.groupId")?;
            let id: SecurityGroupId = parse_id(text, "InvalidGroupId", "sg")?;
            if &self.group(&id)?.vpc != vpc {
                return Err(different_networks());
            }
            peers.push((Peer::Group(id), pair.description.clone()));
        }
        if let Some(list) = permission.prefix_list_ids.first() {
            let id = list.prefix_list_id.as_deref().unwrap_or_default();
            return Err(ApiError::client(
                "InvalidPrefixListID.NotFound",
                format!("The prefix list ID '{id}' does not exist"),
            ));
        }
        if peers.is_empty() {
            return Err(ApiError::missing("ipPermissions.ipRanges"));
        }
        Ok(peers)
    }

    /// A rule as responses about rules have it.
    pub(super) fn describe_rule(
        &self,
        group: &SecurityGroupId,
        id: &str,
        rule: &Rule,
    ) -> SecurityGroupRule {
        let term = &rule.term;
        let referenced = |group: &SecurityGroupId| ReferencedSecurityGroup {
            group_id: Some(group.to_string()),
            user_id: Some(self.config.account.clone()),
            vpc_id: None,
        };
        // Where there are no ports, EC2 writes -1 here, and nothing in `IpPermission`.
        let (from, to) = term.ports.unwrap_or((-1, -1));
        SecurityGroupRule {
            security_group_rule_id: Some(id.to_owned()),
            group_id: Some(group.to_string()),
            group_owner_id: Some(self.config.account.clone()),
            is_egress: Some(term.egress),
            ip_protocol: Some(term.protocol.clone()),
            from_port: Some(from),
            to_port: Some(to),
            cidr_ipv4: term.peer.v4(),
            cidr_ipv6: term.peer.v6(),
            referenced_group_info: term.peer.group().map(referenced),
            description: rule.description.clone(),
            tags: to_wire(&rule.tags),
            security_group_rule_arn: Some(self.arn("security-group-rule", id)),
        }
    }

    /// A group's rules of one direction, as descriptions of groups have them: by traffic.
    pub(super) fn permissions(&self, group: &SecurityGroup, egress: bool) -> Vec<IpPermission> {
        let mut by_traffic: BTreeMap<(&str, Ports), Vec<&Rule>> = BTreeMap::new();
        let these = group.rules.values().filter(|r| r.term.egress == egress);
        for rule in these {
            let traffic = (rule.term.protocol.as_str(), rule.term.ports);
            by_traffic.entry(traffic).or_default().push(rule);
        }
        let permission = |((protocol, ports), rules): ((&str, Ports), Vec<&Rule>)| IpPermission {
            ip_protocol: Some(protocol.to_owned()),
            from_port: ports.map(|(from, _)| from),
            to_port: ports.map(|(_, to)| to),
            user_id_group_pairs: rules.iter().filter_map(|r| self.pair(r)).collect(),
            ip_ranges: rules.iter().filter_map(|r| range(r)).collect(),
            ipv6_ranges: rules.iter().filter_map(|r| range_v6(r)).collect(),
            ..IpPermission::default()
        };
        by_traffic.into_iter().map(permission).collect()
    }

    fn pair(&self, rule: &Rule) -> Option<UserIdGroupPair> {
        let group = rule.term.peer.group()?;
        Some(UserIdGroupPair {
            description: rule.description.clone(),
            group_id: Some(group.to_string()),
            user_id: Some(self.config.account.clone()),
            ..UserIdGroupPair::default()
        })
    }
}

fn range(rule: &Rule) -> Option<IpRange> {
    Some(IpRange {
        cidr_ip: Some(rule.term.peer.v4()?),
        description: rule.description.clone(),
    })
}

fn range_v6(rule: &Rule) -> Option<Ipv6Range> {
    Some(Ipv6Range {
        cidr_ipv6: Some(rule.term.peer.v6()?),
        description: rule.description.clone(),
    })
}

/// A rule that was taken away, as the response has it.
pub(super) fn revoked(group: &SecurityGroupId, id: &str, rule: &Rule) -> RevokedSecurityGroupRule {
    let term = &rule.term;
    let (from, to) = term.ports.unwrap_or((-1, -1));
    RevokedSecurityGroupRule {
        security_group_rule_id: Some(id.to_owned()),
        group_id: Some(group.to_string()),
        is_egress: Some(term.egress),
        ip_protocol: Some(term.protocol.clone()),
        from_port: Some(from),
        to_port: Some(to),
        cidr_ipv4: term.peer.v4(),
        cidr_ipv6: term.peer.v6(),
        referenced_group_id: term.peer.group().map(ToString::to_string),
        description: rule.description.clone(),
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::V4(net) => net.fmt(f),
            Peer::V6(net) => net.fmt(f),
            Peer::Group(group) => group.fmt(f),
        }
    }
}

impl Peer {
    fn v4(&self) -> Option<String> {
        match self {
            Peer::V4(net) => Some(net.to_string()),
            Peer::V6(_) | Peer::Group(_) => None,
        }
    }

    fn v6(&self) -> Option<String> {
        match self {
            Peer::V6(net) => Some(net.to_string()),
            Peer::V4(_) | Peer::Group(_) => None,
        }
    }

    pub(super) fn group(&self) -> Option<&SecurityGroupId> {
        match self {
            Peer::Group(group) => Some(group),
            Peer::V4(_) | Peer::V6(_) => None,
        }
    }
}
