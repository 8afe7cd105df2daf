//! How objects look in answers.

use serde_json::{Value, json};

use super::events::from_kept;
use super::kinds::Kind;

/// How a client wants to see the objects of a kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) kind: Kind,
    /// Only their metadata (`PartialObjectMetadata`).
    pub(super) partial: bool,
}

impl View {
    /// The objects as they are.
    pub(super) fn of(kind: Kind) -> View {
        View {
            kind,
            partial: false,
        }
    }

    /// The view that the header `Accept` asks for.
    pub(super) fn accepted(kind: Kind, accept: &str) -> View {
        let first = accept.split(',').next().unwrap_or_default();
        let partial = first
            .split(';')
            .any(|part| part.trim().starts_with("as=PartialObjectMetadata"));
        View { kind, partial }
    }

    /// One object.
    pub(super) fn object(&self, object: &Value) -> Value {
        if self.partial {
            return json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"],
            });
        }
        from_kept(&self.kind, object.clone())
    }

    /// A list of them.
    pub(super) fn list<'a>(
        &self,
        metadata: &Value,
        objects: impl Iterator<Item = &'a Value>,
    ) -> Value {
        let bare = !self.kind.custom && !self.partial;
        let items = objects.map(|object| {
            let mut object = self.object(object);
            // The items of a list of a built-in type do not say what they are.
            if let Some(fields) = object.as_object_mut().filter(|_| bare) {
                fields.remove("apiVersion");
                fields.remove("kind");
            }
            object
        });
        let items: Vec<Value> = items.collect();
        let (version, kind) = self.type_of();
        json!({
            "apiVersion": version,
            "kind": format!("{kind}List"),
            "metadata": metadata,
            "items": items,
        })
    }

    /// An object that says only up to which version there is nothing more to tell.
    pub(super) fn bookmark(&self, revision: u64, initial_end: bool) -> Value {
        let (version, kind) = self.type_of();
        let mut metadata = json!({
            "resourceVersion": revision.to_string(),
            "creationTimestamp": null,
        });
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        json!({"apiVersion": version, "kind": kind, "metadata": metadata})
    }

    fn type_of(&self) -> (String, &'static str) {
        if self.partial {
            ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata")
        } else {
            (self.kind.api_version(), self.kind.kind)
        }
    }
}
