//! Everything that makes a verb fail, and the code, message and details the runtime gets for it.
//!
//! The message says what is wrong and what to do; the details are the chain of causes below it
//! (what ipamd or the kernel said).

use std::error::Error as _;
use std::path::PathBuf;

use vpc_rpc::{CallError, Code};

use crate::ipamd::ReplyError;
use crate::prev_result::DecodeError;
use crate::spec::SpecVersion;
use crate::spec::json::shortened;

/// A verb that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runtime did not set what every plugin needs.
    #[error("{} not set; a container runtime sets {} for {verb}", names.join(", "), if names.len() == 1 { "it" } else { "them" })]
    MissingEnvironment {
        /// The verb.
        verb: &'static str,
        /// The variables.
        names: Vec<&'static str>,
    },
    /// An environment variable, or a key in `CNI_ARGS`, has a value that is not allowed.
    #[error("{name} is {value:?}; allowed: {allowed}")]
    Environment {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would do.
        allowed: &'static str,
    },
    /// The network namespace cannot be used.
    #[error("CNI_NETNS is {:?}, which cannot be used; allowed: the path of an existing network namespace", shortened(&path.to_string_lossy()))]
    NoNamespace {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The network namespace is the host's.
    #[error("CNI_NETNS is {:?}, the network namespace of the plugin itself; allowed: a pod's (or set CNI_NETNS_OVERRIDE=1)", shortened(&path.to_string_lossy()))]
    OwnNamespace {
        /// The path.
        path: PathBuf,
    },
    /// Standard input broke off.
    #[error("cannot read the network configuration from standard input")]
    Stdin(#[source] std::io::Error),
    /// Standard input does not end.
    #[error("the network configuration is larger than {limit} bytes")]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// Standard input is not JSON.
    #[error(
        "the network configuration is not JSON; allowed: an object with cniVersion, name and type"
    )]
    NotJson(#[source] serde_json::Error),
    /// A value of the wrong type.
    #[error("{field} is {value}; allowed: {allowed}")]
    WrongType {
        /// Where it stands.
        field: String,
        /// The value, as JSON.
        value: String,
        /// What would do.
        allowed: &'static str,
    },
    /// A field that must be there is not.
    #[error("{field} is missing; needed: {needed}")]
    MissingField {
        /// The field.
        field: String,
        /// What should stand there.
        needed: &'static str,
    },
    /// A value of the right type that is not allowed.
    #[error("{field} is {value:?}; allowed: {allowed}")]
    InvalidField {
        /// Where it stands.
        field: String,
        /// The value.
        value: String,
        /// What would do.
        allowed: String,
    },
    /// A version of the specification this plugin does not speak.
    #[error("{field} is {value:?}; supported: {}", SpecVersion::list())]
    Version {
        /// Where it stands.
        field: String,
        /// The value.
        value: String,
    },
    /// A verb that the configuration's version does not have.
    #[error("cniVersion is {version}, which does not have {verb}; it came with {since}")]
    VerbTooNew {
        /// The verb.
        verb: &'static str,
        /// The configuration's version.
        version: SpecVersion,
        /// The first version that has it.
        since: SpecVersion,
    },
    /// ipamd could not be asked.
    #[error("ipamd gives no address now; is the aws-node pod on this node running and ready?")]
    Ipamd(#[source] CallError),
    /// ipamd has no free address; what it says names the cause and when it tries again.
    #[error("the node has no free address for the pod now; the runtime will ask again")]
    Exhausted(#[source] CallError),
    /// ipamd refused in a way that trying again does not mend.
    #[error("ipamd refused the request; do plugin and aws-node image belong to the same release?")]
    IpamdRefused(#[source] CallError),
    /// ipamd has no address.
    #[error("ipamd has no address for the pod; its log says why (subnet full, or all ENIs in use)")]
    NoAddress,
    /// ipamd's answer cannot be used.
    #[error("ipamd gave an answer that cannot be used; see its log and report it")]
    Reply(#[source] ReplyError),
    /// The pod is of a kind this plugin does not set up.
    #[error("{what} are not supported by this version of aws-cni; {remedy}")]
    Unsupported {
        /// The kind of pod.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The kernel's state could not be made.
    #[error("cannot set up the pod's network; what was begun is undone")]
    Kernel(#[source] vpc_datapath::Error),
    /// The kernel's state could not be removed.
    #[error("cannot remove all of the pod's rules and routes")]
    KernelRemove(#[source] vpc_datapath::Errors),
    /// The kernel's state could not be compared.
    #[error("cannot read the pod's network state")]
    KernelCheck(#[source] vpc_datapath::Error),
    /// CHECK found differences.
    #[error("the pod's network is not as it was set up: {}", .0.join("; "))]
    Differs(Vec<String>),
    /// The network-policy agent could not be asked.
    #[error(
        "cannot have the pod's network policies enforced; is the network-policy agent in the aws-node pod running?"
    )]
    PolicyAgent(#[source] CallError),
    /// The network-policy agent refused.
    #[error("the network-policy agent did not enforce the pod's policies; see its log")]
    PolicyRefused,
    /// A release could not be recorded.
    #[error("cannot keep the release of the pod's address for ipamd; is the disk full?")]
    ReleaseQueue(#[source] vpc_rpc::release_queue::QueueError),
    /// GC came to nothing.
    #[error("ipamd frees nothing now; is the aws-node pod on this node running and ready?")]
    Garbage(#[source] CallError),
    /// `prevResult` is not what ADD printed.
    #[error("prevResult is not a result of aws-cni")]
    PrevResult(#[source] DecodeError),
    /// STATUS: ipamd is there and not ready.
    #[error("ipamd is not ready: {0}")]
    NotReady(String),
    /// STATUS: ipamd does not answer.
    #[error("ipamd does not answer; is the aws-node pod on this node running?")]
    NotAvailable(#[source] CallError),
}

impl Error {
    /// What to make of a call to ipamd for an address that brought no reply: something that
    /// passes, or something that does not.
    #[must_use]
    pub fn from_call(error: CallError) -> Self {
        let lasting = match &error {
            CallError::Status { status, .. } => is_lasting(status.code),
            CallError::Protocol { .. } => true,
            CallError::Connect { .. }
            | CallError::Deadline { .. }
            | CallError::Transport { .. }
            | CallError::Runtime(_) => false,
        };
        let code = error.status().map(|status| status.code);
        if lasting {
            Self::IpamdRefused(error)
        } else if code == Some(Code::ResourceExhausted) {
            Self::Exhausted(error)
        } else {
            Self::Ipamd(error)
        }
    }

    /// The code in the error object: the specification's below 100, ours from there on.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Version { .. } | Self::VerbTooNew { .. } => 1,
            Self::MissingEnvironment { .. }
            | Self::Environment { .. }
            | Self::NoNamespace { .. } => 4,
            Self::Stdin(_) | Self::ReleaseQueue(_) => 5,
            Self::TooLarge { .. } | Self::NotJson(_) | Self::WrongType { .. } => 6,
            Self::MissingField { .. } | Self::InvalidField { .. } | Self::PrevResult(_) => 7,
            // Not in the specification's table; what its library uses for this.
            Self::OwnNamespace { .. } => 8,
            Self::Ipamd(_) | Self::Exhausted(_) | Self::NoAddress | Self::Garbage(_) => 11,
            Self::NotReady(_) | Self::NotAvailable(_) => 50,
            Self::Reply(_) => 100,
            Self::IpamdRefused(_) => 101,
            Self::Unsupported { .. } => 102,
            Self::Kernel(_) | Self::KernelRemove(_) | Self::KernelCheck(_) => 103,
            Self::PolicyAgent(_) | Self::PolicyRefused => 104,
            Self::Differs(_) => 105,
        }
    }

    /// The causes below the message, outermost first.
    #[must_use]
    pub fn details(&self) -> String {
        let mut causes = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes.join(": ")
    }
}

/// An error and the causes below it, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    line
}

/// Whether asking again can only bring the same answer.
fn is_lasting(code: Code) -> bool {
    match code {
        Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable => false,
    }
}
