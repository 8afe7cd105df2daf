//! The world behind EC2's and IMDS's protocols.

pub(crate) mod admin;
mod dispatch;
pub(crate) mod ec2;
pub(crate) mod form;
pub(crate) mod imds;

use vpc_model::InstanceId;

/// Which instance a caller of the metadata service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentifyBy {
    /// The running instance whose primary ENI has the peer's address as its primary one.
    PeerAddress,
    /// Everybody is this instance.
    Instance(InstanceId),
}
