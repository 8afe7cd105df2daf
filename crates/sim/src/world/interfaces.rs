//! `DescribeNetworkInterfaces`, and an ENI as responses have it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;
use vpc_aws::ec2::wire::{
    DescribeNetworkInterfacesRequest, DescribeNetworkInterfacesResponse, GroupIdentifier,
    Ipv4Prefix as WirePrefix, Ipv6Prefix, NetworkInterface, NetworkInterfaceAssociation,
    NetworkInterfaceAttachment, NetworkInterfaceIpv6Address, NetworkInterfacePrivateIpAddress,
    Operator, Set,
};
use vpc_model::{EniId, Ipv4Prefix, SecurityGroupId, Timestamp};

use super::World;
use super::filter::{Facts, NONE, chosen};
use super::modify::refuse_dry_run;
use super::page::Paging;
use super::state::{Attachment, Eni};
use super::tags::to_wire;
use crate::error::ApiError;

/// The owner of public addresses that are not Elastic IP addresses.
const IP_OWNER: &str = "amazon";

impl World {
    /// Describes ENIs.
    ///
    /// # Errors
    /// As EC2's: an id that does not exist, an unknown filter, a bad page size or token.
    pub fn describe_network_interfaces(
        &mut self,
        request: &DescribeNetworkInterfacesRequest,
        now: Timestamp,
    ) -> Result<DescribeNetworkInterfacesResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let ids: BTreeSet<EniId> = request
            .network_interface_ids
            .iter()
            .map(|id| self.described_eni_id(id))
            .collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for (id, eni) in self.described_enis(&ids) {
            if chosen(&request.filters, &eni.tags, |facts| {
                self.facts(facts, id, eni)
            })? {
                found.push((id.to_string(), self.describe_eni(id, eni)));
            }
        }
        let paging = Paging {
            max_results: request.max_results,
            next_token: request.next_token.as_deref(),
            by_id: !ids.is_empty(),
            sizes: (5, 1000),
        };
        let (page, next_token) = paging.cut(found)?;
        Ok(DescribeNetworkInterfacesResponse {
            network_interfaces: page.into(),
            next_token,
            ..Default::default()
        })
    }

    fn facts<'a>(&self, facts: Facts<'a>, id: &EniId, eni: &Eni) -> Facts<'a> {
        let attachment = eni.attachment.as_ref();
        let names = eni.security_groups.iter().map(|g| self.group_name(g));
        let all_addresses = eni.all_addresses();
        let is_primary = all_addresses.iter().map(|a| *a == eni.primary);
        let public_name = eni.public.map(|public| self.public_name(public));
        facts
            .with("network-interface-id", [id])
            .with("subnet-id", [&eni.subnet])
            .with("vpc-id", [&eni.vpc])
            .with("availability-zone", [&eni.availability_zone])
            .with(
                "availability-zone-id",
                [self.zone_id(&eni.availability_zone)],
            )
            .with("description", [&eni.description])
            .with("status", [eni.status()])
            .with("mac-address", [eni.mac])
            .with("owner-id", [&self.config.account])
            .with("interface-type", [&eni.interface_type])
            .with("source-dest-check", [eni.source_dest_check])
            .with("requester-managed", [false])
            .with("private-ip-address", [eni.primary])
            .with("private-dns-name", [self.private_name(eni.primary)])
            .with("addresses.private-ip-address", &all_addresses)
            .with("addresses.primary", is_primary)
            .with("addresses.association.public-ip", eni.public)
            .with("association.public-ip", eni.public)
            .with("association.public-dns-name", public_name)
            .with("association.ip-owner-id", eni.public.map(|_| IP_OWNER))
            .with("ipv6-addresses.ipv6-address", &eni.ipv6)
            .with("requester-id", NONE)
            .with("operator.managed", [false])
            .with("group-id", &eni.security_groups)
            .with("group-name", names)
            .with("attachment.instance-id", attachment.map(|a| &a.instance))
            .with("attachment.attachment-id", attachment.map(|a| &a.id))
            .with("attachment.status", attachment.map(|a| a.status(self.now)))
            .with("attachment.device-index", attachment.map(|a| a.device.0))
            .with(
                "attachment.network-card-index",
                attachment.map(|a| a.card.0),
            )
            .with(
                "attachment.instance-owner-id",
                attachment.map(|_| &self.config.account),
            )
            .with(
                "attachment.attach-time",
                attachment.map(|a| a.requested_at.to_string()),
            )
            .with(
                "attachment.delete-on-termination",
                attachment.map(|a| a.delete_on_termination),
            )
    }

    pub(super) fn describe_eni(&self, id: &EniId, eni: &Eni) -> NetworkInterface {
        NetworkInterface {
            network_interface_id: Some(id.to_string()),
            subnet_id: Some(eni.subnet.to_string()),
            vpc_id: Some(eni.vpc.to_string()),
            availability_zone: Some(eni.availability_zone.clone()),
            availability_zone_id: Some(self.zone_id(&eni.availability_zone)),
            description: Some(eni.description.clone()),
            owner_id: Some(self.config.account.clone()),
            requester_managed: Some(false),
            status: Some(eni.status().to_owned()),
            mac_address: Some(eni.mac.to_string()),
            private_ip_address: Some(eni.primary.to_string()),
            private_dns_name: Some(self.private_name(eni.primary)),
            public_dns_name: eni.public.map(|public| self.public_name(public)),
            source_dest_check: Some(eni.source_dest_check),
            groups: self.group_identifiers(&eni.security_groups),
            attachment: eni.attachment.as_ref().map(|a| self.describe_attachment(a)),
            association: eni.public.map(|public| self.association(public)),
            tag_set: to_wire(&eni.tags),
            private_ip_addresses: eni
                .all_addresses()
                .into_iter()
                .map(|address| self.describe_address(eni, address))
                .collect(),
            ipv4_prefixes: wire_prefixes(&eni.prefixes),
            ipv6_address: eni.ipv6.first().map(Ipv6Addr::to_string),
            ipv6_addresses: eni.ipv6.iter().map(wire_ipv6).collect(),
            ipv6_prefixes: Set::non_empty(eni.ipv6_prefixes.iter().map(wire_ipv6_prefix).collect()),
            interface_type: Some(eni.interface_type.clone()),
            connection_tracking_configuration: eni.connection_tracking.clone(),
            deny_all_igw_traffic: Some(false),
            operator: Some(Operator {
                managed: Some(false),
                principal: None,
            }),
            ..Default::default()
        }
    }

    fn describe_attachment(&self, attachment: &Attachment) -> NetworkInterfaceAttachment {
        NetworkInterfaceAttachment {
            attachment_id: Some(attachment.id.to_string()),
            instance_id: Some(attachment.instance.to_string()),
            instance_owner_id: Some(self.config.account.clone()),
            device_index: Some(attachment.device.0.into()),
            network_card_index: Some(attachment.card.0.into()),
            status: Some(attachment.status(self.now).to_owned()),
            attach_time: Some(attachment.requested_at.to_string()),
            delete_on_termination: Some(attachment.delete_on_termination),
        }
    }

    fn describe_address(&self, eni: &Eni, address: Ipv4Addr) -> NetworkInterfacePrivateIpAddress {
        let primary = address == eni.primary;
        let public = eni.public.filter(|_| primary);
        NetworkInterfacePrivateIpAddress {
            association: public.map(|public| self.association(public)),
            primary: Some(primary),
            private_dns_name: Some(self.private_name(address)),
            private_ip_address: Some(address.to_string()),
        }
    }

    fn association(&self, public: Ipv4Addr) -> NetworkInterfaceAssociation {
        NetworkInterfaceAssociation {
            ip_owner_id: Some(IP_OWNER.to_owned()),
            public_dns_name: Some(self.public_name(public)),
            public_ip: Some(public.to_string()),
            ..Default::default()
        }
    }

    pub(super) fn group_identifiers(&self, ids: &[SecurityGroupId]) -> Set<GroupIdentifier> {
        let one = |id: &SecurityGroupId| GroupIdentifier {
            group_id: Some(id.to_string()),
            group_name: Some(self.group_name(id)),
        };
        ids.iter().map(one).collect()
    }

    fn group_name(&self, id: &SecurityGroupId) -> String {
        self.groups
            .get(id)
            .map_or_else(String::new, |g| g.name.clone())
    }

    /// The DNS name of a private address, as of the region.
    pub(super) fn private_name(&self, address: Ipv4Addr) -> String {
        let region = &self.config.region;
        let [a, b, c, d] = address.octets();
        format!("ip-{a}-{b}-{c}-{d}.{region}.compute.internal")
    }

    pub(super) fn public_name(&self, address: Ipv4Addr) -> String {
        let region = &self.config.region;
        let [a, b, c, d] = address.octets();
        format!("ec2-{a}-{b}-{c}-{d}.{region}.compute.amazonaws.com")
    }

    /// A resource's name in ARN form.
    pub(super) fn arn(&self, kind: &str, id: &str) -> String {
        let config = &self.config;
        let (partition, _) = config.partition();
        let (region, account) = (&config.region, &config.account);
        format!("arn:{partition}:ec2:{region}:{account}:{kind}/{id}")
    }

    /// The id of an availability zone, the same in every account: `us-west-2a` is `usw2-az1`.
    pub(super) fn zone_id(&self, zone: &str) -> String {
        let parts: Vec<&str> = self.config.region.split('-').collect();
        let short: String = match parts.as_slice() {
            [country, direction, number] => {
                let direction = direction.chars().next().unwrap_or('x');
                format!("{country}{direction}{number}")
            }
            other => other.concat(),
        };
        let letter = zone.bytes().last().unwrap_or(b'a');
        format!(
            "{short}-az{}",
            letter.saturating_sub(b'a').saturating_add(1)
        )
    }
}

/// Prefixes as responses have them; absent if there are none.
pub(super) fn wire_prefixes(prefixes: &[Ipv4Prefix]) -> Option<Set<WirePrefix>> {
    let one = |prefix: &Ipv4Prefix| WirePrefix {
        ipv4_prefix: Some(prefix.to_string()),
    };
    Set::non_empty(prefixes.iter().map(one).collect())
}

fn wire_ipv6(address: &Ipv6Addr) -> NetworkInterfaceIpv6Address {
    NetworkInterfaceIpv6Address {
        ipv6_address: Some(address.to_string()),
        is_primary_ipv6: Some(false),
    }
}

fn wire_ipv6_prefix(prefix: &Ipv6Net) -> Ipv6Prefix {
    Ipv6Prefix {
        ipv6_prefix: Some(prefix.to_string()),
    }
}
