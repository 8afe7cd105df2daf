//! Upstream's checkpoint (`ipam.json`), beside our journal: taken over where upstream ran on this
//! node after us or before us, and written so that upstream can be rolled back to.
//!
//! Which of the two files speaks for the node's pods? What we wrote last is noted in our state
//! folder. A checkpoint that is not what we wrote is upstream's, and newer than our journal; one
//! that is, is older than our journal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha1::{Digest, Sha1};
use vpc_ipam::checkpoint::{self, CheckpointError};
use vpc_ipam::{Holder, Ledger};
use vpc_model::{LinkName, NetworkCard, Timestamp};

use crate::atomic_file::{self, WriteError};
use crate::report::chain;

/// The note's name in the state folder: a line for each checkpoint of ours that the file may be.
pub const NOTE_NAME: &str = "ipam.json.written";

/// The checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFileError {
    /// The file, or the note about it, cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is upstream's, and nobody can say what is in it.
    #[error(
        "{} was left by the daemon that ran here before, and addresses of running pods are \
         recorded in it; move it away only on a node without pods", path.display()
    )]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: CheckpointError,
    },
}

/// Where the checkpoint and the note about it are.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    note: PathBuf,
    /// What the file was when it was written last.
    last: Option<String>,
    version: u64,
}

/// What was taken over.
#[derive(Debug)]
pub struct TakenOver {
    /// Allocations and cooldowns, of the checkpoint and the journal together.
    pub ledger: Ledger,
    /// How many allocations the checkpoint had.
    pub imported: usize,
}

impl CheckpointFile {
    /// The checkpoint at `path`, with the note in `state_dir`.
    #[must_use]
    pub fn new(path: &Path, state_dir: &Path) -> Self {
        Self {
            path: path.to_owned(),
            note: state_dir.join(NOTE_NAME),
            last: None,
            version: 0,
        }
    }

    /// Takes the checkpoint over if upstream wrote it. `links` are the node's links: an entry whose
    /// pod has none is of a pod that is gone. `ours` is what the journal says; what upstream no
    /// longer has was released while it ran, and rests.
    ///
    /// # Errors
    /// The file is there and cannot be understood.
    pub fn take_over<'a>(
        &mut self,
        ours: &Ledger,
        links: impl IntoIterator<Item = &'a LinkName>,
        now: Timestamp,
        cooldown: Duration,
    ) -> Result<Option<TakenOver>, CheckpointFileError> {
        let Some(bytes) = read(&self.path)? else {
            return Ok(None);
        };
        let digest = digest(&bytes);
        let note = read(&self.note)?.unwrap_or_default();
        let note = String::from_utf8_lossy(&note);
        if note.lines().any(|line| line == digest) {
            self.last = Some(digest);
            return Ok(None);
        }
        let mut imported = checkpoint::import(&bytes, NetworkCard(0)).map_err(|source| {
            CheckpointFileError::Unusable {
                path: self.path.clone(),
                source,
            }
        })?;
        for passed_over in &imported.passed_over {
            tracing::warn!(%passed_over, "an entry of upstream's checkpoint is passed over");
        }
        for stale in imported.take_stale(links.into_iter().map(LinkName::as_str)) {
            tracing::warn!(
                key = %stale.key, pod = %stale.pod, address = %stale.address,
                "the pod of an entry of upstream's checkpoint is gone; its address rests"
            );
        }
        let count = imported.holders.len();
        Ok(Some(TakenOver {
            ledger: merged(ours, imported.holders, now + cooldown),
            imported: count,
        }))
    }

    /// Writes the checkpoint that upstream would have written, unless a later one is written
    /// already: `version` counts what happened to the allocations.
    ///
    /// # Errors
    /// The file is as it was.
    pub fn write(&mut self, ledger: &Ledger, version: u64) -> Result<(), WriteError> {
        if version < self.version {
            return Ok(());
        }
        let text = checkpoint::export(ledger);
        let digest = digest(text.as_bytes());
        if self.last.as_ref() == Some(&digest) && self.path.exists() {
            return Ok(());
        }
        // Before the file: if we end in between, the file is still known for ours.
        let mut note = format!("{digest}\n");
        if let Some(last) = &self.last {
            note.push_str(last);
            note.push('\n');
        }
        atomic_file::replace(&self.note, note.as_bytes(), 0o600)?;
        atomic_file::replace(&self.path, text.as_bytes(), 0o600)?;
        self.last = Some(digest);
        self.version = version;
        Ok(())
    }

    /// [`CheckpointFile::write`], for callers for whom a failure changes nothing: it is said.
    pub fn write_or_say(&mut self, ledger: &Ledger, version: u64) {
        if let Err(error) = self.write(ledger, version) {
            tracing::warn!(
                error = chain(&error),
                "upstream's checkpoint could not be written; a rollback to upstream would not know \
                 this node's pods"
            );
        }
    }
}

/// The checkpoint's allocations, with what the journal knows besides.
fn merged(ours: &Ledger, holders: Vec<Holder>, until: Timestamp) -> Ledger {
    let mut ledger = Ledger::default();
    for (address, until) in ours.cooling() {
        ledger.cool(address, until);
    }
    for (eni, slot, until) in ours.given_back() {
        ledger.give_back(eni, slot, until);
    }
    for (eni, until) in ours.returned() {
        ledger.return_eni(eni.clone(), until);
    }
    for before in ours.holders() {
        ledger.cool(before.address, until);
    }
    for holder in holders {
        let known = ours.holder(&holder.key);
        let same = known.filter(|known| known.address == holder.address);
        // Ours knows the device; upstream's file does not.
        ledger.allocate(same.cloned().unwrap_or(holder));
    }
    ledger
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, CheckpointFileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CheckpointFileError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha1::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use vpc_model::{DeviceIndex, PodKey, PodName};

    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(30);
    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn holder(name: &str, last: u8, device: u8) -> Holder {
        Holder {
            key: PodKey {
                network: "aws-cni".to_owned(),
                container_id: name.to_owned(),
                if_name: "eth0".to_owned(),
            },
            pod: PodName::default(),
            address: Ipv4Addr::new(10, 0, 1, last),
            device: DeviceIndex(device),
            card: NetworkCard(0),
            since: Timestamp::ZERO,
        }
    }

    fn ledger(holders: &[Holder]) -> Ledger {
        let mut ledger = Ledger::default();
        for holder in holders {
            ledger.allocate(holder.clone());
        }
        ledger
    }

    fn take(file: &mut CheckpointFile, ours: &Ledger) -> Option<TakenOver> {
        let links: [&LinkName; 0] = [];
        file.take_over(ours, links, NOW, COOLDOWN).unwrap()
    }

    #[test]
    fn what_we_wrote_is_not_taken_over_and_what_upstream_wrote_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ipam.json");
        let mut file = CheckpointFile::new(&path, folder.path());
        let first = ledger(&[holder("a", 10, 1)]);
        assert!(take(&mut file, &first).is_none(), "there is no file yet");
        file.write(&first, 1).unwrap();
        let mut again = CheckpointFile::new(&path, folder.path());
        assert!(take(&mut again, &Ledger::default()).is_none());
        // Upstream ran: "a" is gone, "b" came.
        fs::write(&path, checkpoint::export(&ledger(&[holder("b", 11, 0)]))).unwrap();
        let taken = take(&mut again, &first).unwrap();
        assert_eq!(taken.imported, 1);
        let held: Vec<_> = taken
            .ledger
            .holders()
            .map(|holder| holder.address)
            .collect();
        assert_eq!(held, [Ipv4Addr::new(10, 0, 1, 11)]);
        let cooling: Vec<_> = taken.ledger.cooling().collect();
        assert_eq!(cooling, [(Ipv4Addr::new(10, 0, 1, 10), NOW + COOLDOWN)]);
    }

    #[test]
    fn a_pod_that_both_files_know_keeps_its_device() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ipam.json");
        let ours = ledger(&[holder("a", 10, 3)]);
        let theirs = ledger(&[holder("a", 10, 0), holder("b", 11, 0)]);
        fs::write(&path, checkpoint::export(&theirs)).unwrap();
        let mut file = CheckpointFile::new(&path, folder.path());
        let taken = take(&mut file, &ours).unwrap();
        let key = holder("a", 10, 3).key;
        assert_eq!(taken.ledger.holder(&key).unwrap().device, DeviceIndex(3));
        assert_eq!(taken.ledger.cooling().count(), 0);
    }

    #[test]
    fn an_older_state_does_not_replace_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ipam.json");
        let mut file = CheckpointFile::new(&path, folder.path());
        file.write(&ledger(&[holder("a", 10, 1)]), 7).unwrap();
        file.write(&Ledger::default(), 6).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("10.0.1.10"));
    }

    #[test]
    fn a_damaged_checkpoint_of_upstreams_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ipam.json");
        fs::write(&path, "{").unwrap();
        let mut file = CheckpointFile::new(&path, folder.path());
        let links: [&LinkName; 0] = [];
        let error = file.take_over(&Ledger::default(), links, NOW, COOLDOWN);
        assert!(matches!(error, Err(CheckpointFileError::Unusable { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{");
    }
}
