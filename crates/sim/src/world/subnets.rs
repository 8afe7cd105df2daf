//! `DescribeSubnets`.

use std::collections::BTreeSet;

use vpc_aws::ec2::wire::{
    DescribeSubnetsRequest, DescribeSubnetsResponse, Subnet as WireSubnet,
    SubnetIpv6CidrBlockAssociation, SubnetIpv6CidrBlockState,
};
use vpc_model::{SubnetId, Timestamp};

use super::World;
use super::filter::{Facts, chosen};
use super::lookup::named;
use super::modify::refuse_dry_run;
use super::page::Paging;
use super::space_v6::SpaceV6;
use super::state::Subnet;
use super::tags::to_wire;
use crate::error::ApiError;

impl World {
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
        let ids: BTreeSet<SubnetId> = request
            .subnet_ids
            .iter()
            .map(|id| self.subnet_id(Some(id)))
            .collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for (id, subnet) in named(&self.subnets, &ids) {
            let described = self.describe_subnet(id, subnet);
            let facts = |facts| self.subnet_facts(facts, id, subnet, &described);
            if chosen(&request.filters, &subnet.tags, facts)? {
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

    fn subnet_facts<'a>(
        &self,
        facts: Facts<'a>,
        id: &SubnetId,
        subnet: &Subnet,
        described: &WireSubnet,
    ) -> Facts<'a> {
        let ipv6 = subnet.ipv6.as_ref().map(SpaceV6::cidr);
        facts
            .with("subnet-id", [id])
            .with("vpc-id", [&subnet.vpc])
            .with("availability-zone", [&subnet.availability_zone])
            .with("availabilityZone", [&subnet.availability_zone])
            .with("availability-zone-id", &described.availability_zone_id)
            .with("cidr-block", [subnet.space.cidr()])
            .with("cidr", [subnet.space.cidr()])
            .with("owner-id", [&self.config.account])
            .with("state", ["available"])
            .with("subnet-arn", &described.subnet_arn)
            .with("default-for-az", described.default_for_az)
            .with("map-public-ip-on-launch", described.map_public_ip_on_launch)
            .with("ipv6-native", described.ipv6_native)
            .with("ipv6-cidr-block-association.ipv6-cidr-block", ipv6)
            .with("available-ip-address-count", [subnet.space.available()])
    }

    pub(super) fn describe_subnet(&self, id: &SubnetId, subnet: &Subnet) -> WireSubnet {
        let config = &self.config;
        WireSubnet {
            subnet_id: Some(id.to_string()),
            subnet_arn: Some(self.arn("subnet", id.as_str())),
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
            ipv6_cidr_block_association_set: subnet
                .ipv6
                .iter()
                .map(|space| ipv6_association(id, space))
                .collect(),
            ipv6_native: Some(false),
            enable_dns64: Some(false),
            tags: to_wire(&subnet.tags),
        }
    }
}

fn ipv6_association(id: &SubnetId, space: &SpaceV6) -> SubnetIpv6CidrBlockAssociation {
    let number = id.as_str().trim_start_matches("subnet-");
    SubnetIpv6CidrBlockAssociation {
        association_id: Some(format!("subnet-cidr-assoc-{number}")),
        ipv6_cidr_block: Some(space.cidr().to_string()),
        ipv6_cidr_block_state: Some(SubnetIpv6CidrBlockState {
            state: Some("associated".to_owned()),
            status_message: None,
        }),
    }
}
