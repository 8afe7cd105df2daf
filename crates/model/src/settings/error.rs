//! What is wrong with the settings, all of it at once, in words for the operator.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The value is not of the variable's kind.
    #[error("{name} is {value:?}; allowed: {allowed}")]
    NotAllowed {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// The value is not UTF-8.
    #[error("{name} is {value:?}, which is not UTF-8; allowed: {allowed}")]
    NotText {
        /// The variable.
        name: &'static str,
        /// Its value, with replacement characters.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// The value asks for something that this version does not do.
    #[error("{name} is {value:?}; allowed: {allowed}, because {why}")]
    NotSupported {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The one value it may have.
        allowed: String,
        /// Why.
        why: &'static str,
    },
    /// Values that are allowed each by itself do not go together.
    #[error("{name} is {value:?} and {other} is {other_value:?}; allowed: {allowed}")]
    Conflict {
        /// The variable to change.
        name: &'static str,
        /// Its value.
        value: String,
        /// The variable it does not go with.
        other: &'static str,
        /// That one's value.
        other_value: String,
        /// What is allowed of the two together.
        allowed: &'static str,
    },
    /// The name begins as settings do, but there is no such setting.
    #[error("{name} is {value:?}; allowed: no such setting exists{}", Suggestion(.nearest.as_deref()))]
    Unknown {
        /// The variable.
        name: String,
        /// Its value, with replacement characters where it is not UTF-8.
        value: String,
        /// The setting whose name is nearest, if one is near.
        nearest: Option<String>,
    },
}

struct Suggestion<'a>(Option<&'a str>);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, ", did you mean {name}?"),
            None => Ok(()),
        }
    }
}

impl Mistake {
    /// The variable's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Mistake::NotAllowed { name, .. }
            | Mistake::NotText { name, .. }
            | Mistake::NotSupported { name, .. }
            | Mistake::Conflict { name, .. } => name,
            Mistake::Unknown { name, .. } => name,
        }
    }
}

/// All mistakes of one environment, at least one, in the order of their names. Displayed one a
/// line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsErrors(Vec<Mistake>);

impl SettingsErrors {
    pub(crate) fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|a, b| a.name().cmp(b.name()));
        Self(mistakes)
    }

    /// The mistakes.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsErrors {}

/// Something the operator should know about settings that were accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The variable.
    pub name: &'static str,
    /// What to know, as a clause that follows the name.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.text)
    }
}
