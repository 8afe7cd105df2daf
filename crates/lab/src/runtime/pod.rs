//! Pods and their sandboxes, and how they are kept on record.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files::{self, read_failed};

/// A network namespace for a pod, as a runtime makes it before any plugin runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The pod's name.
    pub name: String,
    /// The namespace's file.
    pub netns: PathBuf,
    /// The sandbox's container id: 64 hexadecimal digits, another one for each sandbox.
    pub container_id: String,
    /// The pod's UID, as Kubernetes gives it.
    pub uid: String,
}

/// A wired pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Its sandbox.
    pub sandbox: Sandbox,
    /// The number of its node, from 1.
    pub node: usize,
    /// Its address, from the result.
    pub address: Ipv4Addr,
    /// The result of the last plugin of the chain.
    pub result: Value,
    /// How many sandboxes it took, 1 when the first ADD succeeded.
    pub attempts: u32,
    /// What the plugins of the ADD that succeeded took, from exec to exit.
    pub add_time: Duration,
}

impl Pod {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.sandbox.name
    }

    /// The file of its network namespace.
    #[must_use]
    pub fn netns(&self) -> &Path {
        &self.sandbox.netns
    }

    /// Its sandbox's container id.
    #[must_use]
    pub fn container_id(&self) -> &str {
        &self.sandbox.container_id
    }
}

impl Sandbox {
    /// A new sandbox for the pod `name` in the namespace whose file is `netns`; the namespace is
    /// not made.
    ///
    /// # Errors
    /// The kernel gave no random numbers.
    pub(super) fn new(name: &str, netns: PathBuf) -> io::Result<Sandbox> {
        let digits = |text: String| text.replace('-', "");
        Ok(Sandbox {
            name: name.to_owned(),
            netns,
            container_id: digits(random_uuid()?) + &digits(random_uuid()?),
            uid: random_uuid()?,
        })
    }
}

/// What is on record about a pod: from before its namespace is made until after it is removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodRecord {
    /// The number of its node.
    pub node: u8,
    /// Its sandbox.
    pub sandbox: Sandbox,
    /// Absent while it is being made.
    pub wired: Option<Wired>,
}

/// The part of the record that an ADD adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wired {
    /// As [`Pod::address`].
    pub address: Ipv4Addr,
    /// As [`Pod::result`].
    pub result: Value,
    /// As [`Pod::attempts`].
    pub attempts: u32,
    /// As [`Pod::add_time`].
    pub add_time: Duration,
}

impl PodRecord {
    /// The pod, if it is wired.
    #[must_use]
    pub fn pod(&self) -> Option<Pod> {
        let wired = self.wired.clone()?;
        Some(wired.pod(self.sandbox.clone(), self.node))
    }
}

impl Wired {
    /// The pod with this sandbox on this node.
    pub(super) fn pod(self, sandbox: Sandbox, node: u8) -> Pod {
        Pod {
            sandbox,
            node: usize::from(node),
            address: self.address,
            result: self.result,
            attempts: self.attempts,
            add_time: self.add_time,
        }
    }
}

/// The records of a lab's pods: one file each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    /// Those in `folder`.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Records {
        Records { folder }
    }

    /// The record of the pod `name`.
    ///
    /// # Errors
    /// It is there and unreadable.
    pub fn read(&self, name: &str) -> Result<Option<PodRecord>, files::Error> {
        files::read_json(&self.file(name))
    }

    /// Every record, by name.
    ///
    /// # Errors
    /// One is unreadable.
    pub fn all(&self) -> Result<Vec<PodRecord>, files::Error> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|source| read_failed(&self.folder, source))?,
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = paths
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .collect();
        files.sort();
        let records = files.iter().map(|path| files::read_json(path));
        // One that vanished in between belongs to a pod that is gone.
        records.filter_map(Result::transpose).collect()
    }

    /// Writes or replaces a record.
    ///
    /// # Errors
    /// It could not be written.
    pub fn write(&self, record: &PodRecord) -> Result<(), files::Error> {
        files::make_folder(&self.folder)?;
        files::write_json(&self.file(&record.sandbox.name), record)
    }

    /// Forgets the pod `name`.
    ///
    /// # Errors
    /// The file could not be removed.
    pub fn remove(&self, name: &str) -> Result<(), files::Error> {
        files::remove_file(&self.file(name))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

/// A random UUID, from the kernel (random(4)).
fn random_uuid() -> io::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_record_is_read_back_as_written_and_half_made_pods_are_no_pods() {
        let folder = TempDir::new().unwrap();
        let records = Records::in_folder(folder.path().join("pods"));
        assert_eq!(records.all().unwrap(), []);
        let mut record = PodRecord {
            node: 2,
            sandbox: Sandbox::new("web", PathBuf::from("/run/netns/x")).unwrap(),
            wired: None,
        };
        records.write(&record).unwrap();
        assert_eq!(records.read("web").unwrap().unwrap().pod(), None);
        record.wired = Some(Wired {
            address: Ipv4Addr::new(10, 0, 2, 20),
            result: json!({"ips": []}),
            attempts: 3,
            add_time: Duration::from_micros(1234),
        });
        records.write(&record).unwrap();
        let pod = records.all().unwrap()[0].pod().unwrap();
        assert_eq!((pod.node, pod.attempts), (2, 3));
        assert_eq!(pod.add_time, Duration::from_micros(1234));
        records.remove("web").unwrap();
        records.remove("web").unwrap();
        assert_eq!(records.read("web").unwrap(), None);
    }

    #[test]
    fn each_sandbox_has_a_container_id_of_its_own() {
        let make = || Sandbox::new("web", PathBuf::new()).unwrap();
        let (one, other) = (make(), make());
        assert_ne!(one.container_id, other.container_id);
        assert_eq!(one.container_id.len(), 64);
        assert!(
            one.container_id
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
        );
    }
}
