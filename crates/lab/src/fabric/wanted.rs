//! What the kernel should hold, for a view of the simulated cloud. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::{DeviceIndex, EniId, LinkName, LinkNameError, MacAddress, NetworkCard};
use vpc_sim::{FabricEni, FabricRule, FabricView};

use crate::names::{NODES, node_name};

/// Everything that changes while a lab runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The router's address in each subnet: its first (VPC user guide, "Subnet CIDR blocks").
    pub(super) gateways: BTreeSet<Ipv4Addr>,
    /// One for each ENI whose link is present in a node.
    pub(super) ports: BTreeMap<EniId, Port>,
}

/// An ENI: a cable between the router and a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// Where the cable is.
    pub(super) wire: Wire,
    /// What else the router delivers to it: secondary addresses, and prefixes.
    pub(super) delivered: BTreeSet<Ipv4Net>,
    /// Whether packets may leave it with foreign source addresses.
    pub(super) source_check: SourceCheck,
    /// The public address that stands for its primary address on the internet.
    pub(super) public: Option<Ipv4Addr>,
    /// What its security groups let pass.
    pub(super) guard: Vec<FabricRule>,
}

/// What cannot change about a port: another value means another cable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wire {
    /// The router's end, `eni1-0`: node and device.
    pub(super) name: LinkName,
    /// The node's number.
    pub(super) node: u8,
    /// The node's end, `ens5`, and its role there.
    pub(super) link: LinkName,
    /// Whether the node boots from it.
    pub(super) role: Role,
    /// The ENI's MAC address.
    pub(super) mac: MacAddress,
    /// The ENI's primary address.
    pub(super) primary: Ipv4Addr,
    /// The ENI's subnet.
    pub(super) subnet: Ipv4Net,
}

/// What an ENI is to its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Device 0 of card 0: an instance is launched with it, and sets it up by DHCP.
    Primary,
    /// Attached later; it appears down and bare.
    Secondary,
}

/// EC2's "source/destination check" of an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceCheck {
    /// Only assigned addresses may be sent from.
    Enforced,
    /// Any may.
    Off,
}

impl Wanted {
    /// What `view` asks for. Instances that are none of the lab's nodes have no place in the
    /// fabric and are left out.
    ///
    /// # Errors
    /// A device number so high that no link name can be made of it.
    pub(super) fn of(view: &FabricView) -> Result<Wanted, LinkNameError> {
        let mut wanted = Wanted {
            gateways: view.subnets.iter().map(|subnet| subnet.gateway).collect(),
            ports: BTreeMap::new(),
        };
        for number in 1..=NODES {
            let name = node_name(number);
            let instances = view.instances.iter().filter(|one| one.name == name);
            for eni in instances.flat_map(|instance| &instance.enis) {
                wanted.ports.insert(eni.id.clone(), port(number, eni)?);
            }
        }
        Ok(wanted)
    }
}

/// The name of a device's link in the instance: `ens5` for the first, counting on from there, as
/// on a Nitro instance without further network cards. Each further card counts from 32 higher,
/// which keeps the names apart.
///
/// # Errors
/// Never for an instance that exists: the name would have to be longer than 15 characters.
pub fn link_name(card: NetworkCard, device: DeviceIndex) -> Result<LinkName, LinkNameError> {
    let slot = 5 + u32::from(device.0) + 32 * u32::from(card.0);
    format!("ens{slot}").parse()
}

fn port(node: u8, eni: &FabricEni) -> Result<Port, LinkNameError> {
    let others = eni.addresses.iter().filter(|&&one| one != eni.primary);
    let prefixes = eni.prefixes.iter().map(|&prefix| Ipv4Net::from(prefix));
    let card = match eni.card.0 {
        0 => String::new(),
        card => format!("c{card}"),
    };
    Ok(Port {
        wire: Wire {
            name: format!("eni{node}-{}{card}", eni.device).parse()?,
            node,
            link: link_name(eni.card, eni.device)?,
            role: match (eni.card.0, eni.device.0) {
                (0, 0) => Role::Primary,
                _ => Role::Secondary,
            },
            mac: eni.mac,
            primary: eni.primary,
            subnet: eni.subnet_cidr,
        },
        delivered: others.copied().map(Ipv4Net::from).chain(prefixes).collect(),
        source_check: if eni.source_dest_check {
            SourceCheck::Enforced
        } else {
            SourceCheck::Off
        },
        public: eni.public,
        guard: eni.guard.clone(),
    })
}
