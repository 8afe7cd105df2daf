//! The pool in a cloud in memory.

#![allow(clippy::unwrap_used)]

mod allocation;
mod executor;
mod histories;
mod history;
mod prefixes;
mod reconcile;
mod subnets_run_dry;
mod targets;
mod worked_tables;
