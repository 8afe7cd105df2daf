//! The only place that decides to create an ENI, to assign or unassign addresses, or to give an
//! ENI back. Everything is decided at once: the whole shortfall in one plan, in which what is
//! already under way counts as if it were there.
//!
//! An executed plan leaves nothing to plan: what is given back is only ever more than what would
//! be asked for again.

mod grow;
mod shrink;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::Serialize;
use vpc_model::{DeviceIndex, EniId, Timestamp};

use crate::pool::{CreationId, EniState, Pool};
use crate::targets::{Targets, WarmTarget};

/// What the pool cannot know by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Sandboxes that want an address and have none: ADDs that wait.
    pub demand: u32,
    /// Whether EC2 may be changed at all.
    pub provisioning: Provisioning,
}

/// Whether the node's resources in EC2 are ours to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisioning {
    /// They are.
    Enabled,
    /// They are not: the pool lives off what is there.
    Disabled,
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
    /// Create an ENI with that many addresses for pods and attach it there.
    Create {
        /// The creation's number.
        creation: CreationId,
        /// Where.
        device: DeviceIndex,
        /// How many addresses for pods.
        addresses: u32,
    },
    /// Ask EC2 for more addresses on an ENI.
    Assign {
        /// Which.
        eni: EniId,
        /// How many.
        count: u32,
    },
    /// Give free addresses back.
    Unassign {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        addresses: Vec<Ipv4Addr>,
    },
    /// Give an ENI back that no pod uses.
    Return {
        /// Which.
        eni: EniId,
    },
}

/// Why something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum Reason {
    /// Too few free addresses.
    #[error("{free} free addresses for {demand} waiting pods and a warm target of {target}")]
    BelowTarget {
        /// Free addresses, those under way included.
        free: u32,
        /// Free addresses wanted.
        target: u32,
        /// ADDs that wait.
        demand: u32,
    },
    /// Fewer addresses than the minimum.
    #[error("{total} addresses in all, the minimum is {minimum}")]
    BelowMinimum {
        /// Addresses in all, those under way included.
        total: u32,
        /// `MINIMUM_IP_TARGET`.
        minimum: u32,
    },
    /// More free addresses than wanted.
    #[error("{free} free addresses, {target} are wanted")]
    AboveTarget {
        /// Free addresses.
        free: u32,
        /// Free addresses wanted.
        target: u32,
    },
}

/// Something that was not done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum HeldBack {
    /// The node has all the ENIs it may have, and they are full.
    #[error("the node has all {max_enis} ENIs it may have, and each all its addresses")]
    NoRoom {
        /// How many it may have.
        max_enis: u32,
    },
    /// EC2 refused a moment ago.
    #[error("EC2 refused: {reason}; next try at {until}")]
    BackOff {
        /// What it said.
        reason: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// The node runs no more pods than this.
    #[error("the node already has as many addresses as it may run pods ({max_pods})")]
    MaxPods {
        /// The cap.
        max_pods: u32,
    },
    /// EC2 may not be changed.
    #[error("DISABLE_NETWORK_RESOURCE_PROVISIONING is set: ipamd asks EC2 for nothing")]
    ProvisioningDisabled,
    /// An excess is not given back yet.
    #[error("an excess is given back when it has lasted until {until}")]
    ReturnDelay {
        /// When.
        until: Timestamp,
    },
    /// EC2 did not take something back a moment ago.
    #[error("EC2 did not take back what is not needed: {reason}; next try at {until}")]
    NotTaken {
        /// What it said.
        reason: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// The record of allocations outranks what an ENI is seen to have.
    #[error(
        "{eni} looks unused, but the journal knows a pod with an address of it that instance \
         metadata does not show; it is given back when that pod is gone"
    )]
    HeldUnseen {
        /// Which.
        eni: EniId,
    },
    /// An address rests that no ENI is seen to have.
    #[error(
        "{eni} is unused, but may have an address that was released and that instance metadata \
         does not show; no ENI is given back until it has rested, at {until}"
    )]
    RestingUnseen {
        /// Which.
        eni: EniId,
        /// When.
        until: Timestamp,
    },
    /// An unused ENI is too young to be given back.
    #[error("{eni} is unused; it is given back when it is old enough, at {until}")]
    TooYoung {
        /// Which.
        eni: EniId,
        /// When.
        until: Timestamp,
    },
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
    fn hold(&mut self, held: HeldBack, until: Option<Timestamp>) {
        if let Some(until) = until {
            self.wake_at = Some(self.wake_at.map_or(until, |at| at.min(until)));
        }
        self.held_back.push(held);
    }
}

/// Where the pool stands, with what is under way counted as there.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// Free addresses of ENIs that stay, and those under way.
    free: u32,
    /// Addresses of ENIs that stay, without those on their way out, and those under way.
    total: u32,
    /// ENIs on the instance, also those that are leaving, or are not the pool's, and those that
    /// are being created.
    enis: u32,
    /// Whether anything is under way.
    growing: bool,
}

impl Standing {
    fn of(pool: &Pool) -> Self {
        let foreign = u32::try_from(pool.foreign().len()).unwrap_or(u32::MAX);
        let mut standing = Self {
            free: 0,
            total: 0,
            enis: foreign,
            growing: false,
        };
        for eni in pool.enis() {
            standing.enis += 1;
            if eni.state == EniState::Ready {
                standing.expect(eni.assigning);
                standing.free += eni.free();
                standing.total += eni.len() - eni.unassigning();
            }
        }
        for (_, creation) in pool.creations() {
            standing.enis += 1;
            standing.expect(creation.addresses);
            standing.growing = true;
        }
        standing
    }

    /// Counts addresses that are under way.
    fn expect(&mut self, addresses: u32) {
        self.free = self.free.saturating_add(addresses);
        self.total = self.total.saturating_add(addresses);
        self.growing |= addresses > 0;
    }
}

/// What is decided upon.
#[derive(Debug, Clone, Copy)]
struct Situation<'a> {
    pool: &'a Pool,
    targets: &'a Targets,
    facts: &'a Facts,
    standing: Standing,
    now: Timestamp,
}

/// Decides what to do now.
#[must_use]
pub fn plan(pool: &Pool, targets: &Targets, facts: &Facts, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let at = Situation {
        pool,
        targets,
        facts,
        standing: Standing::of(pool),
        now,
    };
    if let Some(shortfall) = grow::shortfall(&at) {
        grow::grow(&at, shortfall, &mut plan);
    } else if facts.provisioning == Provisioning::Enabled {
        shrink::shrink(&at, &mut plan);
    }
    plan
}

impl Situation<'_> {
    /// Free addresses that are to be there beyond those that waiting pods take. With whole ENIs as
    /// the target at least one: an empty pool is useless even where nothing is to be kept warm
    /// (upstream: with WARM_ENI_TARGET=0 the pool is too low when nothing is free).
    fn warm_addresses(&self) -> u32 {
        match self.targets.warm {
            WarmTarget::Enis(enis) => enis.saturating_mul(self.targets.per_eni).max(1),
            WarmTarget::Ips { warm, .. } => warm,
        }
    }

    /// Addresses that are to be there in all.
    fn minimum(&self) -> u32 {
        match self.targets.warm {
            WarmTarget::Enis(_) => 0,
            WarmTarget::Ips { minimum, .. } => minimum,
        }
    }

    /// Places on the instance that no ENI has, lowest first. Where the journal knows a pod with an
    /// address that no ENI is seen to have, there may be an ENI that metadata does not show.
    fn free_devices(&self) -> impl Iterator<Item = DeviceIndex> + use<> {
        let pool = self.pool;
        let taken: BTreeSet<DeviceIndex> = pool
            .enis()
            .map(|eni| eni.device)
            .chain(pool.creations().map(|(_, creation)| creation.device))
            .chain(pool.ledger().holders().map(|holder| holder.device))
            .chain(pool.foreign().iter().copied())
            .collect();
        (1..=u8::MAX)
            .map(DeviceIndex)
            .filter(move |device| !taken.contains(device))
    }
}
