//! Releases that reached no daemon, kept on disk until one takes them.
//!
//! A DEL must succeed while the daemon is away, and the address must not stay allocated for ever.
//! The plugin therefore leaves a file per release, named after the key; the daemon takes the files
//! when it starts and whenever it looks. A file is written whole (temporary file, sync, rename,
//! sync of the directory), so what is there is complete, also after a power cut.
//!
//! A release is about one allocation, not about its key for ever: an ADD of the same key
//! [`cancel`]s it, and [`Release::released_at`] lets the daemon tell a release from an allocation
//! that came later.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use vpc_model::{PodKey, PodName, Timestamp};

const SUFFIX: &str = "json";
const TEMPORARY_SUFFIX: &str = "tmp";

/// A release file is a few hundred bytes. What is larger is not one.
const LARGEST: u64 = 64 << 10;

/// How old a temporary file must be before it is taken for the remains of a plugin that died.
const ABANDONED: Duration = Duration::from_secs(60);

/// A sandbox interface whose address is to be released.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// Whose address.
    #[serde(flatten)]
    pub key: PodKey,
    /// The pod, for logs.
    #[serde(flatten)]
    pub pod: PodName,
    /// The pod's UID; empty where the runtime did not pass it.
    #[serde(default)]
    pub pod_uid: String,
    /// When the runtime asked for it, in the plugin's clock.
    pub released_at: Timestamp,
}

/// What lies in the queue.
#[derive(Debug, Default)]
pub struct Queued {
    /// The releases, oldest first, each with its file for [`done`].
    pub releases: Vec<(PathBuf, Release)>,
    /// Files that cannot be read as a release. They stay where they are; say so in the log.
    pub unreadable: Vec<(PathBuf, ReadError)>,
}

/// A step of keeping the queue failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {}", path.display())]
pub struct QueueError {
    step: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Why a file is not a release.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read the file")]
    Io(#[source] io::Error),
    /// Too large.
    #[error("the file has {0} bytes; allowed: {LARGEST}")]
    TooLarge(u64),
    /// Not the JSON of a release.
    #[error("the file is not a release")]
    Json(#[source] serde_json::Error),
}

/// The queue that belongs to a daemon's socket: `releases` beside it.
#[must_use]
pub fn beside(socket: &Path) -> PathBuf {
    socket.with_file_name("releases")
}

/// Leaves `release` in the queue at `folder`, which is made (0700) where it is missing. A release
/// of the same key that is there already is replaced. Returns the file's path.
///
/// # Errors
/// Names the step; the queue is as it was.
pub fn push(folder: &Path, release: &Release) -> Result<PathBuf, QueueError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed("create the folder", folder))?;
    let path = folder.join(file_name(&release.key));
    // Concurrent DELs of one key each write a file of their own.
    let temporary = path.with_extension(format!("{}.{TEMPORARY_SUFFIX}", std::process::id()));
    let text = serde_json::to_vec(release)
        .map_err(|error| failed("encode", &path)(io::Error::from(error)))?;
    let written = write_synced(&temporary, &text)
        .and_then(|()| fs::rename(&temporary, &path).map_err(failed("rename a file to", &path)));
    if let Err(error) = written {
        // Best effort: what is reported is the first failure.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_folder(folder)?;
    Ok(path)
}

/// Takes the release of `key` out of the queue, because the key is about to be allocated again.
/// Returns whether there was one.
///
/// # Errors
/// The file is there and cannot be removed.
pub fn cancel(folder: &Path, key: &PodKey) -> Result<bool, QueueError> {
    remove(&folder.join(file_name(key)))
}

/// Reads the queue. Files stay until [`done`]: a release that was read and not yet journalled
/// survives a crash. A queue that does not exist is empty.
///
/// # Errors
/// The folder cannot be listed.
pub fn read(folder: &Path) -> Result<Queued, QueueError> {
    let mut queued = Queued::default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(queued),
        Err(error) => return Err(failed("list", folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed("list", folder))?.path();
        let Some(extension) = path.extension() else {
            continue;
        };
        if extension == TEMPORARY_SUFFIX {
            remove_abandoned(&path);
        } else if extension == SUFFIX {
            match read_file(&path) {
                Ok(release) => queued.releases.push((path, release)),
                // Taken out in the meantime.
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => queued.unreadable.push((path, error)),
            }
        }
    }
    queued.releases.sort_by(|(one, a), (other, b)| {
        a.released_at
            .cmp(&b.released_at)
            .then_with(|| one.cmp(other))
    });
    Ok(queued)
}

/// Takes a release out of the queue after it was carried out.
///
/// # Errors
/// The file is there and cannot be removed.
pub fn done(path: &Path) -> Result<(), QueueError> {
    remove(path).map(|_| ())
}

/// A name that any key fits in, and that is the same for the same key.
fn file_name(key: &PodKey) -> String {
    let mut digest = Sha1::new();
    for part in [&key.network, &key.container_id, &key.if_name] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let digits: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{digits}.{SUFFIX}")
}

fn write_synced(path: &Path, text: &[u8]) -> Result<(), QueueError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(failed("create", path))?;
    file.write_all(text).map_err(failed("write", path))?;
    file.sync_all().map_err(failed("sync", path))
}

fn read_file(path: &Path) -> Result<Release, ReadError> {
    let length = fs::metadata(path).map_err(ReadError::Io)?.len();
    if length > LARGEST {
        return Err(ReadError::TooLarge(length));
    }
    serde_json::from_slice(&fs::read(path).map_err(ReadError::Io)?).map_err(ReadError::Json)
}

fn remove(path: &Path) -> Result<bool, QueueError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

fn remove_abandoned(path: &Path) {
    let written = fs::metadata(path).and_then(|file| file.modified());
    let age = written
        .ok()
        .and_then(|written| SystemTime::now().duration_since(written).ok());
    if age.is_some_and(|age| age > ABANDONED) {
        // It is in nobody's way; the next reading tries again.
        let _ = fs::remove_file(path);
    }
}

fn sync_folder(folder: &Path) -> Result<(), QueueError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync", folder))
}

fn failed<'a>(step: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> QueueError + 'a {
    move |source| QueueError {
        step,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn releases_come_back_oldest_first_and_stay_until_done() {
        let (_keep, folder) = queue();
        push(&folder, &release("later", 20)).unwrap();
        push(&folder, &release("sooner", 10)).unwrap();
        let queued = read(&folder).unwrap().releases;
        assert_eq!(queued[0].1, release("sooner", 10));
        assert_eq!(queued[1].1, release("later", 20));

        done(&queued[0].0).unwrap();
        done(&queued[0].0).unwrap();
        assert_eq!(read(&folder).unwrap().releases.len(), 1);
    }

    #[test]
    fn the_same_release_twice_is_one_file() {
        let (_keep, folder) = queue();
        let first = push(&folder, &release("a", 1)).unwrap();
        let second = push(&folder, &release("a", 2)).unwrap();
        assert_eq!(first, second);
        assert_eq!(
            read(&folder).unwrap().releases[0].1.released_at,
            Timestamp::from_millis(2)
        );
    }

    #[test]
    fn keys_that_differ_in_where_a_part_ends_have_files_of_their_own() {
        let key = |network: &str, container: &str| PodKey {
            network: network.to_owned(),
            container_id: container.to_owned(),
            if_name: "eth0".to_owned(),
        };
        assert_ne!(file_name(&key("ab", "c")), file_name(&key("a", "bc")));
    }

    #[test]
    fn a_new_allocation_cancels_the_release_of_its_key_only() {
        let (_keep, folder) = queue();
        push(&folder, &release("a", 1)).unwrap();
        push(&folder, &release("b", 1)).unwrap();
        assert!(cancel(&folder, &release("a", 1).key).unwrap());
        assert!(!cancel(&folder, &release("a", 1).key).unwrap());
        assert_eq!(read(&folder).unwrap().releases[0].1, release("b", 1));
    }

    #[test]
    fn damaged_files_are_reported_and_do_not_hide_the_others() {
        let (_keep, folder) = queue();
        push(&folder, &release("a", 1)).unwrap();
        fs::write(folder.join("bad.json"), "{").unwrap();
        fs::write(folder.join("large.json"), vec![b' '; 70_000]).unwrap();
        fs::write(folder.join("half.77.tmp"), "{").unwrap();
        let queued = read(&folder).unwrap();
        assert_eq!(queued.releases.len(), 1);
        assert_eq!(queued.unreadable.len(), 2);
        assert!(
            folder.join("half.77.tmp").exists(),
            "may still be being written"
        );
    }

    #[test]
    fn only_the_owner_can_look_into_the_queue() {
        let (_keep, folder) = queue();
        let file = push(&folder, &release("a", 1)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn a_queue_nobody_wrote_to_is_empty() {
        let (_keep, folder) = queue();
        assert!(read(&folder).unwrap().releases.is_empty());
        assert!(!cancel(&folder, &release("a", 1).key).unwrap());
    }

    fn queue() -> (tempfile::TempDir, PathBuf) {
        let keep = tempfile::tempdir().unwrap();
        let folder = beside(&keep.path().join("ipamd.sock"));
        (keep, folder)
    }

    fn release(container: &str, at: u64) -> Release {
        Release {
            key: PodKey {
                network: "aws-cni".to_owned(),
                container_id: container.to_owned(),
                if_name: "eth0".to_owned(),
            },
            pod: PodName {
                namespace: "default".to_owned(),
                name: "web".to_owned(),
            },
            pod_uid: String::new(),
            released_at: Timestamp::from_millis(at),
        }
    }
}
