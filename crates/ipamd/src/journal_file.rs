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
    /// Another daemon has it, as its lock file says.
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
}

/// An open journal.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
    path: PathBuf,
    length: u64,
    records: usize,
    syncs: u64,
    /// A write failed and what it left could not be cut off yet.
    dirty: bool,
    /// Held for as long as the journal is open. A file of its own: the journal's is replaced when
    /// it is compacted.
    _lock: File,
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
        let lock = lock(folder)?;
        let mut file = open_file(&path).map_err(failed("open"))?;
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
        let length = u64::try_from(replay.valid).unwrap_or(u64::MAX);
        let mut journal = Self {
            file,
            path: path.clone(),
            length,
            records: replay.records,
            syncs: 0,
            dirty: true,
            _lock: lock,
        };
        journal.cut_back().map_err(failed("cut the torn end of"))?;
        if length == 0 {
            let header = HEADER.as_bytes();
            journal.file.write_all(header).map_err(failed("write"))?;
            journal.file.sync_data().map_err(failed("sync"))?;
            journal.length = header.len() as u64;
        }
        Ok((journal, replay))
    }

    /// Writes a record and waits until it is on the disk. If that fails, the file is cut back to
    /// where it was; while that fails too, nothing is written, so that no record ever stands
    /// behind half a one.
    ///
    /// # Errors
    /// The record is not in the journal.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalFileError> {
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| JournalFileError::Io {
                operation,
                path,
                source,
            }
        };
        self.cut_back()
            .map_err(failed("cut half a record off", &self.path))?;
        let line = journal::encode(record);
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            self.dirty = true;
            if let Err(error) = self.cut_back() {
                tracing::error!(%error, "the journal could not be cut back after a failed write");
            }
            return Err(failed("write to", &self.path)(source));
        }
        self.length += line.len() as u64;
        self.records += 1;
        self.syncs += 1;
        Ok(())
    }

    /// How often it was synced to the disk since it was opened.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Its size in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    fn cut_back(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
            self.file.sync_data()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Whether most of the file is history, when that many records would say the same.
    #[must_use]
    pub fn wants_compaction(&self, alive: usize) -> bool {
        self.records > alive * 2 + SLACK
    }

    /// Replaces the file by one that says the same with fewer records. The new one is whole and
    /// on the disk before it takes the old one's place.
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
        let temporary = self.path.with_extension("journal.tmp");
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| JournalFileError::Io {
                operation,
                path,
                source,
            }
        };
        let mut file = open_file(&temporary).map_err(failed("make", &temporary))?;
        file.set_len(0)
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_all())
            .map_err(failed("write", &temporary))?;
        fs::rename(&temporary, &self.path).map_err(failed("replace", &self.path))?;
        // From here on the new file is the journal, whatever happens.
        self.file = file;
        self.length = text.len() as u64;
        self.records = records.len();
        self.syncs += 1;
        self.dirty = false;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
            tracing::warn!(%error, "the journal's folder could not be synced");
        }
        Ok(())
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn lock(folder: &Path) -> Result<File, JournalFileError> {
    let path = folder.join("ipamd.lock");
    let failed = |operation, source| JournalFileError::Io {
        operation,
        path: path.clone(),
        source,
    };
    let file = open_file(&path).map_err(|source| failed("open", source))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalFileError::InUse(path)),
        Err(source) => Err(failed("lock", source.into())),
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
