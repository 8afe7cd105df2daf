//! Files that are either the old text or the new one, whatever happens in between.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writing a file whole did not work; the file at `path` is as it was.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}", path.display())]
pub struct WriteError {
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Replaces the file at `path` with `bytes`: a temporary file beside it is written with `mode`,
/// synced and renamed over it, then the directory is synced, so that a crash at any point leaves
/// the old file or the new one. The temporary file is removed on failure.
///
/// # Errors
/// Names the step that failed.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    let temporary = temporary_beside(path);
    let failed = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| WriteError {
            operation,
            path,
            source,
        }
    };
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&temporary)
            .map_err(failed("cannot create", &temporary))?;
        file.write_all(bytes)
            .map_err(failed("cannot write", &temporary))?;
        file.sync_all().map_err(failed("cannot sync", &temporary))?;
        fs::rename(&temporary, path).map_err(failed("cannot rename a new file to", path))
    })();
    if let Err(error) = written {
        // Best effort: what is reported is the first failure.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let sync = File::open(folder).and_then(|folder| folder.sync_all());
    sync.map_err(failed("cannot sync the folder", folder))
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_with_the_mode_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conflist");
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o644).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_the_step_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no-such-folder/a");
        let error = replace(&path, b"x", 0o600).unwrap_err();
        assert!(error.to_string().starts_with("cannot create"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
