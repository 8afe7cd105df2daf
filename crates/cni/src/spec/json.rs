//! Reading JSON so that an error names the field, its value and what is allowed.

use serde_json::{Map, Value};

use crate::error::Error;

/// How much of a wrong value an error shows.
const SHOWN: usize = 100;

/// A JSON object and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

/// A value inside the document and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Item<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Object<'a> {
    /// The document itself.
    pub(crate) fn root(members: &'a Map<String, Value>) -> Self {
        Self {
            path: String::new(),
            members,
        }
    }

    /// The name of a member as errors call it.
    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// A member. One that is `null` counts as absent.
    pub(crate) fn item(&self, name: &str) -> Option<Item<'a>> {
        let value = self.members.get(name).filter(|value| !value.is_null())?;
        Some(Item {
            path: self.path_of(name),
            value,
        })
    }

    /// A member that is text, if it is there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, Error> {
        self.item(name).map(|item| item.text()).transpose()
    }

    /// The elements of a member that is a list; none when it is absent.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<Item<'a>>, Error> {
        let Some(item) = self.item(name) else {
            return Ok(Vec::new());
        };
        let Value::Array(elements) = item.value else {
            return Err(item.wrong_type("a list"));
        };
        let element = |(index, value)| Item {
            path: format!("{}[{index}]", item.path),
            value,
        };
        Ok(elements.iter().enumerate().map(element).collect())
    }

    /// Whether there is such a member at all, `null` too.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A member that is an object, if it is there.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Object<'a>>, Error> {
        self.item(name).map(Item::object).transpose()
    }
}

impl<'a> Item<'a> {
    /// The text this value is.
    pub(crate) fn text(&self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.wrong_type("text"))
    }

    /// The whole number, zero or more, this value is.
    pub(crate) fn index(&self) -> Result<usize, Error> {
        let index = self
            .value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok());
        index.ok_or_else(|| self.wrong_type("a whole number, zero or more"))
    }

    /// The object this value is.
    pub(crate) fn object(self) -> Result<Object<'a>, Error> {
        match self.value {
            Value::Object(members) => Ok(Object {
                path: self.path,
                members,
            }),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(self.wrong_type("an object")),
        }
    }

    fn wrong_type(&self, allowed: &'static str) -> Error {
        let value = shortened(&self.value.to_string());
        Error::WrongType {
            field: self.path.clone(),
            value,
            allowed,
        }
    }
}

/// A value as an error shows it: not longer than a line.
pub(crate) fn shortened(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &value[..end], value.len()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_names_the_place_the_value_and_what_is_allowed() {
        let document = json!({ "a": { "b": [ { "c": 5 } ] } });
        let root = Object::root(document.as_object().unwrap());
        let list = root.object("a").unwrap().unwrap().list("b").unwrap();
        let element = list[0].clone().object().unwrap();
        let error = element.text("c").unwrap_err();
        assert_eq!(error.to_string(), "a.b[0].c is 5; allowed: text");
    }

    #[test]
    fn null_is_absent() {
        let document = json!({ "a": null });
        let root = Object::root(document.as_object().unwrap());
        assert_eq!(root.text("a").unwrap(), None);
        assert!(root.list("a").unwrap().is_empty());
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = "é".repeat(500);
        assert_eq!(
            shortened(&long),
            format!("{}… (1000 bytes)", "é".repeat(100))
        );
        assert_eq!(shortened("short"), "short");
    }
}
