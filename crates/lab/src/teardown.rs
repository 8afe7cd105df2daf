//! The end of a lab, whichever way it comes: asked for, by an error half-way up, or by being
//! dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cleanup::{self, Error, Errors};
use crate::daemon::Daemon;
use crate::gate::Gate;
use crate::state::LabFolder;
use crate::tool::Tools;

/// How long pods that are being made or removed may take to stop after their plugin was killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes everything of a lab away when dropped.
#[derive(Debug)]
pub(crate) struct Teardown {
    tools: Tools,
    folder: LabFolder,
    gate: Arc<Gate>,
    daemons: Vec<Arc<Daemon>>,
    complaints: Complaints,
    done: bool,
}

/// What went wrong in the background while the lab was up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Complaints(Arc<Mutex<Vec<String>>>);

impl Complaints {
    /// Adds one, and logs it.
    pub(crate) fn add(&self, complaint: String) {
        tracing::error!(complaint, "the fabric did not follow the cloud");
        self.lock().push(complaint);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Teardown {
    /// For the lab with this folder, which was just claimed.
    #[must_use]
    pub(crate) fn new(tools: Tools, folder: LabFolder, gate: Arc<Gate>) -> Teardown {
        Teardown {
            tools,
            folder,
            gate,
            daemons: Vec::new(),
            complaints: Complaints::default(),
            done: false,
        }
    }

    /// Ends this daemon too.
    pub(crate) fn end_with_lab(&mut self, daemon: Arc<Daemon>) {
        self.daemons.push(daemon);
    }

    /// Where background work leaves its complaints.
    #[must_use]
    pub(crate) fn complaints(&self) -> Complaints {
        self.complaints.clone()
    }

    /// Takes everything away, the daemons by SIGTERM.
    ///
    /// # Errors
    /// Whatever is left, and what went wrong in the background.
    pub(crate) async fn gently(mut self) -> Result<(), Errors> {
        self.gate.clear(PATIENCE);
        for daemon in &self.daemons {
            // One that does not end is killed below; one that does not run has ended.
            let _ = daemon.stop().await;
        }
        self.now()
    }

    /// Takes everything away, the daemons by SIGKILL.
    fn now(&mut self) -> Result<(), Errors> {
        self.done = true;
        let mut errors = Vec::new();
        let unfinished = self.gate.clear(PATIENCE);
        if unfinished > 0 {
            errors.push(Error::Unfinished(unfinished));
        }
        for daemon in &self.daemons {
            daemon.end_now();
        }
        if let Err(Errors(more)) = cleanup::wipe(&self.tools, &self.folder) {
            errors.extend(more);
        }
        errors.extend(self.complaints.take().into_iter().map(Error::Fabric));
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Errors(errors))
        }
    }
}

impl Drop for Teardown {
    fn drop(&mut self) {
        if !self.done
            && let Err(errors) = self.now()
        {
            tracing::error!(%errors, "the lab is not gone completely");
        }
    }
}
