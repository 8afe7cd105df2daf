//! The journal as a file: records are appended and synced before their effect is told to anybody;
//! the file is rewritten, shorter, when most of it is history.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use vpc_ipam::Ledger;
use vpc_ipam::journal::{self, HEADER, JournalError, Record, Replay};
use vpc_model::Timestamp;

use crate::atomic_file::{self, WriteError};

/// The file's name in the state folder.
pub const FILE_NAME: &str = "ipamd.journal";

/// Records beyond what is alive before the file is rewritten.
const SLACK: usize = 4096;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalFileError {
    /// A step on the file failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another daemon has it.
    #[error(
        "{} is in use by another ipamd; two daemons on one node would hand out the same addresses: \
         stop the other one", .0.display()
    )]
    InUse(PathBuf),
    /// It cannot be trusted.
    #[error(
        "{} cannot be read; addresses of running pods may be recorded in it, so it is kept: move \
         it away only on a node without pods", path.display()
    )]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: JournalError,
    },
    /// A shorter one could not be written; the long one goes on.
    #[error("cannot compact the journal")]
    Compact(#[source] WriteError),
}

/// An open journal.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
    path: PathBuf,
    length: u64,
    records: usize,
}

impl JournalFile {
    /// Opens the journal in the state folder, making both where they are missing, and reads it.
    /// A torn tail is cut off.
    ///
    /// # Errors
    /// The file cannot be opened or locked, or is damaged.
    pub fn open(folder: &Path) -> Result<(Self, Replay), JournalFileError> {
        let path = folder.join(FILE_NAME);
        let failed = |operation| {
            let path = path.clone();
            move |source| JournalFileError::Io {
                operation,
                path,
                source,
            }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed("make the folder of"))?;
        let mut file = open_locked(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read"))?;
        let replay = journal::replay(&bytes).map_err(|source| JournalFileError::Unreadable {
            path: path.clone(),
            source,
        })?;
        if replay.torn > 0 {
            tracing::warn!(
                path = %path.display(), bytes = replay.torn,
                "the journal ended in a torn record, which is cut off"
            );
        }
        let mut length = u64::try_from(replay.valid).unwrap_or(u64::MAX);
        file.set_len(length)
            .map_err(failed("cut the torn end of"))?;
        file.seek(SeekFrom::End(0)).map_err(failed("seek in"))?;
        if length == 0 {
            file.write_all(HEADER.as_bytes()).map_err(failed("write"))?;
            file.sync_data().map_err(failed("sync"))?;
            length = HEADER.len() as u64;
        }
        Ok((
            Self {
                file,
                path,
                length,
                records: replay.records,
            },
            replay,
        ))
    }

    /// Writes a record and waits until it is on the disk. If that fails, the file is cut back to
    /// where it was, so that what follows is not written behind half a record.
    ///
    /// # Errors
    /// The record is not in the journal.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalFileError> {
        let line = journal::encode(record);
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            let back = self
                .file
                .set_len(self.length)
                .and_then(|()| self.file.seek(SeekFrom::Start(self.length)).map(drop));
            if let Err(error) = back {
                tracing::error!(%error, "the journal could not be cut back after a failed write");
            }
            let path = self.path.clone();
            return Err(JournalFileError::Io {
                operation: "write to",
                path,
                source,
            });
        }
        self.length += line.len() as u64;
        self.records += 1;
        Ok(())
    }

    /// Whether most of the file is history.
    #[must_use]
    pub fn wants_compaction(&self, alive: usize) -> bool {
        self.records > alive * 2 + SLACK
    }

    /// Replaces the file by one that says the same with fewer records.
    ///
    /// # Errors
    /// The old file goes on being used.
    pub fn compact(
        &mut self,
        ledger: &Ledger,
        open_creations: &[(String, Timestamp)],
    ) -> Result<(), JournalFileError> {
        let records = journal::compact(ledger, open_creations);
        let mut text = HEADER.to_owned();
        text.extend(records.iter().map(journal::encode));
        atomic_file::replace(&self.path, text.as_bytes(), 0o600)
            .map_err(JournalFileError::Compact)?;
        let mut file = open_locked(&self.path)?;
        let length = file
            .seek(SeekFrom::End(0))
            .map_err(|source| JournalFileError::Io {
                operation: "seek in",
                path: self.path.clone(),
                source,
            })?;
        self.file = file;
        self.length = length;
        self.records = records.len();
        Ok(())
    }
}

fn open_locked(path: &Path) -> Result<File, JournalFileError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| JournalFileError::Io {
            operation: "open",
            path: path.to_owned(),
            source,
        })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalFileError::InUse(path.to_owned())),
        Err(source) => Err(JournalFileError::Io {
            operation: "lock",
            path: path.to_owned(),
            source: source.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn cooling(last: u8) -> Record {
        Record::Cooling {
            address: Ipv4Addr::new(10, 0, 0, last),
            until: Timestamp::from_millis(u64::from(last)),
        }
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, replay) = JournalFile::open(folder.path()).unwrap();
        assert_eq!(replay.records, 0);
        journal.append(&cooling(1)).unwrap();
        journal.append(&cooling(2)).unwrap();
        drop(journal);
        let (_, replay) = JournalFile::open(folder.path()).unwrap();
        assert_eq!(replay.ledger.cooling().count(), 2);
    }

    #[test]
    fn a_torn_record_is_cut_off_and_the_next_one_is_written_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = JournalFile::open(folder.path()).unwrap();
        journal.append(&cooling(1)).unwrap();
        drop(journal);
        let path = folder.path().join(FILE_NAME);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"0badc0de {\"do\":\"coo").unwrap();
        let (mut journal, replay) = JournalFile::open(folder.path()).unwrap();
        assert!(replay.torn > 0);
        journal.append(&cooling(2)).unwrap();
        drop(journal);
        let (_, replay) = JournalFile::open(folder.path()).unwrap();
        assert_eq!((replay.records, replay.torn), (2, 0));
    }

    #[test]
    fn two_daemons_cannot_have_one_journal() {
        let folder = tempfile::tempdir().unwrap();
        let _first = JournalFile::open(folder.path()).unwrap();
        let second = JournalFile::open(folder.path()).unwrap_err();
        assert!(matches!(second, JournalFileError::InUse(_)), "{second}");
    }

    #[test]
    fn a_damaged_journal_is_kept_and_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, b"something else entirely").unwrap();
        let error = JournalFile::open(folder.path()).unwrap_err();
        assert!(
            matches!(error, JournalFileError::Unreadable { .. }),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"something else entirely");
    }

    #[test]
    fn a_compacted_journal_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = JournalFile::open(folder.path()).unwrap();
        for last in 1..=50 {
            journal.append(&cooling(last)).unwrap();
        }
        let mut ledger = Ledger::default();
        ledger.cool(Ipv4Addr::new(10, 0, 0, 99), Timestamp::from_millis(1));
        journal.compact(&ledger, &[]).unwrap();
        journal.append(&cooling(100)).unwrap();
        drop(journal);
        let (_, replay) = JournalFile::open(folder.path()).unwrap();
        assert_eq!(replay.records, 2);
        assert_eq!(replay.ledger.cooling().count(), 2);
    }
}
