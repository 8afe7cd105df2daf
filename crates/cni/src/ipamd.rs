//! Asking ipamd, and taking nothing it says on trust.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vpc_model::{DeviceIndex, PodKey, RouteTableId};
use vpc_rpc::proto::{
    AddNetworkReply, AddNetworkRequest, DelNetworkReply, DelNetworkRequest, IpAllocationMetadata,
};
use vpc_rpc::release_queue::{self, Release};
use vpc_rpc::{CallError, add_network, del_network};

use crate::error::Error;
use crate::log;
use crate::prev_result::known_table;
use crate::settings::Attachment;
use crate::spec::Sandbox;

/// More interfaces than any instance has network cards.
const MOST_ADDRESSES: usize = 16;

/// What the plugin calls itself: nothing, as every released build of upstream does. Upstream's
/// daemon refuses a version that is not its own.
const CLIENT_VERSION: &str = "";

/// ipamd, as one sandbox interface sees it.
#[derive(Debug)]
pub struct Ipamd<'a> {
    /// Where it listens.
    pub socket: PathBuf,
    /// How long to wait for an answer.
    pub deadline: Duration,
    /// Name of the network.
    pub network: &'a str,
    /// The sandbox interface.
    pub sandbox: &'a Sandbox,
}

/// What ipamd gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allocation {
    /// One per interface; at least one.
    pub addresses: Vec<Allocated>,
    /// The network policy mode, when the network-policy agent is to be asked.
    pub policy_mode: Option<String>,
}

/// An address, and the ENI that owns it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allocated {
    /// The address.
    pub address: Ipv4Addr,
    /// The ENI's route table.
    pub table: RouteTableId,
    /// The ENI's device number.
    pub device: DeviceIndex,
}

/// Why an address goes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The sandbox goes.
    PodDeleted,
    /// It could not be wired.
    SetupFailed,
}

/// Why an answer cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplyError {
    /// Success without an address.
    #[error("it says success and names no address")]
    Empty,
    /// More addresses than there can be interfaces.
    #[error("it names {0} addresses; allowed: at most {MOST_ADDRESSES}")]
    TooMany(usize),
    /// An address that is none, or that no pod can have.
    #[error("the address is {0:?}; allowed: an IPv4 unicast address")]
    Address(String),
    /// The same address twice.
    #[error("it names {0} twice")]
    Twice(Ipv4Addr),
    /// A table no ENI has.
    #[error(
        "the route table of {address} is {table}; allowed: 254 (main), 2 to 252, or from 10000"
    )]
    Table {
        /// The address.
        address: Ipv4Addr,
        /// The table.
        table: i32,
    },
    /// A device number no ENI has.
    #[error("the device number of {address} is {device}; allowed: 0 to 99")]
    Device {
        /// The address.
        address: Ipv4Addr,
        /// The device number.
        device: i32,
    },
}

impl Ipamd<'_> {
    /// Asks for addresses. When the answer is an allocation that cannot be used, it is given back
    /// before this returns.
    ///
    /// # Errors
    /// No address; which error it is tells whether trying again can help.
    pub fn allocate(&self, attachment: Attachment) -> Result<Allocation, Error> {
        let args = &self.sandbox.args;
        let netns = self.sandbox.netns.as_deref().unwrap_or(Path::new(""));
        let request = AddNetworkRequest {
            k8s_pod_name: args.pod.name.clone(),
            k8s_pod_namespace: args.pod.namespace.clone(),
            k8s_pod_infra_container_id: args.infra_container_id.clone(),
            netns: netns.to_string_lossy().into_owned(),
            if_name: self.sandbox.if_name.to_string(),
            network_name: self.network.to_owned(),
            container_id: self.sandbox.container_id.clone(),
            client_version: CLIENT_VERSION.to_owned(),
            requires_multi_nic_attachment: attachment == Attachment::EveryCard,
        };
        let reply = add_network(&self.socket, &request, self.deadline).map_err(Error::from_call)?;
        if !reply.success {
            return Err(Error::NoAddress);
        }
        usable(reply).inspect_err(|_| {
            // What is reported is why the answer cannot be used; the release is kept if need be.
            let _ = self.give_back();
        })
    }

    /// Tells ipamd that the sandbox's addresses are free.
    ///
    /// # Errors
    /// No reply.
    pub fn release(&self, reason: Reason) -> Result<DelNetworkReply, CallError> {
        let args = &self.sandbox.args;
        let request = DelNetworkRequest {
            k8s_pod_name: args.pod.name.clone(),
            k8s_pod_namespace: args.pod.namespace.clone(),
            k8s_pod_infra_container_id: args.infra_container_id.clone(),
            reason: reason.as_str().to_owned(),
            if_name: self.sandbox.if_name.to_string(),
            network_name: self.network.to_owned(),
            container_id: self.sandbox.container_id.clone(),
            client_version: CLIENT_VERSION.to_owned(),
            k8s_pod_uid: args.pod_uid.clone(),
        };
        del_network(&self.socket, &request, self.deadline)
    }

    /// Gives back what an ADD that failed had got; through the release queue when ipamd does not
    /// take it.
    ///
    /// # Errors
    /// Neither worked: the address stays allocated until the runtime's DEL.
    pub fn give_back(&self) -> Result<(), Error> {
        match self.release(Reason::SetupFailed) {
            Ok(reply) if reply.success => Ok(()),
            Err(error) if is_unknown_pod(&error) => Ok(()),
            Ok(_) | Err(_) => self.queue_release(),
        }
    }

    /// Leaves the release for ipamd to find.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub fn queue_release(&self) -> Result<(), Error> {
        let release = Release {
            key: self.key(),
            pod: self.sandbox.args.pod.clone(),
            pod_uid: self.sandbox.args.pod_uid.clone(),
            released_at: log::now(),
        };
        let folder = release_queue::beside(&self.socket);
        release_queue::push(&folder, &release)
            .map(|_| ())
            .map_err(Error::ReleaseQueue)
    }

    /// Takes back a release of this key that ipamd has not found yet: the key is about to be
    /// allocated again.
    ///
    /// # Errors
    /// It cannot be taken back; an ADD that went on could lose its address later.
    pub fn cancel_queued_release(&self) -> Result<(), Error> {
        let folder = release_queue::beside(&self.socket);
        release_queue::cancel(&folder, &self.key())
            .map(|_| ())
            .map_err(Error::ReleaseQueue)
    }

    fn key(&self) -> PodKey {
        PodKey {
            network: self.network.to_owned(),
            container_id: self.sandbox.container_id.clone(),
            if_name: self.sandbox.if_name.to_string(),
        }
    }
}

/// Whether ipamd said that it holds nothing under the key.
pub(crate) fn is_unknown_pod(error: &CallError) -> bool {
    error.status().is_some_and(vpc_rpc::Status::is_unknown_pod)
}

impl Reason {
    /// Upstream's word, which its metrics count by.
    fn as_str(self) -> &'static str {
        match self {
            Self::PodDeleted => "PodDeleted",
            Self::SetupFailed => "SetupNSFailed",
        }
    }
}

fn usable(reply: AddNetworkReply) -> Result<Allocation, Error> {
    if reply.pod_vlan_id != 0 {
        return Err(Error::Unsupported {
            what: "pods with security groups of their own (branch ENIs)",
            remedy: "set ENABLE_POD_ENI=false on the aws-node DaemonSet",
        });
    }
    let is_v6 = |one: &IpAllocationMetadata| one.ipv4_addr.is_empty() && !one.ipv6_addr.is_empty();
    if reply.ip_allocation_metadata.iter().any(is_v6) {
        return Err(Error::Unsupported {
            what: "IPv6 pods",
            remedy: "set ENABLE_IPv6=false and ENABLE_IPv4=true on the aws-node DaemonSet",
        });
    }
    let addresses = released(&reply.ip_allocation_metadata).map_err(Error::Reply)?;
    if addresses.is_empty() {
        return Err(Error::Reply(ReplyError::Empty));
    }
    let policy_mode = Some(reply.network_policy_mode).filter(|mode| !mode.is_empty());
    Ok(Allocation {
        addresses,
        policy_mode,
    })
}

/// The addresses in a reply, each checked.
///
/// # Errors
/// Names what is wrong.
pub fn released(entries: &[IpAllocationMetadata]) -> Result<Vec<Allocated>, ReplyError> {
    if entries.len() > MOST_ADDRESSES {
        return Err(ReplyError::TooMany(entries.len()));
    }
    let mut addresses: Vec<Allocated> = Vec::with_capacity(entries.len());
    for entry in entries {
        let one = allocated(entry)?;
        if addresses.iter().any(|other| other.address == one.address) {
            return Err(ReplyError::Twice(one.address));
        }
        addresses.push(one);
    }
    Ok(addresses)
}

fn allocated(entry: &IpAllocationMetadata) -> Result<Allocated, ReplyError> {
    let address = entry
        .ipv4_addr
        .parse()
        .ok()
        .filter(|address| is_pod_address(*address));
    let address = address.ok_or_else(|| ReplyError::Address(entry.ipv4_addr.clone()))?;
    let table = entry.route_table_id;
    let table = u32::try_from(table)
        .ok()
        .filter(|table| matches!(table, 0..=252 | 254 | 10_000..))
        .map(|table| known_table(RouteTableId(table)))
        .ok_or(ReplyError::Table { address, table })?;
    let device = u8::try_from(entry.device_number)
        .ok()
        .filter(|device| *device <= 99)
        .map(DeviceIndex)
        .ok_or(ReplyError::Device {
            address,
            device: entry.device_number,
        })?;
    Ok(Allocated {
        address,
        table,
        device,
    })
}

/// Whether a pod can have the address: rules and routes for others would cut off the node.
fn is_pod_address(address: Ipv4Addr) -> bool {
    let other = address.is_unspecified()
        || address.is_broadcast()
        || address.is_link_local()
        || IpAddr::V4(address).is_loopback()
        || address.is_multicast();
    !other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_reply_is_taken() {
        let reply = reply(&[entry("10.0.1.15", 2, 1), entry("10.0.1.16", 0, 0)]);
        let allocation = usable(reply).unwrap();
        assert_eq!(allocation.addresses[0].table, RouteTableId(2));
        assert_eq!(allocation.addresses[1].table, RouteTableId::MAIN);
        assert_eq!(allocation.policy_mode, None);
    }

    #[test]
    fn a_reply_that_would_harm_the_node_is_refused() {
        let bad = [
            vec![],
            vec![entry("", 254, 0)],
            vec![entry("10.0.1.15/32", 254, 0)],
            vec![entry("0.0.0.0", 254, 0)],
            vec![entry("127.0.0.1", 254, 0)],
            vec![entry("169.254.169.254", 254, 0)],
            vec![entry("255.255.255.255", 254, 0)],
            vec![entry("224.0.0.1", 254, 0)],
            vec![entry("10.0.1.15", 255, 0)],
            vec![entry("10.0.1.15", 253, 0)],
            vec![entry("10.0.1.15", -1, 0)],
            vec![entry("10.0.1.15", 500, 0)],
            vec![entry("10.0.1.15", 254, -1)],
            vec![entry("10.0.1.15", 254, 100)],
            vec![entry("10.0.1.15", 254, 0), entry("10.0.1.15", 2, 1)],
            (0..17)
                .map(|last| entry(&format!("10.0.1.{}", last + 5), 254, 0))
                .collect(),
        ];
        for entries in bad {
            let error = usable(reply(&entries)).unwrap_err();
            assert_eq!(error.code(), 100, "{entries:?}");
        }
    }

    #[test]
    fn pods_this_version_cannot_wire_are_named() {
        let branch = AddNetworkReply {
            pod_vlan_id: 3,
            ..reply(&[entry("10.0.1.15", 0, -1)])
        };
        let v6 = IpAllocationMetadata {
            ipv6_addr: "fd00::1".to_owned(),
            ..entry("", 254, 0)
        };
        for reply in [branch, reply(&[v6])] {
            assert_eq!(usable(reply).unwrap_err().code(), 102);
        }
    }

    fn reply(entries: &[IpAllocationMetadata]) -> AddNetworkReply {
        AddNetworkReply {
            success: true,
            ip_allocation_metadata: entries.to_vec(),
            ..Default::default()
        }
    }

    fn entry(address: &str, table: i32, device: i32) -> IpAllocationMetadata {
        IpAllocationMetadata {
            ipv4_addr: address.to_owned(),
            route_table_id: table,
            device_number: device,
            ..Default::default()
        }
    }
}
