//! What can go wrong between us and the kernel.
//!
//! Each variant is one operation that failed and names its object. A refusal by the kernel keeps
//! the kernel's own words (`source()` is a [`Refusal`]); they are not repeated in the outer text,
//! so print the whole chain.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use vpc_model::{LinkName, MacAddress, RouteTableId};

/// A kernel operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file that stands for a network namespace could not be opened.
    #[error("cannot open network namespace {path}; the sandbox may be gone already", path = path.display())]
    OpenNamespace {
        /// The path the runtime gave.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file exists, but a thread could not move into it.
    #[error("cannot enter {path} as a network namespace", path = path.display())]
    EnterNamespace {
        /// The path the runtime gave.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file stands for the namespace the caller is in.
    #[error(
        "{path} is the node's own network namespace; pods on the host network get no interface",
        path = path.display()
    )]
    HostNamespace {
        /// The path the runtime gave.
        path: PathBuf,
    },
    /// The calling thread could not move back out of the pod's namespace, which takes a kernel
    /// out of memory. It must end: whatever it did next would happen in the pod.
    #[error("cannot leave network namespace {path} again; this thread must end", path = path.display())]
    Stranded {
        /// The path the runtime gave.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A netlink socket could not be made.
    #[error("cannot open a netlink socket ({family}); the kernel may lack it")]
    OpenSocket {
        /// The netlink family: `route` or `netfilter`.
        family: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Messages could not be handed to the kernel.
    #[error("cannot send to the kernel: {doing}")]
    Send {
        /// What the messages were about.
        doing: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The kernel's answer could not be read.
    #[error("cannot read the kernel's answer: {doing}")]
    Receive {
        /// What was asked.
        doing: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The kernel answered something this crate does not understand.
    #[error("cannot understand the kernel's answer: {doing}: {what}")]
    Decode {
        /// What was asked.
        doing: String,
        /// What is wrong with the answer.
        what: String,
    },
    /// The kernel refused a change or a question.
    #[error("the kernel refused to {doing}")]
    Refused {
        /// The change, as one would type it.
        doing: String,
        /// The kernel's reason.
        #[source]
        source: Refusal,
    },
    /// A list kept changing while it was read.
    #[error("the kernel's list kept changing while it was read {attempts} times: {doing}")]
    Unstable {
        /// What was listed.
        doing: String,
        /// How often it was read.
        attempts: u32,
    },
    /// A kernel setting could not be read.
    #[error("cannot read sysctl {name}")]
    ReadSysctl {
        /// The path below /proc/sys.
        name: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A kernel setting could not be written.
    #[error("cannot set sysctl {name} to {value}; is /proc/sys mounted read-only?")]
    WriteSysctl {
        /// The path below /proc/sys.
        name: String,
        /// The value wanted.
        value: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// No link has the MAC address.
    #[error("no link has MAC address {mac}; is the ENI attached?")]
    NoSuchLink {
        /// The address looked for.
        mac: MacAddress,
    },
    /// No link with the MAC address came up in time.
    #[error("no link with MAC address {mac} appeared within {waited:?}")]
    LinkDidNotAppear {
        /// The address waited for.
        mac: MacAddress,
        /// How long.
        waited: Duration,
    },
    /// The pod's namespace has an interface of the wanted name that another program made.
    #[error(
        "the pod already has an interface {name} that is not the other end of {host_veth}; \
         another CNI plugin may have run for it"
    )]
    InterfaceTaken {
        /// The name wanted inside the pod.
        name: LinkName,
        /// The host veth it should belong to.
        host_veth: LinkName,
    },
    /// The node has a link of the host veth's name that is no veth.
    #[error("the node already has a link {name} that is not a veth; rename or delete it")]
    HostLinkTaken {
        /// The name.
        name: LinkName,
    },
    /// An ENI was to be set up in a table that belongs to the primary ENI.
    #[error("route table {table} belongs to the primary ENI; a secondary ENI needs its own")]
    NotASecondaryTable {
        /// The table asked for.
        table: RouteTableId,
    },
    /// Traffic that leaves the VPC is to be translated, but which that is is not known.
    #[error(
        "the VPC's networks are not known; without them traffic within the VPC would be \
         translated, too"
    )]
    NoVpcCidrs,
    /// A program of the older iptables failed.
    #[error("{program} failed on table {table}")]
    Legacy {
        /// Its name.
        program: &'static str,
        /// The table it was run for.
        table: &'static str,
        /// The system's reason, or what the program said.
        #[source]
        source: io::Error,
    },
    /// Our translation was to be taken away, but upstream's is not there.
    #[error(
        "upstream's rules are not there: without ours, nothing would leave the VPC; start \
         upstream's daemon first"
    )]
    NobodyTranslates,
    /// The state was still not as wanted after applying the difference several times.
    #[error(
        "{what} still differs after {attempts} attempts; something else is changing it: {rest}"
    )]
    NotConverged {
        /// What was to be set up.
        what: String,
        /// How often the difference was applied.
        attempts: u32,
        /// The changes that remain.
        rest: String,
    },
}

/// The kernel's reason for refusing one message: its error number and, where the kernel gives
/// one, its sentence (`NLMSGERR_ATTR_MSG`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The positive errno value.
    pub errno: i32,
    /// The kernel's sentence.
    pub text: Option<String>,
}

impl Refusal {
    /// Whether the error number is `errno`.
    #[must_use]
    pub fn is(&self, errno: rustix::io::Errno) -> bool {
        self.errno == errno.raw_os_error()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.errno))?;
        if let Some(text) = &self.text {
            write!(f, ": {text}")?;
        }
        if self.is(rustix::io::Errno::PERM) {
            f.write_str("; needs root, or CAP_NET_ADMIN in the namespace")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// Everything that went wrong in a removal that went on to its end. Never empty.
#[derive(Debug)]
pub struct Errors(pub Vec<Error>);

impl Errors {
    /// `Ok` when nothing went wrong.
    ///
    /// # Errors
    /// The collected errors, when there are any.
    pub fn check(collected: Vec<Error>) -> Result<(), Self> {
        if collected.is_empty() {
            Ok(())
        } else {
            Err(Self(collected))
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
            let mut cause = std::error::Error::source(error);
            while let Some(source) = cause {
                write!(f, ": {source}")?;
                cause = source.source();
            }
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
