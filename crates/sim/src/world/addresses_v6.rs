//! `AssignIpv6Addresses` and `UnassignIpv6Addresses`, and the IPv6 part of a new ENI.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use vpc_aws::ec2::wire::{
    AssignIpv6AddressesRequest, AssignIpv6AddressesResponse, CreateNetworkInterfaceRequest,
    UnassignIpv6AddressesRequest, UnassignIpv6AddressesResponse,
};
use vpc_model::{SubnetId, Timestamp};

use super::World;
use super::lookup::required;
use super::space_v6::TakenV6;
use super::state::Eni;
use super::wanted::{address_limit, parse_all};
use super::wanted_v6::{Asked, Wanted};
use crate::error::ApiError;

impl World {
    /// Assigns IPv6 addresses or prefixes.
    ///
    /// # Errors
    /// As EC2's: unknown ENI, a subnet without an IPv6 network, more than the instance type allows,
    /// an address or prefix that is taken.
    pub fn assign_ipv6_addresses(
        &mut self,
        request: &AssignIpv6AddressesRequest,
        now: Timestamp,
    ) -> Result<AssignIpv6AddressesResponse, ApiError> {
        self.advance(now);
        let id = self.eni_id(request.network_interface_id.as_deref())?;
        let wanted = Asked {
            count: request.ipv6_address_count,
            addresses: parse_all(texts(&request.ipv6_addresses), "ipv6Addresses")?,
            prefix_count: request.ipv6_prefix_count,
            prefixes: parse_all(texts(&request.ipv6_prefixes), "ipv6Prefix")?,
        }
        .wanted()?;
        if wanted == Wanted::Nothing {
            return Err(ApiError::missing("ipv6AddressCount"));
        }
        let eni = self.eni(&id)?;
        self.check_limit_v6(eni, &wanted)?;
        let subnet = eni.subnet.clone();
        let taken = self.take_v6(&subnet, &wanted)?;
        let eni = self.eni_mut(&id)?;
        eni.ipv6.extend(&taken.addresses);
        eni.ipv6_prefixes.extend(&taken.prefixes);
        self.announce(&id);
        self.changed();
        Ok(AssignIpv6AddressesResponse {
            network_interface_id: Some(id.to_string()),
            assigned_ipv6_addresses: taken.addresses.iter().map(Ipv6Addr::to_string).collect(),
            assigned_ipv6_prefixes: taken.prefixes.iter().map(Ipv6Net::to_string).collect(),
            ..Default::default()
        })
    }

    /// Takes of a subnet's IPv6 network, all or nothing.
    pub(super) fn take_v6(
        &mut self,
        subnet: &SubnetId,
        wanted: &Wanted,
    ) -> Result<TakenV6, ApiError> {
        if *wanted == Wanted::Nothing {
            return Ok(TakenV6::default());
        }
        self.check_has_ipv6(subnet)?;
        let space = self.subnets.get_mut(subnet).and_then(|s| s.ipv6.as_mut());
        match space {
            Some(space) => space.take(wanted, &mut self.random),
            None => Ok(TakenV6::default()),
        }
    }

    fn check_has_ipv6(&self, subnet: &SubnetId) -> Result<(), ApiError> {
        if self.subnet(subnet)?.ipv6.is_none() {
            let message = format!("The subnet '{subnet}' has no IPv6 CIDR block");
            return Err(ApiError::invalid(message));
        }
        Ok(())
    }

    /// The limit of IPv6 addresses of an ENI is that of IPv4 addresses, for all types but the
    /// oldest (EC2 user guide, "IP addresses per network interface").
    fn check_limit_v6(&self, eni: &Eni, wanted: &Wanted) -> Result<(), ApiError> {
        let mut limit = self.config.max_addresses_unattached;
        if let Some(attachment) = &eni.attachment {
            let instance = self.instance(&attachment.instance)?;
            limit = instance.limits.ipv4_per_eni;
            if wanted.has_prefixes() && !instance.limits.supports_prefixes() {
                return Err(ApiError::client(
                    "UnsupportedOperation",
                    format!("Prefixes are not supported on {}", instance.instance_type),
                ));
            }
        }
        let used = eni.ipv6.len() + eni.ipv6_prefixes.len();
        if used.saturating_add(wanted.slots()) > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(address_limit());
        }
        Ok(())
    }

    /// Takes IPv6 addresses or prefixes from an ENI, all or none.
    ///
    /// # Errors
    /// As EC2's: unknown ENI, an address or prefix that is not the ENI's.
    pub fn unassign_ipv6_addresses(
        &mut self,
        request: &UnassignIpv6AddressesRequest,
        now: Timestamp,
    ) -> Result<UnassignIpv6AddressesResponse, ApiError> {
        self.advance(now);
        let id = self.eni_id(request.network_interface_id.as_deref())?;
        let addresses: Vec<Ipv6Addr> = parse_all(texts(&request.ipv6_addresses), "ipv6Addresses")?;
        let prefixes: Vec<Ipv6Net> = parse_all(texts(&request.ipv6_prefixes), "ipv6Prefix")?;
        if addresses.is_empty() && prefixes.is_empty() {
            return Err(ApiError::missing("ipv6Addresses"));
        }
        let eni = self.eni(&id)?;
        let known = addresses.iter().all(|a| eni.ipv6.contains(a))
            && prefixes.iter().all(|p| eni.ipv6_prefixes.contains(p));
        if !known {
            let all = addresses.iter().map(ToString::to_string);
            let all: Vec<String> = all
                .chain(prefixes.iter().map(ToString::to_string))
                .collect();
            return Err(ApiError::invalid(format!(
                "Some of [{}] are not assigned to interface {id}",
                all.join(", ")
            )));
        }
        let subnet = eni.subnet.clone();
        if let Some(space) = &mut self.subnet_mut(&subnet)?.ipv6 {
            space.give(&addresses, &prefixes);
        }
        let eni = self.eni_mut(&id)?;
        eni.ipv6.retain(|a| !addresses.contains(a));
        eni.ipv6_prefixes.retain(|p| !prefixes.contains(p));
        self.announce(&id);
        self.changed();
        Ok(UnassignIpv6AddressesResponse {
            network_interface_id: Some(id.to_string()),
            unassigned_ipv6_addresses: addresses.iter().map(Ipv6Addr::to_string).collect(),
            unassigned_ipv6_prefixes: prefixes.iter().map(Ipv6Net::to_string).collect(),
            ..Default::default()
        })
    }

    /// What a new ENI is to have of the subnet's IPv6 network.
    pub(super) fn wanted_v6(
        &self,
        request: &CreateNetworkInterfaceRequest,
        subnet: &SubnetId,
    ) -> Result<Wanted, ApiError> {
        let addresses = request.ipv6_addresses.iter();
        let addresses = addresses
            .map(|one| required(one.ipv6_address.as_deref(), "Ipv6Addresses.Ipv6Address"))
            .collect::<Result<Vec<_>, _>>()?;
        let prefixes = request.ipv6_prefixes.iter();
        let prefixes = prefixes
            .map(|one| required(one.ipv6_prefix.as_deref(), "Ipv6Prefix"))
            .collect::<Result<Vec<_>, _>>()?;
        let wanted = Asked {
            count: request.ipv6_address_count.filter(|count| *count != 0),
            addresses: parse_all(addresses, "Ipv6Addresses.Ipv6Address")?,
            prefix_count: request.ipv6_prefix_count.filter(|count| *count != 0),
            prefixes: parse_all(prefixes, "Ipv6Prefix")?,
        }
        .wanted()?;
        if wanted != Wanted::Nothing || request.enable_primary_ipv6 == Some(true) {
            self.check_has_ipv6(subnet)?;
        }
        if request.enable_primary_ipv6 == Some(true) {
            // No pod's address depends on it.
            return Err(ApiError::client(
                "UnsupportedOperation",
                "Primary IPv6 addresses are not supported here",
            ));
        }
        Ok(wanted)
    }
}

fn texts(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(String::as_str)
}
