//! What can go wrong between us and AWS, decoded once.
//!
//! Everything above this crate decides by [`ErrorKind`]; nobody else looks at status codes, error
//! codes or messages. The table from EC2's error codes to kinds is in [`ErrorKind::from_code`].

mod cause;
mod code;

use std::fmt;

pub use cause::{DecodeError, TransportError};

use crate::budget::OverBudget;
use crate::credentials::NoCredentials;

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
    /// This node's own budget for the action is used up until after the call's deadline; nothing
    /// was sent.
    #[error("this node has made as many of these calls as its budget allows")]
    OverBudget(#[source] OverBudget),
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
    /// AWS does not accept the credentials (`AuthFailure`, `InvalidClientTokenId`,
    /// `SignatureDoesNotMatch`, IMDS status 401).
    #[error("AWS does not accept the credentials: check the role and where its keys come from")]
    NotAuthenticated,
    /// The credentials are from the past (`ExpiredToken`, `RequestExpired`), and their source had
    /// no newer ones.
    #[error("the credentials have expired: check what renews them (IMDS, the pod's token)")]
    ExpiredCredentials,
    /// AWS refused the signature, and its clock and this node's are far apart (the SDKs' limit of
    /// four minutes), also after one correction.
    #[error("this node's clock is {seconds} s behind that of AWS: set it right (NTP)")]
    ClockSkew {
        /// AWS's time less ours, in seconds; negative if ours is ahead.
        seconds: i64,
    },
    /// The account may not use the service (`OptInRequired`, `Blocked`, `PendingVerification`).
    #[error("the AWS account may not use this service in this region: see the account's console")]
    Account,
    /// No credentials could be obtained; nothing was sent.
    #[error("found no credentials: give the pod or the instance an IAM role")]
    Credentials(#[source] NoCredentials),
    /// Prefixes for an ENI of an instance that is not built on the Nitro system
    /// (`UnsupportedOperation` of the calls that assign or attach).
    #[error("the instance type cannot have prefixes: use one built on the Nitro system")]
    NotNitro,
    /// Something else that the resource or the region cannot do (`UnsupportedOperation`).
    #[error("the resource does not support this call")]
    Unsupported,
    /// The client token was used before for a different request (`IdempotentParameterMismatch`).
    #[error("the client token belongs to an earlier, different request: use a new one")]
    IdempotencyMismatch,
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
    #[error("the answer cannot be read")]
    Decode(#[source] DecodeError),
    /// A code that the table does not know.
    #[error("AWS answered {code}")]
    Other {
        /// The code.
        code: String,
    },
}

impl Error {
    /// An error from the code of an EC2 error answer.
    #[must_use]
    pub fn from_answer(action: &str, endpoint: &str, answer: Answer) -> Self {
        let kind = ErrorKind::of_answer(&answer, "ec2", action);
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
        self.kind.traits().may_have_taken_effect
    }
}

/// What callers want to know of a kind, one line per kind.
struct Traits {
    label: &'static str,
    is_retryable: bool,
    may_have_taken_effect: bool,
}

/// AWS or this node refused; nothing was done and a repetition changes nothing.
const fn refused(label: &'static str) -> Traits {
    Traits {
        label,
        is_retryable: false,
        may_have_taken_effect: false,
    }
}

/// Nothing was done; later it may be.
const fn later(label: &'static str) -> Traits {
    Traits {
        is_retryable: true,
        ..refused(label)
    }
}

/// Nobody knows whether it was done; a repetition may tell if `is_retryable`.
const fn unknown(label: &'static str, is_retryable: bool) -> Traits {
    Traits {
        label,
        is_retryable,
        may_have_taken_effect: true,
    }
}

impl ErrorKind {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.traits().is_retryable
    }

    /// A short name for logs and metric labels.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.traits().label
    }

    fn traits(&self) -> Traits {
        match self {
            ErrorKind::Throttled => later("throttled"),
            ErrorKind::OverBudget(_) => later("over-budget"),
            ErrorKind::InsufficientAddresses => refused("insufficient-addresses"),
            ErrorKind::InsufficientCidrBlocks => refused("insufficient-cidr-blocks"),
            ErrorKind::AddressLimit => refused("address-limit"),
            ErrorKind::AttachmentLimit => refused("attachment-limit"),
            ErrorKind::NetworkInterfaceLimit => refused("network-interface-limit"),
            ErrorKind::NotFound => refused("not-found"),
            ErrorKind::InUse => refused("in-use"),
            ErrorKind::WrongState => refused("wrong-state"),
            ErrorKind::Unauthorized { .. } => refused("unauthorized"),
            ErrorKind::NotAuthenticated => refused("not-authenticated"),
            ErrorKind::ExpiredCredentials => refused("expired-credentials"),
            ErrorKind::ClockSkew { .. } => refused("clock-skew"),
            ErrorKind::Account => refused("account"),
            ErrorKind::Credentials(cause) if cause.may_pass() => later("credentials"),
            ErrorKind::Credentials(_) => refused("credentials"),
            ErrorKind::NotNitro => refused("not-nitro"),
            ErrorKind::Unsupported => refused("unsupported"),
            ErrorKind::IdempotencyMismatch => refused("idempotency-mismatch"),
            ErrorKind::InvalidParameter => refused("invalid-parameter"),
            ErrorKind::DryRun => refused("dry-run"),
            ErrorKind::Server => unknown("server", true),
            ErrorKind::Transport(cause) => match cause {
                TransportError::Request(_) => refused("transport"),
                TransportError::Tls(_) => refused("tls"),
                TransportError::Connect(_) => later("transport"),
                TransportError::Exchange(_)
                | TransportError::Body(_)
                | TransportError::Timeout(_) => unknown("transport", true),
            },
            ErrorKind::Decode(DecodeError::Cut { .. }) => unknown("decode", true),
            ErrorKind::Decode(_) => unknown("decode", false),
            ErrorKind::Other { .. } => refused("other"),
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
