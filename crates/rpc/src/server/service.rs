//! From tonic's traits to [`Backend`].

use std::future::Future;
use std::sync::Arc;

use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response};

use super::{Backend, PeerCredentials};
use crate::proto::cni_backend_server::CniBackend;
use crate::proto::config_server_backend_server::ConfigServerBackend;
use crate::proto::node::node_server::Node;
use crate::proto::node::{
    CollectGarbageReply, CollectGarbageRequest, GetStatusReply, GetStatusRequest,
};
use crate::proto::{
    AddNetworkReply, AddNetworkRequest, DelNetworkReply, DelNetworkRequest,
    NetworkPolicyAgentConfigReply,
};
use crate::status::Status;

/// A backend behind tonic's traits.
#[derive(Debug)]
pub(super) struct Service<B>(pub(super) Arc<B>);

#[tonic::async_trait]
impl<B: Backend> CniBackend for Service<B> {
    async fn add_network(
        &self,
        request: Request<AddNetworkRequest>,
    ) -> Result<Response<AddNetworkReply>, tonic::Status> {
        let (peer, backend) = (peer(&request)?, Arc::clone(&self.0));
        to_its_end(async move { backend.add_network(peer, request.into_inner()).await }).await
    }

    async fn del_network(
        &self,
        request: Request<DelNetworkRequest>,
    ) -> Result<Response<DelNetworkReply>, tonic::Status> {
        let (peer, backend) = (peer(&request)?, Arc::clone(&self.0));
        to_its_end(async move { backend.del_network(peer, request.into_inner()).await }).await
    }
}

#[tonic::async_trait]
impl<B: Backend> ConfigServerBackend for Service<B> {
    async fn get_network_policy_configs(
        &self,
        request: Request<()>,
    ) -> Result<Response<NetworkPolicyAgentConfigReply>, tonic::Status> {
        let (peer, backend) = (peer(&request)?, Arc::clone(&self.0));
        to_its_end(async move { backend.get_network_policy_configs(peer).await }).await
    }
}

#[tonic::async_trait]
impl<B: Backend> Node for Service<B> {
    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusReply>, tonic::Status> {
        let (peer, backend) = (peer(&request)?, Arc::clone(&self.0));
        to_its_end(async move {
            let json = backend.get_status(peer).await?;
            Ok(GetStatusReply { json })
        })
        .await
    }

    async fn collect_garbage(
        &self,
        request: Request<CollectGarbageRequest>,
    ) -> Result<Response<CollectGarbageReply>, tonic::Status> {
        let (peer, backend) = (peer(&request)?, Arc::clone(&self.0));
        to_its_end(async move { backend.collect_garbage(peer, request.into_inner()).await }).await
    }
}

/// Runs a call on a task of its own: tonic drops the caller's future when the caller hangs up or
/// its deadline passes, which must not stop an allocation half-way.
async fn to_its_end<T: Send + 'static>(
    call: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<Response<T>, tonic::Status> {
    match tokio::spawn(call).await {
        Ok(Ok(reply)) => Ok(Response::new(reply)),
        Ok(Err(status)) => Err(tonic::Status::new(
            tonic::Code::from_i32(status.code as i32),
            status.message,
        )),
        Err(ended) => Err(tonic::Status::internal(format!(
            "the call did not end well: {ended}"
        ))),
    }
}

fn peer<T>(request: &Request<T>) -> Result<PeerCredentials, tonic::Status> {
    request
        .extensions()
        .get::<UdsConnectInfo>()
        .and_then(|connection| connection.peer_cred)
        .map(|caller| PeerCredentials {
            uid: caller.uid(),
            pid: caller.pid().unwrap_or(0),
        })
        .ok_or_else(|| tonic::Status::unauthenticated("the caller's credentials are not known"))
}
