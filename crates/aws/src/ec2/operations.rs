//! The [`Ec2`] trait on the real client: arguments to wire requests, wire responses to results.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use vpc_model::{
    AttachmentId, DeviceIndex, EniId, InstanceId, Ipv4Prefix, NetworkCard, SecurityGroupId, VpcId,
};

use super::wire::{self, Filter, Request};
use super::{
    AddressCount, Assigned, Client, CreateNetworkInterface, Ec2, EniQuery, Instance,
    NetworkInterface, Subnet, convert,
};
use crate::error::{DecodeError, Error, ErrorKind};
use crate::retry::Repeat;

/// The largest page EC2 gives.
pub(super) const PAGE: i32 = 1000;

impl Ec2 for Client {
    async fn describe_network_interfaces(
        &self,
        query: EniQuery,
    ) -> Result<Vec<NetworkInterface>, Error> {
        let request = match query {
            EniQuery::Ids(ids) if ids.is_empty() => return Ok(Vec::new()),
            EniQuery::Ids(ids) => wire::DescribeNetworkInterfacesRequest {
                network_interface_ids: ids.into_iter().map(String::from).collect(),
                ..Default::default()
            },
            EniQuery::AttachedTo(instance) => {
                filtered(Filter::new("attachment.instance-id", instance))
            }
            EniQuery::Tagged { key, value } => {
                filtered(Filter::new(format!("tag:{key}"), literal(&value)))
            }
            EniQuery::Unattached { vpc, tag_key, tag } => {
                let mut request = filtered(Filter::new("tag-key", literal(&tag_key)));
                let more = [
                    Filter::new("status", "available"),
                    Filter::new("vpc-id", vpc),
                ];
                let tag =
                    tag.map(|(key, value)| Filter::new(format!("tag:{key}"), literal(&value)));
                request.filters.extend(more.into_iter().chain(tag));
                request
            }
        };
        let pages = self.pages(request).await?;
        let enis = pages
            .into_iter()
            .flat_map(|page| page.network_interfaces.item);
        self.decoded::<wire::DescribeNetworkInterfacesRequest, _>(
            enis.map(convert::network_interface).collect(),
        )
    }

    async fn create_network_interface(
        &self,
        request: CreateNetworkInterface,
    ) -> Result<NetworkInterface, Error> {
        let (ips, prefixes) = self.counts::<wire::CreateNetworkInterfaceRequest>(request.count)?;
        let tags = request
            .tags
            .into_iter()
            .map(|(key, value)| wire::Tag::new(key, value));
        let tags: Vec<wire::Tag> = tags.collect();
        let specification = wire::TagSpecification {
            resource_type: Some("network-interface".to_owned()),
            tags,
        };
        let request = wire::CreateNetworkInterfaceRequest {
            subnet_id: Some(request.subnet.into()),
            description: Some(request.description),
            groups: request
                .security_groups
                .into_iter()
                .map(String::from)
                .collect(),
            secondary_private_ip_address_count: ips,
            ipv4_prefix_count: prefixes,
            tag_specifications: if specification.tags.is_empty() {
                Vec::new()
            } else {
                vec![specification]
            },
            client_token: Some(request.client_token),
            ..Default::default()
        };
        let response = self.call(&request, Repeat::Harmless).await?;
        let eni = convert::missing("networkInterface", response.network_interface);
        self.decoded::<wire::CreateNetworkInterfaceRequest, _>(
            eni.and_then(convert::network_interface),
        )
    }

    async fn attach_network_interface(
        &self,
        eni: EniId,
        instance: InstanceId,
        device: DeviceIndex,
        card: NetworkCard,
    ) -> Result<AttachmentId, Error> {
        let request = wire::AttachNetworkInterfaceRequest {
            network_interface_id: Some(eni.into()),
            instance_id: Some(instance.into()),
            device_index: Some(device.0.into()),
            network_card_index: Some(card.0.into()),
            ..Default::default()
        };
        let response = self.call(&request, Repeat::IfNotDone).await?;
        self.decoded::<wire::AttachNetworkInterfaceRequest, _>(convert::required(
            "attachmentId",
            "eni-attach-…",
            response.attachment_id,
        ))
    }

    async fn set_delete_on_termination(
        &self,
        eni: EniId,
        attachment: AttachmentId,
    ) -> Result<(), Error> {
        let request = wire::ModifyNetworkInterfaceAttributeRequest {
            network_interface_id: Some(eni.into()),
            attachment: Some(wire::NetworkInterfaceAttachmentChanges {
                attachment_id: Some(attachment.into()),
                delete_on_termination: Some(true),
            }),
            ..Default::default()
        };
        self.call(&request, Repeat::Harmless).await.map(drop)
    }

    async fn set_security_groups(
        &self,
        eni: EniId,
        groups: Vec<SecurityGroupId>,
    ) -> Result<(), Error> {
        let request = wire::ModifyNetworkInterfaceAttributeRequest {
            network_interface_id: Some(eni.into()),
            groups: groups.into_iter().map(String::from).collect(),
            ..Default::default()
        };
        self.call(&request, Repeat::Harmless).await.map(drop)
    }

    async fn detach_network_interface(&self, attachment: AttachmentId) -> Result<(), Error> {
        let request = wire::DetachNetworkInterfaceRequest {
            attachment_id: Some(attachment.into()),
            ..Default::default()
        };
        self.call(&request, Repeat::IfNotDone).await.map(drop)
    }

    async fn delete_network_interface(&self, eni: EniId) -> Result<(), Error> {
        let request = wire::DeleteNetworkInterfaceRequest {
            network_interface_id: Some(eni.into()),
            ..Default::default()
        };
        self.call(&request, Repeat::IfNotDone).await.map(drop)
    }

    async fn assign_addresses(&self, eni: EniId, count: AddressCount) -> Result<Assigned, Error> {
        let (ips, prefixes) = self.counts::<wire::AssignPrivateIpAddressesRequest>(count)?;
        if ips.is_none() && prefixes.is_none() {
            return Ok(Assigned::default());
        }
        let request = wire::AssignPrivateIpAddressesRequest {
            network_interface_id: Some(eni.into()),
            secondary_private_ip_address_count: ips,
            ipv4_prefix_count: prefixes,
            ..Default::default()
        };
        let response = self.call(&request, Repeat::IfNotDone).await?;
        self.decoded::<wire::AssignPrivateIpAddressesRequest, _>(convert::assigned(response))
    }

    async fn unassign_addresses(
        &self,
        eni: EniId,
        addresses: Vec<Ipv4Addr>,
        prefixes: Vec<Ipv4Prefix>,
    ) -> Result<(), Error> {
        let request = |addresses: Vec<String>, prefixes: Vec<String>| {
            wire::UnassignPrivateIpAddressesRequest {
                network_interface_id: Some(eni.to_string()),
                private_ip_addresses: addresses,
                ipv4_prefixes: prefixes,
            }
        };
        if !addresses.is_empty() {
            let addresses = addresses.iter().map(ToString::to_string).collect();
            self.call(&request(addresses, Vec::new()), Repeat::IfNotDone)
                .await?;
        }
        if !prefixes.is_empty() {
            let prefixes = prefixes.iter().map(ToString::to_string).collect();
            self.call(&request(Vec::new(), prefixes), Repeat::IfNotDone)
                .await?;
        }
        Ok(())
    }

    async fn create_tags(
        &self,
        resources: Vec<String>,
        tags: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let tags = tags
            .into_iter()
            .map(|(key, value)| wire::Tag::new(key, value))
            .collect();
        let request = wire::CreateTagsRequest {
            resources,
            tags,
            dry_run: None,
        };
        self.call(&request, Repeat::Harmless).await.map(drop)
    }

    async fn describe_subnets(
        &self,
        vpc: VpcId,
        availability_zone: String,
    ) -> Result<Vec<Subnet>, Error> {
        let request = wire::DescribeSubnetsRequest {
            filters: vec![
                Filter::new("vpc-id", vpc),
                Filter::new("availability-zone", availability_zone),
            ],
            max_results: Some(PAGE),
            ..Default::default()
        };
        let pages = self.pages(request).await?;
        let subnets = pages.into_iter().flat_map(|page| page.subnets.item);
        self.decoded::<wire::DescribeSubnetsRequest, _>(
            subnets
                .filter_map(|subnet| convert::subnet(subnet).transpose())
                .collect(),
        )
    }

    async fn describe_instance(&self, id: InstanceId) -> Result<Instance, Error> {
        let request = wire::DescribeInstancesRequest {
            instance_ids: vec![id.into()],
            ..Default::default()
        };
        let response = self.call(&request, Repeat::Harmless).await?;
        let instances = response
            .reservations
            .item
            .into_iter()
            .flat_map(|r| r.instances.item);
        match instances.map(convert::instance).next() {
            Some(instance) => self.decoded::<wire::DescribeInstancesRequest, _>(instance),
            None => Err(self.error(wire::DescribeInstancesRequest::ACTION, ErrorKind::NotFound)),
        }
    }
}

impl Client {
    /// All pages of a list.
    pub(super) async fn pages<R: Paged>(&self, mut request: R) -> Result<Vec<R::Response>, Error> {
        let mut pages = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let response = self.call(&request, Repeat::Harmless).await?;
            let token = R::next(&response).filter(|token| !token.is_empty());
            pages.push(response);
            let Some(token) = token else { return Ok(pages) };
            if !seen.insert(token.clone()) {
                return self.decoded::<R, _>(Err(DecodeError::EndlessPages { token }));
            }
            request.resume(token);
        }
    }

    pub(super) fn decoded<R: Request, T>(
        &self,
        result: Result<T, DecodeError>,
    ) -> Result<T, Error> {
        result.map_err(|error| self.error(R::ACTION, ErrorKind::Decode(error)))
    }

    /// The request's numbers of addresses and of prefixes.
    fn counts<R: Request>(&self, count: AddressCount) -> Result<(Option<i32>, Option<i32>), Error> {
        let number = |n: u32| {
            let error = |_| self.error(R::ACTION, ErrorKind::InvalidParameter);
            i32::try_from(n)
                .map(|n| (n > 0).then_some(n))
                .map_err(error)
        };
        match count {
            AddressCount::None => Ok((None, None)),
            AddressCount::Ips(n) => Ok((number(n)?, None)),
            AddressCount::Prefixes(n) => Ok((None, number(n)?)),
        }
    }
}

/// A request whose answer comes in pages.
pub(super) trait Paged: Request {
    /// Asks for the page that begins at the token.
    fn resume(&mut self, token: String);
    /// Where the next page begins.
    fn next(response: &Self::Response) -> Option<String>;
}

impl Paged for wire::DescribeNetworkInterfacesRequest {
    fn resume(&mut self, token: String) {
        self.next_token = Some(token);
    }

    fn next(response: &Self::Response) -> Option<String> {
        response.next_token.clone()
    }
}

impl Paged for wire::DescribeSubnetsRequest {
    fn resume(&mut self, token: String) {
        self.next_token = Some(token);
    }

    fn next(response: &Self::Response) -> Option<String> {
        response.next_token.clone()
    }
}

fn filtered(filter: Filter) -> wire::DescribeNetworkInterfacesRequest {
    wire::DescribeNetworkInterfacesRequest {
        filters: vec![filter],
        max_results: Some(PAGE),
        ..Default::default()
    }
}

/// A filter value that stands for itself: `*` and `?` are wildcards unless escaped.
fn literal(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_tag_value_stand_for_themselves() {
        assert_eq!(literal("prod-*?\\x"), "prod-\\*\\?\\\\x");
        assert_eq!(literal("i-0123"), "i-0123");
    }
}
