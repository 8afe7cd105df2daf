//! One unary gRPC call over a unix socket, with a deadline on the whole of it.
//!
//! A connection is made for each call: the plugin makes one or two calls in its life, and a
//! single-threaded runtime with one `h2` connection starts in well under a millisecond.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode, header};
use prost::Message;
use tokio::net::UnixStream;

use crate::frame::{self, FrameError};
use crate::proto::node::{
    CollectGarbageReply, CollectGarbageRequest, GetStatusReply, GetStatusRequest,
};
use crate::proto::{
    AddNetworkReply, AddNetworkRequest, DelNetworkReply, DelNetworkRequest, DeleteNpReply,
    DeleteNpRequest, EnforceNpReply, EnforceNpRequest, NetworkPolicyAgentConfigReply,
};
use crate::status::{Code, Status, percent_decode};

/// A method of a service: its path, what it takes and what it returns.
#[derive(Debug)]
pub struct Method<Input, Output> {
    path: &'static str,
    kind: PhantomData<fn(Input) -> Output>,
}

impl<Input, Output> Clone for Method<Input, Output> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Input, Output> Copy for Method<Input, Output> {}

impl<Input, Output> Method<Input, Output> {
    /// The method at `path`, which is `/<package>.<service>/<method>`.
    #[must_use]
    pub const fn new(path: &'static str) -> Self {
        Self {
            path,
            kind: PhantomData,
        }
    }
}

/// Allocate an address.
pub const ADD_NETWORK: Method<AddNetworkRequest, AddNetworkReply> =
    Method::new("/rpc.CNIBackend/AddNetwork");
/// Release an address.
pub const DEL_NETWORK: Method<DelNetworkRequest, DelNetworkReply> =
    Method::new("/rpc.CNIBackend/DelNetwork");
/// How network policies are enforced on this node.
pub const GET_NETWORK_POLICY_CONFIGS: Method<(), NetworkPolicyAgentConfigReply> =
    Method::new("/rpc.ConfigServerBackend/GetNetworkPolicyConfigs");
/// What the node holds, and why; for operators.
pub const GET_STATUS: Method<GetStatusRequest, GetStatusReply> =
    Method::new("/vpc_cni.Node/GetStatus");
/// Free what sandboxes hold that are gone.
pub const COLLECT_GARBAGE: Method<CollectGarbageRequest, CollectGarbageReply> =
    Method::new("/vpc_cni.Node/CollectGarbage");
/// Enforce a pod's network policies; served by the network-policy agent.
pub const ENFORCE_NP_TO_POD: Method<EnforceNpRequest, EnforceNpReply> =
    Method::new("/rpc.NPBackend/EnforceNpToPod");
/// Forget a pod's network policies; served by the network-policy agent.
pub const DELETE_POD_NP: Method<DeleteNpRequest, DeleteNpReply> =
    Method::new("/rpc.NPBackend/DeletePodNp");

/// A call that brought no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens: the request was not sent.
    #[error("cannot connect to {}", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No answer in time. Whether the request was carried out is not known.
    #[error("no answer from {} to {method} within {deadline:?}", socket.display())]
    Deadline {
        /// The socket.
        socket: PathBuf,
        /// Path of the method.
        method: &'static str,
        /// How long it waited.
        deadline: Duration,
    },
    /// The server answered with an error.
    #[error("{method} was refused")]
    Status {
        /// Path of the method.
        method: &'static str,
        /// The server's error.
        #[source]
        status: Status,
    },
    /// The connection broke. Whether the request was carried out is not known.
    #[error("the connection for {method} broke")]
    Transport {
        /// Path of the method.
        method: &'static str,
        /// What broke.
        #[source]
        source: h2::Error,
    },
    /// The peer does not speak gRPC as the protocol defines it.
    #[error("the answer to {method} is not gRPC")]
    Protocol {
        /// Path of the method.
        method: &'static str,
        /// What is wrong with the answer.
        #[source]
        source: ProtocolError,
    },
    /// The process cannot wait for a socket.
    #[error("cannot start a tokio runtime")]
    Runtime(#[source] io::Error),
}

impl CallError {
    /// The server's error, when the server is what answered.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status { status, .. } => Some(status),
            Self::Connect { .. }
            | Self::Deadline { .. }
            | Self::Transport { .. }
            | Self::Protocol { .. }
            | Self::Runtime(_) => None,
        }
    }
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Not 200, which every gRPC answer is.
    #[error("HTTP status {0}")]
    HttpStatus(StatusCode),
    /// Not `application/grpc`.
    #[error("content type {0:?}")]
    ContentType(String),
    /// No `grpc-status`, or one that is not a number.
    #[error("no grpc-status")]
    NoStatus,
    /// The body.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Asks the daemon for an address. Blocks for at most `deadline`.
///
/// # Errors
/// No reply; see [`CallError`]. A reply may still say `success: false`.
pub fn add_network(
    socket: &Path,
    request: &AddNetworkRequest,
    deadline: Duration,
) -> Result<AddNetworkReply, CallError> {
    block_on(call(socket, ADD_NETWORK, request, deadline))
}

/// Tells the daemon that an address is free. Blocks for at most `deadline`.
///
/// # Errors
/// No reply; see [`CallError`]. [`Status::is_unknown_pod`] tells a key the daemon does not hold.
pub fn del_network(
    socket: &Path,
    request: &DelNetworkRequest,
    deadline: Duration,
) -> Result<DelNetworkReply, CallError> {
    block_on(call(socket, DEL_NETWORK, request, deadline))
}

/// Calls `method` on the server behind `socket` and blocks for at most `deadline`. Not to be used
/// inside a tokio runtime; [`call`] is for there.
///
/// # Errors
/// No reply; see [`CallError`].
pub fn call_blocking<Input: Message, Output: Message + Default>(
    socket: &Path,
    method: Method<Input, Output>,
    request: &Input,
    deadline: Duration,
) -> Result<Output, CallError> {
    block_on(call(socket, method, request, deadline))
}

/// Calls `method` on the server behind `socket`.
///
/// # Errors
/// No reply within `deadline`; see [`CallError`].
pub async fn call<Input: Message, Output: Message + Default>(
    socket: &Path,
    method: Method<Input, Output>,
    request: &Input,
    deadline: Duration,
) -> Result<Output, CallError> {
    Ok(exchange(socket, method, request, deadline).await?.message)
}

/// A reply with the headers in front of it.
pub(crate) struct Answer<Output> {
    pub(crate) message: Output,
    pub(crate) headers: HeaderMap,
}

pub(crate) async fn exchange<Input: Message, Output: Message + Default>(
    socket: &Path,
    method: Method<Input, Output>,
    request: &Input,
    deadline: Duration,
) -> Result<Answer<Output>, CallError> {
    let call = Call {
        socket,
        method: method.path,
        deadline,
    };
    let answered = tokio::time::timeout(deadline, call.run(frame::encode(request))).await;
    let (headers, body) = answered.map_err(|_| CallError::Deadline {
        socket: socket.to_owned(),
        method: method.path,
        deadline,
    })??;
    let message = frame::decode(&body).map_err(|error| call.protocol(error.into()))?;
    Ok(Answer { message, headers })
}

pub(crate) fn block_on<T>(
    future: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(CallError::Runtime)?
        .block_on(future)
}

/// A call under way.
struct Call<'a> {
    socket: &'a Path,
    method: &'static str,
    deadline: Duration,
}

impl Call<'_> {
    async fn run(&self, request: Bytes) -> Result<(HeaderMap, Vec<u8>), CallError> {
        let stream =
            UnixStream::connect(self.socket)
                .await
                .map_err(|source| CallError::Connect {
                    socket: self.socket.to_owned(),
                    source,
                })?;
        let (sender, connection) = h2::client::Builder::new()
            .enable_push(false)
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(|source| self.transport(source))?;
        // The connection's end is not the call's: what it read before is still to be taken, and
        // its error reaches the call through the stream.
        let drive = async {
            let _ = connection.await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            answer = self.unary(sender, request) => answer,
            never = drive => match never {},
        }
    }

    async fn unary(
        &self,
        sender: SendRequest<Bytes>,
        request: Bytes,
    ) -> Result<(HeaderMap, Vec<u8>), CallError> {
        let transport = |source| self.transport(source);
        let mut sender = sender.ready().await.map_err(transport)?;
        let head = Request::post(format!("http://localhost{}", self.method))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header("grpc-timeout", grpc_timeout(self.deadline))
            .header(
                header::USER_AGENT,
                concat!("vpc-cni/", env!("CARGO_PKG_VERSION")),
            )
            .body(());
        let Ok(head) = head else {
            unreachable!("method paths and header values are constants")
        };
        let (response, mut body) = sender.send_request(head, false).map_err(transport)?;
        body.send_data(request, true).map_err(transport)?;

        let (head, stream) = response.await.map_err(transport)?.into_parts();
        if head.status != StatusCode::OK {
            return Err(self.protocol(ProtocolError::HttpStatus(head.status)));
        }
        let content_type = head.headers.get(header::CONTENT_TYPE);
        if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
            let shown = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
            let shown = shown.unwrap_or_default().into_owned();
            return Err(self.protocol(ProtocolError::ContentType(shown)));
        }
        // An error without a message may come as a single block of headers ("trailers-only").
        if head.headers.contains_key("grpc-status") {
            self.check_status(&head.headers)?;
        }
        let (body, trailers) = self.read(stream).await?;
        match trailers {
            Some(trailers) => self.check_status(&trailers)?,
            None => return Err(self.protocol(ProtocolError::NoStatus)),
        }
        Ok((head.headers, body))
    }

    async fn read(
        &self,
        mut stream: RecvStream,
    ) -> Result<(Vec<u8>, Option<HeaderMap>), CallError> {
        let mut body = Vec::new();
        while let Some(chunk) = stream.data().await {
            let chunk = chunk.map_err(|source| self.transport(source))?;
            let released = stream.flow_control().release_capacity(chunk.len());
            released.map_err(|source| self.transport(source))?;
            if body.len() + chunk.len() > frame::LONGEST {
                return Err(self.protocol(FrameError::TooLong.into()));
            }
            body.extend_from_slice(&chunk);
        }
        let trailers = stream
            .trailers()
            .await
            .map_err(|source| self.transport(source))?;
        Ok((body, trailers))
    }

    fn check_status(&self, headers: &HeaderMap) -> Result<(), CallError> {
        let number = headers
            .get("grpc-status")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .ok_or_else(|| self.protocol(ProtocolError::NoStatus))?;
        let code = Code::from_number(number);
        if code == Code::Ok {
            return Ok(());
        }
        let message = headers
            .get("grpc-message")
            .map(|text| percent_decode(text.as_bytes()));
        let status = Status {
            code,
            message: message.unwrap_or_default(),
        };
        Err(CallError::Status {
            method: self.method,
            status,
        })
    }

    fn transport(&self, source: h2::Error) -> CallError {
        CallError::Transport {
            method: self.method,
            source,
        }
    }

    fn protocol(&self, source: ProtocolError) -> CallError {
        CallError::Protocol {
            method: self.method,
            source,
        }
    }
}

/// A deadline as gRPC writes it: at most eight digits and a unit.
fn grpc_timeout(deadline: Duration) -> String {
    let milliseconds = deadline.as_millis().clamp(1, 99_999_999);
    format!("{milliseconds}m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_written_with_at_most_eight_digits() {
        assert_eq!(grpc_timeout(Duration::from_secs(10)), "10000m");
        assert_eq!(grpc_timeout(Duration::ZERO), "1m");
        assert_eq!(grpc_timeout(Duration::MAX), "99999999m");
    }
}
