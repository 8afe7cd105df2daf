//! Whether the node can give a pod an address, and if not, why. One value, told to everyone who
//! asks: the health service, the plugin's STATUS, the answer to an ADD, the conflist.

use std::fmt;

/// What stands between a pod and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// The daemon is on its way; what it waits for.
    Starting(Stage),
    /// Addresses can be handed out.
    Ready,
    /// Started, but there is no address; the pool's reason.
    NoAddress(String),
}

/// The steps of a start, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Asking the instance metadata service who this node is.
    Metadata,
    /// Setting sysctls, rules and the nftables table.
    HostNetwork,
    /// Wiring the ENIs that are attached.
    Enis,
    /// Waiting for the first address.
    Pool,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "waiting for the instance metadata service",
            Self::HostNetwork => "setting up the host network",
            Self::Enis => "wiring the attached ENIs",
            Self::Pool => "waiting for the first address",
        })
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting(stage) => write!(f, "not ready: {stage}"),
            Self::Ready => f.write_str("ready"),
            Self::NoAddress(reason) => write!(f, "no address available: {reason}"),
        }
    }
}

impl Readiness {
    /// Whether an ADD can be expected to succeed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }
}
