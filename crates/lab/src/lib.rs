//! A VPC on one Linux machine: fabric in network namespaces, real daemons and plugins, demo and
//! end-to-end tests.
//!
//! A [`Lab`] joins a simulated cloud ([`vpc_sim`]) with a kernel: a router that delivers by
//! assigned address ([`fabric`]), two nodes in which the real `ipamd` runs ([`daemon`]), and pods
//! made by executing the real `aws-cni` the way a container runtime does ([`runtime`]). Nothing
//! between those programs and the kernel is imitated. Whatever a lab makes is found again by its
//! name and removed ([`cleanup`]), however its process ended.

pub mod addresses;
pub mod apiserver;
pub mod cleanup;
pub mod config;
pub mod daemon;
pub mod demo;
mod equip;
pub mod fabric;
pub mod files;
mod follow;
pub mod gate;
mod lab;
pub mod names;
pub mod netns;
mod node;
pub mod pid;
pub mod preflight;
pub mod probe;
pub mod process;
pub mod runtime;
mod servers;
pub mod state;
mod teardown;
pub mod text;
pub mod tool;
pub mod topology;

pub use cleanup::{Errors, leftovers};
pub use config::{Daemons, LabConfig};
pub use equip::{node_folder, node_runtime, recorded_daemon};
pub use fabric::Counters;
pub use lab::{Error, Lab};
pub use names::{LabName, NameError};
pub use node::Node;
pub use runtime::CniCall;
pub use runtime::execute::{CniFailure, CniOutput, Verb};
pub use runtime::pod::{Pod, Sandbox};
pub use servers::Error as ServersError;
