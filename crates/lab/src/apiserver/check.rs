//! What an object must be like to be taken.

use serde_json::Value;

use super::kinds::Kind;
use super::object::{metadata, text};
use super::refusal::Refusal;

/// Checks what the object says it is, and fills in what it does not say.
pub(super) fn identity(kind: &Kind, object: &mut Value) -> Result<(), Refusal> {
    let Value::Object(fields) = object else {
        return Err(Refusal::bad_request("the body is not a JSON object"));
    };
    let wanted = [
        ("apiVersion", kind.api_version()),
        ("kind", kind.kind.to_owned()),
    ];
    for (field, value) in wanted {
        match fields.get(field).and_then(Value::as_str) {
            Some(said) if said == value => {}
            // A type that the server was built with is known from the path.
            None | Some("") if !kind.custom => {
                fields.insert(field.to_owned(), value.into());
            }
            None | Some("") => {
                let message = format!("Object '{field}' is missing");
                return Err(Refusal::bad_request(message));
            }
            Some(said) => {
                let message = format!(
                    "the {field} in the data ({said}) does not match the expected one ({value})"
                );
                return Err(Refusal::bad_request(message));
            }
        }
    }
    Ok(())
}

/// Checks that the object's namespace is the path's, and fills it in.
pub(super) fn namespace(kind: &Kind, namespace: &str, object: &mut Value) -> Result<(), Refusal> {
    let said = text(object, "metadata.namespace");
    if !kind.namespaced {
        metadata(object).remove("namespace");
    } else if said.is_empty() {
        metadata(object).insert("namespace".to_owned(), namespace.into());
    } else if said != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on \
                       the request";
        return Err(Refusal::bad_request(message));
    }
    Ok(())
}

/// Checks that the object's name is the path's, and fills it in.
pub(super) fn same_name(name: &str, object: &mut Value) -> Result<(), Refusal> {
    let said = text(object, "metadata.name");
    if said.is_empty() {
        metadata(object).insert("name".to_owned(), name.into());
    } else if said != name {
        let message =
            format!("the name of the object ({said}) does not match the name on the URL ({name})");
        return Err(Refusal::bad_request(message));
    }
    Ok(())
}

/// Checks a name: RFC 1123 subdomain, and a label for namespaces.
pub(super) fn name(kind: &Kind, name: &str) -> Result<(), Refusal> {
    let label = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty()
            && part.bytes().all(allowed)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let single = kind.plural == "namespaces";
    let longest = if single { 63 } else { 253 };
    let good = if single {
        label(name)
    } else {
        name.split('.').all(label)
    };
    if good && name.len() <= longest {
        return Ok(());
    }
    let why = format!(
        "Invalid value: {name:?}: a lowercase RFC 1123 {} of at most {longest} characters is \
         needed",
        if single { "label" } else { "subdomain" }
    );
    Err(Refusal::invalid(
        kind,
        name,
        "metadata.name",
        "FieldValueInvalid",
        &why,
    ))
}

/// Checks the few fields of a kind without which there is nothing to do with an object.
pub(super) fn content(kind: &Kind, object: &Value) -> Result<(), Refusal> {
    let needed: &[&str] = match kind.kind {
        "Pod" => &["spec.containers"],
        _ => &[],
    };
    for path in needed {
        let pointer = format!("/{}", path.replace('.', "/"));
        let value = object.pointer(&pointer);
        let empty = value
            .is_none_or(|value| value.is_null() || value.as_array().is_some_and(Vec::is_empty));
        if empty {
            let name = text(object, "metadata.name");
            let cause = "FieldValueRequired";
            return Err(Refusal::invalid(kind, &name, path, cause, "Required value"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kinds::{ENI_CONFIG, NAMESPACE, NODE, POD};
    use super::*;

    #[test]
    fn an_object_must_be_of_the_kind_of_its_path() {
        let mut silent = json!({"metadata": {"name": "a"}});
        assert_eq!(identity(&ENI_CONFIG, &mut silent).unwrap_err().code, 400);
        identity(&POD, &mut silent).unwrap();
        assert_eq!(
            (&silent["apiVersion"], &silent["kind"]),
            (&json!("v1"), &json!("Pod"))
        );
        assert_eq!(identity(&NODE, &mut silent).unwrap_err().code, 400);
        let mut other = json!({"apiVersion": "v2", "kind": "Pod"});
        assert_eq!(identity(&POD, &mut other).unwrap_err().code, 400);
    }

    #[test]
    fn names_are_subdomains_and_those_of_namespaces_labels() {
        for good in ["a", "ip-10-0-1-10.eu-west-1.compute.internal", "0"] {
            name(&NODE, good).unwrap();
        }
        for bad in ["", "A", "a_b", "-a", "a.", "a..b", &"a".repeat(254)] {
            let refusal = name(&NODE, bad).unwrap_err();
            assert_eq!((refusal.code, refusal.reason), (422, "Invalid"), "{bad}");
        }
        assert!(name(&NAMESPACE, "a.b").is_err());
    }

    #[test]
    fn a_pod_needs_containers() {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"containers": []}});
        let refusal = content(&POD, &pod).unwrap_err();
        assert_eq!(refusal.code, 422);
        assert!(refusal.message.contains("spec.containers"), "{refusal}");
    }
}
