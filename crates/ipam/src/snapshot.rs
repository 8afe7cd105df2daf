//! The pool at one moment, for those who look at it: metrics, introspection, `vpcctl`.

use serde::Serialize;
use vpc_model::{EniId, Timestamp};

use crate::plan::{HeldBack, Plan};
use crate::pool::{Counts, Eni, EniKind, EniState, Mode, Pool};

/// Counts of the pool, and why it is as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Which kind of slot the pool asks for.
    pub mode: Mode,
    /// Per ENI, by id.
    pub enis: Vec<EniCounts>,
    /// ENIs being created.
    pub creating: u32,
    /// Addresses for pods on ENIs.
    pub total: u32,
    /// Of these, pods'.
    pub allocated: u32,
    /// Of these, free and for new pods.
    pub free: u32,
    /// Of these, in their cooldown.
    pub cooling: u32,
    /// Prefixes on ENIs.
    pub prefixes: u32,
    /// Addresses that EC2 was asked for and that are not here yet.
    pub coming: u32,
    /// Allocations whose address no ENI is known to have.
    pub unplaced: u32,
    /// What EC2 refused and is not asked for now.
    pub refused: Vec<Refused>,
    /// What the last plan did not do, and why.
    pub held_back: Vec<Held>,
}

/// Counts of one ENI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EniCounts {
    /// Which.
    pub id: EniId,
    /// What it is to the node.
    pub kind: EniKind,
    /// Where it is in its life.
    pub state: EniState,
    /// Addresses for pods.
    pub total: u32,
    /// Of these, pods'.
    pub allocated: u32,
    /// Of these, free.
    pub free: u32,
    /// Of these, in their cooldown.
    pub cooling: u32,
    /// Prefixes; their addresses are among those above.
    pub prefixes: u32,
    /// Slots that EC2 was asked for.
    pub assigning: u32,
    /// Why the node has it, or why pods get no address of it.
    pub why: String,
}

/// What EC2 refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Until when it is not asked again.
    pub until: Timestamp,
    /// What it said.
    pub reason: String,
    /// How often in a row.
    pub failures: u32,
}

/// What was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// A name that never changes ([`HeldBack::name`]).
    pub name: &'static str,
    /// Why, in words.
    pub reason: String,
}

impl Snapshot {
    /// The counts of a pool.
    #[must_use]
    pub fn of(pool: &Pool) -> Self {
        let mut snapshot = Self {
            mode: pool.mode(),
            creating: count(pool.creations()),
            unplaced: u32::try_from(pool.ledger().len()).unwrap_or(u32::MAX),
            coming: pool
                .creations()
                .map(|(_, begun)| begun.ask.addresses())
                .sum(),
            ..Self::default()
        };
        for eni in pool.enis() {
            snapshot.add(eni);
        }
        snapshot.refused = pool
            .back_offs()
            .map(|(_, refused)| Refused {
                until: refused.until,
                reason: refused.reason.clone(),
                failures: refused.failures,
            })
            .collect();
        snapshot
    }

    /// The same with what the last plan says about it.
    #[must_use]
    pub fn with_plan(mut self, plan: &Plan) -> Self {
        self.held_back = plan
            .held_back
            .iter()
            .map(|held| Held {
                name: held.name(),
                reason: held.to_string(),
            })
            .collect();
        for held in &plan.held_back {
            if let HeldBack::TooYoung { eni, .. } = held
                && let Some(found) = self.enis.iter_mut().find(|found| found.id == *eni)
            {
                found.why = held.to_string();
            }
        }
        self
    }

    fn add(&mut self, eni: &Eni) {
        let all = eni.all();
        self.total += all.total;
        self.allocated += all.allocated;
        self.cooling += all.cooling;
        self.prefixes += eni.prefix_count();
        if eni.gives_addresses() {
            self.free += all.free;
        }
        for kind in [crate::SlotKind::Address, crate::SlotKind::Prefix] {
            self.coming += kind.ask(eni.assigning(kind)).addresses();
        }
        self.enis.push(EniCounts {
            id: eni.id.clone(),
            kind: eni.kind,
            state: eni.state,
            total: all.total,
            allocated: all.allocated,
            free: all.free,
            cooling: all.cooling,
            prefixes: eni.prefix_count(),
            assigning: eni.assigning(crate::SlotKind::Address)
                + eni.assigning(crate::SlotKind::Prefix),
            why: why(eni, all),
        });
    }
}

/// Why the node has that ENI.
pub(crate) fn why(eni: &Eni, all: Counts) -> String {
    if let Some(exclusion) = &eni.exclusion {
        return format!("no new pods: {exclusion}");
    }
    match eni.state {
        EniState::Returning => return "it is unused and on its way back to the VPC".to_owned(),
        EniState::Ready => {}
    }
    match eni.kind {
        EniKind::Primary => return "the instance was launched with it".to_owned(),
        EniKind::Trunk => {
            return "it carries the branch ENIs of security groups for pods".to_owned();
        }
        EniKind::Efa | EniKind::EfaOnly => return "it is an Elastic Fabric Adapter".to_owned(),
        EniKind::Secondary => {}
    }
    match (all.allocated, all.cooling) {
        (0, 0) => "no pod uses it; it is part of the warm pool".to_owned(),
        (0, cooling) => format!("{cooling} of its addresses rest after a release"),
        (pods, _) => format!("{pods} pods have addresses of it"),
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}
