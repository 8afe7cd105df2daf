//! The world as a network sees it: what has to be cabled, and with which addresses.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::{
    DeviceIndex, EniId, InstanceId, Ipv4Prefix, MacAddress, NetworkCard, SecurityGroupId, SubnetId,
    Timestamp,
};

use super::World;
use super::guard::FabricRule;
use super::state::Eni;

/// Everything that a fabric has to provide at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FabricView {
    /// The networks of all VPCs.
    pub vpc_cidrs: Vec<Ipv4Net>,
    /// The subnets, by id.
    pub subnets: Vec<FabricSubnet>,
    /// The instances, by id; pending and terminated ones are left out.
    pub instances: Vec<FabricInstance>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricSubnet {
    /// Which.
    pub id: SubnetId,
    /// Its network.
    pub cidr: Ipv4Net,
    /// The VPC router's address in it: the second of the network.
    pub gateway: Ipv4Addr,
    /// The name of its availability zone.
    pub availability_zone: String,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricInstance {
    /// Which.
    pub id: InstanceId,
    /// The name it was launched with.
    pub name: String,
    /// The ENIs whose link is present, by card and device.
    pub enis: Vec<FabricEni>,
}

/// An ENI whose link is present in its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricEni {
    /// Which.
    pub id: EniId,
    /// The link's MAC address.
    pub mac: MacAddress,
    /// The position on the card.
    pub device: DeviceIndex,
    /// The network card.
    pub card: NetworkCard,
    /// The subnet.
    pub subnet: SubnetId,
    /// The subnet's network.
    pub subnet_cidr: Ipv4Net,
    /// The primary address.
    pub primary: Ipv4Addr,
    /// All addresses, the primary first.
    pub addresses: Vec<Ipv4Addr>,
    /// The prefixes.
    pub prefixes: Vec<Ipv4Prefix>,
    /// The public address that stands for the primary one.
    pub public: Option<Ipv4Addr>,
    /// Whether the VPC drops packets of addresses that are not the ENI's.
    pub source_dest_check: bool,
    /// The security groups.
    pub security_groups: Vec<SecurityGroupId>,
    /// What these let pass.
    pub guard: Vec<FabricRule>,
    /// The branch ENIs that it carries as a trunk, by id.
    pub branches: Vec<FabricBranch>,
}

/// A branch ENI, whose packets travel on its trunk's link with a VLAN tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricBranch {
    /// Which.
    pub id: EniId,
    /// The VLAN on the trunk's link.
    pub vlan: u16,
    /// Its own MAC address.
    pub mac: MacAddress,
    /// The subnet, which can be another than the trunk's.
    pub subnet: SubnetId,
    /// The subnet's network.
    pub subnet_cidr: Ipv4Net,
    /// All addresses, the primary first.
    pub addresses: Vec<Ipv4Addr>,
    /// The security groups.
    pub security_groups: Vec<SecurityGroupId>,
}

impl World {
    /// The fabric as of the last call or [`World::advance`].
    #[must_use]
    pub fn fabric(&self) -> FabricView {
        let mut enis = self.fabric_enis();
        FabricView {
            vpc_cidrs: self.vpcs.values().map(|vpc| vpc.cidr).collect(),
            subnets: self
                .subnets
                .iter()
                .map(|(id, subnet)| FabricSubnet {
                    id: id.clone(),
                    cidr: subnet.space.cidr(),
                    gateway: subnet.space.gateway(),
                    availability_zone: subnet.availability_zone.clone(),
                })
                .collect(),
            instances: self
                .instances
                .iter()
                .filter(|(_, instance)| {
                    instance.terminated_at.is_none() && instance.running_from <= self.now
                })
                .map(|(id, instance)| FabricInstance {
                    id: id.clone(),
                    name: instance.name.clone(),
                    enis: enis.remove(id).unwrap_or_default(),
                })
                .collect(),
        }
    }

    /// When the link of an ENI is, or will be, in its instance; nothing for one that is not
    /// attached.
    #[must_use]
    pub fn link_from(&self, eni: &EniId) -> Option<Timestamp> {
        let attachment = self.enis.get(eni)?.attachment.as_ref()?;
        Some(attachment.link_from)
    }

    fn fabric_branches(&self, trunk: &EniId) -> Vec<FabricBranch> {
        if !self.enis.get(trunk).is_some_and(Eni::is_trunk) {
            return Vec::new();
        }
        let branches = self.branches_of(trunk);
        let found = branches.filter_map(|(id, eni, association)| {
            let subnet = self.subnets.get(&eni.subnet)?;
            Some(FabricBranch {
                id: id.clone(),
                vlan: association.vlan,
                mac: eni.mac,
                subnet: eni.subnet.clone(),
                subnet_cidr: subnet.space.cidr(),
                addresses: eni.all_addresses(),
                security_groups: eni.security_groups.clone(),
            })
        });
        found.collect()
    }

    /// The ENIs whose link is present, by instance.
    fn fabric_enis(&self) -> BTreeMap<InstanceId, Vec<FabricEni>> {
        let mut by_instance: BTreeMap<InstanceId, Vec<FabricEni>> = BTreeMap::new();
        for (id, eni) in &self.enis {
            let Some(attachment) = eni.attachment.as_ref() else {
                continue;
            };
            let Some(subnet) = self.subnets.get(&eni.subnet) else {
                continue;
            };
            if attachment.link_from > self.now {
                continue;
            }
            let on = by_instance.entry(attachment.instance.clone()).or_default();
            on.push(FabricEni {
                id: id.clone(),
                mac: eni.mac,
                device: attachment.device,
                card: attachment.card,
                subnet: eni.subnet.clone(),
                subnet_cidr: subnet.space.cidr(),
                primary: eni.primary,
                addresses: eni.all_addresses(),
                prefixes: eni.prefixes.clone(),
                public: eni.public,
                source_dest_check: eni.source_dest_check,
                security_groups: eni.security_groups.clone(),
                guard: self.guard(eni),
                branches: self.fabric_branches(id),
            });
        }
        for enis in by_instance.values_mut() {
            enis.sort_by_key(|eni| (eni.card, eni.device));
        }
        by_instance
    }
}
