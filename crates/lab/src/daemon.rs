//! `ipamd` on one node: started, watched, stopped, killed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use vpc_rpc::Health;

use crate::files;
use crate::pid::ProcessId;
use crate::process::{self, Exit, Launch, Running};

/// How long the daemon may take to end when asked to.
pub const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// How often a daemon that starts is asked whether it is ready.
const READY_INTERVAL: Duration = Duration::from_millis(20);

/// How long one such question may take.
const HEALTH_DEADLINE: Duration = Duration::from_secs(1);

/// How many lines of a log an error shows.
const LOG_LINES: usize = 5;

/// Why the daemon is not as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It runs already.
    #[error("ipamd runs on {node} already, as process {pid}")]
    Runs {
        /// The node.
        node: String,
        /// Its process.
        pid: u32,
    },
    /// It does not run.
    #[error("no ipamd runs on {node}")]
    NotRunning {
        /// The node.
        node: String,
    },
    /// It could not be started or signalled.
    #[error("ipamd on {node}")]
    Process {
        /// The node.
        node: String,
        /// Why not.
        #[source]
        source: process::Error,
    },
    /// It could not be put on record.
    #[error("cannot record ipamd of {node}")]
    Record {
        /// The node.
        node: String,
        /// Why not.
        #[source]
        source: files::Error,
    },
    /// It did not end when asked to, and was killed.
    #[error("ipamd on {node} did not end within {} s of SIGTERM and was killed", STOP_PATIENCE.as_secs())]
    Stubborn {
        /// The node.
        node: String,
    },
    /// It ended while it should have become ready.
    #[error("ipamd on {node} has ended with {exit}; the end of {log}:\n{tail}")]
    Ended {
        /// The node.
        node: String,
        /// How.
        exit: Exit,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// It did not become ready.
    #[error("ipamd on {node} is not ready after {seconds} s: {reason}; the end of {log}:\n{tail}")]
    NotReady {
        /// The node.
        node: String,
        /// How long it was waited for.
        seconds: u64,
        /// What it last said, or that it did not answer.
        reason: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
}

/// The daemon of one node, running or not.
#[derive(Debug)]
pub struct Daemon {
    /// The node's name.
    pub node: String,
    /// How to start it.
    pub launch: Launch,
    /// Where it is put on record.
    pub record: PathBuf,
    /// Its socket.
    pub socket: PathBuf,
    /// The network configuration it writes when it is ready.
    pub conflist: PathBuf,
    /// Its process, if it was started and nobody looked at its end yet.
    pub running: Mutex<Option<Arc<Running>>>,
}

impl Daemon {
    /// Starts it with `extra` variables. Gives its process id.
    ///
    /// # Errors
    /// [`Error::Runs`], [`Error::Process`], [`Error::Record`]; it does not run then, unless it
    /// did before.
    pub fn start(&self, extra: &BTreeMap<String, String>) -> Result<u32, Error> {
        let mut slot = self.lock();
        if let Some(pid) = slot.as_ref().and_then(|running| alive(running)) {
            let node = self.node.clone();
            return Err(Error::Runs { node, pid });
        }
        let mut launch = self.launch.clone();
        launch.environment.extend(extra.clone());
        let running = Running::start(&launch).map_err(|source| self.process_failed(source))?;
        let pid = running.pid();
        // One that has ended already needs no record.
        if let Ok(id) = ProcessId::of(pid) {
            files::write_json(&self.record, &id).map_err(|source| self.record_failed(source))?;
        }
        *slot = Some(Arc::new(running));
        Ok(pid)
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().and_then(|running| alive(running))
    }

    /// Asks it to end (SIGTERM) and waits; kills it after [`STOP_PATIENCE`].
    ///
    /// # Errors
    /// [`Error::NotRunning`], [`Error::Stubborn`] and others.
    pub async fn stop(&self) -> Result<Exit, Error> {
        let running = self.present()?;
        running
            .signal(Signal::TERM)
            .map_err(|source| self.process_failed(source))?;
        let ended = tokio::time::timeout(STOP_PATIENCE, running.ended()).await;
        match ended {
            Ok(exit) => {
                self.forget()?;
                Ok(exit)
            }
            Err(_) => {
                self.kill().await?;
                let node = self.node.clone();
                Err(Error::Stubborn { node })
            }
        }
    }

    /// Kills it (SIGKILL) and waits.
    ///
    /// # Errors
    /// [`Error::NotRunning`] and others.
    pub async fn kill(&self) -> Result<Exit, Error> {
        let running = self.present()?;
        running
            .signal(Signal::KILL)
            .map_err(|source| self.process_failed(source))?;
        let exit = running.ended().await;
        self.forget()?;
        Ok(exit)
    }

    /// Kills it and waits, without a runtime; for taking the lab down.
    pub fn end_now(&self) {
        let running = self.lock().take();
        if let Some(running) = running {
            let _ = running.signal(Signal::KILL);
            // Dropping the last reference waits for the process.
            drop(running);
        }
    }

    /// Waits until pods can be added: the network configuration is there, and the daemon says it
    /// serves. Gives how long that took.
    ///
    /// # Errors
    /// [`Error::Ended`] as soon as it has ended, [`Error::NotReady`] after `patience`.
    pub async fn wait_ready(&self, patience: Duration) -> Result<Duration, Error> {
        let running = self.present()?;
        let start = Instant::now();
        loop {
            let reason = self.unreadiness().await;
            let Some(reason) = reason else {
                return Ok(start.elapsed());
            };
            if let Some(exit) = running.exit() {
                return Err(self.ended(exit));
            }
            if start.elapsed() > patience {
                return Err(Error::NotReady {
                    node: self.node.clone(),
                    seconds: patience.as_secs(),
                    reason,
                    log: self.launch.log.clone(),
                    tail: tail(&self.launch.log),
                });
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
    }

    /// What it says is missing; `None` when it is ready.
    async fn unreadiness(&self) -> Option<String> {
        match vpc_rpc::health::check_async(&self.socket, HEALTH_DEADLINE).await {
            Ok(Health::Serving) if self.conflist.exists() => None,
            Ok(Health::Serving) => Some("it has not written its network configuration".to_owned()),
            Ok(Health::NotServing { reason }) => Some(reason),
            Err(error) => Some(crate::text::chain(&error)),
        }
    }

    /// The process, running or just ended.
    fn present(&self) -> Result<Arc<Running>, Error> {
        self.lock().clone().ok_or_else(|| Error::NotRunning {
            node: self.node.clone(),
        })
    }

    fn forget(&self) -> Result<(), Error> {
        *self.lock() = None;
        files::remove_file(&self.record).map_err(|source| self.record_failed(source))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, exit: Exit) -> Error {
        Error::Ended {
            node: self.node.clone(),
            exit,
            log: self.launch.log.clone(),
            tail: tail(&self.launch.log),
        }
    }

    fn process_failed(&self, source: process::Error) -> Error {
        let node = self.node.clone();
        Error::Process { node, source }
    }

    fn record_failed(&self, source: files::Error) -> Error {
        let node = self.node.clone();
        Error::Record { node, source }
    }
}

fn alive(running: &Running) -> Option<u32> {
    running.exit().is_none().then(|| running.pid())
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LOG_LINES);
    lines[skipped..].join("\n")
}
