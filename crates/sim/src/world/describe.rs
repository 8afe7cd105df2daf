//! `DescribeInstances`, and an instance as responses have it.

use std::collections::BTreeSet;

use vpc_aws::ec2::wire::{
    DescribeInstancesRequest, DescribeInstancesResponse, Instance as WireInstance,
    InstanceIpv6Address, InstanceMetadataOptions, InstanceNetworkInterface,
    InstanceNetworkInterfaceAssociation, InstanceNetworkInterfaceAttachment,
    InstancePrivateIpAddress, InstanceState, Monitoring, NetworkInterface,
    NetworkInterfaceAssociation, Placement, Reservation, StateReason,
};
use vpc_model::{InstanceId, Timestamp};

use super::World;
use super::filter::{Facts, chosen};
use super::lookup::named;
use super::modify::refuse_dry_run;
use super::page::Paging;
use super::state::{Eni, Instance};
use super::tags::to_wire;
use super::types::architecture;
use crate::error::ApiError;

impl World {
    /// Describes instances, by the request that launched them.
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
        let ids: BTreeSet<InstanceId> = request
            .instance_ids
            .iter()
            .map(|id| self.instance_id(Some(id)))
            .collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for (id, instance) in named(&self.instances, &ids) {
            let facts = |facts| self.instance_facts(facts, id, instance);
            if chosen(&request.filters, &instance.tags, facts)? {
                found.push((id.to_string(), (id, instance)));
            }
        }
        let paging = Paging {
            max_results: request.max_results,
            next_token: request.next_token.as_deref(),
            by_id: !ids.is_empty(),
            sizes: (5, 1000),
        };
        let (page, next_token) = paging.cut(found)?;
        let mut reservations: Vec<Reservation> = Vec::new();
        for (id, instance) in page {
            let described = self.describe_instance(id, instance);
            let same = |r: &&mut Reservation| {
                r.reservation_id.as_deref() == Some(instance.reservation.as_str())
            };
            match reservations.iter_mut().find(same) {
                Some(reservation) => reservation.instances.item.push(described),
                None => reservations.push(Reservation {
                    reservation_id: Some(instance.reservation.clone()),
                    owner_id: Some(self.config.account.clone()),
                    instances: vec![described].into(),
                    ..Default::default()
                }),
            }
        }
        Ok(DescribeInstancesResponse {
            reservations: reservations.into(),
            next_token,
            ..Default::default()
        })
    }

    fn instance_facts<'a>(
        &self,
        facts: Facts<'a>,
        id: &InstanceId,
        instance: &Instance,
    ) -> Facts<'a> {
        let primary = self.primary_eni(id);
        let private_name = primary.map(|eni| self.private_name(eni.primary));
        let here = |eni: &Eni| eni.attachment.as_ref().is_some_and(|a| &a.instance == id);
        let enis = self
            .enis
            .iter()
            .filter(|(_, eni)| here(eni))
            .map(|(id, _)| id);
        facts
            .with("instance-id", [id])
            .with("instance-type", [&instance.instance_type])
            .with("availability-zone", [&instance.availability_zone])
            .with("subnet-id", [&instance.subnet])
            .with("vpc-id", [&instance.vpc])
            .with("image-id", [&instance.image])
            .with("architecture", [architecture(&instance.instance_type)])
            .with(
                "availability-zone-id",
                [self.zone_id(&instance.availability_zone)],
            )
            .with("owner-id", [&self.config.account])
            .with("reservation-id", [&instance.reservation])
            .with("launch-time", [instance.launched_at.to_string()])
            .with("private-dns-name", private_name)
            .with("network-interface.network-interface-id", enis)
            .with("instance-state-name", [instance.state(self.now).1])
            .with("instance-state-code", [instance.state(self.now).0])
            .with("private-ip-address", primary.map(|eni| eni.primary))
            .with("ip-address", primary.and_then(|eni| eni.public))
    }

    fn primary_eni(&self, id: &InstanceId) -> Option<&Eni> {
        self.enis.values().find(|eni| {
            let attachment = eni.attachment.as_ref();
            attachment.is_some_and(|a| &a.instance == id && self.is_primary(a))
        })
    }

    pub(super) fn describe_instance(&self, id: &InstanceId, instance: &Instance) -> WireInstance {
        let (code, name) = instance.state(self.now);
        let primary = self.primary_eni(id);
        let ended = instance.stops_at.is_some() || instance.terminated_at.is_some();
        let order = &instance.order;
        let options = &order.metadata_options;
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
            state_reason: ended.then(|| StateReason {
                code: Some("Client.UserInitiatedShutdown".to_owned()),
                message: Some("Client.UserInitiatedShutdown: User initiated shutdown".to_owned()),
            }),
            ami_launch_index: Some(order.index),
            client_token: order.client_token.clone(),
            key_name: order.key_name.clone(),
            instance_type: Some(instance.instance_type.to_string()),
            launch_time: Some(instance.launched_at.to_string()),
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
            architecture: Some(architecture(&instance.instance_type).to_owned()),
            root_device_type: Some("ebs".to_owned()),
            root_device_name: Some("/dev/xvda".to_owned()),
            virtualization_type: Some("hvm".to_owned()),
            hypervisor: Some("xen".to_owned()),
            tags: to_wire(&instance.tags),
            network_interfaces: enis.into(),
            ena_support: Some(true),
            metadata_options: Some(InstanceMetadataOptions {
                state: Some("applied".to_owned()),
                http_tokens: options.http_tokens.clone().or(text("required")),
                http_put_response_hop_limit: options.http_put_response_hop_limit.or(Some(1)),
                http_endpoint: options.http_endpoint.clone().or(text("enabled")),
            }),
            ..Default::default()
        }
    }
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
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
        ipv6_addresses: eni
            .ipv6_addresses
            .item
            .into_iter()
            .map(|a| InstanceIpv6Address {
                ipv6_address: a.ipv6_address,
                is_primary_ipv6: a.is_primary_ipv6,
            })
            .collect(),
        ipv6_prefixes: eni.ipv6_prefixes,
        interface_type: eni.interface_type,
    }
}
