//! VPCs, subnets and security groups as whoever builds a world makes them: without a request, and
//! without the quotas that a request meets.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use vpc_model::{SecurityGroupId, SubnetId, VpcId};

use super::World;
use super::rules;
use super::space::Space;
use super::state::{SecurityGroup, Subnet, Tags, Vpc};
use crate::error::ApiError;

impl World {
    /// Makes a VPC with its default security group.
    pub fn create_vpc(&mut self, cidr: Ipv4Net) -> VpcId {
        let id: VpcId = self.random.id("vpc-");
        let default_group = self.add_group(&id, "default", "default VPC security group");
        let vpc = Vpc {
            cidr: cidr.trunc(),
            ipv6: None,
            default_group,
            tags: Tags::new(),
        };
        self.vpcs.insert(id.clone(), vpc);
        self.changed();
        id
    }

    /// Makes a subnet of /16 to /28.
    ///
    /// # Errors
    /// `InvalidVpcID.NotFound`; `InvalidSubnet.Range` if the network has another size or does not
    /// lie in the VPC's; `InvalidSubnet.Conflict` if it overlaps with another subnet.
    pub fn create_subnet(
        &mut self,
        vpc: &VpcId,
        cidr: Ipv4Net,
        availability_zone: &str,
    ) -> Result<SubnetId, ApiError> {
        let vpc_cidr = self.vpc(vpc)?.cidr;
        if !(16..=28).contains(&cidr.prefix_len()) || !vpc_cidr.contains(&cidr) {
            let message = format!("The CIDR '{cidr}' is invalid.");
            return Err(ApiError::client("InvalidSubnet.Range", message));
        }
        let overlaps = self.subnets.values().any(|other| {
            let taken = other.space.cidr();
            &other.vpc == vpc && (taken.contains(&cidr) || cidr.contains(&taken))
        });
        if overlaps {
            let message = format!("The CIDR '{cidr}' conflicts with another subnet");
            return Err(ApiError::client("InvalidSubnet.Conflict", message));
        }
        let id: SubnetId = self.random.id("subnet-");
        let subnet = Subnet {
            vpc: vpc.clone(),
            space: Space::new(cidr),
            ipv6: None,
            availability_zone: availability_zone.to_owned(),
            others: Vec::new(),
            reservations: BTreeMap::new(),
            tags: Tags::new(),
        };
        self.subnets.insert(id.clone(), subnet);
        self.changed();
        Ok(id)
    }

    /// Makes a security group. As in EC2, anything may go out and nothing come in. (The world itself
    /// does not filter traffic; a network that does asks [`World::fabric`].)
    ///
    /// # Errors
    /// `InvalidVpcID.NotFound`; `InvalidGroup.Duplicate` if the VPC has one of this name.
    pub fn create_security_group(
        &mut self,
        vpc: &VpcId,
        name: &str,
    ) -> Result<SecurityGroupId, ApiError> {
        self.vpc(vpc)?;
        let twin = |group: &SecurityGroup| &group.vpc == vpc && group.name == name;
        if self.groups.values().any(twin) {
            let message = format!("The security group '{name}' already exists for VPC '{vpc}'");
            return Err(ApiError::client("InvalidGroup.Duplicate", message));
        }
        self.changed();
        Ok(self.add_group(vpc, name, name))
    }

    /// Lets everything into a VPC's default group, as for a network whose builder does not care
    /// about security groups; the group.
    ///
    /// # Errors
    /// `InvalidVpcID.NotFound`.
    pub fn open_default_group(&mut self, vpc: &VpcId) -> Result<SecurityGroupId, ApiError> {
        let id = self.vpc(vpc)?.default_group.clone();
        let (number, rule) = rules::everything_in(&id);
        self.group_mut(&id)?.rules.insert(number, rule);
        self.changed();
        Ok(id)
    }

    fn add_group(&mut self, vpc: &VpcId, name: &str, description: &str) -> SecurityGroupId {
        let id: SecurityGroupId = self.random.id("sg-");
        let group = SecurityGroup {
            vpc: vpc.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            rules: rules::at_first(&id, name == "default"),
            tags: Tags::new(),
        };
        self.groups.insert(id.clone(), group);
        id
    }
}
