//! The calls that nodes make, whatever they do about failures.

use vpc_aws::ec2::wire::{
    AssignPrivateIpAddressesRequest, AttachNetworkInterfaceRequest, CreateNetworkInterfaceRequest,
    CreateTagsRequest, DeleteNetworkInterfaceRequest, DescribeInstancesRequest,
    DescribeNetworkInterfacesRequest, DescribeSubnetsRequest, DetachNetworkInterfaceRequest,
    Filter, ModifyNetworkInterfaceAttributeRequest, NetworkInterface,
    NetworkInterfaceAttachmentChanges, Request, Tag, UnassignPrivateIpAddressesRequest,
};
use vpc_ipam::{Ask, Slots};
use vpc_model::{AttachmentId, DeviceIndex, EniId, MacAddress, NetworkCard, Timestamp};

use super::cloud::THROTTLED;
use super::launch::Identity;
use crate::error::ApiError;
use crate::world::World;

/// What a call does to the world.
pub(super) type Act<R, T> = fn(&mut World, &R, Timestamp) -> Result<T, ApiError>;

/// Why a call came to nothing.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// EC2 said so, the last time it was asked.
    Ec2(ApiError),
    /// The caller's own budget did not let it leave in time.
    OverBudget,
}

impl Failure {
    /// EC2's code; nothing where it was not asked.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Failure::Ec2(error) => Some(&error.code),
            Failure::OverBudget => None,
        }
    }

    /// Whether asking again later may help.
    pub(super) fn passes(&self) -> bool {
        self.code().is_none_or(|code| code == THROTTLED)
    }
}

/// Whoever makes calls: it decides when they leave and whether they are repeated.
pub(super) trait Caller {
    /// Makes a call.
    async fn call<R: Request, T>(&self, request: &R, act: Act<R, T>) -> Result<T, Failure>;
}

/// An ENI that was created.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) id: EniId,
    pub(super) mac: MacAddress,
    pub(super) primary: std::net::Ipv4Addr,
    pub(super) slots: Slots,
}

/// `CreateNetworkInterface`.
pub(super) async fn create(
    caller: &impl Caller,
    me: &Identity,
    ask: Ask,
    token: Option<String>,
) -> Result<Made, Failure> {
    let (addresses, prefixes) = counts(ask);
    let request = CreateNetworkInterfaceRequest {
        subnet_id: Some(me.subnet.id.to_string()),
        description: Some(format!("aws-K8S-{}", me.instance)),
        secondary_private_ip_address_count: addresses,
        ipv4_prefix_count: prefixes,
        client_token: token,
        ..Default::default()
    };
    let answer = caller
        .call(&request, World::create_network_interface)
        .await?;
    let made = answer.network_interface.and_then(made);
    made.ok_or_else(|| unusable(CreateNetworkInterfaceRequest::ACTION))
}

/// `AttachNetworkInterface`.
pub(super) async fn attach(
    caller: &impl Caller,
    me: &Identity,
    eni: &EniId,
    (card, device): (NetworkCard, DeviceIndex),
) -> Result<AttachmentId, Failure> {
    let request = AttachNetworkInterfaceRequest {
        network_interface_id: Some(eni.to_string()),
        instance_id: Some(me.instance.to_string()),
        device_index: Some(device.0.into()),
        network_card_index: Some(card.0.into()),
        ..Default::default()
    };
    let answer = caller
        .call(&request, World::attach_network_interface)
        .await?;
    let id = answer.attachment_id.and_then(|id| id.parse().ok());
    id.ok_or_else(|| unusable(AttachNetworkInterfaceRequest::ACTION))
}

/// `ModifyNetworkInterfaceAttribute`: the ENI is to go with its instance.
pub(super) async fn set_delete_on_termination(
    caller: &impl Caller,
    eni: &EniId,
    attachment: &AttachmentId,
) -> Result<(), Failure> {
    let request = ModifyNetworkInterfaceAttributeRequest {
        network_interface_id: Some(eni.to_string()),
        attachment: Some(NetworkInterfaceAttachmentChanges {
            attachment_id: Some(attachment.to_string()),
            delete_on_termination: Some(true),
        }),
        ..Default::default()
    };
    modify(caller, &request).await
}

/// `ModifyNetworkInterfaceAttribute`: the ENI's security groups are the node's.
pub(super) async fn set_groups(
    caller: &impl Caller,
    me: &Identity,
    eni: &EniId,
) -> Result<(), Failure> {
    let request = ModifyNetworkInterfaceAttributeRequest {
        network_interface_id: Some(eni.to_string()),
        groups: me.groups.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    modify(caller, &request).await
}

async fn modify(
    caller: &impl Caller,
    request: &ModifyNetworkInterfaceAttributeRequest,
) -> Result<(), Failure> {
    let act = World::modify_network_interface_attribute;
    caller.call(request, act).await.map(drop)
}

/// `AssignPrivateIpAddresses`.
pub(super) async fn assign(caller: &impl Caller, eni: &EniId, ask: Ask) -> Result<Slots, Failure> {
    let (addresses, prefixes) = counts(ask);
    let request = AssignPrivateIpAddressesRequest {
        network_interface_id: Some(eni.to_string()),
        secondary_private_ip_address_count: addresses,
        ipv4_prefix_count: prefixes,
        ..Default::default()
    };
    let answer = caller
        .call(&request, World::assign_private_ip_addresses)
        .await?;
    let addresses = answer.assigned_private_ip_addresses.item.into_iter();
    let prefixes = answer.assigned_ipv4_prefixes.into_iter();
    let prefixes = prefixes.flat_map(|set| set.item);
    Ok(Slots {
        addresses: addresses
            .filter_map(|one| one.private_ip_address?.parse().ok())
            .collect(),
        prefixes: prefixes
            .filter_map(|one| one.ipv4_prefix?.parse().ok())
            .collect(),
    })
}

/// `UnassignPrivateIpAddresses`; addresses and prefixes go in calls of their own.
pub(super) async fn unassign(
    caller: &impl Caller,
    eni: &EniId,
    slots: &Slots,
) -> Result<(), Failure> {
    let id = Some(eni.to_string());
    let addresses = slots.addresses.iter().map(ToString::to_string).collect();
    let prefixes = slots.prefixes.iter().map(ToString::to_string).collect();
    for (private_ip_addresses, ipv4_prefixes) in [(addresses, vec![]), (vec![], prefixes)] {
        let request = UnassignPrivateIpAddressesRequest {
            network_interface_id: id.clone(),
            private_ip_addresses,
            ipv4_prefixes,
        };
        if !(request.private_ip_addresses.is_empty() && request.ipv4_prefixes.is_empty()) {
            let act = World::unassign_private_ip_addresses;
            caller.call(&request, act).await?;
        }
    }
    Ok(())
}

/// `DescribeNetworkInterfaces` by ids: neither filtered nor one page, as EC2 counts.
pub(super) async fn describe(
    caller: &impl Caller,
    enis: &[EniId],
) -> Result<Vec<NetworkInterface>, Failure> {
    let request = DescribeNetworkInterfacesRequest {
        network_interface_ids: enis.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let answer = caller
        .call(&request, World::describe_network_interfaces)
        .await?;
    Ok(answer.network_interfaces.item)
}

/// `DescribeNetworkInterfaces`, one page of those that carry a node's tag and are attached to
/// nothing.
pub(super) async fn describe_available(caller: &impl Caller, me: &Identity) -> Result<(), Failure> {
    let request = DescribeNetworkInterfacesRequest {
        filters: vec![
            Filter::new("tag-key", vpc_ipam::classify::INSTANCE_TAG),
            Filter::new("status", "available"),
            Filter::new("vpc-id", me.vpc.to_string()),
        ],
        max_results: Some(1000),
        ..Default::default()
    };
    let act = World::describe_network_interfaces;
    caller.call(&request, act).await.map(drop)
}

/// `DescribeSubnets` of the node's VPC and zone.
pub(super) async fn describe_subnets(caller: &impl Caller, me: &Identity) -> Result<(), Failure> {
    let request = DescribeSubnetsRequest {
        filters: vec![
            Filter::new("vpc-id", me.vpc.to_string()),
            Filter::new("availability-zone", me.zone),
        ],
        ..Default::default()
    };
    let act = World::describe_subnets;
    caller.call(&request, act).await.map(drop)
}

/// `DescribeInstances` of the node.
pub(super) async fn describe_instance(caller: &impl Caller, me: &Identity) -> Result<(), Failure> {
    let request = DescribeInstancesRequest {
        instance_ids: vec![me.instance.to_string()],
        ..Default::default()
    };
    let act = World::describe_instances;
    caller.call(&request, act).await.map(drop)
}

/// `CreateTags` on an ENI.
pub(super) async fn tag(caller: &impl Caller, me: &Identity, eni: &EniId) -> Result<(), Failure> {
    let tag = Tag::new(vpc_ipam::classify::INSTANCE_TAG, me.instance.to_string());
    let request = CreateTagsRequest {
        resources: vec![eni.to_string()],
        tags: vec![tag],
        dry_run: None,
    };
    caller.call(&request, World::create_tags).await.map(drop)
}

/// `DetachNetworkInterface`.
pub(super) async fn detach(caller: &impl Caller, attachment: &str) -> Result<(), Failure> {
    let request = DetachNetworkInterfaceRequest {
        attachment_id: Some(attachment.to_owned()),
        ..Default::default()
    };
    let act = World::detach_network_interface;
    caller.call(&request, act).await.map(drop)
}

/// `DeleteNetworkInterface`. An ENI that is gone counts as deleted.
pub(super) async fn delete(caller: &impl Caller, eni: &EniId) -> Result<(), Failure> {
    let request = DeleteNetworkInterfaceRequest {
        network_interface_id: Some(eni.to_string()),
        ..Default::default()
    };
    let gone = "InvalidNetworkInterfaceID.NotFound";
    match caller.call(&request, World::delete_network_interface).await {
        Err(failure) if failure.code() == Some(gone) => Ok(()),
        other => other.map(drop),
    }
}

fn made(eni: NetworkInterface) -> Option<Made> {
    let own = |primary: Option<bool>| primary == Some(true);
    let addresses = eni.private_ip_addresses.item.into_iter();
    let addresses = addresses.filter(|one| !own(one.primary));
    let prefixes = eni.ipv4_prefixes.into_iter().flat_map(|set| set.item);
    Some(Made {
        id: eni.network_interface_id?.parse().ok()?,
        mac: eni.mac_address?.parse().ok()?,
        primary: eni.private_ip_address?.parse().ok()?,
        slots: Slots {
            addresses: addresses
                .filter_map(|one| one.private_ip_address?.parse().ok())
                .collect(),
            prefixes: prefixes
                .filter_map(|one| one.ipv4_prefix?.parse().ok())
                .collect(),
        },
    })
}

/// How EC2 is asked for slots: addresses, prefixes.
fn counts(ask: Ask) -> (Option<i32>, Option<i32>) {
    let some = |count: u32| (count > 0).then(|| i32::try_from(count).unwrap_or(i32::MAX));
    match ask {
        Ask::Addresses(count) => (some(count), None),
        Ask::Prefixes(count) => (None, some(count)),
    }
}

/// An answer that lacks what EC2's has; the world does not give such.
fn unusable(action: &str) -> Failure {
    let message = format!("the answer to {action} lacks what was made");
    Failure::Ec2(ApiError::with_status("InternalError", message, 500))
}
