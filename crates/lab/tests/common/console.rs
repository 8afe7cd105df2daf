//! What somebody does in EC2's console, behind the daemons' backs.

use std::net::Ipv4Addr;

use vpc_aws::ec2::wire::{
    AttachNetworkInterfaceRequest, CreateNetworkInterfaceRequest, CreateTagsRequest,
    DescribeNetworkInterfacesRequest, DescribeSubnetsRequest, DetachNetworkInterfaceRequest, Tag,
    TagSpecification, UnassignPrivateIpAddressesRequest,
};
use vpc_lab::demo::stage::Demo;
use vpc_model::Timestamp;
use vpc_sim::{ApiError, World};

/// Calls EC2, from outside the lab.
fn ec2<T>(demo: &Demo, call: impl FnOnce(&mut World, Timestamp) -> Result<T, ApiError>) -> T {
    demo.lab().sim().with(call).expect("an answer")
}

/// Takes a secondary address from an ENI.
pub(crate) fn unassign(demo: &Demo, eni: &str, address: Ipv4Addr) {
    let request = UnassignPrivateIpAddressesRequest {
        network_interface_id: Some(eni.to_owned()),
        private_ip_addresses: vec![address.to_string()],
        ..Default::default()
    };
    ec2(demo, |world, now| {
        world.unassign_private_ip_addresses(&request, now)
    });
}

/// Creates an ENI with nine secondary addresses in the first node's subnet, and attaches it to
/// the node; its id.
pub(crate) fn attach(demo: &Demo, device: i32, tags: &[(&str, &str)]) -> String {
    let tags: Vec<Tag> = tags
        .iter()
        .map(|(key, value)| Tag::new(*key, *value))
        .collect();
    let specification = TagSpecification {
        resource_type: Some("network-interface".to_owned()),
        tags,
    };
    let create = CreateNetworkInterfaceRequest {
        subnet_id: Some(demo.node(1).subnet().to_string()),
        secondary_private_ip_address_count: Some(9),
        tag_specifications: vec![specification],
        ..Default::default()
    };
    let created = ec2(demo, |world, now| {
        world.create_network_interface(&create, now)
    });
    let eni = created
        .network_interface
        .and_then(|eni| eni.network_interface_id);
    let eni = eni.expect("an id");
    let request = AttachNetworkInterfaceRequest {
        network_interface_id: Some(eni.clone()),
        instance_id: Some(demo.node(1).instance().to_string()),
        device_index: Some(device),
        ..Default::default()
    };
    ec2(demo, |world, now| {
        world.attach_network_interface(&request, now)
    });
    eni
}

/// Detaches an ENI.
pub(crate) fn detach(demo: &Demo, eni: &str) {
    let question = DescribeNetworkInterfacesRequest {
        network_interface_ids: vec![eni.to_owned()],
        ..Default::default()
    };
    let mut found = ec2(demo, |world, now| {
        world.describe_network_interfaces(&question, now)
    });
    let attachment = found.network_interfaces.item.remove(0).attachment;
    let request = DetachNetworkInterfaceRequest {
        attachment_id: attachment.and_then(|attachment| attachment.attachment_id),
        ..Default::default()
    };
    ec2(demo, |world, now| {
        world.detach_network_interface(&request, now)
    });
}

/// Makes a subnet in the VPC and zone of the first node's; its id.
pub(crate) fn subnet_beside(demo: &Demo, cidr: &str) -> String {
    let question = DescribeSubnetsRequest {
        subnet_ids: vec![demo.node(1).subnet().to_string()],
        ..Default::default()
    };
    let own = ec2(demo, |world, now| world.describe_subnets(&question, now));
    let own = &own.subnets.item[0];
    let vpc = own
        .vpc_id
        .as_deref()
        .expect("a VPC")
        .parse()
        .expect("an id");
    let zone = own.availability_zone.as_deref().expect("a zone");
    let cidr = cidr.parse().expect("a network");
    ec2(demo, |world, _| world.create_subnet(&vpc, cidr, zone)).to_string()
}

/// Tags a resource.
pub(crate) fn tag(demo: &Demo, resource: &str, (key, value): (&str, &str)) {
    let request = CreateTagsRequest {
        resources: vec![resource.to_owned()],
        tags: vec![Tag::new(key, value)],
        ..Default::default()
    };
    ec2(demo, |world, now| world.create_tags(&request, now));
}
