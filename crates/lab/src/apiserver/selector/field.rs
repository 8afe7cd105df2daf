//! `fieldSelector`: equality of a few fields per kind.

use serde_json::Value;

use super::super::events::kept_path;
use super::super::kinds::Kind;
use super::super::object::text;
use super::super::refusal::Refusal;

/// All of the comparisons hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldSelector(Vec<Comparison>);

#[derive(Debug, Clone)]
struct Comparison {
    path: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Reads `metadata.name=x,status.phase!=Failed`.
    pub(crate) fn parse(kind: &Kind, selector: &str) -> Result<FieldSelector, Refusal> {
        let terms = selector.split(',').filter(|term| !term.is_empty());
        terms
            .map(|term| comparison(kind, term))
            .collect::<Result<_, _>>()
            .map(FieldSelector)
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let holds = |term: &Comparison| (text(object, &term.path) == term.value) == term.equal;
        self.0.iter().all(holds)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn comparison(kind: &Kind, term: &str) -> Result<Comparison, Refusal> {
    let split = [("!=", false), ("==", true), ("=", true)]
        .into_iter()
        .find_map(|(sign, equal)| Some((term.split_once(sign)?, equal)));
    let Some(((path, value), equal)) = split else {
        let message = format!("invalid selector: {term:?}; can't understand {term:?}");
        return Err(Refusal::bad_request(message));
    };
    let known = path == "metadata.name"
        || (path == "metadata.namespace" && kind.namespaced)
        || kind.fields.contains(&path);
    if !known {
        let message = format!("field label not supported: {path}");
        return Err(Refusal::bad_request(message));
    }
    Ok(Comparison {
        path: kept_path(kind, path),
        value: value.to_owned(),
        equal,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::kinds::{ENI_CONFIG, POD};
    use super::*;

    #[test]
    fn comparisons_are_joined_and_an_absent_field_is_empty() {
        let pod = json!({
            "metadata": {"name": "a", "namespace": "x"},
            "spec": {"hostNetwork": true},
            "status": {"phase": "Running"},
        });
        let matches = |selector: &str| FieldSelector::parse(&POD, selector).unwrap().matches(&pod);
        assert!(matches(""));
        assert!(matches(
            "metadata.name=a,metadata.namespace==x,spec.nodeName="
        ));
        assert!(matches("spec.hostNetwork=true,status.phase!=Failed"));
        assert!(!matches("metadata.name=a,spec.nodeName=node1"));
        assert!(!matches("status.phase!=Running"));
    }

    #[test]
    fn a_field_that_the_kind_does_not_index_is_refused() {
        for (kind, selector) in [
            (&POD, "spec.foo=1"),
            (&POD, "nonsense"),
            (&ENI_CONFIG, "spec.subnet=s"),
            (&ENI_CONFIG, "metadata.namespace=x"),
        ] {
            let refusal = FieldSelector::parse(kind, selector).unwrap_err();
            assert_eq!(refusal.code, 400, "{selector}");
        }
    }
}
