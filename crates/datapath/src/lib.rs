//! The node's and the pods' kernel state: netlink, nf_tables, namespaces, settings.
//!
//! ```text
//!   facts ──desired──▶ wanted ─┐
//!                              ├─diff──▶ steps ──apply──▶ kernel
//!   kernel ──netlink─▶ observed┘
//! ```
//!
//! [`pod`], [`host`] and [`eni`] are what callers do; [`links`], [`routes`] and [`rules`] what they
//! look at; [`drift`] tells them when to look again.
//! What the kernel should have is decided in `desired` and `diff`, which touch nothing; `netlink`
//! and `nft` know the messages and decide nothing. No other program is run: no ip, nft, iptables.
//!
//! Everything is synchronous and acts on the calling thread's network namespace, the host's. A
//! pod's namespace is named by its path.

mod apply;
mod desired;
mod diff;
pub mod drift;
pub mod eni;
mod error;
mod hash;
pub mod host;
pub mod links;
mod netlink;
mod netns;
mod nft;
pub mod pod;
mod pods;
pub mod routes;
pub mod rules;
mod state;
mod step;
mod sysctl;
#[cfg(test)]
mod testing;

pub use error::{Error, Errors, Refusal};
