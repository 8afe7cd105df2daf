//! How much should be free, and how much is missing.
//!
//! With u addresses to a whole ENI, w the warm target and d the pods that wait:
//!
//! | warm target | short when | asked for |
//! |---|---|---|
//! | `WARM_ENI_TARGET` | free < w·u + d, or nothing free | ENIs filled whole until it is not |
//! | `WARM_IP_TARGET`, `MINIMUM_IP_TARGET` | free < w + d, or total < minimum | what is missing |
//! | `WARM_PREFIX_TARGET` | free < 16·w + d, or nothing free | prefixes until w are unbroken |
//!
//! Upstream's formulas, with demand, and but for two things: an address in its cooldown is not
//! free, and what would exceed the pods the node can run is not asked for.

use super::Context;
use super::reason::Reason;
use super::standing::Standing;
use crate::pool::{Mode, SlotKind};
use crate::targets::WarmTarget;

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// How many slots.
    pub(super) slots: u32,
    /// Of which kind.
    pub(super) kind: SlotKind,
    /// How ENIs are filled.
    pub(super) fill: Fill,
    /// Why.
    pub(super) because: Reason,
}

/// How ENIs are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// With all they can hold: ENIs are what is counted.
    Whole,
    /// With what is missing.
    Exact,
}

/// How much should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    /// Free addresses.
    pub(super) free: u32,
    /// Addresses in all.
    pub(super) total: u32,
    /// Free addresses by the targets alone, before the cap.
    uncapped: u32,
}

impl Want {
    pub(super) fn of(context: &Context<'_>, standing: &Standing) -> Self {
        let (warm, minimum) = match context.targets.warm {
            WarmTarget::Enis(enis) => (enis.saturating_mul(whole_eni(context)), 0),
            WarmTarget::Ips { warm, minimum } => (warm, minimum),
            WarmTarget::Prefixes(prefixes) => {
                (prefixes.saturating_mul(SlotKind::Prefix.addresses()), 0)
            }
        };
        let uncapped = warm.saturating_add(context.facts.demand);
        Self {
            free: uncapped.min(pods_left(context, standing)),
            total: minimum.min(context.targets.max_pods.unwrap_or(u32::MAX)),
            uncapped,
        }
    }
}

/// Addresses that a whole ENI holds in the pool's mode.
pub(super) fn whole_eni(context: &Context<'_>) -> u32 {
    let slot = context.pool.mode().slot().addresses();
    context.targets.per_eni.saturating_mul(slot)
}

/// How many more pods the node can run.
pub(super) fn pods_left(context: &Context<'_>, standing: &Standing) -> u32 {
    match context.targets.max_pods {
        Some(max_pods) => max_pods.saturating_sub(standing.pods),
        None => u32::MAX,
    }
}

/// The cap, if it is all that keeps the pool from asking for more.
pub(super) fn capped_by_max_pods(context: &Context<'_>, standing: &Standing) -> Option<u32> {
    let want = Want::of(context, standing);
    let unmet = want.free < want.uncapped && standing.free < want.uncapped;
    context.targets.max_pods.filter(|_| unmet)
}

impl Need {
    /// What is missing; nothing if nothing is.
    pub(super) fn of(context: &Context<'_>, standing: &Standing) -> Option<Self> {
        let (addresses, because) = missing(context, standing)?;
        let mode = context.pool.mode();
        let slots = match mode {
            Mode::SecondaryIps => addresses,
            Mode::Prefixes => prefixes(context, standing, addresses),
        };
        let fill = match context.targets.warm {
            WarmTarget::Enis(_) => Fill::Whole,
            WarmTarget::Ips { .. } | WarmTarget::Prefixes(_) => Fill::Exact,
        };
        Some(Self {
            slots,
            kind: mode.slot(),
            fill,
            because,
        })
    }
}

/// How many addresses are missing.
fn missing(context: &Context<'_>, standing: &Standing) -> Option<(u32, Reason)> {
    let want = Want::of(context, standing);
    let mut short = want.free.saturating_sub(standing.free);
    // An empty pool is useless even where nothing is to be kept warm (upstream: with a target of 0
    // the pool is too low when nothing is free).
    let never_empty = match context.targets.warm {
        WarmTarget::Enis(_) | WarmTarget::Prefixes(_) => true,
        WarmTarget::Ips { .. } => false,
    };
    if never_empty && standing.free == 0 && pods_left(context, standing) > 0 {
        short = short.max(1);
    }
    let below_minimum = want.total.saturating_sub(standing.total);
    let demand = context.facts.demand;
    if short == 0 && below_minimum == 0 {
        None
    } else if short >= below_minimum {
        let reason = Reason::BelowTarget {
            free: standing.free,
            target: want.uncapped - demand,
            demand,
        };
        Some((short, reason))
    } else {
        let reason = Reason::BelowMinimum {
            total: standing.total,
            minimum: want.total,
        };
        Some((below_minimum, reason))
    }
}

/// How many prefixes that many missing addresses come to. With `WARM_PREFIX_TARGET` it is unbroken
/// prefixes that are counted, once the pool is short.
fn prefixes(context: &Context<'_>, standing: &Standing, addresses: u32) -> u32 {
    let by_addresses = addresses.div_ceil(SlotKind::Prefix.addresses());
    match context.targets.warm {
        WarmTarget::Prefixes(warm) => {
            let unbroken = warm
                .saturating_add(standing.prefixes_for(context.facts.demand))
                .saturating_sub(standing.free_prefixes);
            by_addresses.max(unbroken)
        }
        WarmTarget::Enis(_) | WarmTarget::Ips { .. } => by_addresses,
    }
}
