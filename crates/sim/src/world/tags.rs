//! Tags: EC2's rules about keys and numbers, and `CreateTags`.

use std::collections::BTreeMap;

use vpc_aws::ec2::wire::{
    CreateTagsRequest, CreateTagsResponse, DeleteTagsRequest, DeleteTagsResponse, Set, Tag,
    TagSpecification,
};
use vpc_model::Timestamp;

use super::World;
use super::lookup::{parse_id, required};
use super::modify::refuse_dry_run;
use super::state::Tags;
use crate::error::ApiError;

/// The most tags of a resource.
const MAX_TAGS: usize = 50;

/// Adds tags to those that a resource has.
pub(super) fn merged(present: &Tags, new: &[Tag]) -> Result<Tags, ApiError> {
    let mut all = present.clone();
    for tag in new {
        let key = required(tag.key.as_deref(), "Tag.Key")?;
        refuse_reserved(key)?;
        let value = tag.value.clone().unwrap_or_default();
        if key.chars().count() > 127 || value.chars().count() > 256 {
            let message = format!("Tag '{key}' exceeds 127 characters of key or 256 of value");
            return Err(ApiError::invalid(message));
        }
        all.insert(key.to_owned(), value);
    }
    if all.len() > MAX_TAGS {
        let message = format!("A resource can have at most {MAX_TAGS} tags");
        return Err(ApiError::client("TagLimitExceeded", message));
    }
    Ok(all)
}

fn refuse_reserved(key: &str) -> Result<(), ApiError> {
    if key.starts_with("aws:") {
        return Err(ApiError::invalid(format!(
            "Tag keys starting with 'aws:' are reserved for internal use: '{key}'"
        )));
    }
    Ok(())
}

/// The tags for a new resource of a kind.
pub(super) fn specified(specs: &[TagSpecification], kind: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for spec in specs {
        let resource = required(
            spec.resource_type.as_deref(),
            "TagSpecification.ResourceType",
        )?;
        if resource != kind {
            return Err(ApiError::invalid(format!(
                "'{resource}' is not a valid taggable resource type for this operation."
            )));
        }
        tags = merged(&tags, &spec.tags)?;
    }
    Ok(tags)
}

/// The tags of a request for new resources of several kinds, by kind.
pub(super) fn specified_by_kind(
    specs: &[TagSpecification],
    kinds: &[&str],
) -> Result<BTreeMap<String, Tags>, ApiError> {
    let mut tags = BTreeMap::new();
    for spec in specs {
        let kind = spec.resource_type.as_deref().unwrap_or_default();
        let kind = if kinds.contains(&kind) {
            kind
        } else {
            "instance"
        };
        let of_kind: &mut Tags = tags.entry(kind.to_owned()).or_default();
        let added = specified(std::slice::from_ref(spec), kind)?;
        of_kind.extend(added);
    }
    Ok(tags)
}

/// Tags as a response has them.
pub(super) fn to_wire(tags: &Tags) -> Set<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::new(key, value))
        .collect()
}

impl World {
    /// Sets tags of resources, all or none.
    ///
    /// # Errors
    /// As EC2's: a resource that does not exist (`InvalidID` if not even its kind does), a reserved
    /// key, too many tags.
    pub fn create_tags(
        &mut self,
        request: &CreateTagsRequest,
        now: Timestamp,
    ) -> Result<CreateTagsResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        if request.resources.is_empty() {
            return Err(ApiError::missing("resourceIdSet"));
        }
        if request.tags.is_empty() {
            return Err(ApiError::missing("tagSet"));
        }
        for id in &request.resources {
            merged(self.tags_of(id)?, &request.tags)?;
        }
        for id in &request.resources {
            let tags = self.tags_of(id)?;
            *tags = merged(tags, &request.tags)?;
        }
        self.changed();
        Ok(CreateTagsResponse {
            r#return: Some(true),
            ..Default::default()
        })
    }

    /// Takes tags from resources, all or none of them: those with the given keys and, where the
    /// request has one, value; without any key, all tags.
    ///
    /// # Errors
    /// As EC2's: a resource that does not exist, a reserved key.
    pub fn delete_tags(
        &mut self,
        request: &DeleteTagsRequest,
        now: Timestamp,
    ) -> Result<DeleteTagsResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        if request.resources.is_empty() {
            return Err(ApiError::missing("resourceIdSet"));
        }
        for tag in &request.tags {
            refuse_reserved(required(tag.key.as_deref(), "Tag.Key")?)?;
        }
        for id in &request.resources {
            self.tags_of(id)?;
        }
        let doomed = |key: &String, value: &String| {
            let names = |tag: &Tag| {
                tag.key.as_ref() == Some(key) && tag.value.as_ref().is_none_or(|v| v == value)
            };
            request.tags.is_empty() || request.tags.iter().any(names)
        };
        for id in &request.resources {
            self.tags_of(id)?.retain(|key, value| !doomed(key, value));
        }
        self.changed();
        Ok(DeleteTagsResponse {
            r#return: Some(true),
            ..Default::default()
        })
    }

    fn tags_of(&mut self, id: &str) -> Result<&mut Tags, ApiError> {
        let missing = |code: &str| {
            ApiError::client(
                &format!("{code}.NotFound"),
                format!("The ID '{id}' does not exist"),
            )
        };
        let kind = id.split_once('-').map_or("", |(kind, _)| kind);
        let found = match kind {
            "eni" => {
                let id = parse_id(id, "InvalidNetworkInterfaceId", "eni")?;
                return self.eni_mut(&id).map(|eni| &mut eni.tags);
            }
            "i" => {
                let id = parse_id(id, "InvalidInstanceID", "i")?;
                (
                    self.instances.get_mut(&id).map(|i| &mut i.tags),
                    "InvalidInstanceID",
                )
            }
            "subnet" => {
                let id = parse_id(id, "InvalidSubnetID", "subnet")?;
                (
                    self.subnets.get_mut(&id).map(|s| &mut s.tags),
                    "InvalidSubnetID",
                )
            }
            "vpc" => {
                let id = parse_id(id, "InvalidVpcID", "vpc")?;
                (self.vpcs.get_mut(&id).map(|v| &mut v.tags), "InvalidVpcID")
            }
            "sg" => {
                let id = parse_id(id, "InvalidGroupId", "sg")?;
                (
                    self.groups.get_mut(&id).map(|g| &mut g.tags),
                    "InvalidGroup",
                )
            }
            "scr" => {
                let mut subnets = self.subnets.values_mut();
                let found = subnets.find_map(|subnet| subnet.reservations.get_mut(id));
                (found.map(|r| &mut r.tags), "InvalidSubnetCidrReservationID")
            }
            "sgr" => {
                let mut groups = self.groups.values_mut();
                let found = groups.find_map(|group| group.rules.get_mut(id));
                (found.map(|r| &mut r.tags), "InvalidSecurityGroupRuleId")
            }
            _ => {
                let message = format!("The ID '{id}' is not valid");
                return Err(ApiError::client("InvalidID", message));
            }
        };
        found.0.ok_or_else(|| missing(found.1))
    }
}
