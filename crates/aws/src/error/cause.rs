//! What broke when there was no usable answer.

use std::time::Duration;

use crate::ec2::wire::XmlError;

/// How an exchange broke.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection: the name does not resolve, nobody answers, or a proxy refuses. Nothing was
    /// sent.
    #[error("cannot connect")]
    Connect(#[source] hyper_util::client::legacy::Error),
    /// The other end does not speak TLS or has no certificate that is trusted. Nothing was sent.
    /// Does not pass by itself.
    #[error("no trusted TLS connection: check AWS_CA_BUNDLE, the endpoint and proxies")]
    Tls(#[source] hyper_util::client::legacy::Error),
    /// The connection broke after at least a part of the request was sent.
    #[error("the connection broke before the answer began")]
    Exchange(#[source] hyper_util::client::legacy::Error),
    /// The connection broke within the answer, or the answer was absurdly long.
    #[error("the connection broke within the answer")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The request could not be made or signed; nothing was sent.
    #[error("cannot make the request")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Bytes that are not UTF-8.
    #[error("the answer is not text")]
    NotText(#[source] std::str::Utf8Error),
    /// A document of somebody else: the sign-in or error page of a proxy, or of something that is
    /// not AWS.
    #[error("the answer is not from AWS but a page that begins {start:?}: check for a proxy")]
    Page {
        /// How the page begins, at most 60 characters.
        start: String,
    },
    /// The document ends before its end. The call was carried out; the answer was cut on its way.
    #[error("the answer is cut off after {length} bytes")]
    Cut {
        /// How much arrived.
        length: usize,
    },
    /// Not the XML document that was expected.
    #[error("the answer is not the expected document")]
    Xml(#[source] Box<XmlError>),
    /// A field without which the answer is useless.
    #[error("{field} is missing in the answer")]
    Missing {
        /// The field, named as in the API.
        field: &'static str,
    },
    /// A field of the wrong form.
    #[error("{field} is {value:?}; allowed: {allowed}")]
    Value {
        /// The field, named as in the API.
        field: &'static str,
        /// The value.
        value: String,
        /// What would have been accepted.
        allowed: &'static str,
    },
    /// A list whose pages lead back to a page already seen.
    #[error("the list's pages go in circles: token {token:?} came twice")]
    EndlessPages {
        /// The token that came twice.
        token: String,
    },
}

impl DecodeError {
    /// What is wrong with a document in which `root` was expected.
    pub(crate) fn of_document(error: XmlError, text: &str) -> Self {
        let root = match &error {
            XmlError::NotXml { .. } => None,
            XmlError::OtherRoot { found, .. } if found.eq_ignore_ascii_case("html") => None,
            XmlError::OtherRoot { found: root, .. } => Some(root.as_str()),
            XmlError::Encode { root, .. } | XmlError::Decode { root, .. } => Some(*root),
        };
        match root {
            None => DecodeError::Page {
                start: text.trim_start().chars().take(60).collect(),
            },
            Some(root) if !closes(text, root) => DecodeError::Cut { length: text.len() },
            Some(_) => DecodeError::Xml(Box::new(error)),
        }
    }
}

/// Whether a document ends where its root element does.
fn closes(text: &str, root: &str) -> bool {
    let end = text.trim_end().strip_suffix('>');
    end.is_some_and(|end| end.trim_end().ends_with(root) || end.ends_with('/'))
}
