//! What the plugin asks, answered by the pool.

use std::time::{Duration, Instant};

use vpc_model::{PodKey, PodName};
use vpc_rpc::proto::node::{CollectGarbageReply, CollectGarbageRequest};
use vpc_rpc::proto::{
    AddNetworkReply, AddNetworkRequest, DelNetworkReply, DelNetworkRequest, IpAllocationMetadata,
    NetworkPolicyAgentConfigReply,
};
use vpc_rpc::server::{Backend, PeerCredentials};
use vpc_rpc::{Code, Status};

use crate::garbage;
use crate::metrics::tally::{AddOutcome, DelOutcome, DelReason};
use crate::pool_task::{AddRefusal, Grant, PoolHandle, ReleaseRefusal};

/// The backend of the socket.
#[derive(Debug)]
pub struct RpcService {
    pool: PoolHandle,
    node: tokio::sync::watch::Receiver<NodeAnswer>,
    gc_min_age: Duration,
}

/// What the network-policy agent asks about the node.
#[derive(Debug, Clone, Default)]
pub struct NodeAnswer {
    /// The node's own address, once the metadata service said so.
    pub node_ipv4: String,
    /// The instance.
    pub instance_id: String,
    /// The region.
    pub region: String,
    /// `none`, `standard` or `strict`; empty where network policies are off.
    pub network_policy_mode: String,
}

impl RpcService {
    /// A service on that pool. `gc_min_age` is how long no ADD may have asked for what GC frees.
    #[must_use]
    pub fn new(
        pool: PoolHandle,
        node: tokio::sync::watch::Receiver<NodeAnswer>,
        gc_min_age: Duration,
    ) -> Self {
        Self {
            pool,
            node,
            gc_min_age,
        }
    }

    fn network_policy_mode(&self) -> String {
        self.node.borrow().network_policy_mode.clone()
    }
}

/// Our version, byte for byte what a matching plugin sends. Empty, because upstream's builds are:
/// its plugin must be able to talk to us and ours to its daemon.
const CLIENT_VERSION: &str = "";

fn check_version(client: &str) -> Result<(), Status> {
    if client == CLIENT_VERSION {
        return Ok(());
    }
    // Upstream's text: its plugin's users know it.
    let message = format!("wrong client version {client:?} (!= {CLIENT_VERSION:?})");
    Err(Status::new(Code::FailedPrecondition, message))
}

fn key(network: String, container_id: String, if_name: String) -> Result<PodKey, Status> {
    for (field, value) in [
        ("NetworkName", &network),
        ("ContainerID", &container_id),
        ("IfName", &if_name),
    ] {
        if value.is_empty() {
            let message = format!("{field} is empty; it is part of what names an allocation");
            return Err(Status::new(Code::InvalidArgument, message));
        }
    }
    Ok(PodKey {
        network,
        container_id,
        if_name,
    })
}

fn metadata(grant: &Grant) -> IpAllocationMetadata {
    IpAllocationMetadata {
        ipv4_addr: grant.address.to_string(),
        ipv6_addr: String::new(),
        device_number: i32::from(grant.device.0),
        // Tables are at most 10000 + 100 · 255 + 255.
        route_table_id: i32::try_from(grant.table.0).unwrap_or(i32::MAX),
    }
}

impl RpcService {
    async fn add(
        &self,
        peer: PeerCredentials,
        request: AddNetworkRequest,
        outcome: &mut AddOutcome,
    ) -> Result<AddNetworkReply, Status> {
        check_version(&request.client_version)?;
        let key = key(request.network_name, request.container_id, request.if_name)?;
        let pod = PodName {
            namespace: request.k8s_pod_namespace,
            name: request.k8s_pod_name,
        };
        if request.requires_multi_nic_attachment {
            let text = "the pod asks for several interfaces (annotation \
                        k8s.amazonaws.com/nicConfig), and this node has ENABLE_MULTI_NIC off";
            return Err(Status::new(Code::FailedPrecondition, text));
        }
        let started = Instant::now();
        let result = self.pool.allocate(key.clone(), pod.clone()).await;
        let waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let refusal = match result {
            Ok(grant) => {
                *outcome = AddOutcome::Ok;
                tracing::info!(
                    verb = "ADD", %pod, %key, address = %grant.address, eni = grant.eni.as_ref().map(tracing::field::display),
                    waited_ms, peer_pid = peer.pid, "allocated"
                );
                return Ok(AddNetworkReply {
                    success: true,
                    ip_allocation_metadata: vec![metadata(&grant)],
                    network_policy_mode: self.network_policy_mode(),
                    ..AddNetworkReply::default()
                });
            }
            Err(refusal) => refusal,
        };
        tracing::warn!(
            verb = "ADD", %pod, %key, reason = %refusal, waited_ms, peer_pid = peer.pid, "refused"
        );
        let (code, ended) = match refusal {
            AddRefusal::NoAddress(_) => (Code::ResourceExhausted, AddOutcome::NoAddress),
            AddRefusal::NotReady(_) => (Code::Unavailable, AddOutcome::NotReady),
            AddRefusal::Stopping => (Code::Unavailable, AddOutcome::Stopping),
            AddRefusal::Journal(_) => (Code::Internal, AddOutcome::Journal),
        };
        *outcome = ended;
        Err(Status::new(code, refusal.to_string()))
    }

    async fn del(
        &self,
        peer: PeerCredentials,
        request: DelNetworkRequest,
        outcome: &mut DelOutcome,
    ) -> Result<DelNetworkReply, Status> {
        check_version(&request.client_version)?;
        let key = key(request.network_name, request.container_id, request.if_name)?;
        let refusal = match self.pool.release(key.clone()).await {
            Ok(grant) => {
                *outcome = DelOutcome::Ok;
                tracing::info!(
                    verb = "DEL", %key, address = %grant.address, reason = request.reason,
                    peer_pid = peer.pid, "released"
                );
                return Ok(DelNetworkReply {
                    success: true,
                    ip_allocation_metadata: vec![metadata(&grant)],
                    network_policy_mode: self.network_policy_mode(),
                    ..DelNetworkReply::default()
                });
            }
            Err(refusal) => refusal,
        };
        *outcome = match refusal {
            ReleaseRefusal::UnknownPod => {
                *outcome = DelOutcome::UnknownPod;
                tracing::info!(verb = "DEL", %key, peer_pid = peer.pid, "holds no address");
                return Err(Status::unknown_pod(&key));
            }
            ReleaseRefusal::Journal(_) => DelOutcome::Journal,
            // Of the two only this one: nobody else's age is looked at but garbage's.
            ReleaseRefusal::Stopping | ReleaseRefusal::AskedFor => DelOutcome::Stopping,
        };
        tracing::error!(verb = "DEL", %key, reason = %refusal, "not released");
        Err(Status::new(Code::Unavailable, refusal.to_string()))
    }
}

impl Backend for RpcService {
    async fn add_network(
        &self,
        peer: PeerCredentials,
        request: AddNetworkRequest,
    ) -> Result<AddNetworkReply, Status> {
        let tally = self.pool.tally();
        tally.add_requests.one();
        let (started, mut outcome) = (Instant::now(), AddOutcome::BadRequest);
        let result = self.add(peer, request, &mut outcome).await;
        tally.adds.of(outcome).observe(started.elapsed());
        if outcome == AddOutcome::NoAddress {
            tally.no_address.one();
        }
        result
    }

    async fn del_network(
        &self,
        peer: PeerCredentials,
        request: DelNetworkRequest,
    ) -> Result<DelNetworkReply, Status> {
        let tally = self.pool.tally();
        tally.del_requests.of(DelReason::of(&request.reason)).one();
        let (started, mut outcome) = (Instant::now(), DelOutcome::BadRequest);
        let result = self.del(peer, request, &mut outcome).await;
        tally.dels.of(outcome).observe(started.elapsed());
        result
    }

    async fn get_network_policy_configs(
        &self,
        _peer: PeerCredentials,
    ) -> Result<NetworkPolicyAgentConfigReply, Status> {
        let node = self.node.borrow().clone();
        Ok(NetworkPolicyAgentConfigReply {
            network_policy_mode: node.network_policy_mode,
            multi_nic_enabled: false,
            node_ipv4: node.node_ipv4,
            node_ipv6: String::new(),
            instance_id: node.instance_id,
            region: node.region,
        })
    }

    async fn collect_garbage(
        &self,
        peer: PeerCredentials,
        request: CollectGarbageRequest,
    ) -> Result<CollectGarbageReply, Status> {
        let listed = garbage::listed(request)?;
        tracing::info!(
            verb = "GC",
            network = listed.network,
            listed = listed.attachments.len(),
            peer_pid = peer.pid,
            "looking for what is nobody's"
        );
        garbage::collect(&self.pool, &listed, self.gc_min_age, &garbage::ThisNode).await
    }

    async fn get_status(&self, _peer: PeerCredentials) -> Result<String, Status> {
        let stopping = || Status::new(Code::Unavailable, "ipamd is stopping");
        let status = self.pool.status().await.ok_or_else(stopping)?;
        serde_json::to_string(&status).map_err(|error| {
            let text = format!("the status cannot be written as JSON: {error}");
            Status::new(Code::Internal, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_without_a_full_key_is_refused_by_name() {
        let error = key("aws-cni".to_owned(), String::new(), "eth0".to_owned()).unwrap_err();
        assert!(error.message.contains("ContainerID"), "{error}");
    }

    #[test]
    fn upstreams_empty_version_is_ours_and_others_are_refused_in_its_words() {
        assert!(check_version("").is_ok());
        let error = check_version("v1.2.3").unwrap_err();
        assert_eq!(error.code, Code::FailedPrecondition);
        assert_eq!(error.message, "wrong client version \"v1.2.3\" (!= \"\")");
    }
}
