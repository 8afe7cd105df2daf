//! `AuthorizeSecurityGroup…` and `RevokeSecurityGroup…`, both directions.

use vpc_aws::ec2::wire::{
    AuthorizeSecurityGroupEgressRequest, AuthorizeSecurityGroupEgressResponse,
    AuthorizeSecurityGroupIngressRequest, AuthorizeSecurityGroupIngressResponse,
    IpPermissionSpecification, IpRange, RevokeSecurityGroupEgressRequest,
    RevokeSecurityGroupEgressResponse, RevokeSecurityGroupIngressRequest,
    RevokeSecurityGroupIngressResponse, RevokedSecurityGroupRule, SecurityGroupRule,
    TagSpecification,
};
use vpc_model::{SecurityGroupId, Timestamp};

use super::World;
use super::modify::refuse_dry_run;
use super::rules::{Rule, revoked, rule_id};
use super::tags::specified;
use crate::error::ApiError;

/// The most rules of a group in one direction (the quota "Inbound or outbound rules per security
/// group").
const MAX_RULES: usize = 60;

/// What all four requests have.
struct Change<'a> {
    group: Option<&'a str>,
    egress: bool,
    permissions: Vec<IpPermissionSpecification>,
    dry_run: Option<bool>,
}

/// A [`Change`] of a request, whose fields have the same names in all four.
macro_rules! change {
    ($request:ident, $egress:literal) => {
        Change {
            group: $request.group_id.as_deref(),
            egress: $egress,
            permissions: if $request.ip_permissions.is_empty() {
                single(IpPermissionSpecification {
                    ip_protocol: $request.ip_protocol.clone(),
                    from_port: $request.from_port,
                    to_port: $request.to_port,
                    ip_ranges: $request.cidr_ip.iter().map(|cidr| range(cidr)).collect(),
                    ..Default::default()
                })
            } else {
                $request.ip_permissions.clone()
            },
            dry_run: $request.dry_run,
        }
    };
}

fn range(cidr: &str) -> IpRange {
    IpRange {
        cidr_ip: Some(cidr.to_owned()),
        description: None,
    }
}

/// The rule of a request without a list of permissions, if it has one.
fn single(permission: IpPermissionSpecification) -> Vec<IpPermissionSpecification> {
    if permission == IpPermissionSpecification::default() {
        Vec::new()
    } else {
        vec![permission]
    }
}

impl World {
    /// Adds rules about incoming traffic, all or none.
    ///
    /// # Errors
    /// As EC2's: an unknown group, a rule that cannot be or that is there already
    /// (`InvalidPermission.Duplicate`), more than 60 (`RulesPerSecurityGroupLimitExceeded`).
    pub fn authorize_security_group_ingress(
        &mut self,
        request: &AuthorizeSecurityGroupIngressRequest,
        now: Timestamp,
    ) -> Result<AuthorizeSecurityGroupIngressResponse, ApiError> {
        self.advance(now);
        refuse_name(request.group_id.as_deref(), request.group_name.as_deref())?;
        let rules = self.authorize(&change!(request, false), &request.tag_specifications)?;
        Ok(AuthorizeSecurityGroupIngressResponse {
            r#return: Some(true),
            security_group_rules: rules.into(),
            ..Default::default()
        })
    }

    /// Adds rules about outgoing traffic, all or none.
    ///
    /// # Errors
    /// As [`World::authorize_security_group_ingress`].
    pub fn authorize_security_group_egress(
        &mut self,
        request: &AuthorizeSecurityGroupEgressRequest,
        now: Timestamp,
    ) -> Result<AuthorizeSecurityGroupEgressResponse, ApiError> {
        self.advance(now);
        let rules = self.authorize(&change!(request, true), &request.tag_specifications)?;
        Ok(AuthorizeSecurityGroupEgressResponse {
            r#return: Some(true),
            security_group_rules: rules.into(),
            ..Default::default()
        })
    }

    /// Takes away rules about incoming traffic, all or none.
    ///
    /// # Errors
    /// As EC2's: an unknown group, a rule that is not there (`InvalidPermission.NotFound`,
    /// `InvalidSecurityGroupRuleId.NotFound`).
    pub fn revoke_security_group_ingress(
        &mut self,
        request: &RevokeSecurityGroupIngressRequest,
        now: Timestamp,
    ) -> Result<RevokeSecurityGroupIngressResponse, ApiError> {
        self.advance(now);
        refuse_name(request.group_id.as_deref(), request.group_name.as_deref())?;
        let rules = self.revoke(&change!(request, false), &request.security_group_rule_ids)?;
        Ok(RevokeSecurityGroupIngressResponse {
            r#return: Some(true),
            revoked_security_group_rules: rules.into(),
            ..Default::default()
        })
    }

    /// Takes away rules about outgoing traffic, all or none.
    ///
    /// # Errors
    /// As [`World::revoke_security_group_ingress`].
    pub fn revoke_security_group_egress(
        &mut self,
        request: &RevokeSecurityGroupEgressRequest,
        now: Timestamp,
    ) -> Result<RevokeSecurityGroupEgressResponse, ApiError> {
        self.advance(now);
        let rules = self.revoke(&change!(request, true), &request.security_group_rule_ids)?;
        Ok(RevokeSecurityGroupEgressResponse {
            r#return: Some(true),
            revoked_security_group_rules: rules.into(),
            ..Default::default()
        })
    }

    fn authorize(
        &mut self,
        change: &Change<'_>,
        tags: &[TagSpecification],
    ) -> Result<Vec<SecurityGroupRule>, ApiError> {
        refuse_dry_run(change.dry_run)?;
        let id = self.group_id(change.group)?;
        if change.permissions.is_empty() {
            return Err(ApiError::missing("ipPermissions"));
        }
        let tags = specified(tags, "security-group-rule")?;
        let group = self.group(&id)?;
        let rules = self.rules(&group.vpc, change.egress, &change.permissions)?;
        let present = |rule: &&Rule| group.rules.values().any(|other| other.term == rule.term);
        if let Some(twin) = rules.iter().find(present) {
            return Err(duplicate(twin));
        }
        let same_way = group.rules.values();
        let same_way = same_way.filter(|rule| rule.term.egress == change.egress);
        if same_way.count() + rules.len() > MAX_RULES {
            return Err(ApiError::client(
                "RulesPerSecurityGroupLimitExceeded",
                "The maximum number of rules per security group has been reached.",
            ));
        }
        let mut added = Vec::new();
        for rule in rules {
            let number = rule_id(&mut self.random);
            let rule = Rule {
                tags: tags.clone(),
                ..rule
            };
            added.push(self.describe_rule(&id, &number, &rule));
            self.group_mut(&id)?.rules.insert(number, rule);
        }
        self.changed();
        Ok(added)
    }

    fn revoke(
        &mut self,
        change: &Change<'_>,
        ids: &[String],
    ) -> Result<Vec<RevokedSecurityGroupRule>, ApiError> {
        refuse_dry_run(change.dry_run)?;
        let id = self.group_id(change.group)?;
        let doomed = match (ids.is_empty(), change.permissions.is_empty()) {
            (true, true) => return Err(ApiError::missing("ipPermissions")),
            (false, false) => {
                return Err(ApiError::client(
                    "InvalidParameterCombination",
                    "Only one of ipPermissions and securityGroupRuleIds may be specified",
                ));
            }
            (false, true) => self.rules_of_ids(&id, change.egress, ids)?,
            (true, false) => self.rules_of_permissions(&id, change)?,
        };
        let mut gone = Vec::new();
        for number in doomed {
            if let Some(rule) = self.group_mut(&id)?.rules.remove(&number) {
                gone.push(revoked(&id, &number, &rule));
            }
        }
        self.changed();
        Ok(gone)
    }

    fn rules_of_ids(
        &self,
        group: &SecurityGroupId,
        egress: bool,
        ids: &[String],
    ) -> Result<Vec<String>, ApiError> {
        let rules = &self.group(group)?.rules;
        let of_group = |id: &&String| rules.get(*id).is_some_and(|r| r.term.egress == egress);
        match ids.iter().find(|id| !of_group(id)) {
            None => Ok(ids.to_vec()),
            Some(id) => Err(ApiError::client(
                "InvalidSecurityGroupRuleId.NotFound",
                format!("The security group rule ID '{id}' does not exist"),
            )),
        }
    }

    fn rules_of_permissions(
        &self,
        id: &SecurityGroupId,
        change: &Change<'_>,
    ) -> Result<Vec<String>, ApiError> {
        let group = self.group(id)?;
        let wanted = self.rules(&group.vpc, change.egress, &change.permissions)?;
        let find = |wanted: &Rule| {
            let same = |(_, rule): &(&String, &Rule)| rule.term == wanted.term;
            group.rules.iter().find(same).map(|(id, _)| id.clone())
        };
        let found: Option<Vec<String>> = wanted.iter().map(find).collect();
        found.ok_or_else(|| {
            ApiError::client(
                "InvalidPermission.NotFound",
                "The specified rule does not exist in this security group.",
            )
        })
    }
}

/// Names instead of ids are for the default VPC, which the world does not have.
fn refuse_name(id: Option<&str>, name: Option<&str>) -> Result<(), ApiError> {
    match (id, name) {
        (None, Some(_)) => Err(super::groups::no_default_vpc()),
        (None | Some(_), _) => Ok(()),
    }
}

fn duplicate(rule: &Rule) -> ApiError {
    let term = &rule.term;
    let ports = term.ports.map_or_else(String::new, |(from, to)| {
        format!(", from port: {from}, to port: {to}")
    });
    let peer = &term.peer;
    let protocol = match term.protocol.as_str() {
        "-1" => "ALL".to_owned(),
        other => other.to_uppercase(),
    };
    ApiError::client(
        "InvalidPermission.Duplicate",
        format!("the specified rule \"peer: {peer}, {protocol}{ports}, ALLOW\" already exists"),
    )
}
