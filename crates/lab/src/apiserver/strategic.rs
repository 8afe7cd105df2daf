//! Strategic merge: a merge in which some lists are sets of objects with a key (Kubernetes,
//! "Update API Objects in Place Using kubectl patch"). What is here covers the lists of nodes and
//! pods that kubelets and `kubectl` write.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Lists that are merged by a key, by the name of their field.
const KEYS: [(&str, &str); 14] = [
    ("addresses", "type"),
    ("conditions", "type"),
    ("containers", "name"),
    ("env", "name"),
    ("ephemeralContainers", "name"),
    ("hostAliases", "ip"),
    ("hostIPs", "ip"),
    ("imagePullSecrets", "name"),
    ("initContainers", "name"),
    ("ownerReferences", "uid"),
    ("podIPs", "ip"),
    // A service's ports have another key; there are no services here.
    ("ports", "containerPort"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
];

/// Lists of plain values that are merged as sets.
const SETS: [&str; 2] = ["finalizers", "podCIDRs"];

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Changes `object` as `patch` says.
pub(super) fn merge(object: &mut Value, patch: &Value) -> Result<(), Refusal> {
    let (Value::Object(fields), Value::Object(patch)) = (&mut *object, patch) else {
        *object = patch.clone();
        return Ok(());
    };
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => fields.clear(),
        Some("delete") => {
            *object = Value::Null;
            return Ok(());
        }
        Some(other) => return Err(unknown(other)),
    }
    if let Some(Value::Array(kept)) = patch.get(RETAIN) {
        fields.retain(|name, _| kept.iter().any(|keep| keep == name.as_str()));
    }
    for (name, change) in patch {
        field(fields, name, change)?;
    }
    Ok(())
}

fn field(fields: &mut Map<String, Value>, name: &str, change: &Value) -> Result<(), Refusal> {
    if let Some(list) = name.strip_prefix(DELETE_FROM) {
        if let (Some(Value::Array(held)), Value::Array(gone)) = (fields.get_mut(list), change) {
            held.retain(|value| !gone.contains(value));
        }
        return Ok(());
    }
    // The order of a list with keys means nothing to the kinds that are here.
    if name == DIRECTIVE || name == RETAIN || name.starts_with(ORDER) {
        return Ok(());
    }
    match change {
        Value::Null => {
            fields.remove(name);
        }
        Value::Object(_) => {
            let held = fields.entry(name).or_insert_with(empty);
            if !held.is_object() {
                *held = empty();
            }
            merge(held, change)?;
            if held.is_null() {
                fields.remove(name);
            }
        }
        Value::Array(changes) => {
            let held = fields.entry(name).or_insert_with(|| Value::Array(vec![]));
            list(held, name, changes)?;
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            fields.insert(name.to_owned(), change.clone());
        }
    }
    Ok(())
}

fn list(held: &mut Value, name: &str, changes: &[Value]) -> Result<(), Refusal> {
    let replaced = |change: &Value| change[DIRECTIVE] == "replace";
    let key = KEYS.iter().find(|(list, _)| *list == name);
    let Value::Array(elements) = held else {
        *held = Value::Array(changes.to_vec());
        return Ok(());
    };
    if SETS.contains(&name) {
        let new = changes.iter().filter(|change| !elements.contains(change));
        let new: Vec<Value> = new.cloned().collect();
        elements.extend(new);
        return Ok(());
    }
    let Some((_, key)) = key.filter(|_| !changes.iter().any(replaced)) else {
        *elements = changes.to_vec();
        elements.retain(|element| !replaced(element));
        return Ok(());
    };
    for change in changes {
        element(elements, key, name, change)?;
    }
    Ok(())
}

fn element(
    elements: &mut Vec<Value>,
    key: &str,
    list: &str,
    change: &Value,
) -> Result<(), Refusal> {
    if change[key].is_null() {
        let message = format!("map: {change} does not contain declared merge key of {list}");
        return Err(Refusal::bad_request(message));
    }
    let same = |element: &Value| element[key] == change[key];
    match elements.iter().position(same) {
        _ if change[DIRECTIVE] == "delete" => elements.retain(|element| !same(element)),
        Some(index) => {
            if let Some(element) = elements.get_mut(index) {
                merge(element, change)?;
            }
        }
        None => {
            let mut new = empty();
            merge(&mut new, change)?;
            elements.push(new);
        }
    }
    Ok(())
}

fn empty() -> Value {
    Value::Object(Map::new())
}

fn unknown(directive: &str) -> Refusal {
    Refusal::bad_request(format!("unrecognized directive {DIRECTIVE}: {directive}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(mut object: Value, patch: &Value) -> Value {
        merge(&mut object, patch).unwrap();
        object
    }

    #[test]
    fn a_condition_is_changed_in_its_place_and_the_others_stay() {
        let node = json!({"status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "x"},
            {"type": "DiskPressure", "status": "False"},
        ]}});
        let patch = json!({"status": {
            "$setElementOrder/conditions": [{"type": "DiskPressure"}, {"type": "Ready"}],
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "New", "status": "True"}],
        }});
        let wanted = json!({"status": {"conditions": [
            {"type": "Ready", "status": "True", "reason": "x"},
            {"type": "DiskPressure", "status": "False"},
            {"type": "New", "status": "True"},
        ]}});
        assert_eq!(merged(node, &patch), wanted);
    }

    #[test]
    fn a_list_without_a_key_is_replaced_and_null_removes() {
        let node = json!({"spec": {"taints": [{"key": "a"}], "podCIDR": "x"}});
        let patch = json!({"spec": {"taints": [{"key": "b"}], "podCIDR": null, "new": {"a": null, "b": 1}}});
        let wanted = json!({"spec": {"taints": [{"key": "b"}], "new": {"b": 1}}});
        assert_eq!(merged(node, &patch), wanted);
    }

    #[test]
    fn directives_delete_and_replace() {
        let object = json!({
            "volumes": [{"name": "a"}, {"name": "b"}],
            "env": [{"name": "a"}],
            "labels": {"a": "1"},
            "gone": {"x": 1},
            "finalizers": ["a", "b"],
        });
        let patch = json!({
            "volumes": [{"name": "a", "$patch": "delete"}],
            "env": [{"$patch": "replace"}, {"name": "z"}],
            "labels": {"$patch": "replace", "b": "2"},
            "gone": {"$patch": "delete"},
            "$deleteFromPrimitiveList/finalizers": ["a"],
        });
        let wanted = json!({
            "volumes": [{"name": "b"}],
            "env": [{"name": "z"}],
            "labels": {"b": "2"},
            "finalizers": ["b"],
        });
        assert_eq!(merged(object, &patch), wanted);
    }

    #[test]
    fn an_element_without_its_key_is_refused() {
        let mut object = json!({"conditions": []});
        let patch = json!({"conditions": [{"status": "True"}]});
        assert_eq!(merge(&mut object, &patch).unwrap_err().code, 400);
    }
}
