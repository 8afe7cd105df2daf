//! What a runtime passes in the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use vpc_model::LinkName;

use super::args::CniArgs;
use super::json::shortened;
use crate::error::Error;

/// The variables a runtime sets for a plugin, and no others.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, OsString>);

/// What a plugin is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Wire a sandbox.
    Add,
    /// Unwire it.
    Del,
    /// Is it still wired as it was?
    Check,
    /// Release what belongs to no sandbox any more.
    Gc,
    /// Could an ADD succeed?
    Status,
    /// Which versions of the specification are spoken?
    Version,
}

/// The interface of a sandbox that ADD, DEL and CHECK are about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sandbox {
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`. DEL may come without.
    pub netns: Option<PathBuf>,
    /// `CNI_IFNAME`.
    pub if_name: LinkName,
    /// `CNI_ARGS`.
    pub args: CniArgs,
}

impl Environment {
    /// The `CNI_` variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        std::env::vars_os()
            .filter_map(text)
            .filter(|(name, _)| name.starts_with("CNI_"))
            .collect()
    }

    /// The verb; `None` when none is given, which is how a person runs a plugin.
    ///
    /// # Errors
    /// A verb the specification does not have.
    pub fn verb(&self) -> Result<Option<Verb>, Error> {
        let name = "CNI_COMMAND";
        let Some(text) = self.text(name)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        Ok(Some(match text {
            "ADD" => Verb::Add,
            "DEL" => Verb::Del,
            "CHECK" => Verb::Check,
            "GC" => Verb::Gc,
            "STATUS" => Verb::Status,
            "VERSION" => Verb::Version,
            other => {
                let allowed = "ADD, DEL, CHECK, GC, STATUS or VERSION";
                return Err(Error::Environment {
                    name,
                    value: shortened(other),
                    allowed,
                });
            }
        }))
    }

    /// Whether everything the specification wants set for `verb` is set. All that is missing is
    /// named at once.
    ///
    /// # Errors
    /// What is missing.
    pub fn require(&self, verb: Verb) -> Result<(), Error> {
        let required: &[&'static str] = match verb {
            Verb::Add | Verb::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
            Verb::Del => &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
            Verb::Gc | Verb::Status => &["CNI_PATH"],
            Verb::Version => &[],
        };
        let is_missing = |name: &&str| self.0.get(*name).is_none_or(|value| value.is_empty());
        let names: Vec<_> = required.iter().copied().filter(is_missing).collect();
        if names.is_empty() {
            Ok(())
        } else {
            Err(Error::MissingEnvironment {
                verb: verb.as_str(),
                names,
            })
        }
    }

    /// The sandbox interface the verb is about.
    ///
    /// # Errors
    /// A value that is not allowed.
    pub fn sandbox(&self) -> Result<Sandbox, Error> {
        let container_id = self.text("CNI_CONTAINERID")?.unwrap_or_default();
        if !is_identifier(container_id) {
            return Err(Error::Environment {
                name: "CNI_CONTAINERID",
                value: shortened(container_id),
                allowed: IDENTIFIER,
            });
        }
        let if_name = self.text("CNI_IFNAME")?.unwrap_or_default();
        let link = if_name.parse().map_err(|_| Error::Environment {
            name: "CNI_IFNAME",
            value: shortened(if_name),
            allowed: "1 to 15 bytes without '/', ':' or white space, not '.' or '..'",
        })?;
        let netns = self
            .0
            .get("CNI_NETNS")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        Ok(Sandbox {
            container_id: container_id.to_owned(),
            netns,
            if_name: link,
            args: CniArgs::parse(self.text("CNI_ARGS")?.unwrap_or_default())?,
        })
    }

    /// Whether the runtime insists on a namespace the plugin would refuse.
    #[must_use]
    pub fn overrides_netns(&self) -> bool {
        let value = self
            .0
            .get("CNI_NETNS_OVERRIDE")
            .and_then(|value| value.to_str());
        value.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, Error> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let text = value.to_str().ok_or_else(|| Error::Environment {
            name,
            value: shortened(&value.to_string_lossy()),
            allowed: "UTF-8",
        })?;
        Ok(Some(text))
    }
}

impl<K: Into<String>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(variables: T) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl Verb {
    /// As the specification writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }
}

/// The longest container id or network name. The specification sets no limit; the CNI library
/// makes a file name of both.
const LONGEST: usize = 255;

/// What [`is_identifier`] allows, for messages.
pub(super) const IDENTIFIER: &str =
    "a letter or digit, then letters, digits, '_', '.' or '-'; at most 255 bytes";

/// Whether `text` is what the specification allows as container id and as network name.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= LONGEST
        && bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_those_of_the_specification() {
        for good in ["a", "0", "aws-cni", "A_b.c-9"] {
            assert!(is_identifier(good), "{good}");
        }
        assert!(is_identifier(&"a".repeat(255)));
        assert!(!is_identifier(&"a".repeat(256)));
        for bad in ["", "-a", ".a", "_a", "a/b", "a b", "é", "a\n"] {
            assert!(!is_identifier(bad), "{bad:?}");
        }
    }
}
