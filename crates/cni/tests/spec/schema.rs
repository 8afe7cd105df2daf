//! JSON Schema, as much of it as the files beside this one use. A keyword it does not know fails
//! the test: nothing in a schema is ignored.

use serde_json::{Map, Value};

/// What in `value` is not as `schema` has it, each with its place.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema.as_object().unwrap(), value, "", &mut found);
    found
}

fn check(schema: &Map<String, Value>, value: &Value, at: &str, found: &mut Vec<String>) {
    let none = Map::new();
    let properties = schema
        .get("properties")
        .map_or(&none, |it| it.as_object().unwrap());
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "$schema" | "title" | "properties" => {}
            "type" => {
                let right = match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    other => panic!("type {other}"),
                };
                if !right {
                    found.push(format!("{at} is {value}, not {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    found.push(format!("{at} is {value}, not one of {rule}"));
                }
            }
            "pattern" => {
                if !matches(rule.as_str().unwrap(), value.as_str().unwrap_or_default()) {
                    found.push(format!("{at} is {value}, not {rule}"));
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        found.push(format!("{at} lacks {name}"));
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false));
                for name in value.as_object().unwrap_or(&none).keys() {
                    if !properties.contains_key(name) {
                        found.push(format!("{at} has {name:?}, which is not in the schema"));
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    let at = format!("{at}[{index}]");
                    check(rule.as_object().unwrap(), item, &at, found);
                }
            }
            other => panic!("the keyword {other:?} is not known here"),
        }
    }
    for (name, rule) in properties {
        if let Some(member) = value.get(name) {
            check(
                rule.as_object().unwrap(),
                member,
                &format!("{at}.{name}"),
                found,
            );
        }
    }
}

/// The two patterns the schemas have, by what they mean.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[0-9a-f.:]+$" => text.parse::<std::net::IpAddr>().is_ok(),
        "^[0-9a-f.:]+/[0-9]{1,3}$" => text.parse::<ipnet::IpNet>().is_ok(),
        other => panic!("the pattern {other:?} is not known here"),
    }
}
