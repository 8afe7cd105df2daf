//! Ids in requests: read, found, or refused with EC2's code for that kind of resource. The
//! messages name the id between quotes, as EC2's do; clients are known to look for it there.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use vpc_model::{AttachmentId, EniId, InstanceId, SecurityGroupId, SubnetId, VpcId};

use super::World;
use super::state::{Attachment, Eni, Instance, SecurityGroup, Subnet, Vpc};
use crate::error::ApiError;

/// A required parameter's text.
pub(super) fn required<'a>(value: Option<&'a str>, parameter: &str) -> Result<&'a str, ApiError> {
    match value {
        Some(text) if !text.is_empty() => Ok(text),
        Some(_) | None => Err(ApiError::missing(parameter)),
    }
}

/// An id that has the form of its kind: the prefix, a dash, and 8 (short, old) or 17 hexadecimal
/// digits.
pub(super) fn parse_id<T: FromStr>(text: &str, code: &str, prefix: &str) -> Result<T, ApiError> {
    let body = text.strip_prefix(prefix).and_then(|b| b.strip_prefix('-'));
    let formed = |body: &&str| {
        matches!(body.len(), 8 | 17)
            && body
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let id = body.filter(formed).and_then(|_| text.parse().ok());
    id.ok_or_else(|| {
        let message = match body {
            Some(_) => format!("Invalid id: \"{text}\""),
            None => format!("Invalid id: \"{text}\" (expecting \"{prefix}-...\")"),
        };
        ApiError::client(&format!("{code}.Malformed"), message)
    })
}

fn not_found(code: &str, what: &str, id: &str) -> ApiError {
    ApiError::client(
        &format!("{code}.NotFound"),
        format!("The {what} '{id}' does not exist"),
    )
}

/// The entries with these ids, or all; by id.
pub(super) fn named<'a, K: Ord, V>(
    map: &'a BTreeMap<K, V>,
    ids: &'a BTreeSet<K>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    let all = ids.is_empty().then(|| map.iter()).into_iter().flatten();
    all.chain(ids.iter().filter_map(|id| map.get_key_value(id)))
}

impl World {
    pub(super) fn eni_id(&self, text: Option<&str>) -> Result<EniId, ApiError> {
        let text = required(text, "networkInterfaceId")?;
        let id = parse_id(text, "InvalidNetworkInterfaceId", "eni")?;
        self.eni(&id)?;
        Ok(id)
    }

    pub(super) fn instance_id(&self, text: Option<&str>) -> Result<InstanceId, ApiError> {
        let text = required(text, "instanceId")?;
        let id = parse_id(text, "InvalidInstanceID", "i")?;
        self.instance(&id)?;
        Ok(id)
    }

    pub(super) fn subnet_id(&self, text: Option<&str>) -> Result<SubnetId, ApiError> {
        let text = required(text, "subnetId")?;
        let id = parse_id(text, "InvalidSubnetID", "subnet")?;
        self.subnet(&id)?;
        Ok(id)
    }

    pub(super) fn vpc_id(&self, text: Option<&str>) -> Result<VpcId, ApiError> {
        let text = required(text, "vpcId")?;
        let id = parse_id(text, "InvalidVpcID", "vpc")?;
        self.vpc(&id)?;
        Ok(id)
    }

    pub(super) fn group_id(&self, text: Option<&str>) -> Result<SecurityGroupId, ApiError> {
        let text = required(text, "groupId")?;
        let id = parse_id(text, "InvalidGroupId", "sg")?;
        self.group(&id)?;
        Ok(id)
    }

    pub(super) fn vpc(&self, id: &VpcId) -> Result<&Vpc, ApiError> {
        let found = self.vpcs.get(id);
        found.ok_or_else(|| not_found("InvalidVpcID", "vpc ID", id.as_str()))
    }

    pub(super) fn subnet(&self, id: &SubnetId) -> Result<&Subnet, ApiError> {
        let found = self.subnets.get(id);
        found.ok_or_else(|| not_found("InvalidSubnetID", "subnet ID", id.as_str()))
    }

    pub(super) fn subnet_mut(&mut self, id: &SubnetId) -> Result<&mut Subnet, ApiError> {
        let found = self.subnets.get_mut(id);
        found.ok_or_else(|| not_found("InvalidSubnetID", "subnet ID", id.as_str()))
    }

    pub(super) fn group(&self, id: &SecurityGroupId) -> Result<&SecurityGroup, ApiError> {
        let found = self.groups.get(id);
        found.ok_or_else(|| not_found("InvalidGroup", "security group", id.as_str()))
    }

    pub(super) fn group_mut(
        &mut self,
        id: &SecurityGroupId,
    ) -> Result<&mut SecurityGroup, ApiError> {
        let found = self.groups.get_mut(id);
        found.ok_or_else(|| not_found("InvalidGroup", "security group", id.as_str()))
    }

    pub(super) fn instance(&self, id: &InstanceId) -> Result<&Instance, ApiError> {
        let found = self.instances.get(id);
        found.ok_or_else(|| not_found("InvalidInstanceID", "instance ID", id.as_str()))
    }

    pub(super) fn eni(&self, id: &EniId) -> Result<&Eni, ApiError> {
        let found = self.enis.get(id);
        found.ok_or_else(|| eni_not_found(id.as_str()))
    }

    pub(super) fn eni_mut(&mut self, id: &EniId) -> Result<&mut Eni, ApiError> {
        self.before_change_of(id);
        let found = self.enis.get_mut(id);
        found.ok_or_else(|| eni_not_found(id.as_str()))
    }

    /// The ENI that an attachment belongs to.
    pub(super) fn attachment(&self, text: Option<&str>) -> Result<(EniId, &Attachment), ApiError> {
        let text = required(text, "attachmentId")?;
        let id: AttachmentId = parse_id(text, "InvalidNetworkInterfaceAttachmentId", "eni-attach")?;
        let found = self.enis.iter().find_map(|(eni, state)| {
            let attachment = state.attachment.as_ref().filter(|a| a.id == id)?;
            Some((eni.clone(), attachment))
        });
        found.ok_or_else(|| {
            let what = "networkInterface attachment ID";
            not_found("InvalidAttachmentID", what, id.as_str())
        })
    }

    /// The security groups of a request, all of one VPC; in the order given, without repetition.
    pub(super) fn security_groups(
        &self,
        texts: &[String],
        vpc: &VpcId,
    ) -> Result<Vec<SecurityGroupId>, ApiError> {
        let mut ids: Vec<SecurityGroupId> = Vec::new();
        for text in texts {
            let id: SecurityGroupId = parse_id(text, "InvalidGroupId", "sg")?;
            if &self.group(&id)?.vpc != vpc {
                return Err(different_networks());
            }
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

/// Security groups of another VPC.
pub(super) fn different_networks() -> ApiError {
    let message = "You have specified two resources that belong to different networks.";
    ApiError::client("InvalidGroup.NotFound", message)
}

pub(super) fn eni_not_found(id: &str) -> ApiError {
    not_found("InvalidNetworkInterfaceID", "networkInterface ID", id)
}
