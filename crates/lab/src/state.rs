//! The lab's folder: what other processes need to know about it, and what a later one needs to
//! clear up after it.
//!
//! ```text
//! <root>/<lab>/owner.json        the process that holds the lab; its death ends the lab
//!              lab.json          the lab as it came up; absent until it has
//!              enis.json         the ENIs plugged into the nodes, rewritten on each change
//!              lab.log           what `vpc-lab up` left in the background says
//!              pods/NAME.json    pods and half-made pods
//!              node1/            run, cni, bin, log: a node's own folders; ipamd.json
//! ```

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vpc_model::{EniId, InstanceId, InstanceType, LinkName, MacAddress, SubnetId};

use crate::files;
use crate::names::LabName;
use crate::pid::ProcessId;

/// Where labs keep their folders unless told otherwise.
pub const STANDARD_ROOT: &str = "/run/vpc-lab";

/// Why the folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds a lab by this name.
    #[error(
        "lab {name} is up, held by process {pid}: take it down with \
         `vpc-lab down --name {name}`, or choose another name with --name"
    )]
    Taken {
        /// The lab.
        name: LabName,
        /// Its owner.
        pid: u32,
    },
    /// There is no lab by this name.
    #[error("there is no lab {name}: `vpc-lab up --name {name}` makes one")]
    Unknown {
        /// The name asked for.
        name: LabName,
    },
    /// There is a lab by this name, but nobody holds it.
    #[error("lab {name} is dead, its process has ended: `vpc-lab down --name {name}` clears it up")]
    Dead {
        /// The lab.
        name: LabName,
    },
    /// There is a lab by this name that is not complete.
    #[error("lab {name} is still coming up")]
    NotUp {
        /// The lab.
        name: LabName,
    },
    /// A file of the folder.
    #[error(transparent)]
    File(#[from] files::Error),
}

/// The folder of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabFolder {
    name: LabName,
    path: PathBuf,
}

/// The lab as it came up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabRecord {
    /// The EC2 API for this machine's own programs.
    pub ec2_endpoint: String,
    /// Where the programs under test are.
    pub bin_dir: PathBuf,
    /// The instance type of the nodes.
    pub instance_type: InstanceType,
    /// The nodes, first to last.
    pub nodes: Vec<NodeRecord>,
}

/// One node as it was launched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its number, from 1.
    pub number: u8,
    /// The instance.
    pub instance: InstanceId,
    /// The subnet of its primary ENI.
    pub subnet: SubnetId,
    /// The primary ENI's primary address.
    pub primary_address: Ipv4Addr,
    /// The public address that stands for it on the internet.
    pub public_address: Ipv4Addr,
}

/// An ENI that is plugged into a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EniRecord {
    /// The node's number.
    pub node: u8,
    /// The ENI.
    pub id: EniId,
    /// Its link in the node.
    pub link: LinkName,
    /// Its MAC address.
    pub mac: MacAddress,
    /// Its primary address.
    pub primary: Ipv4Addr,
    /// How many secondary addresses are assigned to it.
    pub secondary_addresses: usize,
    /// How many prefixes are assigned to it.
    pub prefixes: usize,
}

impl LabFolder {
    /// The folder of the lab `name` below `root`, whether or not it exists.
    #[must_use]
    pub fn of(root: &Path, name: &LabName) -> LabFolder {
        LabFolder {
            name: name.clone(),
            path: root.join(name.as_str()),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder beside the lab's own that becomes part of it once there is one.
    #[must_use]
    pub fn draft(&self, suffix: &str) -> PathBuf {
        self.path
            .with_file_name(format!("{}{suffix}", self.draft_prefix()))
    }

    /// The drafts that are there: of starts under way, and of some that were killed.
    #[must_use]
    pub fn drafts(&self) -> Vec<PathBuf> {
        let root = self.path.parent().unwrap_or(&self.path);
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        let own = entries.filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with(&self.draft_prefix())
        });
        own.map(|entry| entry.path()).collect()
    }

    fn draft_prefix(&self) -> String {
        format!(".{}.", self.name)
    }

    /// The lab's name.
    #[must_use]
    pub fn name(&self) -> &LabName {
        &self.name
    }

    /// Makes the folder, in the name of the calling process.
    ///
    /// # Errors
    /// [`Error::Taken`] if a living process has it, [`Error::Dead`] if a dead one had it and
    /// nobody cleared up, [`Error::File`].
    pub fn claim(&self) -> Result<(), Error> {
        let own =
            ProcessId::own().map_err(|source| files::read_failed(Path::new("/proc"), source))?;
        // The folder appears together with its owner's name, so that two processes cannot both
        // find it ownerless.
        let draft = self
            .path
            .with_file_name(format!(".{}.{}", self.name, own.pid));
        files::make_folder(&draft)?;
        files::write_json(&draft.join("owner.json"), &own)?;
        let renamed = fs::rename(&draft, &self.path);
        if renamed.is_ok() {
            return Ok(());
        }
        let _ = fs::remove_dir_all(&draft);
        match (self.owner()?, renamed) {
            (Some(owner), _) if owner.is_alive() => Err(Error::Taken {
                name: self.name.clone(),
                pid: owner.pid,
            }),
            (Some(_), _) => Err(Error::Dead {
                name: self.name.clone(),
            }),
            (None, Err(source)) => Err(files::write_failed(&self.path, source).into()),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Which process made the folder; `None` if there is no folder or it does not say.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn owner(&self) -> Result<Option<ProcessId>, Error> {
        Ok(files::read_json(&self.path.join("owner.json"))?)
    }

    /// Whether there is such a folder.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Writes the lab's description: from now on other processes can use it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write_lab(&self, record: &LabRecord) -> Result<(), Error> {
        Ok(files::write_json(&self.path.join("lab.json"), record)?)
    }

    /// The description of a lab that is up.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Dead`], [`Error::NotUp`]; [`Error::File`].
    pub fn read_lab(&self) -> Result<LabRecord, Error> {
        let name = || self.name.clone();
        let Some(owner) = self.owner()? else {
            return Err(if self.path.exists() {
                Error::Dead { name: name() }
            } else {
                Error::Unknown { name: name() }
            });
        };
        if !owner.is_alive() {
            return Err(Error::Dead { name: name() });
        }
        let record = files::read_json(&self.path.join("lab.json"))?;
        record.ok_or_else(|| Error::NotUp { name: name() })
    }

    /// Writes which ENIs are plugged in.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write_enis(&self, enis: &[EniRecord]) -> Result<(), Error> {
        Ok(files::write_json(&self.path.join("enis.json"), &enis)?)
    }

    /// Which ENIs were plugged in at the last change.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read_enis(&self) -> Result<Vec<EniRecord>, Error> {
        Ok(files::read_json(&self.path.join("enis.json"))?.unwrap_or_default())
    }

    /// Where pods are recorded.
    #[must_use]
    pub fn pods(&self) -> PathBuf {
        self.path.join("pods")
    }

    /// What a lab in the background says.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("lab.log")
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn folder(root: &TempDir) -> LabFolder {
        LabFolder::of(root.path(), &LabName::standard())
    }

    #[test]
    fn a_name_is_claimed_once_while_its_owner_lives() {
        let root = TempDir::new().unwrap();
        folder(&root).claim().unwrap();
        let error = folder(&root).claim().unwrap_err();
        assert!(matches!(error, Error::Taken { pid, .. } if pid == std::process::id()));
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn the_folder_of_a_dead_owner_is_told_from_a_living_ones() {
        let root = TempDir::new().unwrap();
        let folder = folder(&root);
        folder.claim().unwrap();
        let own = ProcessId::own().unwrap();
        let dead = ProcessId {
            started: own.started - 1,
            ..own
        };
        files::write_json(&folder.path().join("owner.json"), &dead).unwrap();
        assert!(matches!(folder.claim(), Err(Error::Dead { .. })));
        assert!(matches!(folder.read_lab(), Err(Error::Dead { .. })));
    }

    #[test]
    fn a_lab_that_is_not_there_and_one_that_is_not_complete_are_told_apart() {
        let root = TempDir::new().unwrap();
        let folder = folder(&root);
        assert!(matches!(folder.read_lab(), Err(Error::Unknown { .. })));
        folder.claim().unwrap();
        assert!(matches!(folder.read_lab(), Err(Error::NotUp { .. })));
    }
}
