//! The CNI plugin `aws-cni`.
//!
//! A runtime starts it once per verb and pod. It parses everything first, asks ipamd once over the
//! unix socket, applies one plan to the kernel, prints, and is gone; it starts no process and
//! keeps nothing. [`Plugin::run`] is the whole program as a function.
//!
//! ```text
//! environment, stdin ─▶ spec ─▶ settings ─▶ add │ del │ check │ status │ gc ─▶ stdout, log line
//!                                            │      │
//!                                          ipamd  datapath
//! ```

mod add;
mod check;
mod del;
pub mod error;
mod gc;
pub mod holder;
pub mod ipamd;
mod job;
pub mod log;
mod log_file;
mod plugin;
pub mod policy;
pub mod prev_result;
pub mod sandbox;
pub mod settings;
pub mod spec;
mod status;

pub use plugin::{Outcome, Plugin};
