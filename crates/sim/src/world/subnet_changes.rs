//! `CreateSubnet` and `DeleteSubnet`.

use ipnet::Ipv6Net;
use vpc_aws::ec2::wire::{
    CreateSubnetRequest, CreateSubnetResponse, DeleteSubnetRequest, DeleteSubnetResponse,
};
use vpc_model::{Timestamp, VpcId};

use super::World;
use super::modify::refuse_dry_run;
use super::space_v6::{SUBNET_LENGTH, SpaceV6};
use super::tags::specified;
use super::vpcs::cidr;
use crate::error::ApiError;

impl World {
    /// Makes a subnet.
    ///
    /// # Errors
    /// As EC2's: an unknown VPC, a network that cannot be (`InvalidSubnet.Range`) or that overlaps
    /// with another subnet's (`InvalidSubnet.Conflict`), an unknown availability zone, too many
    /// subnets (`SubnetLimitExceeded`). A subnet without an IPv4 network is `UnsupportedOperation`.
    pub fn create_subnet_action(
        &mut self,
        request: &CreateSubnetRequest,
        now: Timestamp,
    ) -> Result<CreateSubnetResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let vpc = self.vpc_id(request.vpc_id.as_deref())?;
        if request.ipv6_native == Some(true) {
            // Nodes and pods of a cluster have IPv4 addresses as well.
            let message = "Subnets without an IPv4 network are not supported here";
            return Err(ApiError::client("UnsupportedOperation", message));
        }
        let ipv6 = request.ipv6_cidr_block.as_deref();
        let ipv6 = ipv6.map(|text| self.subnet_ipv6(&vpc, text)).transpose()?;
        let cidr = cidr(request.cidr_block.as_deref(), "cidrBlock")?;
        let zone = self.zone(request)?;
        let tags = specified(&request.tag_specifications, "subnet")?;
        let others = self.subnets.values().filter(|subnet| subnet.vpc == vpc);
        if others.count() >= self.config.max_subnets {
            return Err(ApiError::client(
                "SubnetLimitExceeded",
                "The maximum number of subnets has been reached.",
            ));
        }
        let id = self.create_subnet(&vpc, cidr, &zone)?;
        let subnet = self.subnet_mut(&id)?;
        subnet.tags = tags;
        subnet.ipv6 = ipv6.map(SpaceV6::new);
        Ok(CreateSubnetResponse {
            subnet: Some(self.describe_subnet(&id, self.subnet(&id)?)),
            ..Default::default()
        })
    }

    /// The IPv6 network that a request wants for a subnet.
    fn subnet_ipv6(&self, vpc: &VpcId, text: &str) -> Result<Ipv6Net, ApiError> {
        let parsed: Option<Ipv6Net> = text.parse().ok();
        let network = parsed.map(|network| network.trunc()).ok_or_else(|| {
            ApiError::invalid(format!(
                "Value ({text}) for parameter ipv6CidrBlock is invalid. This is not a valid IPv6 \
                 CIDR block."
            ))
        })?;
        let of_the_vpc = self.vpc(vpc)?.ipv6;
        let within = of_the_vpc.is_some_and(|whole| whole.contains(&network));
        if !within || network.prefix_len() != SUBNET_LENGTH {
            let message = format!("The CIDR '{network}' is invalid.");
            return Err(ApiError::client("InvalidSubnet.Range", message));
        }
        let spaces = self.subnets.values().filter_map(|s| s.ipv6.as_ref());
        if spaces.into_iter().any(|space| space.cidr() == network) {
            let message = format!("The CIDR '{network}' conflicts with another subnet");
            return Err(ApiError::client("InvalidSubnet.Conflict", message));
        }
        Ok(network)
    }

    /// The name of the availability zone that a request wants; the first if it does not say.
    fn zone(&self, request: &CreateSubnetRequest) -> Result<String, ApiError> {
        let (parameter, wanted) = match (&request.availability_zone, &request.availability_zone_id)
        {
            (Some(_), Some(_)) => {
                return Err(ApiError::client(
                    "InvalidParameterCombination",
                    "Only one of availabilityZone and availabilityZoneId may be specified",
                ));
            }
            (Some(name), None) => ("availabilityZone", Some(name)),
            (None, id) => ("availabilityZoneId", id.as_ref()),
        };
        let zones: Vec<String> = self.config.zones().collect();
        let is_it = |zone: &&String| {
            wanted.is_none_or(|wanted| *zone == wanted || &self.zone_id(zone) == wanted)
        };
        zones.iter().find(is_it).cloned().ok_or_else(|| {
            ApiError::invalid(format!(
                "Value ({}) for parameter {parameter} is invalid. Subnets can currently only be \
                 created in the following availability zones: {}.",
                wanted.map_or("", String::as_str),
                zones.join(", ")
            ))
        })
    }

    /// Deletes a subnet with its CIDR reservations.
    ///
    /// # Errors
    /// As EC2's: an unknown subnet; `DependencyViolation` while an ENI or somebody else's address
    /// is in it.
    pub fn delete_subnet(
        &mut self,
        request: &DeleteSubnetRequest,
        now: Timestamp,
    ) -> Result<DeleteSubnetResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let id = self.subnet_id(request.subnet_id.as_deref())?;
        let has_enis = self.enis.values().any(|eni| eni.subnet == id);
        if has_enis || !self.subnet(&id)?.others.is_empty() {
            let message = format!("The subnet '{id}' has dependencies and cannot be deleted.");
            return Err(ApiError::client("DependencyViolation", message));
        }
        self.subnets.remove(&id);
        self.changed();
        Ok(DeleteSubnetResponse {
            r#return: Some(true),
            ..Default::default()
        })
    }
}
