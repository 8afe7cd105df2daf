//! The network-policy agent: asked when ipamd's reply names a mode.

use std::path::PathBuf;
use std::time::Duration;

use vpc_model::PodName;
use vpc_rpc::client::{self, DELETE_POD_NP, ENFORCE_NP_TO_POD};
use vpc_rpc::proto::{DeleteNpRequest, EnforceNpRequest};

use crate::error::Error;

/// Name of its socket, beside ipamd's.
pub(crate) const SOCKET: &str = "npa.sock";

/// The agent on this node.
#[derive(Clone, Debug)]
pub struct PolicyAgent {
    /// Where it listens.
    pub socket: PathBuf,
    /// How long to wait for an answer.
    pub deadline: Duration,
}

impl PolicyAgent {
    /// Has the pod's policies enforced on its `interfaces` veths before the pod starts.
    ///
    /// # Errors
    /// The agent did not answer, or said no.
    pub fn enforce(&self, pod: &PodName, mode: &str, interfaces: usize) -> Result<(), Error> {
        let request = EnforceNpRequest {
            k8s_pod_name: pod.name.clone(),
            k8s_pod_namespace: pod.namespace.clone(),
            network_policy_mode: mode.to_owned(),
            interface_count: i32::try_from(interfaces).unwrap_or(i32::MAX),
        };
        let reply = client::call_blocking(&self.socket, ENFORCE_NP_TO_POD, &request, self.deadline);
        if reply.map_err(Error::PolicyAgent)?.success {
            Ok(())
        } else {
            Err(Error::PolicyRefused)
        }
    }

    /// Has the agent forget the pod.
    ///
    /// # Errors
    /// The agent did not answer, or said no. The pod is gone either way.
    pub fn forget(&self, pod: &PodName) -> Result<(), Error> {
        let request = DeleteNpRequest {
            k8s_pod_name: pod.name.clone(),
            k8s_pod_namespace: pod.namespace.clone(),
        };
        let reply = client::call_blocking(&self.socket, DELETE_POD_NP, &request, self.deadline);
        if reply.map_err(Error::PolicyAgent)?.success {
            Ok(())
        } else {
            Err(Error::PolicyRefused)
        }
    }
}
