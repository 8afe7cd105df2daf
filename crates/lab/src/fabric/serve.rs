//! HTTP servers inside a namespace: the socket is made there, the answers are given here.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener};
use std::path::Path;

use axum::Router;
use axum::serve::ListenerExt;

use crate::netns;

/// How many hops the packets of a server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopLimit {
    /// The kernel's own default, 64.
    Standard,
    /// This many: with 1 the node itself is reached, and no pod behind it, since a node that
    /// forwards such a packet drops it (EC2 user guide, `HttpPutResponseHopLimit`; there it holds
    /// for the answer to the token request, here for the whole connection).
    Exactly(u32),
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace.
    #[error("cannot listen on {address}")]
    Namespace {
        /// Where.
        address: SocketAddrV4,
        /// Why not.
        #[source]
        source: netns::Error,
    },
    /// The socket.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddrV4,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
}

/// Listens on `address` inside the namespace whose file is `netns`.
///
/// # Errors
/// [`Error`].
pub fn listen(
    netns: &Path,
    address: SocketAddrV4,
    hop_limit: HopLimit,
) -> Result<TcpListener, Error> {
    netns::run_in(netns, || bind(address, hop_limit))
        .map_err(|source| Error::Namespace { address, source })?
        .map_err(|source| Error::Listen { address, source })
}

/// Listens on `address` in this process's own namespace.
///
/// # Errors
/// [`Error::Listen`].
pub fn listen_here(address: SocketAddrV4) -> Result<TcpListener, Error> {
    bind(address, HopLimit::Standard).map_err(|source| Error::Listen { address, source })
}

/// Serves `router` on `listener` until the future is dropped. The handlers learn the caller's
/// address.
///
/// # Errors
/// The socket could not be handed to the runtime.
pub async fn serve(listener: TcpListener, router: Router) -> io::Result<()> {
    // An answer must not wait for the acknowledgement of the one before; a socket that refuses
    // the option still works.
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await
}

fn bind(address: SocketAddrV4, hop_limit: HopLimit) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    match hop_limit {
        HopLimit::Standard => {}
        // Accepted connections inherit it.
        HopLimit::Exactly(hops) => listener.set_ttl(hops)?,
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}
