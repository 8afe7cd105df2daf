//! `DescribeInstances` and `DescribeSubnets`.

use vpc_aws::ec2::wire::{
    DescribeInstancesRequest, DescribeInstancesResponse, DescribeSubnetsRequest,
    DescribeSubnetsResponse, Instance as WireInstance, InstanceMetadataOptions,
    InstanceNetworkInterface, InstanceNetworkInterfaceAssociation,
    InstanceNetworkInterfaceAttachment, InstancePrivateIpAddress, InstanceState, Monitoring,
    NetworkInterface, NetworkInterfaceAssociation, Placement, Reservation, StateReason,
    Subnet as WireSubnet,
};
use vpc_model::{InstanceId, SubnetId, Timestamp};

use super::World;
use super::filter::Facts;
use super::modify::refuse_dry_run;
use super::page::Paging;
use super::state::{Eni, Instance, Subnet};
use super::tags::to_wire;
use super::wall::iso8601;
use crate::error::ApiError;

impl World {
    /// Describes instances, each in a reservation of its own.
    ///
    /// # Errors
    /// As EC2's: an id that does not exist, an unknown filter, a bad page size or token.
    pub fn describe_instances(
        &mut self,
        request: &DescribeInstancesRequest,
        now: Timestamp,
    ) -> Result<DescribeInstancesResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let ids: Vec<InstanceId> = request
            .instance_ids
            .iter()
            .map(|id| self.instance_id(Some(id)))
            .collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for (id, instance) in &self.instances {
            let facts = self.instance_facts(id, instance);
            let named = ids.is_empty() || ids.contains(id);
            if facts.meet(&instance.tags, &request.filters)? && named {
                found.push((id.to_string(), self.reservation(id, instance)));
            }
        }
        let paging = Paging {
            max_results: request.max_results,
            next_token: request.next_token.as_deref(),
            by_id: !ids.is_empty(),
            sizes: (5, 1000),
        };
        let (page, next_token) = paging.cut(found)?;
        Ok(DescribeInstancesResponse {
            reservations: page.into(),
            next_token,
            ..Default::default()
        })
    }

    fn instance_facts(&self, id: &InstanceId, instance: &Instance) -> Facts {
        let primary = self.primary_eni(id);
        Facts::default()
            .with("instance-id", [id])
            .with("instance-type", [&instance.instance_type])
            .with("availability-zone", [&instance.availability_zone])
            .with("subnet-id", [&instance.subnet])
            .with("vpc-id", [&instance.vpc])
            .with("image-id", [&instance.image])
            .with("instance-state-name", [state(instance).1])
            .with("instance-state-code", [state(instance).0])
            .with("private-ip-address", primary.map(|eni| eni.primary))
            .with("ip-address", primary.and_then(|eni| eni.public))
    }

    fn primary_eni(&self, id: &InstanceId) -> Option<&Eni> {
        self.enis.values().find(|eni| {
            let attachment = eni.attachment.as_ref();
            attachment.is_some_and(|a| &a.instance == id && self.is_primary(a))
        })
    }

    fn reservation(&self, id: &InstanceId, instance: &Instance) -> Reservation {
        Reservation {
            reservation_id: Some(instance.reservation.clone()),
            owner_id: Some(self.config.account.clone()),
            instances: vec![self.describe_instance(id, instance)].into(),
            ..Default::default()
        }
    }

    fn describe_instance(&self, id: &InstanceId, instance: &Instance) -> WireInstance {
        let (code, name) = state(instance);
        let primary = self.primary_eni(id);
        let terminated = instance.terminated_at.is_some();
        let mut enis: Vec<InstanceNetworkInterface> = self
            .enis
            .iter()
            .filter(|(_, eni)| eni.attachment.as_ref().is_some_and(|a| &a.instance == id))
            .map(|(id, eni)| as_part_of_instance(self.describe_eni(id, eni)))
            .collect();
        enis.sort_by_key(|eni| {
            let attachment = eni.attachment.as_ref();
            attachment.map(|a| (a.network_card_index, a.device_index))
        });
        WireInstance {
            instance_id: Some(id.to_string()),
            image_id: Some(instance.image.clone()),
            state: Some(InstanceState {
                code: Some(code),
                name: Some(name.to_owned()),
            }),
            private_dns_name: Some(
                primary.map_or_else(String::new, |eni| self.private_name(eni.primary)),
            ),
            public_dns_name: Some(
                primary
                    .and_then(|eni| eni.public)
                    .map_or_else(String::new, |public| self.public_name(public)),
            ),
            state_reason: terminated.then(|| StateReason {
                code: Some("Client.UserInitiatedShutdown".to_owned()),
                message: Some("Client.UserInitiatedShutdown: User initiated shutdown".to_owned()),
            }),
            ami_launch_index: Some(0),
            instance_type: Some(instance.instance_type.to_string()),
            launch_time: Some(iso8601(instance.launched_at)),
            placement: Some(Placement {
                availability_zone: Some(instance.availability_zone.clone()),
                availability_zone_id: Some(self.zone_id(&instance.availability_zone)),
                group_name: Some(String::new()),
                tenancy: Some("default".to_owned()),
            }),
            monitoring: Some(Monitoring {
                state: Some("disabled".to_owned()),
            }),
            subnet_id: primary.map(|_| instance.subnet.to_string()),
            vpc_id: primary.map(|_| instance.vpc.to_string()),
            private_ip_address: primary.map(|eni| eni.primary.to_string()),
            public_ip_address: primary.and_then(|eni| eni.public).map(|ip| ip.to_string()),
            source_dest_check: primary.map(|eni| eni.source_dest_check),
            security_groups: primary.map_or_else(Default::default, |eni| {
                self.group_identifiers(&eni.security_groups)
            }),
            architecture: Some("x86_64".to_owned()),
            root_device_type: Some("ebs".to_owned()),
            root_device_name: Some("/dev/xvda".to_owned()),
            virtualization_type: Some("hvm".to_owned()),
            hypervisor: Some("xen".to_owned()),
            tags: to_wire(&instance.tags),
            network_interfaces: enis.into(),
            ena_support: Some(true),
            metadata_options: Some(InstanceMetadataOptions {
                state: Some("applied".to_owned()),
                http_tokens: Some("required".to_owned()),
                http_put_response_hop_limit: Some(1),
                http_endpoint: Some("enabled".to_owned()),
            }),
            ..Default::default()
        }
    }

    /// Describes subnets.
    ///
    /// # Errors
    /// As EC2's: an id that does not exist, an unknown filter, a bad page size or token.
    pub fn describe_subnets(
        &mut self,
        request: &DescribeSubnetsRequest,
        now: Timestamp,
    ) -> Result<DescribeSubnetsResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let ids: Vec<SubnetId> = request
            .subnet_ids
            .iter()
            .map(|id| self.subnet_id(Some(id)))
            .collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for (id, subnet) in &self.subnets {
            let described = self.describe_subnet(id, subnet);
            let facts = Facts::default()
                .with("subnet-id", [id])
                .with("vpc-id", [&subnet.vpc])
                .with("availability-zone", [&subnet.availability_zone])
                .with("availabilityZone", [&subnet.availability_zone])
                .with("availability-zone-id", &described.availability_zone_id)
                .with("cidr-block", [subnet.space.cidr()])
                .with("cidr", [subnet.space.cidr()])
                .with("owner-id", [&self.config.account])
                .with("state", ["available"])
                .with("available-ip-address-count", [subnet.space.available()]);
            let named = ids.is_empty() || ids.contains(id);
            if facts.meet(&subnet.tags, &request.filters)? && named {
                found.push((id.to_string(), described));
            }
        }
        let paging = Paging {
            max_results: request.max_results,
            next_token: request.next_token.as_deref(),
            by_id: !ids.is_empty(),
            sizes: (5, 1000),
        };
        let (page, next_token) = paging.cut(found)?;
        Ok(DescribeSubnetsResponse {
            subnets: page.into(),
            next_token,
            ..Default::default()
        })
    }

    fn describe_subnet(&self, id: &SubnetId, subnet: &Subnet) -> WireSubnet {
        let config = &self.config;
        WireSubnet {
            subnet_id: Some(id.to_string()),
            subnet_arn: Some(format!(
                "arn:aws:ec2:{}:{}:subnet/{id}",
                config.region, config.account
            )),
            state: Some("available".to_owned()),
            vpc_id: Some(subnet.vpc.to_string()),
            owner_id: Some(config.account.clone()),
            cidr_block: Some(subnet.space.cidr().to_string()),
            available_ip_address_count: i32::try_from(subnet.space.available()).ok(),
            availability_zone: Some(subnet.availability_zone.clone()),
            availability_zone_id: Some(self.zone_id(&subnet.availability_zone)),
            default_for_az: Some(false),
            map_public_ip_on_launch: Some(false),
            assign_ipv6_address_on_creation: Some(false),
            ipv6_native: Some(false),
            enable_dns64: Some(false),
            tags: to_wire(&subnet.tags),
            ..Default::default()
        }
    }
}

fn state(instance: &Instance) -> (i32, &'static str) {
    match instance.terminated_at {
        None => (16, "running"),
        Some(_) => (48, "terminated"),
    }
}

/// The shorter description of an ENI that an instance's has.
fn as_part_of_instance(eni: NetworkInterface) -> InstanceNetworkInterface {
    let association = |a: NetworkInterfaceAssociation| InstanceNetworkInterfaceAssociation {
        ip_owner_id: a.ip_owner_id,
        public_dns_name: a.public_dns_name,
        public_ip: a.public_ip,
    };
    let addresses = eni.private_ip_addresses.item.into_iter();
    InstanceNetworkInterface {
        network_interface_id: eni.network_interface_id,
        subnet_id: eni.subnet_id,
        vpc_id: eni.vpc_id,
        description: eni.description,
        owner_id: eni.owner_id,
        status: eni.status,
        mac_address: eni.mac_address,
        private_ip_address: eni.private_ip_address,
        private_dns_name: eni.private_dns_name,
        source_dest_check: eni.source_dest_check,
        groups: eni.groups,
        attachment: eni.attachment.map(|a| InstanceNetworkInterfaceAttachment {
            attachment_id: a.attachment_id,
            device_index: a.device_index,
            network_card_index: a.network_card_index,
            status: a.status,
            attach_time: a.attach_time,
            delete_on_termination: a.delete_on_termination,
        }),
        association: eni.association.map(association),
        private_ip_addresses: addresses
            .map(|a| InstancePrivateIpAddress {
                association: a.association.map(association),
                primary: a.primary,
                private_dns_name: a.private_dns_name,
                private_ip_address: a.private_ip_address,
            })
            .collect(),
        ipv4_prefixes: eni.ipv4_prefixes,
        interface_type: eni.interface_type,
        ..Default::default()
    }
}
