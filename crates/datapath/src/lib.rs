//! The node's and the pods' kernel state: netlink, nf_tables, namespaces, settings.
//!
//! ```text
//!   facts ──desired──▶ wanted ─┐
//!                              ├─diff──▶ steps ──apply──▶ kernel
//!   kernel ──netlink─▶ observed┘
//! ```
//!
//! [`pod`], [`host`] and [`eni`] are what callers do; [`links`], [`routes`] and [`rules`] what they
//! look at; [`drift`] tells them when to look again, [`counters`] how much was done. [`upstream`]
//! makes room on a node where upstream's daemon ran, and for it when it comes back.
//! What the kernel should have is decided in `desired` and `diff`, which touch nothing; `netlink`
//! and `nft` know the messages and decide nothing. No other program is run: no ip, nft, iptables;
//! but where the older iptables has rules of upstream's, its own ([`upstream::legacy`]).
//!
//! Everything is synchronous and acts on the calling thread's network namespace, the host's. A
//! pod's namespace is named by its path.

mod apply;
pub mod counters;
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
pub mod upstream;

pub use error::{Error, Errors, Refusal};
