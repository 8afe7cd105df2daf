//! The node's own state: forwarding, the primary ENI's settings, the rule for marked connections,
//! and the nf_tables table that translates and marks.
//!
//! What that is, is in `desired::host` and `desired::nat`. Here it is compared
//! with what the kernel has, and what differs is changed; a second call changes nothing. The
//! table comes first: forwarding begins when its rules stand.
//!
//! | external SNAT | NodePort | translation and its marks | NodePort marks | mark rule |
//! |---|---|---|---|---|
//! | off | on | yes | yes | yes |
//! | off | off | yes | no | yes |
//! | on | on | no | yes | yes |
//! | on | off | no | no | no |
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::{
    Connmark, LinkName, MacAddress, Mtu, PortRange, RouteTableId, RulePriority, VethPrefix,
};

use crate::apply;
use crate::desired::{host as desired, nat};
use crate::diff::diff;
use crate::error::{Error, Errors};
use crate::netlink::Netlink;
use crate::nft::{Found, Nft};
use crate::pods;
use crate::state::{Link, Rule, Selector, State, Sysctl};
use crate::step::Step;
use crate::sysctl;

/// Who translates the source address of traffic that leaves the VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExternalSnat {
    /// This node does.
    #[default]
    Off,
    /// Something outside the node does (a NAT gateway): pods leave with their own address.
    On,
}

/// Whether connections to NodePorts on the primary ENI are answered by the primary ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodePort {
    /// No care is taken.
    Off,
    /// They are marked on arrival.
    #[default]
    On,
}

/// How the kernel picks the source port of translated traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnatRandomization {
    /// Keep the pod's port where it is free.
    None,
    /// A hash with a random key (`random`).
    HashRandom,
    /// A pseudo-random number (`fully-random`).
    #[default]
    Prng,
}

/// What the node's own kernel state depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The primary ENI's MAC address.
    pub primary_mac: MacAddress,
    /// The node's address: the source of translated traffic.
    pub primary_ip: Ipv4Addr,
    /// The VPC's networks: traffic to them is never translated.
    pub vpc_cidrs: Vec<Ipv4Net>,
    /// Further networks to which traffic is not translated.
    pub exclude_snat_cidrs: Vec<Ipv4Net>,
    /// Who translates.
    pub external_snat: ExternalSnat,
    /// Care for NodePorts.
    pub node_port: NodePort,
    /// Choice of source ports.
    pub randomize: SnatRandomization,
    /// The source ports to choose from; the kernel's own range if nothing else.
    pub ports: Option<PortRange>,
    /// Networks that pods reach by the main table, whatever their ENI.
    pub external_service_cidrs: Vec<Ipv4Net>,
    /// What the host veths of new pods begin with. Pods that run may have others.
    pub veth_prefix: VethPrefix,
    /// The MTU of the primary ENI.
    pub mtu: Mtu,
    /// The mark of connections that leave by the primary ENI.
    pub connmark: Connmark,
}

/// What [`apply`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostReport {
    /// The primary ENI's link.
    pub link: LinkName,
    /// One sentence per change; empty when everything was right.
    pub changed: Vec<String>,
}

/// The node's network, held open: opening and closing the kernel's handles costs more than
/// looking whether all is right.
pub struct HostNetwork {
    netlink: Netlink,
    nft: Nft,
}

impl HostNetwork {
    /// Opens the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::OpenSocket`] where the kernel has no netlink or no nf_tables for us.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            netlink: Netlink::open()?,
            nft: Nft::open()?,
        })
    }

    /// Makes the node's state what `facts` ask for, and touches nothing that is right.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`] when no link has the primary ENI's MAC address;
    /// [`Error::NoVpcCidrs`] when traffic is to be translated and the VPC's networks are not
    /// known; otherwise the operation that failed.
    pub fn apply(&mut self, facts: &HostFacts) -> Result<HostReport, Error> {
        if facts.external_snat == ExternalSnat::Off && facts.vpc_cidrs.is_empty() {
            return Err(Error::NoVpcCidrs);
        }
        let link = primary(&mut self.netlink, facts)?.name;
        let prefixes = pods::prefixes(&mut self.netlink, &facts.veth_prefix)?;
        let table = nat::table(facts, &link, &prefixes);
        let mut changed = Vec::new();
        let named = |done: &str| format!("{done} nf_tables table ip {}", nat::TABLE);
        match self.nft.ensure(nat::TABLE, table.as_ref())? {
            Found::AsWanted => {}
            Found::Missing => changed.push(named("add")),
            Found::Different => changed.push(named("replace")),
            Found::Unwanted => changed.push(named("delete")),
        }
        let rest = apply::converge("the node's network", &mut self.netlink, |netlink| {
            let primary = primary(netlink, facts)?;
            Ok(diff(
                &observe(netlink, &primary)?,
                &desired::wanted(facts, &primary),
            ))
        })?;
        changed.extend(rest);
        Ok(HostReport { link, changed })
    }

    /// Takes away the table and the rule for marked connections. Forwarding, filters and MTU
    /// stay as they are: others may have come to need them.
    ///
    /// # Errors
    /// All that the kernel refused; the rest was done nevertheless.
    pub fn remove(&mut self, connmark: Connmark) -> Result<(), Errors> {
        let mut failed = Vec::new();
        failed.extend(self.nft.ensure(nat::TABLE, None).err());
        let rule = Step::DeleteRule(desired::mark_rule(connmark));
        failed.extend(apply::all_steps(&mut self.netlink, &[rule]));
        Errors::check(failed)
    }
}

/// [`HostNetwork::apply`], once.
///
/// # Errors
/// Those of [`HostNetwork::open`] and [`HostNetwork::apply`].
pub fn apply(facts: &HostFacts) -> Result<HostReport, Error> {
    HostNetwork::open()?.apply(facts)
}

/// [`HostNetwork::remove`], once.
///
/// # Errors
/// Those of [`HostNetwork::open`] and [`HostNetwork::remove`].
pub fn remove(connmark: Connmark) -> Result<(), Errors> {
    HostNetwork::open()
        .map_err(|error| Errors(vec![error]))?
        .remove(connmark)
}

fn primary(netlink: &mut Netlink, facts: &HostFacts) -> Result<Link, Error> {
    let mac = facts.primary_mac;
    netlink.link_by_mac(mac)?.ok_or(Error::NoSuchLink { mac })
}

/// What the node has of what could be wanted. Ours among the rules are those that lead marked
/// packets to main with the priority for that, under whichever mark, and those that lead to main
/// by destination with the priority for external services.
fn observe(netlink: &mut Netlink, primary: &Link) -> Result<State, Error> {
    let mut sysctls = Vec::new();
    for name in desired::sysctls(&primary.name) {
        if let Some(value) = sysctl::read(&name)? {
            sysctls.push(Sysctl { name, value });
        }
    }
    let ours = |rule: &Rule| {
        rule.table == Some(RouteTableId::MAIN)
            && match rule.selector {
                Selector::Mark(_) => rule.priority == RulePriority::FWMARK,
                Selector::To(_) => rule.priority == RulePriority::EXTERNAL_SERVICE,
                Selector::From(_) => false,
            }
    };
    let mut rules = netlink.rules()?;
    rules.retain(ours);
    Ok(State {
        sysctls,
        links: vec![primary.state()],
        rules,
        ..State::default()
    })
}
