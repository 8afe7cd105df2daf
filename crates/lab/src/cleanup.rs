//! Removing everything a lab has left on this machine, by its name alone: so that it works for
//! the lab of a process that was killed, too.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::Signal;

use crate::daemon;
use crate::files;
use crate::names::{LabName, NETNS_FOLDER, NODES, netns_path, node_name};
use crate::pid::ProcessId;
use crate::state::LabFolder;
use crate::tool::{self, Tools};

/// One thing that could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A process.
    #[error("cannot end process {pid}")]
    Process {
        /// Its number.
        pid: u32,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// A namespace.
    #[error("cannot remove network namespace {netns}")]
    Namespace {
        /// Its name.
        netns: String,
        /// Why not.
        #[source]
        source: tool::Error,
    },
    /// The lab's folder.
    #[error("cannot remove the lab's folder")]
    Folder(#[source] files::Error),
    /// Something that was noticed while the lab was up.
    #[error("the fabric did not follow the cloud: {0}")]
    Fabric(String),
    /// A daemon that did not end as it should.
    #[error(transparent)]
    Daemon(daemon::Error),
    /// Work that did not end.
    #[error("{0} pieces of work on pods and links had not ended")]
    Unfinished(usize),
}

/// Everything that could not be removed. The rest was.
#[derive(Debug)]
pub struct Errors(pub Vec<Error>);

/// What of the lab `name` is still on this machine, one sentence each; nothing when it is gone.
#[must_use]
pub fn leftovers(name: &LabName, root: &Path) -> Vec<String> {
    let folder = LabFolder::of(root, name);
    let netnses = namespaces(name);
    let mut left: Vec<String> = netnses
        .iter()
        .map(|netns| format!("network namespace {netns}"))
        .collect();
    let processes = recorded(&folder).into_iter().chain(inhabitants(&netnses));
    let processes: BTreeSet<u32> = processes.map(|process| process.pid).collect();
    left.extend(processes.iter().map(|pid| format!("process {pid}")));
    if folder.exists() {
        left.push(format!("folder {}", folder.path().display()));
    }
    left
}

/// Ends every process in the lab's namespaces and those on record, removes the namespaces, with
/// all links, routes and rules in them, and the lab's folder. Goes on after a failure.
///
/// # Errors
/// [`Errors`], if anything is left.
pub fn wipe(tools: &Tools, folder: &LabFolder) -> Result<(), Errors> {
    let mut errors = Vec::new();
    let netnses = namespaces(folder.name());
    for process in recorded(folder).into_iter().chain(inhabitants(&netnses)) {
        if let Err(source) = process.signal(Signal::KILL) {
            errors.push(Error::Process {
                pid: process.pid,
                source,
            });
        }
    }
    for netns in netnses {
        let removed = tools.ip(None, &[format!("netns del {netns}")]);
        if let Err(source) = removed {
            errors.push(Error::Namespace { netns, source });
        }
    }
    if let Err(source) = remove_folder(folder) {
        errors.push(Error::Folder(source));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Errors(errors))
    }
}

/// The names of the lab's namespaces.
pub(crate) fn namespaces(name: &LabName) -> Vec<String> {
    let entries = fs::read_dir(NETNS_FOLDER).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|netns| name.owns(netns))
        .collect();
    names.sort();
    names
}

/// The daemons that are on record and alive.
fn recorded(folder: &LabFolder) -> Vec<ProcessId> {
    (1..=NODES)
        .map(|number| folder.path().join(node_name(number)).join("ipamd.json"))
        .filter_map(|path| files::read_json::<ProcessId>(&path).ok().flatten())
        .filter(|process| process.is_alive())
        .collect()
}

/// The processes that live in these namespaces, except the calling one.
fn inhabitants(netnses: &[String]) -> Vec<ProcessId> {
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let wanted: BTreeSet<(u64, u64)> = netnses
        .iter()
        .filter_map(|netns| identity(&netns_path(netns)))
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|&pid| pid != std::process::id())
        .filter(|pid| {
            let netns = format!("/proc/{pid}/ns/net");
            identity(Path::new(&netns)).is_some_and(|one| wanted.contains(&one))
        })
        .filter_map(|pid| ProcessId::of(pid).ok())
        .collect()
}

/// Removes the lab's folder, if it is there.
pub(crate) fn remove_folder(folder: &LabFolder) -> Result<(), files::Error> {
    match fs::remove_dir_all(folder.path()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| files::write_failed(folder.path(), source)),
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            f.write_str(&crate::text::chain(error))?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_lab_of_a_killed_process_is_found_by_name_and_wiped_with_its_inhabitants() {
        let tools = crate::preflight::tools().unwrap();
        let root = TempDir::new().unwrap();
        let name: LabName = "wipetest".parse().unwrap();
        let folder = LabFolder::of(root.path(), &name);
        folder.claim().unwrap();
        tools
            .ip(None, &[format!("netns add {}", name.pod("a"))])
            .unwrap();
        let netns = netns_path(&name.pod("a"));
        let mut inhabitant =
            crate::netns::run_in(&netns, || Command::new("sleep").arg("600").spawn().unwrap())
                .unwrap();
        let left = leftovers(&name, root.path());
        assert!(
            left.contains(&"network namespace wipetest-pod-a".to_owned()),
            "{left:?}"
        );
        assert!(
            left.contains(&format!("process {}", inhabitant.id())),
            "{left:?}"
        );
        assert_eq!(left.len(), 3, "{left:?}");

        wipe(&tools, &folder).unwrap();
        assert!(!inhabitant.wait().unwrap().success());
        assert_eq!(leftovers(&name, root.path()), Vec::<String>::new());
    }

    #[test]
    fn wiping_what_is_not_there_is_fine() {
        let tools = crate::preflight::tools().unwrap();
        let folder = LabFolder::of(Path::new("/nonexistent"), &"nosuchlab".parse().unwrap());
        wipe(&tools, &folder).unwrap();
    }
}
