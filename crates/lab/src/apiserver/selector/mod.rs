//! Which objects of a kind a list or watch asks for.

mod field;
mod label;

use serde_json::Value;

pub(super) use field::FieldSelector;
pub(super) use label::LabelSelector;

/// Both selectors of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Selectors {
    pub(super) labels: LabelSelector,
    pub(super) fields: FieldSelector,
}

impl Selectors {
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }

    /// Whether every object matches.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}
