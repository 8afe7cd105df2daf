//! Reading and writing the metadata of objects, which are kept as JSON.

use serde_json::{Map, Value};

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) group: &'static str,
    pub(super) plural: &'static str,
    /// Empty for kinds without namespaces.
    pub(super) namespace: String,
    pub(super) name: String,
}

/// The text at `path` (`metadata.name`); empty if there is none. Numbers and truth values are
/// written out, as field selectors compare them.
pub(super) fn text(object: &Value, path: &str) -> String {
    let mut at = object;
    for part in path.split('.') {
        at = &at[part];
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => at.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// The map at `object.key`, made if it is missing. What is no map is replaced.
pub(super) fn map_mut<'a>(object: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    let parent = as_map(object);
    as_map(parent.entry(key).or_insert(Value::Null))
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("it was just made a map")
        }
    }
}

/// The metadata, made if it is missing.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    map_mut(object, "metadata")
}

/// Puts `value` at `object.key`, or takes away what is there.
pub(super) fn put(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    match value {
        Some(value) => {
            object.insert(key.to_owned(), value);
        }
        None => {
            object.remove(key);
        }
    }
}

/// Gives `to` what `from` has at `key`, or nothing there.
pub(super) fn carry(to: &mut Map<String, Value>, from: &Value, key: &str) {
    put(
        to,
        key,
        from.get(key).filter(|value| !value.is_null()).cloned(),
    );
}

/// Whether the object is marked for deletion.
pub(super) fn is_ending(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Whether somebody still has to agree to its deletion.
pub(super) fn is_held(object: &Value) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|finalizers| !finalizers.is_empty())
}
