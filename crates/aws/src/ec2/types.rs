//! What the EC2 API is about, in model types: the arguments and results of the [`super::Ec2`]
//! trait. Made by `convert` from the wire structs, which check every field that is used.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::{
    AttachmentId, DeviceIndex, EniId, InstanceId, InstanceType, Ipv4Prefix, MacAddress,
    NetworkCard, SecurityGroupId, SubnetId, VpcId,
};

/// Which ENIs are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EniQuery {
    /// Exactly these. One that does not exist fails the call with `NotFound`; none asks nothing.
    Ids(Vec<EniId>),
    /// Those attached to an instance, also while attaching and detaching.
    AttachedTo(InstanceId),
    /// Those that carry a tag of this key and value.
    Tagged {
        /// The tag's key.
        key: String,
        /// The tag's value, taken literally.
        value: String,
    },
    /// Those of a VPC that are attached to nothing and carry tags.
    Unattached {
        /// The VPC.
        vpc: VpcId,
        /// A tag with this key, whatever its value.
        tag_key: String,
        /// And one with this key and value, taken literally.
        tag: Option<(String, String)>,
    },
}

/// An ENI as EC2 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInterface {
    /// `eni-…`.
    pub id: EniId,
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// The subnet its addresses are of.
    pub subnet: SubnetId,
    /// The subnet's VPC.
    pub vpc: VpcId,
    /// The subnet's availability zone, for example `us-west-2a`.
    pub availability_zone: String,
    /// Free text given at creation; may be empty.
    pub description: String,
    /// Where it is in its life.
    pub status: EniStatus,
    /// The primary IPv4 address; `None` in a subnet that has IPv6 only.
    pub primary_address: Option<Ipv4Addr>,
    /// The secondary IPv4 addresses, in EC2's order, without those of prefixes.
    pub addresses: Vec<Ipv4Addr>,
    /// The IPv4 prefixes, in EC2's order.
    pub prefixes: Vec<Ipv4Prefix>,
    /// The security groups, in EC2's order.
    pub security_groups: Vec<SecurityGroupId>,
    /// The attachment to an instance, if any.
    pub attachment: Option<Attachment>,
    /// `interface`, `efa`, `efa-only`, `trunk`, `branch`; EC2 has more and adds to them.
    pub interface_type: String,
    /// The tags.
    pub tags: BTreeMap<String, String>,
}

/// The life of an ENI (EC2 API reference, `NetworkInterface.status`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EniStatus {
    /// Not attached; can be deleted.
    Available,
    /// In use by a service without being attached to an instance.
    Associated,
    /// Being attached.
    Attaching,
    /// Attached.
    InUse,
    /// Being detached.
    Detaching,
    /// A status this program does not know; also `pending`, which only a creation shows.
    Other(String),
}

/// The attachment of an ENI to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// `eni-attach-…`.
    pub id: AttachmentId,
    /// The instance; `None` when a service holds the attachment.
    pub instance: Option<InstanceId>,
    /// The position on the card.
    pub device: DeviceIndex,
    /// The network card.
    pub card: NetworkCard,
    /// Where the attachment is in its life.
    pub status: AttachmentStatus,
    /// Whether EC2 deletes the ENI with the instance.
    pub delete_on_termination: bool,
}

/// The life of an attachment (EC2 API reference, `NetworkInterfaceAttachment.status`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttachmentStatus {
    /// Being made.
    Attaching,
    /// Made.
    Attached,
    /// Being undone.
    Detaching,
    /// Undone.
    Detached,
    /// A status this program does not know.
    Other(String),
}

/// How many addresses or prefixes EC2 is to choose. It chooses one kind per call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressCount {
    /// None: an ENI with its primary address only.
    None,
    /// That many secondary addresses.
    Ips(u32),
    /// That many /28 prefixes.
    Prefixes(u32),
}

/// An ENI to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateNetworkInterface {
    /// The subnet.
    pub subnet: SubnetId,
    /// The security groups; empty means the VPC's default group.
    pub security_groups: Vec<SecurityGroupId>,
    /// Free text.
    pub description: String,
    /// Tags set in the same call, so that the ENI never exists without them.
    pub tags: BTreeMap<String, String>,
    /// What it gets beside its primary address.
    pub count: AddressCount,
    /// Makes repetitions of the call harmless: EC2 answers a token it knows with the ENI it made
    /// the first time. At most 64 ASCII characters; one token per ENI wanted.
    pub client_token: String,
}

/// What EC2 assigned to an ENI in one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assigned {
    /// The addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// The prefixes.
    pub prefixes: Vec<Ipv4Prefix>,
}

/// A subnet. Those without IPv4 are left out of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: SubnetId,
    /// Its IPv4 network.
    pub cidr: Ipv4Net,
    /// Its availability zone, for example `us-west-2a`.
    pub availability_zone: String,
    /// IPv4 addresses not in use (EC2 never counts the five it reserves).
    pub available_addresses: u32,
    /// The tags.
    pub tags: BTreeMap<String, String>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`.
    pub id: InstanceId,
    /// For example `m5.large`.
    pub instance_type: InstanceType,
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`.
    pub state: String,
    /// The ENIs attached to it, also those being attached or detached.
    pub interfaces: Vec<InstanceInterface>,
    /// The tags.
    pub tags: BTreeMap<String, String>,
}

/// An ENI's place on its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceInterface {
    /// `eni-…`.
    pub id: EniId,
    /// The attachment.
    pub attachment: AttachmentId,
    /// The network card.
    pub card: NetworkCard,
    /// The position on the card.
    pub device: DeviceIndex,
    /// Where the attachment is in its life.
    pub status: AttachmentStatus,
}

impl Instance {
    /// Positions that ENIs hold on a card.
    #[must_use]
    pub fn devices(&self, card: NetworkCard) -> BTreeSet<DeviceIndex> {
        let on_card = self
            .interfaces
            .iter()
            .filter(|interface| interface.card == card);
        on_card.map(|interface| interface.device).collect()
    }

    /// The lowest position on a card that no ENI holds, 0 to 99 (upstream's choice); `None` when
    /// all are held.
    #[must_use]
    pub fn free_device(&self, card: NetworkCard) -> Option<DeviceIndex> {
        let held = self.devices(card);
        (0..100)
            .map(DeviceIndex)
            .find(|device| !held.contains(device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_device_is_counted_per_card() {
        let interface = |card, device| InstanceInterface {
            id: "eni-1".parse().unwrap(),
            attachment: "eni-attach-1".parse().unwrap(),
            card: NetworkCard(card),
            device: DeviceIndex(device),
            status: AttachmentStatus::Attached,
        };
        let mut instance = Instance {
            id: "i-1".parse().unwrap(),
            instance_type: "m5.large".parse().unwrap(),
            state: "running".to_owned(),
            interfaces: vec![
                interface(0, 0),
                interface(0, 2),
                interface(1, 0),
                interface(1, 1),
            ],
            tags: BTreeMap::new(),
        };
        assert_eq!(instance.free_device(NetworkCard(0)), Some(DeviceIndex(1)));
        assert_eq!(instance.free_device(NetworkCard(1)), Some(DeviceIndex(2)));
        assert_eq!(instance.free_device(NetworkCard(2)), Some(DeviceIndex(0)));
        instance.interfaces = (0..100).map(|device| interface(0, device)).collect();
        assert_eq!(instance.free_device(NetworkCard(0)), None);
    }
}
