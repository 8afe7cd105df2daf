//! Can this machine hold a lab? Everything it lacks is said in one sentence that ends with what
//! to do about it, before anything is made.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::names::{NETNS_FOLDER, netns_path};
use crate::tool::{self, Tools};

/// What the names of the namespaces begin with in which features are tried out; the number of the
/// process follows.
const SCRATCH: &str = "vpc-lab-preflight-";

/// How many checks this process has begun: each has a namespace of its own.
static CHECKS: AtomicU32 = AtomicU32::new(0);

/// What is missing.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// Not root.
    #[error("network namespaces need root: run this with sudo")]
    Root,
    /// A program of the system.
    #[error("the program {program} is missing: install it with `apt-get install {package}`")]
    Program {
        /// Its name.
        program: &'static str,
        /// The Debian and Ubuntu package that has it.
        package: &'static str,
    },
    /// A program of this project.
    #[error(
        "{program} is not in {folder}: build it with `make build`, or name the folder \
         it is in with --bin-dir"
    )]
    Binary {
        /// Its name.
        program: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// Namespaces cannot be made, although this is root.
    #[error(
        "this root may not create network namespaces; in a container, run it privileged \
         (`docker run --privileged`)"
    )]
    Namespaces(#[source] tool::Error),
    /// The kernel cannot make veth pairs.
    #[error(
        "this kernel has no veth devices: load them with `modprobe veth`, or boot a kernel with \
         CONFIG_VETH"
    )]
    Veth(#[source] tool::Error),
    /// The kernel has no nftables, or not enough of it.
    #[error(
        "this kernel lacks nftables with sets and NAT: load it with `modprobe nf_tables nft_chain_nat`, or \
         boot a kernel with CONFIG_NF_TABLES, CONFIG_NFT_NAT and CONFIG_NF_CONNTRACK"
    )]
    Nftables(#[source] tool::Error),
}

/// The programs `ip` and `nft`, for someone who is root.
///
/// # Errors
/// [`Missing::Root`] and [`Missing::Program`].
pub fn tools() -> Result<Tools, Missing> {
    if !rustix::process::geteuid().is_root() {
        return Err(Missing::Root);
    }
    let find =
        |program, package| find_program(program).ok_or(Missing::Program { program, package });
    Ok(Tools {
        ip: find("ip", "iproute2")?,
        nft: find("nft", "nftables")?,
        setpriv: find_program("setpriv"),
    })
}

/// Everything a lab needs: root, programs, and the kernel features, which are tried out in a
/// namespace of their own.
///
/// # Errors
/// [`Missing`].
pub fn check() -> Result<Tools, Missing> {
    let tools = tools()?;
    let number = CHECKS.fetch_add(1, Ordering::Relaxed);
    let netns = format!("{SCRATCH}{}-{number}", std::process::id());
    remove_stale(&tools);
    let scratch = Scratch::create(&tools, &netns)?;
    let pair = ["link add preflight0 type veth peer name preflight1".to_owned()];
    tools.ip(Some(&netns), &pair).map_err(Missing::Veth)?;
    let table = "table ip preflight {\n\
                 set assigned { type ifname . ipv4_addr; flags interval; }\n\
                 chain out { type nat hook postrouting priority srcnat; }\n\
                 chain in { type filter hook prerouting priority raw; notrack; }\n\
                 }\n";
    tools
        .nft(&netns_path(&netns), table)
        .map_err(Missing::Nftables)?;
    drop(scratch);
    Ok(tools)
}

/// Whether the programs under test are in `folder`.
///
/// # Errors
/// [`Missing::Binary`].
pub fn binaries(folder: &Path) -> Result<(), Missing> {
    for program in ["ipamd", "aws-cni"] {
        if !folder.join(program).is_file() {
            return Err(Missing::Binary {
                program,
                folder: folder.to_owned(),
            });
        }
    }
    Ok(())
}

/// A namespace to try things in; gone with this value.
struct Scratch<'a> {
    tools: &'a Tools,
    netns: &'a str,
}

impl<'a> Scratch<'a> {
    fn create(tools: &'a Tools, netns: &'a str) -> Result<Scratch<'a>, Missing> {
        let add = [format!("netns add {netns}")];
        tools.ip(None, &add).map_err(Missing::Namespaces)?;
        Ok(Scratch { tools, netns })
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // Nothing more can be done about a namespace that will not go.
        let _ = self.tools.ip(None, &[format!("netns del {}", self.netns)]);
    }
}

/// Removes the namespaces of checks whose process was killed.
fn remove_stale(tools: &Tools) {
    let entries = fs::read_dir(NETNS_FOLDER).into_iter().flatten().flatten();
    for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        let numbers = name
            .strip_prefix(SCRATCH)
            .and_then(|rest| rest.split_once('-'));
        if let Some((pid, _)) = numbers
            && !Path::new("/proc").join(pid).exists()
        {
            // Another check may be faster.
            let _ = tools.ip(None, &[format!("netns del {name}")]);
        }
    }
}

/// Looks in the folders of `PATH`, then where Debian keeps administrators' programs: an ordinary
/// user's `PATH`, which sudo may keep, lacks those.
fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_and_one_that_does_not_exist_is_not() {
        assert!(find_program("ip").is_some_and(|path| path.is_absolute()));
        assert_eq!(find_program("no-such-program"), None);
    }

    #[test]
    fn a_missing_binary_is_named_with_the_folder_and_the_remedy() {
        let error = binaries(Path::new("/nonexistent")).unwrap_err().to_string();
        for part in ["ipamd", "/nonexistent", "make build"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn this_machine_can_hold_a_lab_and_no_check_leaves_a_namespace_not_even_a_killed_one() {
        let tools = tools().unwrap();
        // No process has a number this high (PID_MAX_LIMIT in the kernel is 2^22).
        let stale = format!("{SCRATCH}4194305-0");
        tools.ip(None, &[format!("netns add {stale}")]).unwrap();
        check().unwrap();
        let mine = format!("{SCRATCH}{}-", std::process::id());
        for entry in fs::read_dir(NETNS_FOLDER).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name != stale && !name.starts_with(&mine), "{name}");
        }
    }
}
