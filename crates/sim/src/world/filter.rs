//! Filters of describe requests: every filter must match, any of its values will do.

use std::collections::BTreeMap;

use vpc_aws::ec2::wire::Filter;

use super::lookup::required;
use super::state::Tags;
use crate::error::ApiError;

/// The values of a filter that exists, for a resource that has none.
pub(super) const NONE: [&str; 0] = [];

/// A resource as some filters see it: the filter names that exist, with the values it has.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    filters: &'a [Filter],
    known: BTreeMap<&'static str, Vec<String>>,
}

impl Facts<'_> {
    /// Says that the resource has a value; also that the filter name exists. What no filter asks
    /// for is not kept.
    pub(super) fn with(
        mut self,
        name: &'static str,
        values: impl IntoIterator<Item = impl ToString>,
    ) -> Self {
        let asks = |filter: &Filter| filter.name.as_deref() == Some(name);
        if !self.filters.iter().any(asks) {
            return self;
        }
        let entry = self.known.entry(name).or_default();
        entry.extend(values.into_iter().map(|value| value.to_string()));
        self
    }

    /// Whether the resource meets every filter.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a filter that the resource's kind does not have.
    fn meet(&self, tags: &Tags) -> Result<bool, ApiError> {
        let mut all = true;
        for filter in self.filters {
            let name = required(filter.name.as_deref(), "Filter.Name")?;
            let values = &filter.values;
            let any = |have: &str| values.iter().any(|wanted| matches(wanted, have));
            let met = if let Some(key) = name.strip_prefix("tag:") {
                tags.get(key).is_some_and(|value| any(value))
            } else if name == "tag-key" {
                tags.keys().any(|key| any(key))
            } else if let Some(have) = self.known.get(name) {
                have.iter().any(|value| any(value))
            } else {
                let message = format!("The filter '{name}' is invalid");
                return Err(ApiError::invalid(message));
            };
            all &= met;
        }
        Ok(all)
    }
}

/// Whether a resource meets every filter; its facts are gathered only if there is one.
///
/// # Errors
/// As [`Facts::meet`].
pub(super) fn chosen<'a>(
    filters: &'a [Filter],
    tags: &Tags,
    gather: impl FnOnce(Facts<'a>) -> Facts<'a>,
) -> Result<bool, ApiError> {
    let facts = Facts {
        filters,
        known: BTreeMap::new(),
    };
    Ok(filters.is_empty() || gather(facts).meet(tags)?)
}

/// Whether `text` has the form `pattern`: `*` stands for any characters, `?` for one, and a
/// backslash takes the special meaning from the next.
fn matches(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['*', '?', '\\']) {
        return pattern == text;
    }
    let text: Vec<char> = text.chars().collect();
    // Which lengths of the text's beginning the pattern's beginning can stand for.
    let mut reach = vec![false; text.len() + 1];
    reach[0] = true;
    let mut pattern = pattern.chars();
    while let Some(mut symbol) = pattern.next() {
        let literal = symbol == '\\';
        if literal {
            symbol = pattern.next().unwrap_or('\\');
        }
        if symbol == '*' && !literal {
            for at in 1..=text.len() {
                reach[at] |= reach[at - 1];
            }
        } else {
            for at in (1..=text.len()).rev() {
                let fits = (symbol == '?' && !literal) || text[at - 1] == symbol;
                reach[at] = reach[at - 1] && fits;
            }
            reach[0] = false;
        }
    }
    reach[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_and_escaped_ones_are_literal() {
        for (pattern, text, expected) in [
            ("aws-K8S-*", "aws-K8S-i-1", true),
            ("aws-K8S-*", "aws-K8S", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            (r"a\*c", "a*c", true),
            (r"a\*c", "abc", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xbxa", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }
}
