//! The resources of a world and how they change by themselves as time passes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use vpc_aws::ec2::wire::{
    ConnectionTracking, CreateNetworkInterfaceRequest, InstanceMetadataOptionsRequest,
    RunInstancesRequest,
};
use vpc_model::instance_types::InstanceLimits;
use vpc_model::{
    AttachmentId, DeviceIndex, EniId, InstanceId, InstanceType, Ipv4Prefix, MacAddress,
    NetworkCard, SecurityGroupId, SubnetId, Timestamp, VpcId,
};

use super::metadata::Metadata;
use super::rules::Rule;
use super::space::{ReservedFor, Space};
use super::space_v6::SpaceV6;

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub(crate) struct Vpc {
    pub(crate) cidr: Ipv4Net,
    /// The network that Amazon provides on demand, a /56.
    pub(crate) ipv6: Option<Ipv6Net>,
    pub(crate) default_group: SecurityGroupId,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub(crate) vpc: VpcId,
    pub(crate) space: Space,
    pub(crate) ipv6: Option<SpaceV6>,
    pub(crate) availability_zone: String,
    /// Addresses of the space that somebody else has.
    pub(crate) others: Vec<Ipv4Addr>,
    /// The customer's reservations, by id.
    pub(crate) reservations: BTreeMap<String, Reservation>,
    pub(crate) tags: Tags,
}

/// A range of a subnet that the customer reserved.
#[derive(Debug, Clone)]
pub(crate) struct Reservation {
    pub(crate) range: Ipv4Net,
    pub(crate) reserved_for: ReservedFor,
    pub(crate) description: Option<String>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone)]
pub(crate) struct SecurityGroup {
    pub(crate) vpc: VpcId,
    pub(crate) name: String,
    pub(crate) description: String,
    /// The rules, by id.
    pub(crate) rules: BTreeMap<String, Rule>,
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
    /// When it begins to run; its links are there from then on.
    pub(crate) running_from: Timestamp,
    /// When a termination that was asked for is done.
    pub(crate) stops_at: Option<Timestamp>,
    pub(crate) terminated_at: Option<Timestamp>,
    pub(crate) order: Order,
    pub(crate) tags: Tags,
    pub(crate) metadata: Metadata,
}

/// What a launch request says that only answers repeat.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    pub(crate) client_token: Option<String>,
    /// The position among the instances of the request.
    pub(crate) index: i32,
    pub(crate) key_name: Option<String>,
    /// Whether it cannot be terminated by request.
    pub(crate) protected: bool,
    pub(crate) metadata_options: InstanceMetadataOptionsRequest,
}

impl Instance {
    /// EC2's number and name of the state it is in.
    pub(crate) fn state(&self, now: Timestamp) -> (i32, &'static str) {
        if self.terminated_at.is_some() {
            (48, "terminated")
        } else if self.stops_at.is_some() {
            (32, "shutting-down")
        } else if self.running_from > now {
            (0, "pending")
        } else {
            (16, "running")
        }
    }

    /// The moments at which it changes by itself.
    pub(crate) fn moments(&self) -> impl Iterator<Item = Timestamp> {
        [Some(self.running_from), self.stops_at]
            .into_iter()
            .flatten()
    }
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
    /// In the order of their assignment.
    pub(crate) ipv6: Vec<Ipv6Addr>,
    pub(crate) ipv6_prefixes: Vec<Ipv6Net>,
    pub(crate) public: Option<Ipv4Addr>,
    pub(crate) security_groups: Vec<SecurityGroupId>,
    pub(crate) source_dest_check: bool,
    pub(crate) connection_tracking: Option<ConnectionTracking>,
    pub(crate) tags: Tags,
    pub(crate) attachment: Option<Attachment>,
    /// The trunk it is a branch of.
    pub(crate) association: Option<Association>,
}

/// A branch ENI's place on its trunk ENI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Association {
    pub(crate) id: String,
    pub(crate) trunk: EniId,
    pub(crate) vlan: u16,
    /// The client token that made it.
    pub(crate) token: String,
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

    pub(crate) fn is_trunk(&self) -> bool {
        self.interface_type == "trunk"
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.attachment.is_some() || self.association.is_some() {
            "in-use"
        } else {
            "available"
        }
    }
}

/// A launch that a client token names: repetitions get the same instances.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) request: RunInstancesRequest,
    pub(crate) instances: Vec<InstanceId>,
}

/// A creation that a client token names: repetitions get the same ENI.
#[derive(Debug, Clone)]
pub(crate) struct Creation {
    pub(crate) request: CreateNetworkInterfaceRequest,
    pub(crate) eni: EniId,
}
