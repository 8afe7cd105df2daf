//! The plugin chain of a node, for one sandbox.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::gate::Pass;
use crate::names::netns_path;

use super::conflist::{Conflist, Plugin};
use super::execute::{self, CniOutput, Execution, Verb};
use super::pod::Sandbox;
use super::{Error, Runtime};

/// The interface a runtime asks for in a pod (containerd's and cri-o's choice).
const POD_INTERFACE: &str = "eth0";

/// The namespace, in the sense of Kubernetes, of all pods of a lab.
const KUBERNETES_NAMESPACE: &str = "default";

/// A sandbox, the chain for it, and the right to run it.
pub(super) struct Chain<'a> {
    runtime: &'a Runtime,
    sandbox: &'a Sandbox,
    pass: &'a Pass,
    list: Conflist,
}

impl<'a> Chain<'a> {
    /// The node's chain as it is configured now.
    pub(super) fn load(
        runtime: &'a Runtime,
        sandbox: &'a Sandbox,
        pass: &'a Pass,
    ) -> Result<Chain<'a>, Error> {
        let list = Conflist::first_in(&runtime.configurations)?;
        Ok(Chain {
            runtime,
            sandbox,
            pass,
            list,
        })
    }

    /// ADD by each plugin in order, each with the result of the one before: the last result, and
    /// what the plugins took.
    pub(super) fn add(&self) -> Result<(Value, Duration), Error> {
        let mut elapsed = Duration::ZERO;
        let mut previous = None;
        for plugin in &self.list.plugins {
            let (result, took) = self.step(Verb::Add, plugin, previous.as_ref())?;
            elapsed += took;
            previous = Some(result);
        }
        Ok((previous.unwrap_or_default(), elapsed))
    }

    /// DEL by each plugin in reverse, each with the pod's result: what the plugins took.
    pub(super) fn del(&self, result: Option<&Value>) -> Result<Duration, Error> {
        let mut elapsed = Duration::ZERO;
        for plugin in self.list.plugins.iter().rev() {
            elapsed += self.step(Verb::Del, plugin, result)?.1;
        }
        Ok(elapsed)
    }

    /// One execution of the first plugin, with `extra` variables.
    pub(super) fn first(
        &self,
        verb: Verb,
        previous: Option<&Value>,
        extra: &BTreeMap<String, String>,
    ) -> Result<CniOutput, Error> {
        // A list without plugins is refused when it is read.
        let plugin = &self.list.plugins[0];
        self.execute(verb, plugin, previous, extra)
    }

    fn step(
        &self,
        verb: Verb,
        plugin: &Plugin,
        previous: Option<&Value>,
    ) -> Result<(Value, Duration), Error> {
        let output = self.execute(verb, plugin, previous, &BTreeMap::new())?;
        let result = output.result(verb).map_err(|source| self.failed(source))?;
        Ok((result, output.elapsed))
    }

    fn execute(
        &self,
        verb: Verb,
        plugin: &Plugin,
        previous: Option<&Value>,
        extra: &BTreeMap<String, String>,
    ) -> Result<CniOutput, Error> {
        let mut environment = self.environment(verb);
        environment.extend(extra.clone());
        let execution = Execution {
            program: &self.program(plugin)?,
            netns: &netns_path(&self.runtime.lab.node(self.runtime.node)),
            environment: &environment,
            request: &self.list.request(plugin, previous),
        };
        execution
            .run(self.pass)
            .map_err(|source| self.failed(source))
    }

    fn program(&self, plugin: &Plugin) -> Result<PathBuf, Error> {
        let folder = &self.runtime.plugins;
        let path = folder.join(&plugin.program);
        if !plugin.program.contains('/') && path.is_file() {
            return Ok(path);
        }
        Err(Error::NoPlugin {
            program: plugin.program.clone(),
            folder: folder.clone(),
        })
    }

    /// What a runtime sets for a plugin (CNI specification, section 2, "Parameters"), with the
    /// arguments that containerd passes on from Kubernetes.
    fn environment(&self, verb: Verb) -> BTreeMap<String, String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let sandbox = self.sandbox;
        let arguments = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE={KUBERNETES_NAMESPACE};K8S_POD_NAME={};\
             K8S_POD_INFRA_CONTAINER_ID={};K8S_POD_UID={}",
            sandbox.name, sandbox.container_id, sandbox.uid
        );
        BTreeMap::from(
            [
                ("CNI_COMMAND", verb.as_str().to_owned()),
                ("CNI_CONTAINERID", sandbox.container_id.clone()),
                ("CNI_NETNS", text(&sandbox.netns)),
                ("CNI_IFNAME", POD_INTERFACE.to_owned()),
                ("CNI_PATH", text(&self.runtime.plugins)),
                ("CNI_ARGS", arguments),
                ("PATH", text(&self.runtime.no_programs)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }

    fn failed(&self, source: execute::Error) -> Error {
        Error::Plugin {
            name: self.sandbox.name.clone(),
            source,
        }
    }
}
