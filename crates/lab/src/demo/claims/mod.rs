//! What vpc-cni promises, each promise with the measurement that judges it.
//!
//! A claim is a small function that takes the [`Demo`](super::stage::Demo) and gives verdicts. The
//! demo runs them in order; the end-to-end tests run some of them by themselves.

pub mod addresses;
pub mod cooldown;
pub mod daemon;
pub mod inside;
pub mod metadata;
pub mod nodes;
pub mod outside;
pub mod spoofing;
pub mod teardown;
