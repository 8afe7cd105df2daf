//! Kubernetes as ipamd sees it: its own node, the pods that are bound to it, ENIConfigs; and the
//! events it writes. Only this crate knows Kubernetes.
//!
//! ```text
//!  access ─▶ client ─┬─▶ watches ─▶ ClusterView, whenever something of it changes
//!                    └─▶ Events ◀── notes (the same one again is counted, not repeated)
//! ```
//!
//! The API server may be away for hours: a watch goes on with what it knew, tries again with
//! growing pauses, and lists anew where its place in the history is gone. Nothing here is needed to
//! serve pods from the pool.

mod access;
mod eni_config;
mod events;
mod lease;
mod node;
mod pods;
mod view;
mod watch;

pub use access::{AccessError, client};
pub use eni_config::{EniConfig, EniConfigError};
pub use events::{Events, Note, Regarding};
pub use kube::Client;
pub use lease::Election;
pub use node::{Keys, NodeView};
pub use view::ClusterView;
pub use watch::{Interest, watch};
