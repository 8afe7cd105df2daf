//! Why a pod is not as asked.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::files;
use crate::gate::Closed;
use crate::names::NameError;
use crate::tool;

use super::{conflist, execute};

/// Why a pod is not as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is such a pod already.
    #[error("there is a pod {name} already, on node {node}")]
    Exists {
        /// Its name.
        name: String,
        /// Its node.
        node: u8,
    },
    /// There is no such pod.
    #[error("there is no pod {name}; `vpc-lab pod list` shows those there are")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The namespace could not be made.
    #[error("cannot make the network namespace of pod {name}")]
    MakeNamespace {
        /// The pod.
        name: String,
        /// Why not.
        #[source]
        source: tool::Error,
    },
    /// The namespace could not be removed.
    #[error("cannot remove the network namespace of pod {name}")]
    RemoveNamespace {
        /// The pod.
        name: String,
        /// Why not.
        #[source]
        source: tool::Error,
    },
    /// No id could be made.
    #[error("cannot make a container id for pod {name}")]
    Id {
        /// The pod.
        name: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The node's network configuration.
    #[error(transparent)]
    Conflist(#[from] conflist::Error),
    /// A plugin of the chain is not installed on the node.
    #[error("the plugin {program} is not in {folder}")]
    NoPlugin {
        /// Its name.
        program: String,
        /// The node's plugin folder.
        folder: PathBuf,
    },
    /// An execution gave no result.
    #[error("pod {name}")]
    Plugin {
        /// The pod.
        name: String,
        /// What happened.
        #[source]
        source: execute::Error,
    },
    /// It kept failing in a way that may pass.
    #[error("pod {name} has no network after {attempts} tries in {}", seconds(.elapsed))]
    GaveUp {
        /// The pod.
        name: String,
        /// How many sandboxes were tried.
        attempts: u32,
        /// How long.
        elapsed: Duration,
        /// The last failure.
        #[source]
        source: Box<Error>,
    },
    /// The result lacks an address.
    #[error("the result for pod {name} has no IPv4 address: {result}")]
    NoAddress {
        /// The pod.
        name: String,
        /// The result.
        result: String,
    },
    /// The record.
    #[error(transparent)]
    Record(#[from] files::Error),
    /// The work was given up before it began.
    #[error("interrupted")]
    Abandoned,
    /// The lab is being taken down.
    #[error("pod {name}")]
    Closed {
        /// The pod.
        name: String,
        /// That it is.
        #[source]
        source: Closed,
    },
}

impl Error {
    /// Whether another try may succeed.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Error::Plugin { source, .. } if source.is_try_again_later())
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
