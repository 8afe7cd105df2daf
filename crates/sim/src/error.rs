//! Refusals, in EC2's words.

/// A request that EC2 refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// EC2's error code, for example `InvalidSubnetID.NotFound`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The HTTP status, 400 to 599.
    pub status: u16,
}

impl ApiError {
    /// An error of the caller's making, with status 400, as EC2 answers nearly all of them.
    #[must_use]
    pub fn client(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            status: 400,
        }
    }

    /// An error with another status than 400.
    #[must_use]
    pub fn with_status(code: &str, message: impl Into<String>, status: u16) -> Self {
        Self {
            status,
            ..Self::client(code, message)
        }
    }

    /// A parameter that the request must have and does not.
    #[must_use]
    pub fn missing(parameter: &str) -> Self {
        Self::client(
            "MissingParameter",
            format!("The request must contain the parameter {parameter}"),
        )
    }

    /// A parameter whose value cannot be.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::client("InvalidParameterValue", message)
    }
}
