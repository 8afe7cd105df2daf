//! The pool at one moment, for those who look at it.

use serde::Serialize;
use vpc_model::EniId;

use crate::pool::Pool;

/// Counts of the pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Per ENI, by id.
    pub enis: Vec<EniCounts>,
    /// ENIs being created.
    pub creating: u32,
    /// Addresses for pods on ENIs.
    pub total: u32,
    /// Of these, pods'.
    pub allocated: u32,
    /// Of these, free.
    pub free: u32,
    /// Of these, in their cooldown.
    pub cooling: u32,
    /// Allocations whose address no ENI is known to have.
    pub unplaced: u32,
}

/// Counts of one ENI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EniCounts {
    /// Which.
    pub id: EniId,
    /// Addresses for pods.
    pub total: u32,
    /// Of these, pods'.
    pub allocated: u32,
    /// Of these, free.
    pub free: u32,
}

impl Snapshot {
    /// The counts of a pool.
    #[must_use]
    pub fn of(pool: &Pool) -> Self {
        let mut snapshot = Self {
            creating: u32::try_from(pool.creations().count()).unwrap_or(u32::MAX),
            unplaced: u32::try_from(pool.ledger().len()).unwrap_or(u32::MAX),
            ..Self::default()
        };
        for eni in pool.enis() {
            snapshot.enis.push(EniCounts {
                id: eni.id.clone(),
                total: eni.len(),
                allocated: eni.allocated(),
                free: eni.free(),
            });
            snapshot.total += eni.len();
            snapshot.allocated += eni.allocated();
            snapshot.free += eni.free();
            snapshot.cooling += eni.cooling();
        }
        snapshot
    }
}
