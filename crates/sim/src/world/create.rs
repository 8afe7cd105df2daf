//! ENIs come to be and go: `CreateNetworkInterface`, `DeleteNetworkInterface`.

use std::net::Ipv4Addr;

use vpc_aws::ec2::wire::{
    CreateNetworkInterfaceRequest, CreateNetworkInterfaceResponse, DeleteNetworkInterfaceRequest,
    DeleteNetworkInterfaceResponse,
};
use vpc_model::{EniId, Ipv4Prefix, SecurityGroupId, SubnetId, Timestamp};

use super::World;
use super::lookup::required;
use super::modify::refuse_dry_run;
use super::state::{Creation, Eni, Tags};
use super::tags::specified;
use super::wanted::{Asked, Wanted, address_limit, insufficient_addresses, parse_all, take_exact};
use super::wanted_v6::Wanted as WantedV6;
use crate::error::ApiError;

/// Everything that decides about a new ENI.
pub(super) struct Blueprint {
    pub(super) subnet: SubnetId,
    pub(super) primary: Option<Ipv4Addr>,
    pub(super) wanted: Wanted,
    pub(super) wanted_v6: WantedV6,
    pub(super) security_groups: Vec<SecurityGroupId>,
    pub(super) description: String,
    pub(super) interface_type: String,
    pub(super) tags: Tags,
}

impl World {
    /// Creates an ENI. A repetition with the same client token returns the first one's.
    ///
    /// # Errors
    /// As EC2's: unknown subnet or security group, too many ENIs or addresses, a subnet without
    /// enough free ones, a client token that was used for another request.
    pub fn create_network_interface(
        &mut self,
        request: &CreateNetworkInterfaceRequest,
        now: Timestamp,
    ) -> Result<CreateNetworkInterfaceResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let token = request.client_token.as_deref().unwrap_or_default();
        if token.len() > 64 {
            let message = "The client token is longer than 64 characters";
            return Err(ApiError::invalid(message));
        }
        if let Some(earlier) = self.creations.get(token) {
            if &earlier.request != request {
                return Err(ApiError::client(
                    "IdempotentParameterMismatch",
                    format!("The client token '{token}' was used with other parameters"),
                ));
            }
            return self.created(&earlier.eni, request);
        }
        let blueprint = self.blueprint(request)?;
        let id = self.make_eni(blueprint)?;
        if !token.is_empty() {
            let creation = Creation {
                request: request.clone(),
                eni: id.clone(),
            };
            self.creations.insert(token.to_owned(), creation);
        }
        self.eni_mut(&id)?.connection_tracking = request.connection_tracking_specification.clone();
        self.created(&id, request)
    }

    fn created(
        &self,
        id: &EniId,
        request: &CreateNetworkInterfaceRequest,
    ) -> Result<CreateNetworkInterfaceResponse, ApiError> {
        Ok(CreateNetworkInterfaceResponse {
            network_interface: Some(self.describe_eni(id, self.eni(id)?)),
            client_token: request.client_token.clone(),
            ..Default::default()
        })
    }

    pub(super) fn blueprint(
        &self,
        request: &CreateNetworkInterfaceRequest,
    ) -> Result<Blueprint, ApiError> {
        let subnet = self.subnet_id(request.subnet_id.as_deref())?;
        let vpc = self.vpc(&self.subnet(&subnet)?.vpc)?;
        let mut security_groups =
            self.security_groups(&request.groups, &self.subnet(&subnet)?.vpc)?;
        if security_groups.is_empty() {
            security_groups.push(vpc.default_group.clone());
        }
        let wanted_v6 = self.wanted_v6(request, &subnet)?;
        let interface_type = request.interface_type.as_deref().unwrap_or("interface");
        if !["interface", "efa", "trunk", "branch"].contains(&interface_type) {
            return Err(ApiError::invalid(format!(
                "Value ({interface_type}) for parameter InterfaceType is invalid."
            )));
        }
        let (primary, addresses) = explicit_addresses(request)?;
        let prefixes = request.ipv4_prefixes.iter();
        let wanted = Asked {
            count: request.secondary_private_ip_address_count,
            addresses,
            prefix_count: request.ipv4_prefix_count,
            prefixes: parse_all(
                prefixes.map(|p| p.ipv4_prefix.as_deref().unwrap_or_default()),
                "Ipv4Prefix",
            )?,
        }
        .wanted()?;
        Ok(Blueprint {
            subnet,
            primary,
            wanted,
            wanted_v6,
            security_groups,
            description: request.description.clone().unwrap_or_default(),
            interface_type: interface_type.to_owned(),
            tags: specified(&request.tag_specifications, "network-interface")?,
        })
    }

    /// Makes an ENI, or nothing at all.
    pub(super) fn make_eni(&mut self, blueprint: Blueprint) -> Result<EniId, ApiError> {
        if self.enis.len() >= self.config.max_enis {
            return Err(ApiError::client(
                "NetworkInterfaceLimitExceeded",
                format!(
                    "You have reached the limit of {} network interfaces",
                    self.config.max_enis
                ),
            ));
        }
        let limit = usize::try_from(self.config.max_addresses_unattached).unwrap_or(usize::MAX);
        let slots = blueprint.wanted.slots().saturating_add(1);
        if slots.max(blueprint.wanted_v6.slots()) > limit {
            return Err(address_limit());
        }
        let subnet = self.subnet(&blueprint.subnet)?;
        let (vpc, zone) = (subnet.vpc.clone(), subnet.availability_zone.clone());
        let taken_v6 = self.take_v6(&blueprint.subnet, &blueprint.wanted_v6)?;
        let taken = self.take_v4(&blueprint);
        if taken.is_err()
            && let Some(space) = &mut self.subnet_mut(&blueprint.subnet)?.ipv6
        {
            space.give(&taken_v6.addresses, &taken_v6.prefixes);
        }
        let (primary, secondaries, prefixes) = taken?;
        let id: EniId = self.random.id("eni-");
        let eni = Eni {
            mac: self.random.mac(),
            subnet: blueprint.subnet,
            vpc,
            availability_zone: zone,
            description: blueprint.description,
            interface_type: blueprint.interface_type,
            primary,
            secondaries,
            prefixes,
            ipv6: taken_v6.addresses,
            ipv6_prefixes: taken_v6.prefixes,
            public: None,
            security_groups: blueprint.security_groups,
            source_dest_check: true,
            connection_tracking: None,
            tags: blueprint.tags,
            attachment: None,
            association: None,
        };
        self.before_change_of(&id);
        self.enis.insert(id.clone(), eni);
        self.changed();
        Ok(id)
    }

    /// The addresses and prefixes of a new ENI, all or nothing: the primary, the others.
    fn take_v4(
        &mut self,
        blueprint: &Blueprint,
    ) -> Result<(Ipv4Addr, Vec<Ipv4Addr>, Vec<Ipv4Prefix>), ApiError> {
        let space = &mut self.subnet_mut(&blueprint.subnet)?.space;
        let primary = match blueprint.primary {
            Some(address) => {
                take_exact(space, address)?;
                address
            }
            None => {
                let (taken, _) = Wanted::Addresses(1).take(space)?;
                let first = taken.first().copied();
                first.ok_or_else(insufficient_addresses)?
            }
        };
        let taken = blueprint.wanted.take(space);
        if taken.is_err() {
            space.give(primary);
        }
        let (secondaries, prefixes) = taken?;
        Ok((primary, secondaries, prefixes))
    }

    /// Deletes an ENI that is not attached, no branch of a trunk and no trunk with branches.
    ///
    /// # Errors
    /// `InvalidNetworkInterfaceID.NotFound`; `InvalidParameterValue` until a detach has ended. (The
    /// API reference names `InvalidNetworkInterface.InUse` as well; the service answers this.)
    pub fn delete_network_interface(
        &mut self,
        request: &DeleteNetworkInterfaceRequest,
        now: Timestamp,
    ) -> Result<DeleteNetworkInterfaceResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let id = self.eni_id(request.network_interface_id.as_deref())?;
        let eni = self.eni(&id)?;
        let carries = eni.is_trunk() && self.branches_of(&id).next().is_some();
        if eni.attachment.is_some() || eni.association.is_some() || carries {
            let message = format!("Network interface '{id}' is currently in use.");
            return Err(ApiError::invalid(message));
        }
        self.drop_eni(&id);
        Ok(DeleteNetworkInterfaceResponse {
            r#return: Some(true),
            ..Default::default()
        })
    }

    /// Removes an ENI and gives its addresses back.
    pub(super) fn drop_eni(&mut self, id: &EniId) {
        self.before_change_of(id);
        let Some(eni) = self.enis.remove(id) else {
            return;
        };
        if eni.is_trunk() {
            self.drop_associations(id);
        }
        if let Some(subnet) = self.subnets.get_mut(&eni.subnet) {
            for address in eni.all_addresses() {
                subnet.space.give(address);
            }
            for prefix in eni.prefixes {
                subnet.space.give_prefix(prefix);
            }
            if let Some(space) = &mut subnet.ipv6 {
                space.give(&eni.ipv6, &eni.ipv6_prefixes);
            }
        }
        self.changed();
    }
}

/// The primary address and the other exact addresses of a request. The primary one may be named
/// by its own parameter or be marked in the list.
fn explicit_addresses(
    request: &CreateNetworkInterfaceRequest,
) -> Result<(Option<Ipv4Addr>, Vec<Ipv4Addr>), ApiError> {
    let mut primary: Vec<Ipv4Addr> =
        parse_all(request.private_ip_address.as_deref(), "PrivateIpAddress")?;
    let mut others = Vec::new();
    for spec in &request.private_ip_addresses {
        let text = required(
            spec.private_ip_address.as_deref(),
            "PrivateIpAddresses.PrivateIpAddress",
        )?;
        let address = parse_all::<Ipv4Addr>([text], "PrivateIpAddresses.PrivateIpAddress")?;
        if spec.primary == Some(true) {
            primary.extend(address);
        } else {
            others.extend(address);
        }
    }
    if primary.len() > 1 {
        return Err(ApiError::client(
            "InvalidParameterCombination",
            "Only one primary private IP address may be specified",
        ));
    }
    Ok((primary.pop(), others))
}
