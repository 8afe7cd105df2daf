//! The instance metadata service (IMDS), version 2 only: what an instance is told about itself.
//!
//! IMDS answers fast and costs no EC2 call, but it lags behind EC2 by seconds and may contradict
//! it. What it says is an observation, never a reason to take an address from a pod.

mod client;
mod parse;
mod token;

use std::future::Future;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::{
    DeviceIndex, EniId, InstanceId, InstanceType, Ipv4Prefix, MacAddress, NetworkCard,
    SecurityGroupId, SubnetId, VpcId,
};

pub use client::{Client, ClientConfig, DEFAULT_ENDPOINT};

use crate::Error;

/// What an instance is. Nothing of it changes while the instance runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceIdentity {
    /// `i-…`.
    pub instance_id: InstanceId,
    /// For example `m5.large`.
    pub instance_type: InstanceType,
    /// For example `us-west-2`.
    pub region: String,
    /// For example `us-west-2a`.
    pub availability_zone: String,
    /// The VPC of the primary ENI.
    pub vpc: VpcId,
    /// The primary ENI's Ethernet address.
    pub primary_mac: MacAddress,
    /// The primary ENI's primary address.
    pub local_ipv4: Ipv4Addr,
}

/// An ENI as the instance sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImdsEni {
    /// Its Ethernet address, which leads to its link in the kernel.
    pub mac: MacAddress,
    /// `eni-…`.
    pub id: EniId,
    /// The position on the card. The primary ENI is always at 0, also on those managed nodes
    /// whose IMDS says otherwise (SageMaker HyperPod).
    pub device: DeviceIndex,
    /// The network card; 0 when IMDS does not say.
    pub card: NetworkCard,
    /// The IPv4 addresses, the primary first, without those of prefixes; empty on ENIs without IP
    /// (EFA-only).
    pub addresses: Vec<Ipv4Addr>,
    /// The IPv4 prefixes.
    pub prefixes: Vec<Ipv4Prefix>,
    /// The subnet.
    pub subnet: SubnetId,
    /// The subnet's IPv4 network; `None` when it has IPv6 only.
    pub subnet_cidr: Option<Ipv4Net>,
    /// The security groups.
    pub security_groups: Vec<SecurityGroupId>,
}

impl ImdsEni {
    /// The primary IPv4 address, if the ENI has IPv4.
    #[must_use]
    pub fn primary_address(&self) -> Option<Ipv4Addr> {
        self.addresses.first().copied()
    }
}

/// What IMDS is asked.
pub trait Imds: Send + Sync + 'static {
    /// What this instance is.
    fn instance(&self) -> impl Future<Output = Result<InstanceIdentity, Error>> + Send;

    /// The ENIs that IMDS shows, sorted by network card and device. One whose entry is incomplete,
    /// because it is being attached or detached, is left out.
    fn enis(&self) -> impl Future<Output = Result<Vec<ImdsEni>, Error>> + Send;

    /// The IPv4 networks of the VPC, in IMDS's order.
    fn vpc_cidrs(&self) -> impl Future<Output = Result<Vec<Ipv4Net>, Error>> + Send;
}
