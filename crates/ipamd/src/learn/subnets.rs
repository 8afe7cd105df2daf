//! The subnets of the node's availability zone, as EC2 describes them.

use vpc_aws::ec2::{Ec2, Subnet};
use vpc_ipam::subnets::{Candidate, SubnetInfo};
use vpc_model::VpcId;

/// Which subnets are looked at, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetQuery {
    /// The node's VPC.
    pub vpc: VpcId,
    /// The node's availability zone: an ENI cannot be attached across zones.
    pub zone: String,
    /// The primary ENI's subnet.
    pub node: Candidate,
    /// The cluster's name, for tags that name clusters.
    pub cluster: Option<String>,
}

/// Asks EC2.
///
/// # Errors
/// EC2's.
pub async fn describe_subnets<E: Ec2>(
    ec2: &E,
    query: &SubnetQuery,
) -> Result<Vec<SubnetInfo>, vpc_aws::Error> {
    let found = ec2
        .describe_subnets(query.vpc.clone(), query.zone.clone())
        .await?;
    Ok(found.into_iter().map(info).collect())
}

fn info(subnet: Subnet) -> SubnetInfo {
    SubnetInfo {
        id: subnet.id,
        cidr: subnet.cidr,
        available: subnet.available_addresses,
        tags: subnet.tags,
    }
}
