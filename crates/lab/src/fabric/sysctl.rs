//! Kernel settings of a network namespace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::netns;

/// Why a setting could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace.
    #[error("cannot write kernel settings")]
    Namespace(#[source] netns::Error),
    /// One setting.
    #[error("cannot write {value} to {path}")]
    Write {
        /// The setting's file.
        path: PathBuf,
        /// What it should have become.
        value: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
}

/// Writes settings below `/proc/sys/net` in the namespace whose file is `netns`, in order.
///
/// # Errors
/// [`Error`]; the settings before the one named are written.
pub(super) fn write(netns: &Path, settings: &[(&str, &str)]) -> Result<(), Error> {
    // These files show the namespace of the thread that opens them.
    netns::run_in(netns, || {
        for (name, value) in settings {
            let path = Path::new("/proc/sys/net").join(name);
            fs::write(&path, value).map_err(|source| Error::Write {
                path,
                value: (*value).to_owned(),
                source,
            })?;
        }
        Ok(())
    })
    .map_err(Error::Namespace)?
}
