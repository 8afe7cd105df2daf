//! What a plugin prints besides results: errors, and the versions it speaks.

use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use super::version::SpecVersion;

/// An error as the specification has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorObject {
    /// The version the caller speaks, or the newest where that is not known.
    pub cni_version: &'static str,
    /// What kind of error: below 100 the specification's, from there on the plugin's own.
    pub code: u32,
    /// What is wrong and what to do.
    pub msg: String,
    /// The causes below the message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub details: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    cni_version: &'static str,
    supported_versions: [&'static str; SpecVersion::ALL.len()],
}

/// The answer to VERSION: one line, as upstream prints it.
#[must_use]
pub fn supported_versions() -> String {
    let versions = Versions {
        cni_version: SpecVersion::LATEST.as_str(),
        supported_versions: SpecVersion::ALL.map(SpecVersion::as_str),
    };
    let mut text = serde_json::to_string(&versions).unwrap_or_default();
    text.push('\n');
    text
}

impl ErrorObject {
    /// The JSON a plugin prints.
    #[must_use]
    pub fn render(&self) -> String {
        pretty(self)
    }
}

/// JSON indented by four spaces, as the CNI library prints it.
pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    // The types printed here have no key or value that JSON cannot hold.
    let _ = value.serialize(&mut serializer);
    text.push(b'\n');
    String::from_utf8_lossy(&text).into_owned()
}
