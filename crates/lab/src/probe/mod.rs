//! Real packets and the kernel's own word: what the demo and the end-to-end tests measure with.
//!
//! Nothing here looks at what the programs under test say about themselves. A probe opens a
//! socket inside a network namespace, as a process of that pod, node or host would, and reports
//! what arrived; [`kernel`] reads links, rules and routes back with `ip -j`.

pub mod icmp;
pub mod imds;
pub mod kernel;
pub mod namespace;
mod packet;
pub mod spoof;
pub mod stream;
pub mod whoami;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;

/// Why a probe could not measure, or what it measured instead of an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace's file could not be opened or entered.
    #[error("cannot enter network namespace {path}")]
    Enter {
        /// The namespace's file.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The thread that was inside the namespace ended without an answer.
    #[error("the probe in network namespace {path} ended without an answer")]
    Lost {
        /// The namespace's file.
        path: PathBuf,
    },
    /// A socket operation failed before anything was sent.
    #[error("cannot {operation}")]
    Socket {
        /// What was tried, as an infinitive.
        operation: &'static str,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The other side did not answer, or refused.
    #[error("no answer from {to} over {protocol}")]
    NoAnswer {
        /// `TCP`, `UDP`, `ICMP` or `HTTP`.
        protocol: &'static str,
        /// Who was asked.
        to: SocketAddrV4,
        /// The kernel's reason, `TimedOut` when nothing came at all.
        #[source]
        source: io::Error,
    },
    /// An answer came that is none.
    #[error("{to} answered {answer:?}, which is not {expected}")]
    Strange {
        /// Who was asked.
        to: SocketAddrV4,
        /// The first bytes of the answer.
        answer: String,
        /// What a right answer is.
        expected: &'static str,
    },
    /// `ip` could not be run or failed.
    #[error("cannot read the kernel's state with `ip {arguments}`: {reason}")]
    Ip {
        /// What `ip` was given.
        arguments: String,
        /// Its own words, or why it did not run.
        reason: String,
    },
}

impl Error {
    fn socket(operation: &'static str, source: impl Into<io::Error>) -> Error {
        Error::Socket {
            operation,
            source: source.into(),
        }
    }

    fn no_answer(protocol: &'static str, to: SocketAddrV4, source: impl Into<io::Error>) -> Error {
        Error::NoAnswer {
            protocol,
            to,
            source: source.into(),
        }
    }

    /// Whether the packets went out and nobody answered, as opposed to a probe that did not run.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Error::NoAnswer { .. })
    }
}

/// `address` with the port that means "none", for protocols without ports.
fn portless(address: Ipv4Addr) -> SocketAddrV4 {
    SocketAddrV4::new(address, 0)
}
