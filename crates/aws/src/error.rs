//! What can go wrong between us and AWS, decoded once.
//!
//! Everything above this crate decides by [`ErrorKind`]; nobody else looks at status codes, error
//! codes or messages. The table from EC2's error codes to kinds is in [`ErrorKind::from_code`].

mod code;

use std::fmt;
use std::time::Duration;

use crate::ec2::wire::XmlError;

/// A call that failed: which, where, why, and what AWS said about it.
#[derive(Debug)]
pub struct Error {
    /// The EC2 action (`CreateNetworkInterface`) or the IMDS request (`GET /latest/meta-data/mac`).
    pub action: String,
    /// Where the request went, for example `https://ec2.us-west-2.amazonaws.com/`.
    pub endpoint: String,
    /// What kind of failure it is; decide by this.
    pub kind: ErrorKind,
    /// What the service answered; `None` if there was no answer. For logs and people.
    pub answer: Option<Box<Answer>>,
}

/// What the service said about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// EC2's error code; empty if the answer had none.
    pub code: String,
    /// The message, at most 400 characters.
    pub message: String,
    /// The id of the request, for AWS support; empty if the answer had none.
    pub request_id: String,
}

/// The kinds of failure that callers treat differently.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// Too many calls (`RequestLimitExceeded` and its relatives). Nothing was done.
    #[error("AWS throttles these calls: make fewer, or ask for a higher limit")]
    Throttled,
    /// `InsufficientFreeAddressesInSubnet`.
    #[error("the subnet has too few free addresses: give the cluster a larger or a further subnet")]
    InsufficientAddresses,
    /// `InsufficientCidrBlocks`: free addresses there may be, but no whole free /28.
    #[error(
        "the subnet has no free block of 16 addresses: reserve a range for prefixes in it, or use \
         another subnet"
    )]
    InsufficientCidrBlocks,
    /// `PrivateIpAddressLimitExceeded`: the ENI holds as many addresses as the instance type allows.
    #[error("the network interface holds as many addresses as its instance type allows")]
    AddressLimit,
    /// `AttachmentLimitExceeded`: the instance (or card) has as many ENIs as its type allows.
    #[error("the instance has as many network interfaces as its type allows")]
    AttachmentLimit,
    /// `NetworkInterfaceLimitExceeded`: the account's quota of ENIs in the region is used up.
    #[error("the account has as many network interfaces as its quota in this region allows")]
    NetworkInterfaceLimit,
    /// The resource does not exist, or does not exist any more (`….NotFound`, IMDS status 404).
    #[error("there is no such resource")]
    NotFound,
    /// The resource is in use (`….InUse`, `DependencyViolation`).
    #[error("the resource is in use")]
    InUse,
    /// The resource is in a state that does not allow this (`IncorrectState`): an attachment that
    /// is still being made cannot be undone yet.
    #[error("the resource is in a state that does not allow this call")]
    WrongState,
    /// The credentials are valid but lack a permission (`UnauthorizedOperation`).
    #[error("the credentials lack the IAM permission {action}: allow it in the role's policy")]
    Unauthorized {
        /// The IAM action, for example `ec2:CreateNetworkInterface`.
        action: String,
    },
    /// AWS does not accept the credentials, or the clocks disagree (`AuthFailure`,
    /// `ExpiredToken`, `RequestExpired`, `SignatureDoesNotMatch`, IMDS status 401).
    #[error(
        "AWS does not accept the credentials: check the role, its expiry and this node's clock"
    )]
    NotAuthenticated,
    /// No credentials could be obtained; nothing was sent.
    #[error("found no credentials: give the pod or the instance an IAM role")]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The request itself is at fault: a value, a combination, a missing parameter.
    #[error("AWS refuses the request's parameters")]
    InvalidParameter,
    /// The call was only a check of permissions, and they suffice (`DryRunOperation`).
    #[error("the call was a dry run and would have succeeded")]
    DryRun,
    /// AWS failed (status 5xx, `InternalError`, `Unavailable`). It may have done the work.
    #[error("AWS failed internally")]
    Server,
    /// The connection failed or went silent.
    #[error("no complete answer: check routes, security groups and proxies")]
    Transport(#[source] TransportError),
    /// An answer that is not what the API promises: a proxy's page, a truncated document, a value
    /// of the wrong form.
    #[error("the answer cannot be read: check for a proxy in between")]
    Decode(#[source] DecodeError),
    /// A code that the table does not know.
    #[error("AWS answered {code}")]
    Other {
        /// The code.
        code: String,
    },
}

/// How an exchange broke.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection: name resolution, TCP or TLS. Nothing was sent.
    #[error("cannot connect")]
    Connect(#[source] hyper_util::client::legacy::Error),
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

impl Error {
    /// An error from the code of an EC2 error answer.
    #[must_use]
    pub fn from_answer(action: &str, endpoint: &str, answer: Answer) -> Self {
        let kind = ErrorKind::from_code(&answer.code, answer.status, action);
        Self::new(action, endpoint, kind).with_answer(answer)
    }

    pub(crate) fn new(action: &str, endpoint: &str, kind: ErrorKind) -> Self {
        Self {
            action: action.to_owned(),
            endpoint: endpoint.to_owned(),
            kind,
            answer: None,
        }
    }

    pub(crate) fn with_answer(mut self, answer: Answer) -> Self {
        self.answer = Some(Box::new(answer));
        self
    }

    /// Whether the same call may succeed a little later: AWS throttled or failed, or the network
    /// did. The clients here have retried already, where that was safe (see
    /// [`Error::may_have_taken_effect`]); a caller should wait longer before it tries again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }

    /// Whether the call may have been carried out although it failed: its answer was lost, not
    /// understood, or AWS failed half-way. A caller must look (describe) before it repeats a call
    /// that is not idempotent.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        match &self.kind {
            ErrorKind::Server | ErrorKind::Decode(_) => true,
            ErrorKind::Transport(cause) => match cause {
                TransportError::Connect(_) | TransportError::Request(_) => false,
                TransportError::Exchange(_)
                | TransportError::Body(_)
                | TransportError::Timeout(_) => true,
            },
            ErrorKind::Throttled
            | ErrorKind::InsufficientAddresses
            | ErrorKind::InsufficientCidrBlocks
            | ErrorKind::AddressLimit
            | ErrorKind::AttachmentLimit
            | ErrorKind::NetworkInterfaceLimit
            | ErrorKind::NotFound
            | ErrorKind::InUse
            | ErrorKind::WrongState
            | ErrorKind::Unauthorized { .. }
            | ErrorKind::NotAuthenticated
            | ErrorKind::Credentials(_)
            | ErrorKind::InvalidParameter
            | ErrorKind::DryRun
            | ErrorKind::Other { .. } => false,
        }
    }
}

impl ErrorKind {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            ErrorKind::Throttled | ErrorKind::Server => true,
            ErrorKind::Transport(cause) => match cause {
                TransportError::Request(_) => false,
                TransportError::Connect(_)
                | TransportError::Exchange(_)
                | TransportError::Body(_)
                | TransportError::Timeout(_) => true,
            },
            ErrorKind::InsufficientAddresses
            | ErrorKind::InsufficientCidrBlocks
            | ErrorKind::AddressLimit
            | ErrorKind::AttachmentLimit
            | ErrorKind::NetworkInterfaceLimit
            | ErrorKind::NotFound
            | ErrorKind::InUse
            | ErrorKind::WrongState
            | ErrorKind::Unauthorized { .. }
            | ErrorKind::NotAuthenticated
            | ErrorKind::Credentials(_)
            | ErrorKind::InvalidParameter
            | ErrorKind::DryRun
            | ErrorKind::Decode(_)
            | ErrorKind::Other { .. } => false,
        }
    }

    /// A short name for logs and metric labels.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            ErrorKind::Throttled => "throttled",
            ErrorKind::InsufficientAddresses => "insufficient-addresses",
            ErrorKind::InsufficientCidrBlocks => "insufficient-cidr-blocks",
            ErrorKind::AddressLimit => "address-limit",
            ErrorKind::AttachmentLimit => "attachment-limit",
            ErrorKind::NetworkInterfaceLimit => "network-interface-limit",
            ErrorKind::NotFound => "not-found",
            ErrorKind::InUse => "in-use",
            ErrorKind::WrongState => "wrong-state",
            ErrorKind::Unauthorized { .. } => "unauthorized",
            ErrorKind::NotAuthenticated => "not-authenticated",
            ErrorKind::Credentials(_) => "credentials",
            ErrorKind::InvalidParameter => "invalid-parameter",
            ErrorKind::DryRun => "dry-run",
            ErrorKind::Server => "server",
            ErrorKind::Transport(_) => "transport",
            ErrorKind::Decode(_) => "decode",
            ErrorKind::Other { .. } => "other",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.action, self.endpoint, self.kind)?;
        match &self.answer {
            Some(answer) => write!(f, " ({answer})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        for (name, text) in [
            ("", &self.code),
            ("", &self.message),
            ("request id ", &self.request_id),
        ] {
            if !text.is_empty() {
                write!(f, ", {name}{text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    /// The cause below the kind; the kind's own text is part of this error's.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}
