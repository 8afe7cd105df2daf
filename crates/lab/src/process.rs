//! A daemon under supervision: started inside a network namespace, logging to a file, never left
//! behind.
//!
//! A thread starts the process and waits for it, so its exit is known at once. The process is
//! signalled through a handle that cannot mean another process. It dies with the thread that
//! started it (`PR_SET_PDEATHSIG`, set by `setpriv`), so also when this program is killed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::watch;

use crate::netns;

/// What to start, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its whole environment; nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// Its working folder.
    pub folder: PathBuf,
    /// The file of the network namespace it runs in.
    pub netns: PathBuf,
    /// Where its standard output and standard error are appended.
    pub log: PathBuf,
    /// `setpriv`, if there is one.
    pub setpriv: Option<PathBuf>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

/// Why a process could not be started or signalled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log file.
    #[error("cannot write the log file {path}")]
    Log {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The namespace.
    #[error("cannot start {program} in its namespace")]
    Namespace {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: netns::Error,
    },
    /// The program.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A signal.
    #[error("cannot send {signal} to process {pid}")]
    Signal {
        /// The process.
        pid: u32,
        /// The signal's name.
        signal: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
}

/// A running, or ended, process. Dropping it kills the process and waits for it.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    handle: OwnedFd,
    exit: watch::Receiver<Option<Exit>>,
    waiter: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts the process.
    ///
    /// # Errors
    /// [`Error`]; nothing runs then.
    pub fn start(launch: &Launch) -> Result<Running, Error> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&launch.log)
            .map_err(|source| log_failed(&launch.log, source))?;
        let command = command(launch, log)?;
        let (report, started) = mpsc::sync_channel(1);
        let (tell, exit) = watch::channel(None);
        let netns = launch.netns.clone();
        let waiter = thread::Builder::new()
            .name("supervisor".to_owned())
            .spawn(move || supervise(&netns, command, &report, &tell))
            .map_err(|source| start_failed(launch, source))?;
        // The thread reports before anything else; if it could not, it is gone.
        let outcome = started
            .recv()
            .unwrap_or(Err(Failure::Start(io::ErrorKind::Other.into())));
        let (pid, handle) = outcome.map_err(|failure| match failure {
            Failure::Start(source) => start_failed(launch, source),
            Failure::Namespace(source) => Error::Namespace {
                program: launch.program.clone(),
                source,
            },
        })?;
        Ok(Running {
            pid,
            handle,
            exit,
            waiter: Some(waiter),
        })
    }

    /// Its process id. Once it has ended, the number may mean another process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Sends a signal; one to a process that has ended goes nowhere.
    ///
    /// # Errors
    /// [`Error::Signal`].
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(source) => Err(Error::Signal {
                pid: self.pid,
                signal: format!("{signal:?}"),
                source: source.into(),
            }),
        }
    }

    /// Waits for the end.
    pub async fn ended(&self) -> Exit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        // The sender lives until it has sent: only a panic of the waiter could lose the exit.
        ended.ok().and_then(|exit| *exit).unwrap_or(Exit {
            code: None,
            signal: None,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.signal(Signal::KILL);
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.join();
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("an unknown end"),
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Exit {
        Exit {
            code: status.code(),
            signal: status.signal(),
        }
    }
}

enum Failure {
    Namespace(netns::Error),
    Start(io::Error),
}

fn command(launch: &Launch, log: File) -> Result<Command, Error> {
    let second = log
        .try_clone()
        .map_err(|source| log_failed(&launch.log, source))?;
    let mut command = match &launch.setpriv {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command
                .args(["--pdeathsig", "KILL", "--"])
                .arg(&launch.program);
            command
        }
        None => Command::new(&launch.program),
    };
    command
        .env_clear()
        .envs(&launch.environment)
        .current_dir(&launch.folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(second);
    Ok(command)
}

/// The life of the supervising thread: enter, start, report, wait, tell.
fn supervise(
    netns: &Path,
    mut command: Command,
    report: &mpsc::SyncSender<Result<(u32, OwnedFd), Failure>>,
    tell: &watch::Sender<Option<Exit>>,
) {
    let started = netns::enter(netns)
        .map_err(Failure::Namespace)
        .and_then(|()| command.spawn().map_err(Failure::Start))
        .and_then(|child| with_handle(child).map_err(Failure::Start));
    // Closes this side's copies of the log.
    drop(command);
    let mut child = match started {
        Ok((child, handle)) => {
            let _ = report.send(Ok((child.id(), handle)));
            child
        }
        Err(failure) => {
            let _ = report.send(Err(failure));
            return;
        }
    };
    let exit = child.wait().map_or(
        Exit {
            code: None,
            signal: None,
        },
        Exit::from,
    );
    let _ = tell.send(Some(exit));
}

/// The child with a handle for signals; a child without one is ended again.
fn with_handle(mut child: Child) -> io::Result<(Child, OwnedFd)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let handle = pid
        .ok_or(io::Error::from(io::ErrorKind::InvalidData))
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from));
    match handle {
        Ok(handle) => Ok((child, handle)),
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(error)
        }
    }
}

fn start_failed(launch: &Launch, source: io::Error) -> Error {
    Error::Start {
        program: launch.program.clone(),
        source,
    }
}

fn log_failed(path: &Path, source: io::Error) -> Error {
    Error::Log {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::pid::ProcessId;

    fn launch(folder: &TempDir, script: &str) -> Launch {
        let program = folder.path().join("daemon");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
        Launch {
            program,
            environment: BTreeMap::from([("WHO".to_owned(), "me".to_owned())]),
            folder: folder.path().to_owned(),
            netns: PathBuf::from("/proc/self/ns/net"),
            log: folder.path().join("log"),
            setpriv: crate::preflight::tools().unwrap().setpriv,
        }
    }

    #[tokio::test]
    async fn both_outputs_go_to_the_log_and_only_the_given_environment_is_there() {
        let folder = TempDir::new().unwrap();
        let script = "echo out $WHO; echo err >&2; test -z \"$HOME\" && exit 7";
        let running = Running::start(&launch(&folder, script)).unwrap();
        let exit = running.ended().await;
        assert_eq!(exit.to_string(), "exit code 7");
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(log, "out me\nerr\n");
    }

    #[tokio::test]
    async fn a_signal_reaches_the_program_itself() {
        let folder = TempDir::new().unwrap();
        let script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done";
        let running = Running::start(&launch(&folder, script)).unwrap();
        while fs::read_to_string(folder.path().join("log")).unwrap() != "ready\n" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(running.exit(), None);
        running.signal(Signal::TERM).unwrap();
        assert_eq!(running.ended().await.code, Some(3));
        running.signal(Signal::TERM).unwrap();
    }

    #[tokio::test]
    async fn dropping_it_ends_the_process() {
        let folder = TempDir::new().unwrap();
        let running = Running::start(&launch(&folder, "exec sleep 600")).unwrap();
        let id = ProcessId::of(running.pid()).unwrap();
        assert!(id.is_alive());
        drop(running);
        assert!(!id.is_alive());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let folder = TempDir::new().unwrap();
        let missing = Launch {
            program: PathBuf::from("/nonexistent/daemon"),
            setpriv: None,
            ..launch(&folder, "")
        };
        let error = Running::start(&missing).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/daemon"), "{error}");
    }
}
