//! The sandbox's network namespace, looked at before anything is touched.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::error::Error;
use crate::spec::{Environment, Sandbox};

/// The filesystem namespace files live on (`NSFS_MAGIC` in the kernel's `linux/magic.h`).
const NSFS: u64 = 0x6e73_6673;

/// This thread's network namespace.
const OWN: &str = "/proc/thread-self/ns/net";

/// The path of the sandbox's network namespace.
///
/// # Errors
/// It cannot be opened, is no namespace, or is the one the plugin runs in.
pub fn namespace<'a>(sandbox: &'a Sandbox, environment: &Environment) -> Result<&'a Path, Error> {
    let path = sandbox.netns.as_deref().unwrap_or(Path::new(""));
    let failed = |source| Error::NoNamespace {
        path: path.to_owned(),
        source,
    };
    let file = open(path).map_err(failed)?;
    let inode = |file: &File| file.metadata().map(|file| (file.dev(), file.ino()));
    let own = File::open(OWN)
        .and_then(|own| inode(&own))
        .map_err(failed)?;
    if inode(&file).map_err(failed)? == own && !environment.overrides_netns() {
        return Err(Error::OwnNamespace {
            path: path.to_owned(),
        });
    }
    Ok(path)
}

/// Whether there is a namespace at `path` (still).
#[must_use]
pub fn is_there(path: &Path) -> bool {
    open(path).is_ok()
}

fn open(path: &Path) -> io::Result<File> {
    // Without waiting: the path may be anything, a pipe too.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let filesystem = rustix::fs::fstatfs(&file)?.f_type;
    if u64::try_from(filesystem).is_ok_and(|kind| kind == NSFS) {
        not_of_another_kind(&file)?;
        Ok(file)
    } else {
        Err(io::Error::other("it is not a namespace"))
    }
}

/// A namespace below `/proc` says its kind by its name, `mnt:[4026531841]`; one that is mounted
/// somewhere shows its path instead, and is found out when it is entered.
fn not_of_another_kind(file: &File) -> io::Result<()> {
    let name = std::fs::read_link(format!("/proc/thread-self/fd/{}", file.as_raw_fd()))?;
    let name = name.to_string_lossy();
    match name.split_once(":[") {
        Some((kind, _)) if !name.starts_with('/') && kind != "net" => Err(io::Error::other(
            format!("it is a namespace of another kind, {kind}"),
        )),
        Some(_) | None => Ok(()),
    }
}
