//! The resources of a world and how they change by themselves as time passes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_aws::ec2::wire::{ConnectionTracking, CreateNetworkInterfaceRequest};
use vpc_model::instance_types::InstanceLimits;
use vpc_model::{
    AttachmentId, DeviceIndex, EniId, InstanceId, InstanceType, Ipv4Prefix, MacAddress,
    NetworkCard, SecurityGroupId, SubnetId, Timestamp, VpcId,
};

use super::metadata::Metadata;
use super::space::Space;

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub(crate) struct Vpc {
    pub(crate) cidr: Ipv4Net,
    pub(crate) default_group: SecurityGroupId,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub(crate) vpc: VpcId,
    pub(crate) space: Space,
    pub(crate) availability_zone: String,
    /// Addresses of the space that somebody else has.
    pub(crate) others: Vec<Ipv4Addr>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone)]
pub(crate) struct SecurityGroup {
    pub(crate) vpc: VpcId,
    pub(crate) name: String,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) instance_type: InstanceType,
    pub(crate) limits: InstanceLimits,
    pub(crate) subnet: SubnetId,
    pub(crate) vpc: VpcId,
    pub(crate) availability_zone: String,
    pub(crate) reservation: String,
    pub(crate) image: String,
    pub(crate) launched_at: Timestamp,
    pub(crate) terminated_at: Option<Timestamp>,
    pub(crate) tags: Tags,
    pub(crate) metadata: Metadata,
}

/// An attachment. Its status follows from the moments in it and the present one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) id: AttachmentId,
    pub(crate) instance: InstanceId,
    pub(crate) device: DeviceIndex,
    pub(crate) card: NetworkCard,
    pub(crate) requested_at: Timestamp,
    /// When the link appears in the instance.
    pub(crate) link_from: Timestamp,
    /// When the status becomes `attached`.
    pub(crate) attached_from: Timestamp,
    /// When a detach that was asked for ends the attachment.
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) delete_on_termination: bool,
}

impl Attachment {
    pub(crate) fn status(&self, now: Timestamp) -> &'static str {
        if self.ends_at.is_some() {
            "detaching"
        } else if self.attached_from > now {
            "attaching"
        } else {
            "attached"
        }
    }

    /// The moments at which something about it changes.
    pub(crate) fn moments(&self) -> impl Iterator<Item = Timestamp> {
        [Some(self.link_from), Some(self.attached_from), self.ends_at]
            .into_iter()
            .flatten()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Eni {
    pub(crate) mac: MacAddress,
    pub(crate) subnet: SubnetId,
    pub(crate) vpc: VpcId,
    pub(crate) availability_zone: String,
    pub(crate) description: String,
    pub(crate) interface_type: String,
    pub(crate) primary: Ipv4Addr,
    /// The secondary addresses, in the order of their assignment.
    pub(crate) secondaries: Vec<Ipv4Addr>,
    pub(crate) prefixes: Vec<Ipv4Prefix>,
    pub(crate) public: Option<Ipv4Addr>,
    pub(crate) security_groups: Vec<SecurityGroupId>,
    pub(crate) source_dest_check: bool,
    pub(crate) connection_tracking: Option<ConnectionTracking>,
    pub(crate) tags: Tags,
    pub(crate) attachment: Option<Attachment>,
}

impl Eni {
    /// All addresses, the primary first.
    pub(crate) fn all_addresses(&self) -> Vec<Ipv4Addr> {
        std::iter::once(self.primary)
            .chain(self.secondaries.iter().copied())
            .collect()
    }

    /// What counts against the limit of addresses: a prefix counts as one.
    pub(crate) fn used_slots(&self) -> usize {
        1 + self.secondaries.len() + self.prefixes.len()
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.attachment.is_some() {
            "in-use"
        } else {
            "available"
        }
    }
}

/// A creation that a client token names: repetitions get the same ENI.
#[derive(Debug, Clone)]
pub(crate) struct Creation {
    pub(crate) request: CreateNetworkInterfaceRequest,
    pub(crate) eni: EniId,
}
