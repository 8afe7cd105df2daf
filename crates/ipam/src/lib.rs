//! What the node should hold, and which pod has which address.
//!
//! Pure: no I/O, no clock (time is an argument), no randomness, no hash order. The daemon's pool
//! task owns a [`Pool`] and feeds it what happened; [`plan()`] says what to do next and why.
//!
//! ```text
//!  ADD ─▶ allocate ─┐                     ┌─▶ actions ─▶ (executor) ─▶ outcome ─▶ Pool::apply
//!  DEL ─▶ release  ─┼─▶ Pool ──▶ plan() ──┤
//!  outcomes ────────┘                     └─▶ held back, and why; when to look again
//! ```

// So that the tests' cloud in memory, which names this crate, serves unit tests too.
#[cfg(test)]
extern crate self as vpc_ipam;

pub mod allocate;
pub mod checkpoint;
pub mod classify;
mod deadlines;
pub mod garbage;
pub mod journal;
pub mod ledger;
pub mod plan;
pub mod pool;
pub mod reconcile;
pub mod snapshot;
pub mod status;
pub mod subnets;
pub mod targets;
pub mod timeline;
mod words;

pub use allocate::{AllocateError, Allocation, UnknownPod, allocate, release};
pub use ledger::{Holder, Ledger, Slot};
pub use plan::{Action, Facts, HeldBack, Plan, Provisioning, Reason, Work, plan};
pub use pool::{
    AddressState, Ask, CreationId, Eni, EniKind, EniState, Event, Mode, NewEni, Pool, Refusal,
    SlotKind, Slots,
};
pub use snapshot::Snapshot;
pub use targets::{Targets, WarmTarget};
