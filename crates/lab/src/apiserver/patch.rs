//! The forms in which a client says what is to change.

use serde_json::Value;

use super::kinds::Kind;
use super::refusal::Refusal;
use super::strategic;

/// RFC 7396.
const MERGE: &str = "application/merge-patch+json";
/// RFC 6902.
const JSON: &str = "application/json-patch+json";
/// A merge that knows the keys of lists.
const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// A manager's own fields. Here it is a merge; who owns which field is not kept.
const APPLY: &str = "application/apply-patch+yaml";

/// What is to change.
#[derive(Debug, Clone)]
pub(super) enum Patch {
    Merge(Value),
    Json(json_patch::Patch),
    Strategic(Value),
    Apply(Value),
}

impl Patch {
    /// Reads a patch for objects of `kind`. YAML is read only where it is JSON.
    pub(super) fn parse(kind: &Kind, content_type: &str, body: &[u8]) -> Result<Patch, Refusal> {
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        let unreadable = |error: serde_json::Error| {
            Refusal::bad_request(format!("error decoding patch: {error}"))
        };
        let value = || serde_json::from_slice(body).map_err(unreadable);
        match content_type {
            MERGE => value().map(Patch::Merge),
            APPLY => value().map(Patch::Apply),
            JSON => serde_json::from_slice(body)
                .map(Patch::Json)
                .map_err(unreadable),
            STRATEGIC if !kind.custom => value().map(Patch::Strategic),
            _ if kind.custom => Err(Refusal::unsupported_media_type(&[JSON, MERGE, APPLY])),
            _ => {
                let accepted = [JSON, MERGE, STRATEGIC, APPLY];
                Err(Refusal::unsupported_media_type(&accepted))
            }
        }
    }

    /// The object after the change.
    pub(super) fn apply(&self, kind: &Kind, object: &Value) -> Result<Value, Refusal> {
        let mut changed = object.clone();
        match self {
            Patch::Merge(patch) | Patch::Apply(patch) => json_patch::merge(&mut changed, patch),
            Patch::Strategic(patch) => strategic::merge(&mut changed, patch)?,
            Patch::Json(patch) => json_patch::patch(&mut changed, patch).map_err(|error| {
                let name = super::object::text(object, "metadata.name");
                let why = format!(
                    "the server rejected our request due to an error in our request: {error}"
                );
                Refusal::invalid(kind, &name, "patch", "FieldValueInvalid", &why)
            })?,
        }
        Ok(changed)
    }
}
