//! A row of the table: a variable's name, what it may hold, and what the operator is told about
//! it. [`Key`] is the row with its type; [`Row`] is what documents and tools see of it.

use std::fmt;

/// How a value's text becomes a `T`, and the words for what is allowed. The two stand together so
/// that the message, the document and the parser cannot drift apart.
pub(crate) struct Kind<T: 'static> {
    /// What is allowed, as it follows "allowed: ".
    pub(crate) allowed: &'static str,
    /// The typed value, or nothing when the text is not allowed.
    pub(crate) parse: fn(&str) -> Option<T>,
}

/// What holds when a variable is unset or empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// This text, as if it had been given.
    Text(&'static str),
    /// Nothing: the feature behind the variable is off, or there is no bound.
    Unset,
    /// The value of another variable.
    SameAs(&'static str),
}

/// What a value other than the default does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It takes effect.
    Supported,
    /// It is accepted and changes nothing, for this reason. A notice says so at start.
    NoEffect(&'static str),
    /// The start is refused, for this reason: going on without the feature would break pods that
    /// count on it.
    Refused(&'static str),
}

/// A program that acts on a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The daemon.
    Ipamd,
    /// The plugin, which gets the value through the network configuration that ipamd writes.
    AwsCni,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Program::Ipamd => "ipamd",
            Program::AwsCni => "aws-cni",
        })
    }
}

/// One variable, with the type of its value.
pub(crate) struct Key<T: 'static> {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind<T>,
    pub(crate) fallback: Fallback,
    pub(crate) support: Support,
    pub(crate) read_by: &'static [Program],
    pub(crate) doc: &'static str,
}

/// One variable as documents and tools see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The environment variable.
    pub name: &'static str,
    /// What its value may be.
    pub allowed: &'static str,
    /// What holds when it is unset or empty.
    pub fallback: Fallback,
    /// What a value other than the default does.
    pub support: Support,
    /// Which programs act on it.
    pub read_by: &'static [Program],
    /// One paragraph: effect, unit, interaction.
    pub doc: &'static str,
}

/// A [`Key`] without its type, so that keys of all types stand in one table.
pub(crate) trait Entry: Sync {
    /// The row for documents and tools.
    fn row(&self) -> Row;

    /// Whether this text is an allowed value.
    fn accepts(&self, text: &str) -> bool;

    /// Whether this text means the same as leaving the variable unset.
    fn is_default(&self, text: &str) -> bool;
}

impl<T: PartialEq> Entry for Key<T> {
    fn row(&self) -> Row {
        Row {
            name: self.name,
            allowed: self.kind.allowed,
            fallback: self.fallback,
            support: self.support,
            read_by: self.read_by,
            doc: self.doc,
        }
    }

    fn accepts(&self, text: &str) -> bool {
        (self.kind.parse)(text).is_some()
    }

    fn is_default(&self, text: &str) -> bool {
        match self.fallback {
            Fallback::Text(default) => (self.kind.parse)(text) == (self.kind.parse)(default),
            Fallback::Unset => (self.kind.parse)(text) == (self.kind.parse)(""),
            Fallback::SameAs(_) => false,
        }
    }
}
