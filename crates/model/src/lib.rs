//! The nouns of vpc-cni: what the other crates talk about.
//!
//! Everything here is a value that was checked once, when it was made. A function that takes a
//! [`LinkName`] or an [`Mtu`] has nothing left to validate. The crate does no I/O, reads no clock
//! and no environment; the one place a setting's text becomes a type is [`settings`].

pub mod ids;
pub mod instance_types;
pub mod kernel;
pub mod link;
pub mod mac;
pub mod max_pods;
pub mod names;
mod nearest;
pub mod pod;
pub mod prefix;
pub mod settings;
pub mod time;

pub use ids::{
    AttachmentId, EniId, IdError, InstanceId, InstanceType, SecurityGroupId, SubnetId, VpcId,
};
pub use kernel::{Connmark, DeviceIndex, Mtu, NetworkCard, PortRange, RouteTableId, RulePriority};
pub use link::{LinkName, LinkNameError, VethPrefix};
pub use mac::MacAddress;
pub use pod::{PodKey, PodName};
pub use prefix::Ipv4Prefix;
pub use time::Timestamp;
