//! The EC2 API: a trait of the calls a node makes, the client that makes them, the wire forms.

mod client;
mod convert;
mod facts;
mod operations;
mod types;
pub mod wire;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;

use vpc_model::{
    AttachmentId, DeviceIndex, EniId, InstanceId, Ipv4Prefix, NetworkCard, SecurityGroupId, VpcId,
};

pub use client::Client;
pub use facts::{CidrReservation, ReservationKind, TrunkAssociation};
pub use types::{
    AddressCount, Assigned, Attachment, AttachmentStatus, CreateNetworkInterface, EniQuery,
    EniStatus, Instance, InstanceInterface, NetworkInterface, Subnet,
};

pub use crate::endpoint::{Endpoint, EndpointError};
pub use crate::service::ClientConfig;

use crate::Error;

/// The EC2 calls a node makes.
///
/// Implementations retry what is safe to repeat. Where a call is not idempotent and its answer is
/// lost, the error says so ([`Error::may_have_taken_effect`]) and the caller looks before it
/// repeats the call.
pub trait Ec2: Send + Sync + 'static {
    /// ENIs that match a query, from all pages.
    fn describe_network_interfaces(
        &self,
        query: EniQuery,
    ) -> impl Future<Output = Result<Vec<NetworkInterface>, Error>> + Send;

    /// Creates an ENI. Idempotent by the request's client token.
    fn create_network_interface(
        &self,
        request: CreateNetworkInterface,
    ) -> impl Future<Output = Result<NetworkInterface, Error>> + Send;

    /// Attaches an ENI. EC2 answers before the ENI has appeared in the instance.
    fn attach_network_interface(
        &self,
        eni: EniId,
        instance: InstanceId,
        device: DeviceIndex,
        card: NetworkCard,
    ) -> impl Future<Output = Result<AttachmentId, Error>> + Send;

    /// Has EC2 delete the ENI when its instance is terminated. Idempotent.
    fn set_delete_on_termination(
        &self,
        eni: EniId,
        attachment: AttachmentId,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Replaces the ENI's security groups. Idempotent.
    fn set_security_groups(
        &self,
        eni: EniId,
        groups: Vec<SecurityGroupId>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Begins to detach an ENI. EC2 answers before it is detached.
    fn detach_network_interface(
        &self,
        attachment: AttachmentId,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Deletes an ENI, which must be detached.
    fn delete_network_interface(
        &self,
        eni: EniId,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Assigns addresses or prefixes that EC2 chooses. Not idempotent: each call adds more.
    fn assign_addresses(
        &self,
        eni: EniId,
        count: AddressCount,
    ) -> impl Future<Output = Result<Assigned, Error>> + Send;

    /// Takes secondary addresses and prefixes from an ENI. With both kinds given, two calls are
    /// made, addresses first.
    fn unassign_addresses(
        &self,
        eni: EniId,
        addresses: Vec<Ipv4Addr>,
        prefixes: Vec<Ipv4Prefix>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sets tags of resources of any kind. Idempotent.
    fn create_tags(
        &self,
        resources: Vec<String>,
        tags: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// The IPv4 subnets of a VPC in an availability zone, from all pages.
    fn describe_subnets(
        &self,
        vpc: VpcId,
        availability_zone: String,
    ) -> impl Future<Output = Result<Vec<Subnet>, Error>> + Send;

    /// An instance and the ENIs on it.
    fn describe_instance(
        &self,
        id: InstanceId,
    ) -> impl Future<Output = Result<Instance, Error>> + Send;
}
