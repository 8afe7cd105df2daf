//! What Kubernetes says, as far as the pool goes by it: how many pods the node runs, whether new
//! ones come, which are on their way, and where their ENIs are to be.

use std::collections::BTreeSet;

use vpc_aws::ec2::Ec2;
use vpc_ipam::plan::Provisioning;
use vpc_kube_api::{ClusterView, EniConfig};

use super::{Node, PoolTask};

/// Which of Kubernetes' words count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follows {
    /// The node's number of pods; where `VPC_CNI_MAX_PODS` is set, that counts.
    pub max_pods: bool,
    /// Whether the node is cordoned; with `AWS_MANAGE_ENIS_NON_SCHEDULABLE` it makes no difference.
    pub cordon: bool,
}

impl<E: Ec2> PoolTask<E> {
    /// Takes in what Kubernetes says now.
    pub(super) fn cluster_changed(&mut self) {
        let view = self.cluster.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.view, view);
        if before.node != self.view.node {
            tracing::info!(node = ?self.view.node, "Kubernetes' node");
        }
        let (view, node) = (&self.view, &mut self.learned);
        if let Some(node) = node {
            go_by(view, node);
        }
    }

    /// Pods that wait for an address, and those that are bound to the node and will ask for one.
    pub(super) fn demand(&self) -> u32 {
        let waiting = self.waiting.len();
        let in_want = self.view.in_want.as_ref();
        let in_want = in_want.filter(|pods| !pods.is_empty());
        let coming = in_want.map_or(0, |pods| {
            let known: BTreeSet<_> = self.pool.pods().chain(self.waiting.pods()).collect();
            pods.iter().filter(|pod| !known.contains(pod)).count()
        });
        u32::try_from(waiting + coming).unwrap_or(u32::MAX)
    }

    /// Whether EC2 may be asked for more, the node's state considered.
    pub(super) fn provisioning(&self, node: &Node<E>) -> Provisioning {
        let cordoned = self.view.node.as_ref().is_some_and(|node| node.cordoned);
        if cordoned && node.follows.cordon && node.provisioning == Provisioning::Enabled {
            Provisioning::Cordoned
        } else {
            node.provisioning
        }
    }
}

/// Settles what of the node's settings Kubernetes decides.
pub(super) fn go_by<E: Ec2>(view: &ClusterView, node: &mut Node<E>) {
    let max_pods = view.node.as_ref().and_then(|node| node.max_pods);
    if node.follows.max_pods && max_pods.is_some() {
        node.targets.max_pods = max_pods;
    }
    // While Kubernetes has not told, what was known stays.
    let (Some(it), Some(configs)) = (&view.node, &view.eni_configs) else {
        return;
    };
    let name = &it.eni_config;
    match configs.get(name) {
        Some(Ok(EniConfig {
            subnet,
            security_groups,
        })) => {
            node.discovery.name(Some(subnet.clone()));
            node.executor.use_security_groups(security_groups);
        }
        Some(Err(error)) => {
            tracing::warn!(name, %error, "the node's ENIConfig; no new ENIs");
            node.discovery.name(None);
        }
        None => {
            tracing::warn!(name, "there is no ENIConfig of that name; no new ENIs");
            node.discovery.name(None);
        }
    }
}
