//! The socket file: its directory, its mode, and what was there before.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net as std_net;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

/// Callers that may wait to be accepted. Well above the pods a node can start at once.
const BACKLOG: i32 = 1024;

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The directory is missing and cannot be made.
    #[error("cannot create the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Somebody listens there.
    #[error(
        "another process answers on it; stop it, or choose another path (VPC_CNI_SOCKET for the plugin's)"
    )]
    InUse,
    /// Something else has the name.
    #[error("there is a file that is not a socket; move it away")]
    NotASocket,
    /// The old socket cannot be told alive from stale, or not be removed.
    #[error("cannot replace the old socket")]
    Stale(#[source] io::Error),
    /// A step of making the new one failed.
    #[error("cannot {step} the new socket")]
    New {
        /// The step.
        step: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Which file the socket is, so that only it is removed in the end, not a successor's.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(socket: &Path) -> io::Result<Self> {
        let file = fs::symlink_metadata(socket)?;
        Ok(Self {
            device: file.dev(),
            inode: file.ino(),
        })
    }

    /// Removes the socket if it is still this one. Failing does no harm: the next start removes a
    /// socket nobody listens on.
    pub fn remove(&self, socket: &Path) {
        if Self::of(socket).is_ok_and(|present| present == *self) {
            let _ = fs::remove_file(socket);
        }
    }
}

/// Opens a socket that only its owner can reach (0600), and makes its directory (0700) where it is
/// missing. Its name is to be removed in the end by its identity.
///
/// # Errors
/// The step that failed. A socket somebody answers on is left alone.
pub fn open(socket: &Path) -> Result<(UnixListener, Identity), BindError> {
    if let Some(folder) = socket
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        // An existing directory keeps its mode: others (the network-policy agent) have files there.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| BindError::Directory {
                path: folder.to_owned(),
                source,
            })?;
    }
    remove_stale(socket)?;
    let failed = |step| move |source: io::Error| BindError::New { step, source };
    let errno = |step| move |source: rustix::io::Errno| failed(step)(source.into());

    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let descriptor = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(errno("create"))?;
    // Linux gives the file the mode the descriptor has when it is bound (less the umask), so the
    // socket is never wider than this, and the process's umask need not be touched.
    rustix::fs::fchmod(&descriptor, Mode::RUSR | Mode::WUSR).map_err(errno("restrict"))?;
    let address = SocketAddrUnix::new(socket).map_err(errno("name"))?;
    rustix::net::bind(&descriptor, &address).map_err(errno("bind"))?;
    rustix::net::listen(&descriptor, BACKLOG).map_err(errno("listen on"))?;
    let identity = Identity::of(socket).map_err(failed("find"))?;
    let listener =
        UnixListener::from_std(std_net::UnixListener::from(descriptor)).map_err(failed("watch"))?;
    Ok((listener, identity))
}

fn remove_stale(socket: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(socket) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BindError::Stale(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(BindError::NotASocket),
        Ok(_) => {}
    }
    match std_net::UnixStream::connect(socket) {
        Ok(_) => Err(BindError::InUse),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(socket).map_err(BindError::Stale)
        }
        Err(error) => Err(BindError::Stale(error)),
    }
}
