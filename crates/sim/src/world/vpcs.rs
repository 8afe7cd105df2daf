//! VPCs: `CreateVpc`, `DescribeVpcs`, `DeleteVpc`.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use ipnet::{Ipv4Net, Ipv6Net};
use vpc_aws::ec2::wire::{
    CreateVpcRequest, CreateVpcResponse, DeleteVpcRequest, DeleteVpcResponse, DescribeVpcsRequest,
    DescribeVpcsResponse, Vpc as WireVpc, VpcCidrBlockAssociation, VpcCidrBlockState,
    VpcIpv6CidrBlockAssociation,
};
use vpc_model::{Timestamp, VpcId};

use super::World;
use super::filter::{Facts, chosen};
use super::lookup::{named, required};
use super::modify::refuse_dry_run;
use super::page::Paging;
use super::state::Vpc;
use super::tags::{specified, to_wire};
use crate::error::ApiError;

/// Where the IPv6 networks of VPCs are: in the range for documentation (RFC 3849), so that no
/// packet to them can leave for anywhere.
const PROVIDED: [u16; 3] = [0x2001, 0xdb8, 0x1234];

impl World {
    /// Makes a VPC with its default security group.
    ///
    /// # Errors
    /// As EC2's: no network or one that cannot be read, of another size than /16 to /28
    /// (`InvalidVpc.Range`), too many VPCs (`VpcLimitExceeded`).
    pub fn create_vpc_action(
        &mut self,
        request: &CreateVpcRequest,
        now: Timestamp,
    ) -> Result<CreateVpcResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let cidr = cidr(request.cidr_block.as_deref(), "cidrBlock")?;
        if !(16..=28).contains(&cidr.prefix_len()) {
            let message = format!("The CIDR '{cidr}' is invalid.");
            return Err(ApiError::client("InvalidVpc.Range", message));
        }
        let tenancy = request.instance_tenancy.as_deref().unwrap_or("default");
        if tenancy != "default" {
            return Err(ApiError::invalid(format!(
                "Value ({tenancy}) for parameter instanceTenancy is invalid. Here it must be \
                 default."
            )));
        }
        let tags = specified(&request.tag_specifications, "vpc")?;
        if self.vpcs.len() >= self.config.max_vpcs {
            return Err(ApiError::client(
                "VpcLimitExceeded",
                "The maximum number of VPCs has been reached.",
            ));
        }
        let wants_ipv6 = request.amazon_provided_ipv6_cidr_block == Some(true);
        let ipv6 = wants_ipv6.then(|| self.provided_ipv6()).flatten();
        let id = self.create_vpc(cidr);
        if let Some(vpc) = self.vpcs.get_mut(&id) {
            vpc.ipv6 = ipv6;
            vpc.tags = tags;
        }
        Ok(CreateVpcResponse {
            vpc: Some(self.describe_vpc(&id, self.vpc(&id)?)),
            ..Default::default()
        })
    }

    /// Describes VPCs.
    ///
    /// # Errors
    /// As EC2's: an id that does not exist, an unknown filter, a bad page size or token.
    pub fn describe_vpcs(
        &mut self,
        request: &DescribeVpcsRequest,
        now: Timestamp,
    ) -> Result<DescribeVpcsResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let ids: BTreeSet<VpcId> = request
            .vpc_ids
            .iter()
            .map(|id| self.vpc_id(Some(id)))
            .collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for (id, vpc) in named(&self.vpcs, &ids) {
            let facts = |facts| self.vpc_facts(facts, id, vpc);
            if chosen(&request.filters, &vpc.tags, facts)? {
                found.push((id.to_string(), self.describe_vpc(id, vpc)));
            }
        }
        let paging = Paging {
            max_results: request.max_results,
            next_token: request.next_token.as_deref(),
            by_id: !ids.is_empty(),
            sizes: (5, 1000),
        };
        let (page, next_token) = paging.cut(found)?;
        Ok(DescribeVpcsResponse {
            vpcs: page.into(),
            next_token,
            ..Default::default()
        })
    }

    /// The next /56 that no VPC has.
    fn provided_ipv6(&self) -> Option<Ipv6Net> {
        let candidates = (0..=u16::MAX >> 8).filter_map(|number| {
            let network = Ipv6Addr::new(
                PROVIDED[0],
                PROVIDED[1],
                PROVIDED[2],
                number << 8,
                0,
                0,
                0,
                0,
            );
            Ipv6Net::new(network, 56).ok()
        });
        let taken: BTreeSet<_> = self.vpcs.values().filter_map(|vpc| vpc.ipv6).collect();
        candidates
            .into_iter()
            .find(|network| !taken.contains(network))
    }

    fn vpc_facts<'a>(&self, facts: Facts<'a>, id: &VpcId, vpc: &Vpc) -> Facts<'a> {
        facts
            .with("vpc-id", [id])
            .with("cidr", [vpc.cidr])
            .with("cidr-block-association.cidr-block", [vpc.cidr])
            .with("cidr-block-association.association-id", [association(id)])
            .with("cidr-block-association.state", ["associated"])
            .with("ipv6-cidr-block-association.ipv6-cidr-block", vpc.ipv6)
            .with("dhcp-options-id", ["default"])
            .with("is-default", [false])
            .with("owner-id", [&self.config.account])
            .with("state", ["available"])
    }

    fn describe_vpc(&self, id: &VpcId, vpc: &Vpc) -> WireVpc {
        let association = VpcCidrBlockAssociation {
            association_id: Some(association(id)),
            cidr_block: Some(vpc.cidr.to_string()),
            cidr_block_state: Some(VpcCidrBlockState {
                state: Some("associated".to_owned()),
                status_message: None,
            }),
        };
        WireVpc {
            vpc_id: Some(id.to_string()),
            state: Some("available".to_owned()),
            owner_id: Some(self.config.account.clone()),
            cidr_block: Some(vpc.cidr.to_string()),
            cidr_block_associations: vec![association].into(),
            ipv6_cidr_block_associations: vpc
                .ipv6
                .map(|net| ipv6_association(id, net))
                .into_iter()
                .collect(),
            dhcp_options_id: Some("default".to_owned()),
            instance_tenancy: Some("default".to_owned()),
            is_default: Some(false),
            tags: to_wire(&vpc.tags),
        }
    }

    /// Deletes a VPC with its default security group.
    ///
    /// # Errors
    /// As EC2's: an unknown VPC; `DependencyViolation` while a subnet or another security group is
    /// in it.
    pub fn delete_vpc(
        &mut self,
        request: &DeleteVpcRequest,
        now: Timestamp,
    ) -> Result<DeleteVpcResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let id = self.vpc_id(request.vpc_id.as_deref())?;
        let default_group = self.vpc(&id)?.default_group.clone();
        let mut groups = self.groups.iter();
        let other_group = groups.any(|(group, g)| g.vpc == id && group != &default_group);
        if other_group || self.subnets.values().any(|subnet| subnet.vpc == id) {
            let message = format!("The vpc '{id}' has dependencies and cannot be deleted.");
            return Err(ApiError::client("DependencyViolation", message));
        }
        self.groups.remove(&default_group);
        self.vpcs.remove(&id);
        self.changed();
        Ok(DeleteVpcResponse {
            r#return: Some(true),
            ..Default::default()
        })
    }
}

/// The id of the association of a VPC's network, which follows from the VPC's.
fn association(id: &VpcId) -> String {
    format!("vpc-cidr-assoc-{}", id.as_str().trim_start_matches("vpc-"))
}

fn ipv6_association(id: &VpcId, network: Ipv6Net) -> VpcIpv6CidrBlockAssociation {
    // Another than the IPv4 network's, and the same every time it is described.
    let number = id.as_str().trim_start_matches("vpc-").chars().rev();
    let number: String = number.collect();
    VpcIpv6CidrBlockAssociation {
        association_id: Some(format!("vpc-cidr-assoc-{number}")),
        ipv6_cidr_block: Some(network.to_string()),
        ipv6_cidr_block_state: Some(VpcCidrBlockState {
            state: Some("associated".to_owned()),
            status_message: None,
        }),
        ipv6_pool: Some("Amazon".to_owned()),
    }
}

/// A network of a request, in its canonical form.
pub(super) fn cidr(text: Option<&str>, parameter: &str) -> Result<Ipv4Net, ApiError> {
    let text = required(text, parameter)?;
    let net: Result<Ipv4Net, _> = text.parse();
    net.map(|net| net.trunc()).map_err(|_| {
        ApiError::invalid(format!(
            "Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block."
        ))
    })
}
