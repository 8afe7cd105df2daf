//! `--set`: the daemon's settings, read by the daemon's own table.

use std::collections::BTreeMap;
use std::ffi::OsString;

use vpc_model::settings::{self, Notice, Settings};

use crate::failure::Failure;

/// Reads `NAME=VALUE` pairs as the daemon reads its environment. Stricter in one thing: among the
/// variables of a process there are some that are not the daemon's; here there must be none.
pub(super) fn read(variables: &[(String, String)]) -> Result<(Settings, Vec<Notice>), Failure> {
    let mut given: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in variables {
        if let Some(first) = given.insert(name, value) {
            return Err(Failure::SetTwice {
                name: name.clone(),
                first: first.to_owned(),
                second: value.clone(),
            });
        }
    }
    let vars = given.iter().map(|(name, value)| (os(name), os(value)));
    let read = Settings::from_vars(vars).map_err(Failure::Settings)?;
    let is_setting = |name: &str| settings::rows().any(|row| row.name == name);
    match given.iter().find(|(name, _)| !is_setting(name)) {
        None => Ok(read),
        Some((name, value)) => Err(Failure::NoSuchSetting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            near: alike(name),
        }),
    }
}

fn os(text: &str) -> OsString {
    OsString::from(text)
}

/// Settings that have the name's words in them, in whatever case.
fn alike(name: &str) -> Vec<String> {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let words: Vec<&str> = name.split('_').filter(|word| word.len() > 1).collect();
    let has_all = |row: &str| !words.is_empty() && words.iter().all(|word| row.contains(word));
    settings::rows()
        .filter(|row| has_all(row.name))
        .take(3)
        .map(|row| row.name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        list.iter().map(owned).collect()
    }

    #[test]
    fn a_name_that_is_no_setting_is_refused_with_those_that_are_alike() {
        let error = read(&pairs(&[("prefix-delegation", "true")])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("ENABLE_PREFIX_DELEGATION"), "{text}");
    }

    #[test]
    fn one_setting_has_one_value() {
        let error = read(&pairs(&[("MAX_ENI", "2"), ("MAX_ENI", "3")])).unwrap_err();
        assert!(matches!(error, Failure::SetTwice { .. }), "{error}");
    }
}
