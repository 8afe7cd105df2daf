//! The daemon's side of the socket: who may speak, what is served, and how it ends.
//!
//! [`serve`] binds the socket so that nobody but its owner can ever reach it, turns callers away
//! that are neither root nor this process's own user, and hands each request with its caller's
//! credentials to the [`Backend`]. There is no reflection service: whoever may ask knows what.

mod health;
mod listener;
mod peer;
mod service;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tonic::transport::Server;

use crate::health::Health;
use crate::proto::cni_backend_server::CniBackendServer;
use crate::proto::config_server_backend_server::ConfigServerBackendServer;
use crate::proto::health::health_server::HealthServer;
use crate::proto::node::node_server::NodeServer;
use crate::proto::node::{CollectGarbageReply, CollectGarbageRequest};
use crate::proto::{
    AddNetworkReply, AddNetworkRequest, DelNetworkReply, DelNetworkRequest,
    NetworkPolicyAgentConfigReply,
};
use crate::status::{Code, Status};

pub use listener::{BindError, Identity, open as listen};
pub use peer::PeerCredentials;

/// How long calls under way may take after the order to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What answers the calls.
///
/// Each call runs to its end even when its caller hangs up: a half-done allocation or release
/// would be worse than one nobody waits for. Implementations therefore bound their own time.
pub trait Backend: Send + Sync + 'static {
    /// Allocates addresses. A refusal by the application (nothing free, say) is a reply with
    /// `success: false`; an error is for what should not have been asked.
    fn add_network(
        &self,
        peer: PeerCredentials,
        request: AddNetworkRequest,
    ) -> impl Future<Output = Result<AddNetworkReply, Status>> + Send;

    /// Releases addresses. A key that holds none is [`Status::unknown_pod`].
    fn del_network(
        &self,
        peer: PeerCredentials,
        request: DelNetworkRequest,
    ) -> impl Future<Output = Result<DelNetworkReply, Status>> + Send;

    /// Tells the network-policy agent how this node enforces policies.
    fn get_network_policy_configs(
        &self,
        peer: PeerCredentials,
    ) -> impl Future<Output = Result<NetworkPolicyAgentConfigReply, Status>> + Send;

    /// What the node holds, and why, as a JSON object for operators.
    fn get_status(
        &self,
        peer: PeerCredentials,
    ) -> impl Future<Output = Result<String, Status>> + Send {
        let text = format!(
            "nothing is known about the node (asked by process {})",
            peer.pid
        );
        async move { Err(Status::new(Code::Unimplemented, text)) }
    }

    /// Frees what sandboxes hold that the runtime does not list and whose kernel state is gone.
    fn collect_garbage(
        &self,
        peer: PeerCredentials,
        request: CollectGarbageRequest,
    ) -> impl Future<Output = Result<CollectGarbageReply, Status>> + Send {
        let text = format!(
            "nothing is freed in the network {:?} (asked by process {})",
            request.network_name, peer.pid
        );
        async move { Err(Status::new(Code::Unimplemented, text)) }
    }
}

/// The socket could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no socket to serve.
    #[error("cannot open the socket {}", socket.display())]
    Bind {
        /// The socket.
        socket: PathBuf,
        /// What went wrong.
        #[source]
        source: BindError,
    },
    /// Serving ended by itself.
    #[error("serving {} failed", socket.display())]
    Serve {
        /// The socket.
        socket: PathBuf,
        /// What went wrong.
        #[source]
        source: tonic::transport::Error,
    },
}

/// A socket that is open and not yet served. Callers queue from here on.
#[derive(Debug)]
pub struct Bound {
    listener: tokio::net::UnixListener,
    socket: PathBuf,
    identity: Identity,
}

/// Opens the socket: creates its directory (0700) where it is missing, removes a socket nobody
/// listens on, and creates the new one with mode 0600.
///
/// # Errors
/// Names the step. A socket somebody answers on is left alone.
pub fn bind(socket: &Path) -> Result<Bound, ServeError> {
    let failed = |source| ServeError::Bind {
        socket: socket.to_owned(),
        source,
    };
    let (listener, identity) = listener::open(socket).map_err(failed)?;
    Ok(Bound {
        listener,
        socket: socket.to_owned(),
        identity,
    })
}

/// [`bind`], then [`Bound::serve`].
///
/// # Errors
/// As [`bind`] and [`Bound::serve`].
pub async fn serve<B: Backend>(
    socket: &Path,
    backend: B,
    health: watch::Receiver<Health>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    bind(socket)?.serve(backend, health, shutdown).await
}

impl Bound {
    /// Serves until `shutdown` completes, then lets calls under way finish for up to five seconds
    /// and removes the socket.
    ///
    /// # Errors
    /// Serving ended by itself.
    pub async fn serve<B: Backend>(
        self,
        backend: B,
        health: watch::Receiver<Health>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let backend = Arc::new(backend);
        let stop = Arc::new(tokio::sync::Notify::new());
        let stopped = Arc::clone(&stop);
        let server = Server::builder()
            .add_service(CniBackendServer::new(service::Service(Arc::clone(
                &backend,
            ))))
            .add_service(ConfigServerBackendServer::new(service::Service(
                Arc::clone(&backend),
            )))
            .add_service(NodeServer::new(service::Service(backend)))
            .add_service(HealthServer::new(health::Service(health)))
            .serve_with_incoming_shutdown(peer::admitted(self.listener), async move {
                stopped.notified().await;
            });
        tokio::pin!(server);
        let ended = tokio::select! {
            ended = &mut server => ended,
            () = shutdown => {
                stop.notify_one();
                // Whoever has not finished by then is cut off.
                tokio::time::timeout(GRACE, &mut server).await.unwrap_or(Ok(()))
            }
        };
        self.identity.remove(&self.socket);
        ended.map_err(|source| ServeError::Serve {
            socket: self.socket,
            source,
        })
    }
}

impl<B: Backend> Backend for Arc<B> {
    fn add_network(
        &self,
        peer: PeerCredentials,
        request: AddNetworkRequest,
    ) -> impl Future<Output = Result<AddNetworkReply, Status>> + Send {
        B::add_network(self, peer, request)
    }

    fn del_network(
        &self,
        peer: PeerCredentials,
        request: DelNetworkRequest,
    ) -> impl Future<Output = Result<DelNetworkReply, Status>> + Send {
        B::del_network(self, peer, request)
    }

    fn get_network_policy_configs(
        &self,
        peer: PeerCredentials,
    ) -> impl Future<Output = Result<NetworkPolicyAgentConfigReply, Status>> + Send {
        B::get_network_policy_configs(self, peer)
    }

    fn get_status(
        &self,
        peer: PeerCredentials,
    ) -> impl Future<Output = Result<String, Status>> + Send {
        B::get_status(self, peer)
    }

    fn collect_garbage(
        &self,
        peer: PeerCredentials,
        request: CollectGarbageRequest,
    ) -> impl Future<Output = Result<CollectGarbageReply, Status>> + Send {
        B::collect_garbage(self, peer, request)
    }
}
