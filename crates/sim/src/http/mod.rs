//! The world behind EC2's and IMDS's protocols.

pub(crate) mod admin;
mod dispatch;
pub(crate) mod ec2;
pub(crate) mod form;
pub(crate) mod imds;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::Response;
use axum::http::request::Parts;
use vpc_model::InstanceId;

/// Which instance a caller of the metadata service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentifyBy {
    /// The running instance whose primary ENI has the peer's address as its primary one.
    PeerAddress,
    /// Everybody is this instance.
    Instance(InstanceId),
}

/// The peer's address, where the server tells it.
struct Peer(Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Peer(info.map(|ConnectInfo(peer)| peer.ip().to_canonical())))
    }
}

/// A body that fails at once makes the server close the connection before it has sent anything.
fn lost_answer() -> Response<Body> {
    let failure = std::io::Error::other("the answer is lost on purpose");
    let stream = futures_util::stream::iter([Err::<Bytes, _>(failure)]);
    Response::new(Body::from_stream(stream))
}

/// The names of the EC2 actions that are served, in order.
pub fn actions() -> impl Iterator<Item = &'static str> {
    dispatch::actions()
}
