//! Entering a network namespace: the one place in this crate that does.
//!
//! A thread of its own enters and ends there, so that no other work ever runs in the wrong
//! namespace. A socket opened inside stays inside wherever it is used afterwards.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::oneshot;

use super::Error;

/// Runs `work` on a thread inside the network namespace whose file is `netns`.
///
/// # Errors
/// [`Error::Enter`] when there is no such namespace, [`Error::Lost`] when `work` panicked.
pub async fn within<T: Send + 'static>(
    netns: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let path = netns.to_path_buf();
    let (sender, receiver) = oneshot::channel();
    let inside = path.clone();
    std::thread::Builder::new()
        .name("probe".into())
        .spawn(move || {
            let answer = enter(&inside).map(|()| work());
            // The asker may have been interrupted; nobody is left to tell.
            let _ = sender.send(answer);
        })
        .map_err(|source| enter_failed(&path, source))?;
    receiver.await.map_err(|_| Error::Lost { path })?
}

fn enter(path: &Path) -> Result<(), Error> {
    let file = File::open(path).map_err(|source| enter_failed(path, source))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|source| enter_failed(path, source.into()))
}

fn enter_failed(path: &Path, source: io::Error) -> Error {
    Error::Enter {
        path: PathBuf::from(path),
        source,
    }
}
