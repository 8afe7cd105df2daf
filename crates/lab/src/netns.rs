//! Work inside a network namespace.
//!
//! A thread belongs to one namespace. Work for another one is done by a thread that enters it and
//! ends there, so that no later work of this process can run in the wrong namespace by accident.
//! Sockets opened and processes started by that thread stay in the namespace.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Why a namespace could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such namespace, or its file cannot be opened.
    #[error("cannot open network namespace {path}")]
    Open {
        /// The namespace's file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The kernel refused.
    #[error("cannot enter network namespace {path}")]
    Enter {
        /// The namespace's file.
        path: PathBuf,
        /// The kernel's reason; without the right CAP_SYS_ADMIN it is `EPERM`.
        #[source]
        source: io::Error,
    },
    /// No thread could be started.
    #[error("cannot start a thread for network namespace {path}")]
    Thread {
        /// The namespace's file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Does `work` on a thread of its own inside the namespace whose file is `netns`, and waits for
/// it. A panic of `work` goes on in the caller.
///
/// # Errors
/// [`Error`]; `work` has then not run.
pub fn run_in<T, F>(netns: &Path, work: F) -> Result<T, Error>
where
    T: Send,
    F: FnOnce() -> T + Send,
{
    thread::scope(|scope| {
        let inside = || enter(netns).map(|()| work());
        let thread = thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, inside)
            .map_err(|source| Error::Thread {
                path: netns.to_owned(),
                source,
            })?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Moves the calling thread, for good, into the namespace whose file is `netns`. For a thread
/// that ends there, or a process about to become another program.
///
/// # Errors
/// [`Error::Open`] and [`Error::Enter`].
pub fn enter(netns: &Path) -> Result<(), Error> {
    let file = File::open(netns).map_err(|source| Error::Open {
        path: netns.to_owned(),
        source,
    })?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|source| {
        Error::Enter {
            path: netns.to_owned(),
            source: source.into(),
        }
    })
}
