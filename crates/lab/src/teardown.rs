//! The end of a lab, whichever way it comes: asked for, by an error half-way up, or by being
//! dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cleanup::{self, Error, Errors};
use crate::daemon::{self, Daemon};
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
    pods: Arc<Gate>,
    fabric: Arc<Gate>,
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
    pub(crate) fn new(tools: Tools, folder: LabFolder) -> Teardown {
        Teardown {
            tools,
            folder,
            pods: Arc::default(),
            fabric: Arc::default(),
            daemons: Vec::new(),
            complaints: Complaints::default(),
            done: false,
        }
    }

    /// The gate for making and removing pods.
    pub(crate) fn pods(&self) -> Arc<Gate> {
        Arc::clone(&self.pods)
    }

    /// The gate for changing the fabric.
    pub(crate) fn fabric(&self) -> Arc<Gate> {
        Arc::clone(&self.fabric)
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

    /// Takes everything away, the daemons by SIGTERM, while the fabric still follows the cloud:
    /// a daemon may wait for an ENI.
    ///
    /// # Errors
    /// Whatever is left, and what went wrong in the background.
    pub(crate) async fn gently(mut self) -> Result<(), Errors> {
        self.pods.clear(PATIENCE);
        let stopping = self.daemons.iter().map(|daemon| daemon.stop());
        let stopped = futures_util::future::join_all(stopping).await;
        let mut errors = self.now();
        errors.extend(stopped.into_iter().filter_map(|result| match result {
            Ok(_) | Err(daemon::Error::NotRunning { .. }) => None,
            Err(error) => Some(Error::Daemon(error)),
        }));
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Errors(errors))
        }
    }

    /// Takes everything away, the daemons by SIGKILL.
    fn now(&mut self) -> Vec<Error> {
        self.done = true;
        let mut errors = Vec::new();
        let unfinished = self.pods.clear(PATIENCE) + self.fabric.clear(PATIENCE);
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
        errors
    }
}

impl Drop for Teardown {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let errors = self.now();
        if !errors.is_empty() {
            tracing::error!(errors = %Errors(errors), "the lab is not gone completely");
        }
    }
}
