//! The pool in a cloud in memory.

#![allow(clippy::unwrap_used)]

mod allocation;
mod any_news;
mod executor;
mod histories;
mod history;
mod placement;
mod prefixes;
mod properties;
mod reconcile;
mod subnets_run_dry;
mod targets;
mod worked_tables;
