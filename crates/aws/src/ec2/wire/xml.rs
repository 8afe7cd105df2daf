//! Response documents: XML out, XML in, and the error document that every action shares.

use quick_xml::events::Event;
use quick_xml::{DeError, Reader, SeError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A response document that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// The value cannot be written as XML.
    #[error("cannot write the response document {root}")]
    Encode {
        /// The document's root element.
        root: &'static str,
        /// Why not.
        #[source]
        source: SeError,
    },
    /// The text is not XML at all, or not from its first element on.
    #[error("expected an XML document {root}, got {start:?}")]
    NotXml {
        /// The root element that was expected.
        root: &'static str,
        /// How the text begins, at most 60 characters.
        start: String,
    },
    /// The text is XML, but another document: a proxy's error page, for example.
    #[error("expected an XML document {root}, got a document {found}")]
    OtherRoot {
        /// The root element that was expected.
        root: &'static str,
        /// The root element that was found.
        found: String,
    },
    /// The document ends early, is malformed, or has a value of the wrong type.
    #[error("cannot read the response document {root}")]
    Decode {
        /// The document's root element.
        root: &'static str,
        /// Why not.
        #[source]
        source: DeError,
    },
}

/// A list in a response: `<name><item>…</item></name>`. Written even when empty, as EC2 does;
/// where EC2 leaves empty lists out, the field is an `Option<Set<_>>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Set<T> {
    /// The members.
    pub item: Vec<T>,
}

impl<T> Set<T> {
    /// The list, or `None` if it is empty.
    #[must_use]
    pub fn non_empty(members: Vec<T>) -> Option<Self> {
        if members.is_empty() {
            None
        } else {
            Some(Self { item: members })
        }
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

impl<T> From<Vec<T>> for Set<T> {
    fn from(item: Vec<T>) -> Self {
        Self { item }
    }
}

impl<T> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(members: I) -> Self {
        Self {
            item: members.into_iter().collect(),
        }
    }
}

/// Whether a field is left out of the document.
pub(crate) trait Absent {
    /// True if no element is written.
    fn is_absent(&self) -> bool;
}

impl<T> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Absent for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Absent for Set<T> {
    fn is_absent(&self) -> bool {
        false
    }
}

/// The document `value` with root element `root`.
pub(crate) fn encode<T: Serialize>(
    root: &'static str,
    namespace: Option<&str>,
    value: &T,
) -> Result<String, XmlError> {
    let body = quick_xml::se::to_string_with_root(root, value)
        .map_err(|source| XmlError::Encode { root, source })?;
    let attribute = namespace
        .map(|name| format!(" xmlns=\"{name}\""))
        .unwrap_or_default();
    // The body begins with "<root", to which the attribute is added.
    let (open, rest) = body.split_at(root.len() + 1);
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{open}{attribute}{rest}"
    ))
}

/// Reads a document whose root element must be `root`.
pub(crate) fn decode<T: DeserializeOwned>(root: &'static str, text: &str) -> Result<T, XmlError> {
    let found = root_element(text).ok_or_else(|| XmlError::NotXml {
        root,
        start: text.trim_start().chars().take(60).collect(),
    })?;
    if found != root {
        return Err(XmlError::OtherRoot { root, found });
    }
    quick_xml::de::from_str(text).map_err(|source| XmlError::Decode { root, source })
}

/// The local name of a document's root element. The deserialiser does not look at it, and would
/// read an HTML page as a response in which every field is absent.
fn root_element(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                return Some(tag.local_name().as_ref().to_owned());
            }
            Ok(Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_)) => {}
            Ok(Event::Text(text)) if text.trim().is_empty() => {}
            Ok(
                Event::Text(_)
                | Event::CData(_)
                | Event::End(_)
                | Event::GeneralRef(_)
                | Event::Eof,
            )
            | Err(_) => return None,
        }
    }
}

element! {
    /// One error of an [`ErrorResponse`].
    ApiError {
        /// EC2's error code, for example `InvalidNetworkInterfaceID.NotFound`.
        code: Option<String> = "Code",
        /// A sentence for people. Not to be matched on.
        message: Option<String> = "Message",
    }
}

element! {
    /// The list of an [`ErrorResponse`].
    Errors {
        /// The errors; EC2 sends exactly one.
        error: Vec<ApiError> = "Error",
    }
}

element! {
    /// What EC2 answers instead of a response when a request fails (status 400 to 599). The same
    /// document for every action.
    ErrorResponse {
        /// The errors.
        errors: Errors = "Errors",
        /// The id of the request, for AWS support.
        request_id: Option<String> = "RequestID",
    }
}

impl Absent for Errors {
    fn is_absent(&self) -> bool {
        false
    }
}

impl ErrorResponse {
    const ROOT: &'static str = "Response";

    /// The document for one error.
    #[must_use]
    pub fn new(code: &str, message: &str, request_id: &str) -> Self {
        let error = ApiError {
            code: Some(code.to_owned()),
            message: Some(message.to_owned()),
        };
        Self {
            errors: Errors { error: vec![error] },
            request_id: Some(request_id.to_owned()),
        }
    }

    /// The document, with XML declaration.
    ///
    /// # Errors
    /// A text that XML cannot carry.
    pub fn to_xml(&self) -> Result<String, XmlError> {
        encode(Self::ROOT, None, self)
    }

    /// Reads an error document.
    ///
    /// # Errors
    /// Text that is not well-formed XML, ends early, or has another root element.
    pub fn from_xml(text: &str) -> Result<Self, XmlError> {
        decode(Self::ROOT, text)
    }
}
