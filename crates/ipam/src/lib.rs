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

pub mod allocate;
mod deadlines;
pub mod journal;
pub mod ledger;
pub mod plan;
pub mod pool;
pub mod snapshot;
pub mod targets;

pub use allocate::{AllocateError, Allocation, UnknownPod, allocate, release};
pub use ledger::{Holder, Ledger};
pub use plan::{Action, Facts, HeldBack, Plan, Reason, Work, plan};
pub use pool::{AddressState, CreationId, Eni, EniKind, EniState, Event, NewEni, Pool};
pub use snapshot::Snapshot;
pub use targets::{Targets, WarmTarget};
