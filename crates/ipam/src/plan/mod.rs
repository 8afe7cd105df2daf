//! The only place that decides to create an ENI, to assign or unassign slots, or to give an ENI
//! back. Everything is decided at once: the whole shortfall in one plan, in which what is already
//! under way counts as if it were there.
//!
//! ```text
//!  Standing (what there is) ─┐
//!  Targets, Facts ───────────┼─▶ need ─▶ short? ─ yes ─▶ grow:   ENIs with room, then new ENIs
//!                            │                └─ no ──▶ shrink: whole ENIs, then single slots
//!                            └─ what is not done is held back, with the reason
//! ```
//!
//! An executed plan leaves nothing to plan: something is given back only if what is left would not
//! be asked for again. A plan therefore never undoes another. (Where EC2 refuses, the next plan
//! asks elsewhere, or for less. Where single addresses go to make room for a prefix, it asks for
//! the prefix; and where they took the place of prefixes, they go once prefixes have come.)

mod balance;
mod grow;
mod need;
mod reason;
mod shrink;
mod standing;

use std::collections::BTreeSet;

use serde::Serialize;
use vpc_model::settings;
use vpc_model::{DeviceIndex, EniId, NetworkCard, Timestamp};

pub use balance::Balance;
pub use reason::{HeldBack, Reason};

use crate::pool::{Ask, CreationId, Event, Mode, Pool, Slots};
use crate::subnets::Candidate;
use crate::targets::Targets;
use need::Need;
use standing::{Counted, Standing};

/// What the pool cannot know by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Sandboxes that want an address and have none: ADDs that wait, and pods that are bound to
    /// the node and not added yet.
    pub demand: u32,
    /// Whether EC2 may be changed at all.
    pub provisioning: Provisioning,
    /// The subnets for new ENIs, the best first ([`crate::subnets::candidates`]).
    pub subnets: Vec<Candidate>,
    /// Places on the instance that are kept for ENIs that others attach: one for the trunk, while
    /// security groups for pods are on and there is none.
    pub reserved_enis: u32,
}

/// Whether the node's resources in EC2 are ours to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisioning {
    /// They are.
    Enabled,
    /// The node is cordoned: nothing more is asked for and no ENI is given back. Unused slots are
    /// (upstream's rule, unless `AWS_MANAGE_ENIS_NON_SCHEDULABLE`).
    Cordoned,
    /// They are not (`DISABLE_NETWORK_RESOURCE_PROVISIONING`): the pool lives off what is there.
    Disabled,
    /// They are not, nor is EC2 asked anything (`ENABLE_IMDS_ONLY_MODE`).
    ImdsOnly,
}

impl From<settings::Provisioning> for Provisioning {
    fn from(set: settings::Provisioning) -> Self {
        match set {
            settings::Provisioning::Enabled => Self::Enabled,
            settings::Provisioning::Disabled => Self::Disabled,
            settings::Provisioning::ImdsOnly => Self::ImdsOnly,
        }
    }
}

/// One act, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// What to do.
    pub work: Work,
    /// Why.
    pub because: Reason,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Work {
    /// Create an ENI with these slots for pods and attach it there.
    Create {
        /// The creation's number.
        creation: CreationId,
        /// On which network card.
        card: NetworkCard,
        /// Where on that card.
        device: DeviceIndex,
        /// In which subnet.
        subnet: Candidate,
        /// With which slots.
        ask: Ask,
    },
    /// Ask EC2 for more slots on an ENI.
    Assign {
        /// Which.
        eni: EniId,
        /// What.
        ask: Ask,
    },
    /// Give unused slots back.
    Unassign {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        slots: Slots,
    },
    /// Give an ENI back that no pod uses: detach and delete it.
    Return {
        /// Which.
        eni: EniId,
    },
}

impl Work {
    /// The event that says that this was begun. To be applied before it is carried out, so that
    /// the next plan knows.
    #[must_use]
    pub fn begun(&self) -> Event {
        match self {
            Work::Create {
                creation,
                card: _,
                device,
                subnet,
                ask,
            } => Event::CreationBegun {
                creation: *creation,
                device: *device,
                subnet: subnet.id.clone(),
                ask: *ask,
            },
            Work::Assign { eni, ask } => Event::AssignBegun {
                eni: eni.clone(),
                ask: *ask,
            },
            Work::Unassign { eni, slots } => Event::UnassignBegun {
                eni: eni.clone(),
                slots: slots.clone(),
            },
            Work::Return { eni } => Event::ReturnBegun { eni: eni.clone() },
        }
    }
}

/// What to do, what not to do, and when to look again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What to do. The actions do not depend on each other.
    pub actions: Vec<Action>,
    /// What was not done and why.
    pub held_back: Vec<HeldBack>,
    /// When a new plan may say something else although nothing happened.
    pub wake_at: Option<Timestamp>,
    /// Since when there has been an excess; for [`Pool::note_excess`].
    pub excess_since: Option<Timestamp>,
}

impl Plan {
    fn hold(&mut self, held: HeldBack) {
        if let Some(until) = held.until() {
            self.wake_at = Some(self.wake_at.map_or(until, |at| at.min(until)));
        }
        if !self.held_back.contains(&held) {
            self.held_back.push(held);
        }
    }
}

/// All that a plan follows from.
#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    pool: &'a Pool,
    targets: &'a Targets,
    facts: &'a Facts,
    now: Timestamp,
}

impl Context<'_> {
    /// Whether single addresses take the place of prefixes for the time being.
    fn falls_back(&self) -> bool {
        self.pool.mode() == Mode::Prefixes && self.pool.refusals().no_blocks(self.now)
    }

    /// Places on the pool's card that no ENI has, lowest first. EC2 knows devices 0 to 99. Where
    /// the journal knows a pod with an address that no ENI is seen to have, there may be an ENI
    /// that metadata does not show.
    fn free_devices(&self) -> impl Iterator<Item = DeviceIndex> {
        let taken: BTreeSet<u8> = self
            .pool
            .enis()
            .map(|eni| eni.device.0)
            .chain(self.pool.creations().map(|(_, begun)| begun.device.0))
            .chain(self.pool.ledger().holders().map(|holder| holder.device.0))
            .chain(self.pool.foreign().iter().map(|device| device.0))
            .collect();
        (1..=99)
            .filter(move |device| !taken.contains(device))
            .map(DeviceIndex)
    }
}

/// What is wanted and what is there, as [`plan()`] sees it.
#[must_use]
pub fn balance(pool: &Pool, targets: &Targets, facts: &Facts, now: Timestamp) -> Balance {
    let context = Context {
        pool,
        targets,
        facts,
        now,
    };
    Balance::of(&context)
}

/// Decides what to do now.
#[must_use]
pub fn plan(pool: &Pool, targets: &Targets, facts: &Facts, now: Timestamp) -> Plan {
    let context = Context {
        pool,
        targets,
        facts,
        now,
    };
    let mut plan = Plan::default();
    let standing = Standing::of(pool, Counted::of_mode(pool.mode()));
    let need = Need::of(&context, &standing);
    match &need {
        Some(need) => grow::grow(&context, &standing, need, &mut plan),
        None => {
            if let Some(max_pods) = need::capped_by_max_pods(&context, &standing) {
                plan.hold(HeldBack::MaxPods { max_pods });
            }
        }
    }
    shrink::shrink(&context, &standing, need.as_ref(), &mut plan);
    plan
}
