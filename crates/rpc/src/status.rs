//! The outcome of a gRPC call as the protocol states it: a code and a message.

use std::fmt;

/// gRPC's status codes (numbers: the gRPC project's `doc/statuscodes.md`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(i32)]
pub enum Code {
    /// The call did what was asked.
    Ok = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// Nothing better is known.
    Unknown = 2,
    /// The request makes no sense, whatever the state of the server.
    InvalidArgument = 3,
    /// Time ran out.
    DeadlineExceeded = 4,
    /// What was asked about does not exist.
    NotFound = 5,
    /// What was to be made exists.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// Something has run out.
    ResourceExhausted = 8,
    /// The server is not in a state to do this.
    FailedPrecondition = 9,
    /// Another call came in between.
    Aborted = 10,
    /// Past the end of a range.
    OutOfRange = 11,
    /// The server does not know the method.
    Unimplemented = 12,
    /// The server contradicts itself.
    Internal = 13,
    /// Try again later.
    Unavailable = 14,
    /// Data is lost or damaged.
    DataLoss = 15,
    /// The caller did not say who it is.
    Unauthenticated = 16,
}

impl Code {
    /// The code with this number; [`Code::Unknown`] for a number gRPC does not define, as its
    /// specification asks.
    #[must_use]
    pub fn from_number(number: i32) -> Self {
        match number {
            0 => Self::Ok,
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            _ => Self::Unknown,
        }
    }
}

/// A call that was answered with an error.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message} ({code:?})")]
pub struct Status {
    /// What kind of error.
    pub code: Code,
    /// What happened, for people.
    pub message: String,
}

impl Status {
    /// An error of kind `code`.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The answer to DelNetwork for a key the daemon does not hold. The code and the text inside
    /// the message are what upstream's plugin expects ([`crate::UNKNOWN_POD`]).
    #[must_use]
    pub fn unknown_pod(who: impl fmt::Display) -> Self {
        Self::new(Code::Unknown, format!("{}: {who}", crate::UNKNOWN_POD))
    }

    /// Whether this is [`Status::unknown_pod`], from our daemon or from upstream's.
    #[must_use]
    pub fn is_unknown_pod(&self) -> bool {
        self.message.contains(crate::UNKNOWN_POD)
    }
}

/// Text as it stands in a header: bytes outside printable ASCII, and `%`, become `%XX` (gRPC's
/// rule for `grpc-message`).
#[cfg(feature = "server")]
pub(crate) fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut encoded, byte| {
            if (b' '..=b'~').contains(&byte) && byte != b'%' {
                encoded.push(char::from(byte));
            } else {
                // Writing to a string does not fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
            encoded
        })
}

/// The text of a percent-encoded header. What is not a valid escape stays as it is, and bytes that
/// are not UTF-8 are replaced: a message is never lost for being malformed.
pub(crate) fn percent_decode(header: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(header.len());
    let mut rest = header;
    while let Some((&first, tail)) = rest.split_first() {
        let escape = tail
            .first_chunk::<2>()
            .and_then(hex_pair)
            .filter(|_| first == b'%');
        rest = if let Some(byte) = escape {
            bytes.push(byte);
            &tail[2..]
        } else {
            bytes.push(first);
            tail
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_pair(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(digits[0])? * 16 + digit(digits[1])?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_agree() {
        for number in 0..=16 {
            assert_eq!(Code::from_number(number) as i32, number);
        }
        assert_eq!(Code::from_number(17), Code::Unknown);
        assert_eq!(Code::from_number(-1), Code::Unknown);
    }

    #[test]
    fn percent_escapes_are_decoded_and_broken_ones_kept() {
        let cases: [(&[u8], &str); 6] = [
            (b"plain", "plain"),
            (b"1 error:%0A%09* x", "1 error:\n\t* x"),
            (b"%C3%A9", "é"),
            (b"100%", "100%"),
            (b"%4", "%4"),
            (b"%zz%ff", "%zz\u{fffd}"),
        ];
        for (header, text) in cases {
            assert_eq!(percent_decode(header), text);
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in ["", "plain", "100% of\nétés", "%41"] {
            let encoded = percent_encode(text);
            assert!(
                encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{encoded}"
            );
            assert_eq!(percent_decode(encoded.as_bytes()), text);
        }
    }

    #[test]
    fn upstreams_text_for_an_unknown_pod_is_recognised() {
        let upstream = Status::new(
            Code::Unknown,
            "1 error occurred:\n\t* datastore: unknown pod\n\n",
        );
        assert!(upstream.is_unknown_pod());
        assert!(Status::unknown_pod("aws-cni/1/eth0").is_unknown_pod());
        assert!(!Status::new(Code::NotFound, "unknown pod").is_unknown_pod());
    }
}
