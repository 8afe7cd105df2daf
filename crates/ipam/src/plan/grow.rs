//! More: how much is missing, and where it comes from.

use std::cmp::Reverse;

use vpc_model::Timestamp;

use super::{Action, Facts, HeldBack, Plan, Provisioning, Reason, Standing, Work, free_devices,
    wanted_free};
use crate::pool::{CreationId, EniState, Pool};
use crate::targets::{Targets, WarmTarget};

/// How many addresses are missing, and why; nothing when none is.
pub(super) fn shortfall(
    standing: &Standing,
    targets: &Targets,
    facts: &Facts,
) -> Option<(u32, Reason)> {
    let target = wanted_free(targets);
    let wanted = target.saturating_add(facts.demand);
    let missing_free = wanted.saturating_sub(standing.free);
    let minimum = match targets.warm {
        WarmTarget::Ips { minimum, .. } => minimum,
        // An empty pool is useless even where nothing is to be kept warm (upstream: with
        // WARM_ENI_TARGET=0 the pool is too low when nothing is free).
        WarmTarget::Enis(0) if standing.free == 0 => standing.total + 1,
        WarmTarget::Enis(_) => 0,
    };
    let missing_total = minimum.saturating_sub(standing.total);
    if missing_free == 0 && missing_total == 0 {
        None
    } else if missing_free >= missing_total {
        let reason =
            Reason::BelowTarget { free: standing.free, target, demand: facts.demand };
        Some((missing_free, reason))
    } else {
        Some((missing_total, Reason::BelowMinimum { total: standing.total, minimum }))
    }
}

/// Plans where the missing addresses come from: ENIs with room first, the fullest of them first,
/// then new ENIs. Whole ENIs are filled whole (`WARM_ENI_TARGET`), single addresses are asked for
/// singly.
pub(super) fn grow(
    pool: &Pool,
    targets: &Targets,
    facts: &Facts,
    now: Timestamp,
    (mut missing, because): (u32, Reason),
    plan: &mut Plan,
) {
    if facts.provisioning == Provisioning::Disabled {
        return plan.hold(HeldBack::ProvisioningDisabled, None);
    }
    if let Some(back_off) = pool.back_off().filter(|back_off| back_off.until > now) {
        let (reason, until) = (back_off.reason.clone(), back_off.until);
        return plan.hold(HeldBack::BackOff { reason, until }, Some(until));
    }
    let mut cap = u32::MAX;
    if let Some(max_pods) = targets.max_pods {
        cap = max_pods.saturating_sub(Standing::of(pool).total);
        if cap == 0 {
            return plan.hold(HeldBack::MaxPods { max_pods }, None);
        }
    }
    let whole_enis = matches!(targets.warm, WarmTarget::Enis(_));
    let mut roomy: Vec<_> = pool
        .enis()
        .filter(|eni| eni.state == EniState::Ready)
        .filter_map(|eni| {
            let room = targets.per_eni.saturating_sub(eni.len() + eni.assigning);
            (room > 0).then_some((Reverse(eni.allocated()), eni.since, eni.id.clone(), room))
        })
        .collect();
    roomy.sort();
    for (_, _, eni, room) in roomy {
        let count = if whole_enis { room } else { room.min(missing) }.min(cap);
        if missing == 0 || count == 0 {
            break;
        }
        plan.actions.push(Action { work: Work::Assign { eni, count }, because });
        missing = missing.saturating_sub(count);
        cap -= count;
    }
    let there = Standing::of(pool).enis;
    let mut devices = free_devices(pool);
    for number in 0..targets.max_enis.saturating_sub(there) {
        let count = if whole_enis { targets.per_eni } else { targets.per_eni.min(missing) };
        let count = count.min(cap);
        let Some(device) = devices.next() else { break };
        if missing == 0 || count == 0 {
            break;
        }
        let creation = CreationId(pool.next_creation().0 + u64::from(number));
        let work = Work::Create { creation, device, addresses: count };
        plan.actions.push(Action { work, because });
        missing = missing.saturating_sub(count);
        cap -= count;
    }
    if missing > 0 {
        match targets.max_pods.filter(|_| cap == 0) {
            Some(max_pods) => plan.hold(HeldBack::MaxPods { max_pods }, None),
            None => plan.hold(HeldBack::NoRoom { max_enis: targets.max_enis }, None),
        }
    }
}
