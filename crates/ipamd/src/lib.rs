//! The daemon: keeps the warm pool, wires ENIs, answers the plugin. It wires; what to do is decided
//! in `vpc-ipam`.
//!
//! ```text
//!  main ─▶ daemon::run ─┬─ journal_file      the truth about allocations
//!                       ├─ rpc_service       the socket: ADD, DEL, health
//!                       ├─ pool_task         owns the pool; plans after everything that happens
//!                       │    └─ executor ─▶ eni_life   EC2 calls and the link's wiring
//!                       ├─ learn             IMDS, host network, attached ENIs; then "learned"
//!                       ├─ cluster           Kubernetes: the node, its pods, ENIConfigs, events
//!                       ├─ kernel            the node's kernel state, put right as it drifts; VPC networks
//!                       ├─ maintain          queued releases; slow
//!                       ├─ reconcile_task    metadata and EC2 against the pool; slow
//!                       ├─ sweep             ENIs that other nodes left behind; one node for all
//!                       ├─ publish           health, conflist, upstream's checkpoint
//!                       └─ shown             metrics and introspection, over http
//! ```

pub mod atomic_file;
pub mod checkpoint_file;
pub mod clock;
pub mod cluster;
pub mod conflist;
pub mod daemon;
pub mod eni_life;
pub mod executor;
pub mod garbage;
pub mod http;
pub mod introspection;
pub mod journal_file;
pub mod kernel;
pub mod learn;
pub mod logging;
pub mod maintain;
pub mod metrics;
pub mod pool_task;
pub mod publish;
pub mod readiness;
pub mod reconcile_task;
mod refusal;
pub mod report;
pub mod rpc_service;
pub mod shown;
pub mod sweep;
