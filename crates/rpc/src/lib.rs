//! The local socket between plugin and daemon.
//!
//! The protocol is upstream's: gRPC over a unix socket with upstream's package, methods and field
//! numbers ([`proto`]), so that either side can be replaced by upstream's while pods run. What is
//! ours is who may speak (the socket is 0600 in a 0700 directory and the caller's credentials are
//! checked), that every call has a deadline, and that a release is never lost
//! ([`release_queue`]).
//!
//! The client ([`client`]) is one unary call over `h2`, small enough for a plugin that is started
//! for each pod. The server (module `server`, behind the
//! feature of the same name) is tonic.

pub mod client;
mod frame;
pub mod health;
pub mod proto;
pub mod release_queue;
#[cfg(feature = "server")]
pub mod server;
mod status;

pub use client::{CallError, Method, add_network, del_network};
pub use frame::FrameError;
pub use health::Health;
pub use status::{Code, Status};

/// Where the daemon listens (upstream's path). `/var/run` is `/run` on every current system.
pub const DEFAULT_SOCKET: &str = "/var/run/aws-node/ipamd.sock";

/// The text with which the daemon answers DelNetwork for a key it does not hold. Upstream's plugin
/// looks for it inside the message of the gRPC error and then reports success to the runtime.
pub const UNKNOWN_POD: &str = "datastore: unknown pod";
