//! The environment, sorted into what belongs to the table and what does not.
//!
//! Variables that are not ours are left alone. A name that begins as settings do and is not in the
//! table is a mistake: most likely a misspelt setting, which would otherwise be ignored in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::error::Mistake;
use super::key::{Fallback, Key, Row};
use super::table;
use crate::nearest::nearest;

/// What the names of settings begin with, so that a misspelt one is recognised. Names that share
/// their beginning with other programs' variables (`ENABLE_…`, `DISABLE_…`, `AWS_…`) cannot be
/// told apart and are not checked.
pub(crate) const RESERVED: [&str; 6] = [
    "AWS_VPC_K8S_",
    "AWS_VPC_CNI_",
    "AWS_VPC_ENI_",
    "VPC_CNI_",
    "WARM_",
    "MINIMUM_IP",
];

/// The values that were given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Environment {
    /// Text by name; nothing where the value is not UTF-8. Empty values are not here.
    given: BTreeMap<&'static str, Option<String>>,
}

impl Environment {
    /// Sorts the variables, and adds a mistake for each that is unknown or not UTF-8. Of a name
    /// that comes twice the last value holds.
    pub(crate) fn collect(
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let vars: BTreeMap<String, OsString> = vars
            .into_iter()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
            .collect();
        let services = services(vars.keys());
        let mut given = BTreeMap::new();
        for (name, value) in &vars {
            if value.is_empty() {
                continue;
            }
            let Some(entry) = table::entry(name) else {
                if is_reserved(name) && !is_service_link(name, &services) {
                    mistakes.push(unknown(name, &value.to_string_lossy()));
                }
                continue;
            };
            let row = entry.row();
            let text = value.to_str().map(str::to_owned);
            if text.is_none() {
                mistakes.push(Mistake::NotText {
                    name: row.name,
                    value: value.to_string_lossy().into_owned(),
                    allowed: row.allowed.to_owned(),
                });
            }
            given.insert(row.name, text);
        }
        Self { given }
    }

    /// The text that was given for this name. Nothing when it is unset, empty or not UTF-8.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name)?.as_deref()
    }

    /// The value of a row for messages: what was given, else the default's text.
    pub(crate) fn shown(&self, row: &Row) -> String {
        match (self.text(row.name), row.fallback) {
            (Some(text), _) => text.to_owned(),
            (None, Fallback::Text(default)) => default.to_owned(),
            (None, Fallback::Unset) => String::new(),
            (None, Fallback::SameAs(other)) => match table::entry(other) {
                Some(other) => self.shown(&other.row()),
                None => String::new(),
            },
        }
    }

    /// The value of a key: what was given, else its default. Nothing when what was given is not
    /// allowed; the mistake is recorded elsewhere, once for each row of the table.
    pub(crate) fn get<T>(&self, key: &Key<T>) -> Option<T> {
        let text = match (self.given.get(key.name), key.fallback) {
            (Some(given), _) => given.as_deref()?,
            (None, Fallback::Text(default)) => default,
            (None, Fallback::Unset | Fallback::SameAs(_)) => "",
        };
        (key.kind.parse)(text)
    }

    /// The names and texts that were given and are UTF-8.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.given
            .iter()
            .filter_map(|(name, text)| Some((*name, text.as_deref()?)))
    }
}

fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|beginning| name.starts_with(beginning))
}

/// The Services that the kubelet tells the pod of: for a Service `warm-cache` it sets
/// `WARM_CACHE_SERVICE_HOST` and others (Kubernetes documentation, "Discovering services").
fn services<'a>(names: impl Iterator<Item = &'a String>) -> BTreeSet<&'a str> {
    names
        .filter_map(|name| name.strip_suffix("_SERVICE_HOST"))
        .collect()
}

fn is_service_link(name: &str, services: &BTreeSet<&str>) -> bool {
    services.iter().any(|service| {
        name.strip_prefix(service)
            .is_some_and(|rest| rest.starts_with("_SERVICE_") || rest.starts_with("_PORT"))
    })
}

fn unknown(name: &str, value: &str) -> Mistake {
    let known = table::rows().map(|row| row.name);
    Mistake::Unknown {
        name: name.to_owned(),
        value: value.to_owned(),
        nearest: nearest(name, known, 1)
            .first()
            .map(|near| (*near).to_owned()),
    }
}
