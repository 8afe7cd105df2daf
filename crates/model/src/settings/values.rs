//! The values in use, for `docs` and for tools that show them.

use std::fmt;

use super::key::Row;
use super::types::Family;
use super::{Settings, table};

/// Where a value in use comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was given.
    Environment,
    /// The variable is unset or empty.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Environment => "environment",
            Source::Default => "default",
        })
    }
}

/// One variable and the value that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueInUse {
    /// The variable's row.
    pub row: Row,
    /// The value that holds, as text; empty when nothing does.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

pub(super) fn in_use(settings: &Settings) -> Vec<ValueInUse> {
    let environment = &settings.environment;
    table::rows()
        .map(|row| {
            let source = match environment.text(row.name) {
                Some(_) => Source::Environment,
                None => Source::Default,
            };
            let derived = row.name == table::modes::ENABLE_IPV4.name && source == Source::Default;
            let value = if derived {
                (settings.family == Family::V4).to_string()
            } else {
                environment.shown(&row)
            };
            ValueInUse { row, value, source }
        })
        .collect()
}
