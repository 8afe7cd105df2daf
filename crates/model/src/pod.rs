//! Who holds an address.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The identity of an allocation: one interface of one sandbox in one CNI network. Upstream's key,
/// so that its checkpoint file and ours name the same thing. The pod's name is not part of it: a
/// pod that is created again under its old name is a new sandbox.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PodKey {
    /// The CNI network's name, `aws-cni` with the shipped conflist.
    pub network: String,
    /// The container id the runtime gave to the sandbox.
    pub container_id: String,
    /// The interface's name inside the pod, usually `eth0`.
    pub if_name: String,
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container_id, self.if_name)
    }
}

/// A pod's name in Kubernetes. Empty outside Kubernetes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PodName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
