//! Security groups: `CreateSecurityGroup`, `DescribeSecurityGroups`, `DeleteSecurityGroup`.

use std::collections::BTreeSet;

use vpc_aws::ec2::wire::{
    CreateSecurityGroupRequest, CreateSecurityGroupResponse, DeleteSecurityGroupRequest,
    DeleteSecurityGroupResponse, DescribeSecurityGroupsRequest, DescribeSecurityGroupsResponse,
    SecurityGroup as WireGroup,
};
use vpc_model::{SecurityGroupId, Timestamp};

use super::World;
use super::filter::{Facts, chosen};
use super::lookup::{named, required};
use super::modify::refuse_dry_run;
use super::page::Paging;
use super::state::SecurityGroup;
use super::tags::{specified, to_wire};
use crate::error::ApiError;

/// The most security groups (the quota "VPC security groups per Region").
const MAX_GROUPS: usize = 2_500;

/// What a name and a description may have besides letters and digits (API reference of
/// `CreateSecurityGroup`).
const PUNCTUATION: &str = " ._-:/()#,@[]+=&;{}!$*";

impl World {
    /// Makes a security group with the rule that anything may go out.
    ///
    /// # Errors
    /// As EC2's: no or an unknown VPC, a name or description that cannot be, a name that the VPC
    /// has (`InvalidGroup.Duplicate`), too many groups.
    pub fn create_security_group_action(
        &mut self,
        request: &CreateSecurityGroupRequest,
        now: Timestamp,
    ) -> Result<CreateSecurityGroupResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let name = text(request.group_name.as_deref(), "groupName")?;
        let description = text(request.description.as_deref(), "groupDescription")?;
        if name.eq_ignore_ascii_case("default") {
            let message = format!("Cannot use reserved security group name: {name}");
            return Err(ApiError::invalid(message));
        }
        if name.starts_with("sg-") {
            let message = "Group names may not be in the format sg-*";
            return Err(ApiError::invalid(message));
        }
        let Some(vpc) = request.vpc_id.as_deref() else {
            return Err(no_default_vpc());
        };
        let vpc = self.vpc_id(Some(vpc))?;
        let tags = specified(&request.tag_specifications, "security-group")?;
        if self.groups.len() >= MAX_GROUPS {
            return Err(ApiError::client(
                "SecurityGroupLimitExceeded",
                "The maximum number of security groups has been reached.",
            ));
        }
        let id = self.create_security_group(&vpc, name)?;
        let group = self.group_mut(&id)?;
        description.clone_into(&mut group.description);
        group.tags.clone_from(&tags);
        Ok(CreateSecurityGroupResponse {
            security_group_arn: Some(self.arn("security-group", id.as_str())),
            group_id: Some(id.to_string()),
            tags: to_wire(&tags),
            ..Default::default()
        })
    }

    /// Describes security groups.
    ///
    /// # Errors
    /// As EC2's: an id that does not exist, an unknown filter, a bad page size or token.
    pub fn describe_security_groups(
        &mut self,
        request: &DescribeSecurityGroupsRequest,
        now: Timestamp,
    ) -> Result<DescribeSecurityGroupsResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        if let Some(name) = request.group_names.first() {
            return Err(ApiError::client(
                "InvalidGroup.NotFound",
                format!("The security group '{name}' does not exist in default VPC"),
            ));
        }
        let ids: BTreeSet<SecurityGroupId> = request
            .group_ids
            .iter()
            .map(|id| self.group_id(Some(id)))
            .collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for (id, group) in named(&self.groups, &ids) {
            let facts = |facts| self.group_facts(facts, id, group);
            if chosen(&request.filters, &group.tags, facts)? {
                found.push((id.to_string(), self.describe_group(id, group)));
            }
        }
        let paging = Paging {
            max_results: request.max_results,
            next_token: request.next_token.as_deref(),
            by_id: !ids.is_empty(),
            sizes: (5, 1000),
        };
        let (page, next_token) = paging.cut(found)?;
        Ok(DescribeSecurityGroupsResponse {
            security_groups: page.into(),
            next_token,
            ..Default::default()
        })
    }

    fn describe_group(&self, id: &SecurityGroupId, group: &SecurityGroup) -> WireGroup {
        WireGroup {
            group_id: Some(id.to_string()),
            group_name: Some(group.name.clone()),
            description: Some(group.description.clone()),
            vpc_id: Some(group.vpc.to_string()),
            owner_id: Some(self.config.account.clone()),
            security_group_arn: Some(self.arn("security-group", id.as_str())),
            ip_permissions: self.permissions(group, false).into(),
            ip_permissions_egress: self.permissions(group, true).into(),
            tags: to_wire(&group.tags),
        }
    }

    fn group_facts<'a>(
        &self,
        facts: Facts<'a>,
        id: &SecurityGroupId,
        group: &SecurityGroup,
    ) -> Facts<'a> {
        let facts = facts
            .with("group-id", [id])
            .with("group-name", [&group.name])
            .with("description", [&group.description])
            .with("vpc-id", [&group.vpc])
            .with("owner-id", [&self.config.account]);
        let facts = self.rule_facts(facts, group, false);
        self.rule_facts(facts, group, true)
    }

    fn rule_facts<'a>(&self, facts: Facts<'a>, group: &SecurityGroup, egress: bool) -> Facts<'a> {
        let names = if egress {
            EGRESS_FILTERS
        } else {
            INGRESS_FILTERS
        };
        let [protocol, from, to, cidr, ipv6, peer] = names;
        let permissions = self.permissions(group, egress);
        let all = permissions.iter();
        facts
            .with(protocol, all.clone().filter_map(|p| p.ip_protocol.as_ref()))
            .with(from, all.clone().filter_map(|p| p.from_port))
            .with(to, all.clone().filter_map(|p| p.to_port))
            .with(
                cidr,
                all.clone()
                    .flat_map(|p| p.ip_ranges.item.iter().filter_map(|r| r.cidr_ip.as_ref())),
            )
            .with(
                ipv6,
                all.clone().flat_map(|p| {
                    p.ipv6_ranges
                        .item
                        .iter()
                        .filter_map(|r| r.cidr_ipv6.as_ref())
                }),
            )
            .with(
                peer,
                all.flat_map(|p| {
                    let pairs = p.user_id_group_pairs.item.iter();
                    pairs.filter_map(|pair| pair.group_id.as_ref())
                }),
            )
    }

    /// Deletes a security group.
    ///
    /// # Errors
    /// As EC2's: an unknown group, a VPC's default group (`CannotDelete`), a group that an ENI has
    /// or a rule of another group names (`DependencyViolation`).
    pub fn delete_security_group(
        &mut self,
        request: &DeleteSecurityGroupRequest,
        now: Timestamp,
    ) -> Result<DeleteSecurityGroupResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        if request.group_id.is_none() && request.group_name.is_some() {
            return Err(no_default_vpc());
        }
        let id = self.group_id(request.group_id.as_deref())?;
        let group = self.group(&id)?;
        if self.vpc(&group.vpc)?.default_group == id {
            let name = &group.name;
            return Err(ApiError::client(
                "CannotDelete",
                format!(
                    "the specified group: \"{id}\" name: \"{name}\" cannot be deleted by a user"
                ),
            ));
        }
        let names_it = |(other, group): (&SecurityGroupId, &SecurityGroup)| {
            let mut rules = group.rules.values();
            other != &id && rules.any(|rule| rule.term.peer.group() == Some(&id))
        };
        let has_it = self
            .enis
            .values()
            .any(|eni| eni.security_groups.contains(&id));
        if has_it || self.groups.iter().any(names_it) {
            return Err(ApiError::client(
                "DependencyViolation",
                format!("resource {id} has a dependent object"),
            ));
        }
        self.groups.remove(&id);
        self.changed();
        Ok(DeleteSecurityGroupResponse {
            r#return: Some(true),
            group_id: Some(id.to_string()),
            ..Default::default()
        })
    }
}

const INGRESS_FILTERS: [&str; 6] = [
    "ip-permission.protocol",
    "ip-permission.from-port",
    "ip-permission.to-port",
    "ip-permission.cidr",
    "ip-permission.ipv6-cidr",
    "ip-permission.group-id",
];

const EGRESS_FILTERS: [&str; 6] = [
    "egress.ip-permission.protocol",
    "egress.ip-permission.from-port",
    "egress.ip-permission.to-port",
    "egress.ip-permission.cidr",
    "egress.ip-permission.ipv6-cidr",
    "egress.ip-permission.group-id",
];

/// A name or a description.
fn text<'a>(value: Option<&'a str>, parameter: &str) -> Result<&'a str, ApiError> {
    let text = required(value, parameter)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c);
    if text.len() > 255 || !text.chars().all(allowed) {
        return Err(ApiError::invalid(format!(
            "Value ({text}) for parameter {parameter} is invalid. Up to 255 characters of a-z, \
             A-Z, 0-9, and {PUNCTUATION} are allowed."
        )));
    }
    Ok(text)
}

/// What stands for a resource of the default VPC where there is none.
pub(super) fn no_default_vpc() -> ApiError {
    ApiError::client("VPCIdNotSpecified", "No default VPC for this user")
}
