//! Wire structs to model types. Every field that is used is checked here, once.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::str::FromStr;

use vpc_model::{DeviceIndex, NetworkCard};

use super::{
    Assigned, Attachment, AttachmentStatus, EniStatus, Instance, InstanceInterface,
    NetworkInterface, Subnet, wire,
};
use crate::error::DecodeError;

type Result<T> = std::result::Result<T, DecodeError>;

const IPV4: &str = "an IPv4 address";
const PREFIX: &str = "an aligned IPv4 /28";
const SMALL: &str = "0 to 255";

/// An ENI.
pub(super) fn network_interface(eni: wire::NetworkInterface) -> Result<NetworkInterface> {
    let of_addresses = eni.private_ip_addresses.item.into_iter();
    let secondary = of_addresses
        .filter(|entry| !entry.primary.unwrap_or(false))
        .map(|entry| required("privateIpAddress", IPV4, entry.private_ip_address))
        .collect::<Result<Vec<Ipv4Addr>>>()?;
    let groups = eni.groups.item.into_iter();
    Ok(NetworkInterface {
        id: required("networkInterfaceId", "eni-…", eni.network_interface_id)?,
        mac: required("macAddress", "a MAC address", eni.mac_address)?,
        subnet: required("subnetId", "subnet-…", eni.subnet_id)?,
        vpc: required("vpcId", "vpc-…", eni.vpc_id)?,
        availability_zone: present("availabilityZone", eni.availability_zone)?,
        description: eni.description.unwrap_or_default(),
        status: eni_status(present("status", eni.status)?),
        primary_address: optional("privateIpAddress", IPV4, eni.private_ip_address)?,
        addresses: secondary,
        prefixes: prefixes(eni.ipv4_prefixes)?,
        security_groups: groups
            .map(|group| required("groupId", "sg-…", group.group_id))
            .collect::<Result<_>>()?,
        attachment: eni.attachment.map(attachment).transpose()?,
        interface_type: eni.interface_type.unwrap_or_else(|| "interface".to_owned()),
        tags: tags(eni.tag_set)?,
    })
}

fn attachment(attachment: wire::NetworkInterfaceAttachment) -> Result<Attachment> {
    Ok(Attachment {
        id: required("attachmentId", "eni-attach-…", attachment.attachment_id)?,
        instance: optional("instanceId", "i-…", attachment.instance_id)?,
        device: DeviceIndex(small("deviceIndex", attachment.device_index)?),
        card: card(attachment.network_card_index)?,
        status: attachment_status(present("attachment.status", attachment.status)?),
        delete_on_termination: attachment.delete_on_termination.unwrap_or(false),
    })
}

/// A subnet; `None` if it has no IPv4 network.
pub(super) fn subnet(subnet: wire::Subnet) -> Result<Option<Subnet>> {
    let Some(cidr) = optional("cidrBlock", "an IPv4 network", subnet.cidr_block)? else {
        return Ok(None);
    };
    let available = missing("availableIpAddressCount", subnet.available_ip_address_count)?;
    Ok(Some(Subnet {
        id: required("subnetId", "subnet-…", subnet.subnet_id)?,
        cidr,
        availability_zone: present("availabilityZone", subnet.availability_zone)?,
        available_addresses: u32::try_from(available).map_err(|_| DecodeError::Value {
            field: "availableIpAddressCount",
            value: available.to_string(),
            allowed: "0 or more",
        })?,
        tags: tags(subnet.tags)?,
    }))
}

/// An instance. ENIs without an attachment are not on it and are left out.
pub(super) fn instance(instance: wire::Instance) -> Result<Instance> {
    let interfaces = instance.network_interfaces.item.into_iter();
    Ok(Instance {
        id: required("instanceId", "i-…", instance.instance_id)?,
        instance_type: required(
            "instanceType",
            "for example m5.large",
            instance.instance_type,
        )?,
        state: present(
            "instanceState.name",
            instance.state.and_then(|state| state.name),
        )?,
        interfaces: interfaces
            .filter_map(|mut eni| {
                eni.attachment
                    .take()
                    .map(|held| instance_interface(eni, held))
            })
            .collect::<Result<_>>()?,
        tags: tags(instance.tags)?,
    })
}

fn instance_interface(
    eni: wire::InstanceNetworkInterface,
    attachment: wire::InstanceNetworkInterfaceAttachment,
) -> Result<InstanceInterface> {
    Ok(InstanceInterface {
        id: required("networkInterfaceId", "eni-…", eni.network_interface_id)?,
        attachment: required("attachmentId", "eni-attach-…", attachment.attachment_id)?,
        card: card(attachment.network_card_index)?,
        device: DeviceIndex(small("deviceIndex", attachment.device_index)?),
        status: attachment_status(present("attachment.status", attachment.status)?),
    })
}

/// What an assignment gave.
pub(super) fn assigned(response: wire::AssignPrivateIpAddressesResponse) -> Result<Assigned> {
    let addresses = response.assigned_private_ip_addresses.item.into_iter();
    Ok(Assigned {
        addresses: addresses
            .map(|entry| required("privateIpAddress", IPV4, entry.private_ip_address))
            .collect::<Result<_>>()?,
        prefixes: prefixes(response.assigned_ipv4_prefixes)?,
    })
}

/// A field whose text becomes a model type.
pub(super) fn required<T: FromStr>(
    field: &'static str,
    allowed: &'static str,
    value: Option<String>,
) -> Result<T> {
    parsed(field, allowed, present(field, value)?)
}

fn optional<T: FromStr>(
    field: &'static str,
    allowed: &'static str,
    value: Option<String>,
) -> Result<Option<T>> {
    let value = value.filter(|value| !value.is_empty());
    value.map(|value| parsed(field, allowed, value)).transpose()
}

fn parsed<T: FromStr>(field: &'static str, allowed: &'static str, value: String) -> Result<T> {
    value.trim().parse().map_err(|_| DecodeError::Value {
        field,
        value,
        allowed,
    })
}

fn present(field: &'static str, value: Option<String>) -> Result<String> {
    missing(field, value)
}

/// A field that must be there.
pub(super) fn missing<T>(field: &'static str, value: Option<T>) -> Result<T> {
    value.ok_or(DecodeError::Missing { field })
}

fn small(field: &'static str, value: Option<i32>) -> Result<u8> {
    let value = missing(field, value)?;
    let error = |_| DecodeError::Value {
        field,
        value: value.to_string(),
        allowed: SMALL,
    };
    u8::try_from(value).map_err(error)
}

/// The network card; types with one card may leave the number out.
pub(super) fn card(index: Option<i32>) -> Result<NetworkCard> {
    small("networkCardIndex", Some(index.unwrap_or(0))).map(NetworkCard)
}

fn prefixes(set: Option<wire::Set<wire::Ipv4Prefix>>) -> Result<Vec<vpc_model::Ipv4Prefix>> {
    let entries = set.unwrap_or_default().item.into_iter();
    entries
        .map(|entry| required("ipv4Prefix", PREFIX, entry.ipv4_prefix))
        .collect()
}

fn tags(set: wire::Set<wire::Tag>) -> Result<BTreeMap<String, String>> {
    let entries = set.item.into_iter();
    entries
        .map(|tag| Ok((present("key", tag.key)?, tag.value.unwrap_or_default())))
        .collect()
}

fn eni_status(text: String) -> EniStatus {
    match text.as_str() {
        "available" => EniStatus::Available,
        "associated" => EniStatus::Associated,
        "attaching" => EniStatus::Attaching,
        "in-use" => EniStatus::InUse,
        "detaching" => EniStatus::Detaching,
        _ => EniStatus::Other(text),
    }
}

fn attachment_status(text: String) -> AttachmentStatus {
    match text.as_str() {
        "attaching" => AttachmentStatus::Attaching,
        "attached" => AttachmentStatus::Attached,
        "detaching" => AttachmentStatus::Detaching,
        "detached" => AttachmentStatus::Detached,
        _ => AttachmentStatus::Other(text),
    }
}
