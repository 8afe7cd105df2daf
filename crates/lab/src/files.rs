//! Small files of JSON, read and written whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a file or folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be made or written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file or folder could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file holds something else than was written.
    #[error("cannot understand {path}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// Makes a folder and those above it.
///
/// # Errors
/// [`Error::Write`].
pub fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| write_failed(path, source))
}

/// Replaces the file by the value as JSON, at once.
///
/// # Errors
/// [`Error::Write`].
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|source| write_failed(path, io::Error::other(source)))?;
    let draft = path.with_extension("json.new");
    fs::write(&draft, text)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|source| write_failed(path, source))
}

/// Reads a value back; `None` if there is no such file.
///
/// # Errors
/// [`Error::Read`] and [`Error::Format`].
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(read_failed(path, source)),
    };
    let value = serde_json::from_slice(&text).map_err(|source| Error::Format {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(value))
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// [`Error::Write`].
pub fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| write_failed(path, source)),
    }
}

pub(crate) fn write_failed(path: &Path, source: io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}

pub(crate) fn read_failed(path: &Path, source: io::Error) -> Error {
    Error::Read {
        path: path.to_owned(),
        source,
    }
}
