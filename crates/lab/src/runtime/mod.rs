//! A container runtime and its kubelet, as far as pods' networks go: makes a network namespace,
//! runs the node's plugin chain, remembers the result, and tears both down again.
//!
//! What a kubelet and containerd do when an ADD fails is done here too: DEL, a new sandbox with a
//! new container id, and another try after a pause, but only for errors that may pass by
//! themselves, sooner than a kubelet would, and not for ever.

mod chain;
pub mod conflist;
mod error;
pub mod execute;
pub mod pod;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gate::{Gate, Pass};
use crate::names::{self, LabName, netns_path};
use crate::tool::Tools;

pub use error::Error;

use chain::Chain;
use execute::{CniOutput, Verb};
use pod::{Pod, PodRecord, Records, Sandbox, Wired};

/// How long one pod may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The pause before the second try; each further one is twice as long.
pub const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The runtime of one node. All its methods block.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Programs of the system.
    pub tools: Tools,
    /// The lab.
    pub lab: LabName,
    /// The number of the node.
    pub node: u8,
    /// Where the node's network configuration appears.
    pub configurations: PathBuf,
    /// Where the node's plugins are: `CNI_PATH`.
    pub plugins: PathBuf,
    /// An empty folder: the plugins' `PATH`, so that they can start no program by name.
    pub no_programs: PathBuf,
    /// The pods of the lab.
    pub records: Records,
    /// Whether something may still be started.
    pub gate: Arc<Gate>,
}

/// One execution of the first plugin of the chain, exactly as asked.
#[derive(Debug, Clone)]
pub struct CniCall {
    /// What to ask.
    pub verb: Verb,
    /// For which sandbox.
    pub sandbox: Sandbox,
    /// The `prevResult`, if any.
    pub previous: Option<Value>,
    /// Variables besides, or instead of, those a runtime sets.
    pub extra_env: BTreeMap<String, String>,
}

impl Runtime {
    /// Makes a pod: a sandbox wired by the chain, tried again as long as that may help.
    ///
    /// # Errors
    /// [`Error`]. Nothing of the pod is left then, except in case of [`Error::RemoveNamespace`].
    pub fn add_pod(&self, name: &str) -> Result<Pod, Error> {
        let pass = self.enter(name)?;
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.try_pod(name, attempts, &pass) {
                Ok(pod) => return Ok(pod),
                Err(failure) => failure,
            };
            if !failure.may_pass() {
                return Err(failure);
            }
            let elapsed = start.elapsed();
            if elapsed + pause > PATIENCE || pass.pause(pause).is_err() {
                return Err(Error::GaveUp {
                    name: name.to_owned(),
                    attempts,
                    elapsed,
                    source: Box::new(failure),
                });
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Unwires a pod and removes its namespace. Gives what the plugins took, from exec to exit.
    ///
    /// # Errors
    /// [`Error`]. When a plugin failed, the pod is as it was, so that it can be tried again.
    pub fn del_pod(&self, sandbox: &Sandbox) -> Result<Duration, Error> {
        let pass = self.enter(&sandbox.name)?;
        let record = self.records.read(&sandbox.name)?;
        let result = record
            .and_then(|record| record.wired)
            .map(|wired| wired.result);
        let elapsed = Chain::load(self, sandbox, &pass)?.del(result.as_ref())?;
        self.discard(sandbox)?;
        Ok(elapsed)
    }

    /// Makes only the sandbox: a namespace with its loopback up.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Exists`], [`Error::MakeNamespace`] and others; nothing is left.
    pub fn sandbox(&self, name: &str) -> Result<Sandbox, Error> {
        let _pass = self.enter(name)?;
        self.make(name)
    }

    /// Removes only the sandbox; no plugin runs.
    ///
    /// # Errors
    /// [`Error::RemoveNamespace`] and [`Error::Record`].
    pub fn remove_sandbox(&self, sandbox: &Sandbox) -> Result<(), Error> {
        let _pass = self.enter(&sandbox.name)?;
        self.discard(sandbox)
    }

    /// The wired pods of this node, by name.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn pods(&self) -> Result<Vec<Pod>, Error> {
        let records = self.records.all()?;
        let own = records.iter().filter(|record| record.node == self.node);
        Ok(own.filter_map(PodRecord::pod).collect())
    }

    /// Executes the first plugin of the chain once.
    ///
    /// # Errors
    /// It could not be executed; that it failed is in the output.
    pub fn call(&self, call: &CniCall) -> Result<CniOutput, Error> {
        let pass = self.enter(&call.sandbox.name)?;
        let chain = Chain::load(self, &call.sandbox, &pass)?;
        chain.first(call.verb, call.previous.as_ref(), &call.extra_env)
    }

    fn enter(&self, name: &str) -> Result<Pass, Error> {
        self.gate.enter().map_err(|source| Error::Closed {
            name: name.to_owned(),
            source,
        })
    }

    /// One sandbox and one ADD, undone on failure.
    fn try_pod(&self, name: &str, attempts: u32, pass: &Pass) -> Result<Pod, Error> {
        let sandbox = self.make(name)?;
        let failure = match self.wire(&sandbox, attempts, pass) {
            Ok(pod) => return Ok(pod),
            Err(failure) => failure,
        };
        // As containerd does; the ADD's failure is what matters to the caller.
        let _ = Chain::load(self, &sandbox, pass).and_then(|chain| chain.del(None));
        self.discard(&sandbox)?;
        Err(failure)
    }

    fn wire(&self, sandbox: &Sandbox, attempts: u32, pass: &Pass) -> Result<Pod, Error> {
        let (result, add_time) = Chain::load(self, sandbox, pass)?.add()?;
        let no_address = || Error::NoAddress {
            name: sandbox.name.clone(),
            result: result.to_string(),
        };
        let wired = Wired {
            address: first_address(&result).ok_or_else(no_address)?,
            result,
            attempts,
            add_time,
        };
        let pod = wired.clone().pod(sandbox.clone(), self.node);
        self.records.write(&PodRecord {
            node: self.node,
            sandbox: sandbox.clone(),
            wired: Some(wired),
        })?;
        Ok(pod)
    }

    fn make(&self, name: &str) -> Result<Sandbox, Error> {
        names::check_pod_name(name)?;
        if let Some(record) = self.records.read(name)? {
            return Err(Error::Exists {
                name: name.to_owned(),
                node: record.node,
            });
        }
        let failed = |source| Error::MakeNamespace {
            name: name.to_owned(),
            source,
        };
        let netns = self.lab.pod(name);
        let sandbox = Sandbox::new(name, netns_path(&netns)).map_err(|source| Error::Id {
            name: name.to_owned(),
            source,
        })?;
        // Whoever makes the namespace has the name: this fails if it is there.
        self.tools
            .ip(None, &[format!("netns add {netns}")])
            .map_err(failed)?;
        let record = PodRecord {
            node: self.node,
            sandbox: sandbox.clone(),
            wired: None,
        };
        let ready = self
            .records
            .write(&record)
            .map_err(Error::from)
            .and_then(|()| {
                let up = ["link set lo up".to_owned()];
                self.tools.ip(Some(&netns), &up).map_err(failed)
            });
        if let Err(failure) = ready {
            self.discard(&sandbox)?;
            return Err(failure);
        }
        Ok(sandbox)
    }

    fn discard(&self, sandbox: &Sandbox) -> Result<(), Error> {
        let netns = self.lab.pod(&sandbox.name);
        if netns_path(&netns).exists() {
            let removed = self.tools.ip(None, &[format!("netns del {netns}")]);
            removed.map_err(|source| Error::RemoveNamespace {
                name: sandbox.name.clone(),
                source,
            })?;
        }
        Ok(self.records.remove(&sandbox.name)?)
    }
}

/// The first IPv4 address of a result.
fn first_address(result: &Value) -> Option<Ipv4Addr> {
    let ips = result["ips"].as_array()?.iter();
    let mut addresses =
        ips.filter_map(|ip| ip["address"].as_str()?.split('/').next()?.parse().ok());
    addresses.next()
}

#[cfg(test)]
mod tests;
