//! Form parameters: values, lists and structures flattened to dotted names, and read back.

use std::collections::BTreeMap;

/// A form parameter that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter {parameter} is {value:?}; allowed: {allowed}")]
pub struct ParamError {
    /// The parameter's full name, for example `Filter.1.Value.2`.
    pub parameter: String,
    /// Its value as received; empty when the parameter has none.
    pub value: String,
    /// What would have been accepted.
    pub allowed: &'static str,
    /// What is wrong with it.
    pub problem: ParamProblem,
}

/// What is wrong with a form parameter. EC2 has an error code for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParamProblem {
    /// The request has no such parameter (EC2: `UnknownParameter`).
    Unknown,
    /// The text is not of the parameter's type (EC2: `InvalidParameterValue`).
    Malformed,
    /// The parameter occurs more than once (EC2: `InvalidParameterCombination`).
    Repeated,
}

/// The parameters below one name: the tree that the dotted names stand for.
#[derive(Debug, Default)]
pub(crate) struct Node {
    name: String,
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

/// More levels than any request has; deeper names are refused before a tree is built of them.
const MAX_DEPTH: usize = 8;

impl Node {
    /// The tree of all parameters except `Action` and `Version`, which every request has.
    pub(crate) fn root(params: &[(String, String)]) -> Result<Self, ParamError> {
        let mut root = Self::default();
        for (name, value) in params {
            if name != "Action" && name != "Version" {
                root.insert(name, value)?;
            }
        }
        Ok(root)
    }

    fn insert(&mut self, name: &str, value: &str) -> Result<(), ParamError> {
        let error = |problem, allowed| ParamError {
            parameter: name.to_owned(),
            value: value.to_owned(),
            allowed,
            problem,
        };
        if name.split('.').count() > MAX_DEPTH {
            return Err(error(ParamProblem::Unknown, "no parameter of this name"));
        }
        let mut node = self;
        for part in name.split('.') {
            let full = join(&node.name, part);
            node = node
                .children
                .entry(part.to_owned())
                .or_insert_with(|| Node {
                    name: full,
                    ..Node::default()
                });
        }
        if node.value.replace(value.to_owned()).is_some() {
            return Err(error(ParamProblem::Repeated, "one value per parameter"));
        }
        Ok(())
    }

    /// Removes and returns what stands below `key`.
    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        self.children.remove(key)
    }

    /// Refuses what was not taken.
    pub(crate) fn finish(self) -> Result<(), ParamError> {
        if self.value.is_some() {
            return Err(self.error(ParamProblem::Unknown, "no parameter of this name"));
        }
        match self.children.into_values().next() {
            None => Ok(()),
            Some(child) => Err(child.unknown_leaf()),
        }
    }

    /// The error about the first parameter at or below this node.
    fn unknown_leaf(mut self) -> ParamError {
        while let Some((_, child)) = self.children.pop_first() {
            self = child;
        }
        self.error(ParamProblem::Unknown, "no parameter of this name")
    }

    /// Name and value of a node that has nothing below it.
    fn scalar(self) -> Result<(String, String), ParamError> {
        if self.children.is_empty() {
            Ok((self.name, self.value.unwrap_or_default()))
        } else {
            Err(self.unknown_leaf())
        }
    }

    fn error(self, problem: ParamProblem, allowed: &'static str) -> ParamError {
        ParamError {
            parameter: self.name,
            value: self.value.unwrap_or_default(),
            allowed,
            problem,
        }
    }
}

/// `outer.inner`, or `inner` at the top level.
pub(crate) fn join(outer: &str, inner: &str) -> String {
    if outer.is_empty() {
        inner.to_owned()
    } else {
        format!("{outer}.{inner}")
    }
}

/// A value that may stand alone, in a list or in a structure.
pub(crate) trait Part: Sized {
    /// Appends the parameters of the value, whose name is `name`.
    fn write(&self, name: &str, out: &mut Vec<(String, String)>);
    /// Reads the value from the parameters below its name.
    fn read(node: Node) -> Result<Self, ParamError>;
}

/// A field of a request: a value that may be absent, or a list.
pub(crate) trait Field: Sized {
    /// Appends the parameters of the field, none if it is absent or empty.
    fn write(&self, name: &str, out: &mut Vec<(String, String)>);
    /// Reads the field; `None` if no parameter stands below its name.
    fn read(node: Option<Node>) -> Result<Self, ParamError>;
}

impl<T: Part> Field for Option<T> {
    fn write(&self, name: &str, out: &mut Vec<(String, String)>) {
        if let Some(value) = self {
            value.write(name, out);
        }
    }

    fn read(node: Option<Node>) -> Result<Self, ParamError> {
        node.map(T::read).transpose()
    }
}

impl<T: Part> Field for Vec<T> {
    fn write(&self, name: &str, out: &mut Vec<(String, String)>) {
        for (value, number) in self.iter().zip(1usize..) {
            value.write(&join(name, &number.to_string()), out);
        }
    }

    fn read(node: Option<Node>) -> Result<Self, ParamError> {
        let Some(mut node) = node else {
            return Ok(Vec::new());
        };
        let mut members = BTreeMap::new();
        while let Some((key, child)) = node.children.pop_first() {
            match key.parse::<u32>() {
                Ok(number) if number > 0 => {
                    if let Some(twin) = members.insert(number, child) {
                        return Err(twin.error(ParamProblem::Repeated, "one value per parameter"));
                    }
                }
                Ok(_) | Err(_) => return Err(child.unknown_leaf()),
            }
        }
        node.finish()?;
        members.into_values().map(T::read).collect()
    }
}

impl Part for String {
    fn write(&self, name: &str, out: &mut Vec<(String, String)>) {
        out.push((name.to_owned(), self.clone()));
    }

    fn read(node: Node) -> Result<Self, ParamError> {
        node.scalar().map(|(_, value)| value)
    }
}

macro_rules! parsed_part {
    ($type:ty, $allowed:literal) => {
        impl Part for $type {
            fn write(&self, name: &str, out: &mut Vec<(String, String)>) {
                out.push((name.to_owned(), self.to_string()));
            }

            fn read(node: Node) -> Result<Self, ParamError> {
                let (parameter, value) = node.scalar()?;
                value.parse().map_err(|_| ParamError {
                    parameter,
                    value,
                    allowed: $allowed,
                    problem: ParamProblem::Malformed,
                })
            }
        }
    };
}

parsed_part!(bool, "true or false");
parsed_part!(i32, "a whole number of 32 bits");
