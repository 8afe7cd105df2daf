//! What went wrong, for the person at the terminal.

use std::io;

use vpc_lab::{cleanup, files, gate, netns, pid, preflight, runtime, state};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Missing(#[from] preflight::Missing),
    #[error(transparent)]
    File(#[from] files::Error),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Name(#[from] vpc_lab::NameError),
    #[error("{}", vpc_lab::text::chain(.0))]
    Lab(vpc_lab::Error),
    #[error("{}", vpc_lab::text::chain(.0))]
    Pod(#[from] runtime::Error),
    #[error("{}", vpc_lab::text::chain(.0))]
    Netns(#[from] netns::Error),
    #[error("{}", vpc_lab::text::chain(.0))]
    Fabric(#[from] vpc_lab::fabric::Error),
    #[error("not everything is gone: {0}")]
    Cleanup(#[from] cleanup::Errors),
    #[error("there is no node {0}; the nodes are 1 and 2")]
    NoNode(u8),
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("cannot {what}: {source}")]
    System {
        what: &'static str,
        source: io::Error,
    },
    #[error("process {} holds the lab and does not end", .0.pid)]
    Stubborn(pid::ProcessId),
    #[error("{0}")]
    NotUp(String),
    #[error("the background process ended without a word{0}")]
    Silent(String),
    #[error(transparent)]
    Interrupted(#[from] gate::Closed),
    #[error("cannot make the example VPC: {0}")]
    Cloud(#[from] vpc_sim::ApiError),
    #[error("{}", vpc_lab::text::chain(.0))]
    Serve(#[from] vpc_lab::fabric::serve::Error),
}

/// For `map_err`: an operation of the system that failed.
pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |source| Failure::System { what, source }
}

impl From<vpc_lab::Error> for Failure {
    fn from(error: vpc_lab::Error) -> Failure {
        // Of what is missing one sentence is enough: it says what to do.
        if let vpc_lab::Error::Missing(missing) = error {
            Failure::Missing(missing)
        } else {
            Failure::Lab(error)
        }
    }
}
