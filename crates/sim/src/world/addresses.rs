//! `AssignPrivateIpAddresses` and `UnassignPrivateIpAddresses`.

use std::net::Ipv4Addr;

use vpc_aws::ec2::wire::{
    AssignPrivateIpAddressesRequest, AssignPrivateIpAddressesResponse, AssignedPrivateIpAddress,
    UnassignPrivateIpAddressesRequest, UnassignPrivateIpAddressesResponse,
};
use vpc_model::{EniId, Ipv4Prefix, SubnetId, Timestamp};

use super::World;
use super::interfaces::wire_prefixes;
use super::state::Eni;
use super::wanted::{Asked, Wanted, address_limit, parse_all};
use crate::error::ApiError;

impl World {
    /// Assigns secondary addresses or prefixes.
    ///
    /// # Errors
    /// As EC2's: unknown ENI, more addresses than the instance type allows
    /// (`PrivateIpAddressLimitExceeded`), a subnet without enough free ones.
    pub fn assign_private_ip_addresses(
        &mut self,
        request: &AssignPrivateIpAddressesRequest,
        now: Timestamp,
    ) -> Result<AssignPrivateIpAddressesResponse, ApiError> {
        self.advance(now);
        let id = self.eni_id(request.network_interface_id.as_deref())?;
        let wanted = Asked {
            count: request.secondary_private_ip_address_count,
            addresses: parse_all(
                request.private_ip_addresses.iter().map(String::as_str),
                "privateIpAddress",
            )?,
            prefix_count: request.ipv4_prefix_count,
            prefixes: parse_all(
                request.ipv4_prefixes.iter().map(String::as_str),
                "ipv4Prefix",
            )?,
        }
        .wanted()?;
        if wanted == Wanted::Nothing {
            return Err(ApiError::missing("secondaryPrivateIpAddressCount"));
        }
        let eni = self.eni(&id)?;
        self.check_limit(eni, &wanted)?;
        let subnet = eni.subnet.clone();
        let moves = self.moves(&subnet, &wanted, request.allow_reassignment == Some(true))?;
        let space = &mut self.subnet_mut(&subnet)?.space;
        for (_, address) in &moves {
            space.give(*address);
        }
        let taken = wanted.take(space);
        if taken.is_err() {
            for (_, address) in &moves {
                // It was taken a moment ago.
                let _ = space.take_exact(*address);
            }
        }
        let (addresses, prefixes) = taken?;

        for (loser, address) in moves {
            self.eni_mut(&loser)?.secondaries.retain(|a| *a != address);
            self.announce(&loser);
        }
        let eni = self.eni_mut(&id)?;
        eni.secondaries.extend(&addresses);
        eni.prefixes.extend(&prefixes);
        self.announce(&id);
        self.changed();
        let assigned = |address: &Ipv4Addr| AssignedPrivateIpAddress {
            private_ip_address: Some(address.to_string()),
        };
        Ok(AssignPrivateIpAddressesResponse {
            network_interface_id: Some(id.to_string()),
            assigned_private_ip_addresses: addresses.iter().map(assigned).collect(),
            assigned_ipv4_prefixes: wire_prefixes(&prefixes),
            ..Default::default()
        })
    }

    /// The exact addresses that other ENIs hold and would lose.
    fn moves(
        &self,
        subnet: &SubnetId,
        wanted: &Wanted,
        allowed: bool,
    ) -> Result<Vec<(EniId, Ipv4Addr)>, ApiError> {
        let Wanted::ExactAddresses(addresses) = wanted else {
            return Ok(Vec::new());
        };
        let mut moves = Vec::new();
        for address in addresses {
            let holds = |eni: &Eni| &eni.subnet == subnet && eni.all_addresses().contains(address);
            let Some((holder, eni)) = self.enis.iter().find(|(_, eni)| holds(eni)) else {
                continue;
            };
            if !allowed || eni.primary == *address {
                return Err(ApiError::invalid(format!(
                    "[{address}] is already assigned to interface {holder}, but move is not allowed"
                )));
            }
            moves.push((holder.clone(), *address));
        }
        Ok(moves)
    }

    /// Whether an ENI may hold what is wanted in addition to what it has.
    fn check_limit(&self, eni: &Eni, wanted: &Wanted) -> Result<(), ApiError> {
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
        let used = eni.used_slots().saturating_add(wanted.slots());
        if used > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(address_limit());
        }
        Ok(())
    }

    /// Takes secondary addresses or prefixes from an ENI, all or none.
    ///
    /// # Errors
    /// As EC2's: unknown ENI, an address or prefix that is not the ENI's or is its primary one.
    pub fn unassign_private_ip_addresses(
        &mut self,
        request: &UnassignPrivateIpAddressesRequest,
        now: Timestamp,
    ) -> Result<UnassignPrivateIpAddressesResponse, ApiError> {
        self.advance(now);
        let id = self.eni_id(request.network_interface_id.as_deref())?;
        let addresses: Vec<Ipv4Addr> = parse_all(
            request.private_ip_addresses.iter().map(String::as_str),
            "privateIpAddress",
        )?;
        let prefixes: Vec<Ipv4Prefix> = parse_all(
            request.ipv4_prefixes.iter().map(String::as_str),
            "ipv4Prefix",
        )?;
        match (addresses.is_empty(), prefixes.is_empty()) {
            (true, true) => return Err(ApiError::missing("privateIpAddress")),
            (false, false) => {
                return Err(ApiError::client(
                    "InvalidParameterCombination",
                    "Only one of addresses and prefixes may be specified",
                ));
            }
            (true, false) | (false, true) => {}
        }
        let eni = self.eni(&id)?;
        let known = addresses.iter().all(|a| eni.secondaries.contains(a))
            && prefixes.iter().all(|p| eni.prefixes.contains(p));
        if !known {
            let texts = addresses.iter().map(ToString::to_string);
            let all: Vec<String> = texts
                .chain(prefixes.iter().map(ToString::to_string))
                .collect();
            return Err(ApiError::invalid(format!(
                "Some of [{}] are not assigned to interface {id}",
                all.join(", ")
            )));
        }
        let subnet = eni.subnet.clone();
        let space = &mut self.subnet_mut(&subnet)?.space;
        for address in &addresses {
            space.give(*address);
        }
        for prefix in &prefixes {
            space.give_prefix(*prefix);
        }
        let eni = self.eni_mut(&id)?;
        eni.secondaries.retain(|a| !addresses.contains(a));
        eni.prefixes.retain(|p| !prefixes.contains(p));
        self.announce(&id);
        self.changed();
        Ok(UnassignPrivateIpAddressesResponse {
            r#return: Some(true),
            ..Default::default()
        })
    }
}
