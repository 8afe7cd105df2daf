//! More: how much is missing, and where it comes from.

use std::cmp::Reverse;

use vpc_model::EniId;

use super::{Action, HeldBack, Plan, Provisioning, Reason, Situation, Work};
use crate::pool::{CreationId, EniState};
use crate::targets::WarmTarget;

/// How many addresses are missing, and why; nothing when none is.
pub(super) fn shortfall(at: &Situation<'_>) -> Option<(u32, Reason)> {
    let (standing, demand) = (at.standing, at.facts.demand);
    let target = at.warm_addresses();
    let missing_free = target.saturating_add(demand).saturating_sub(standing.free);
    let minimum = at.minimum();
    let missing_total = minimum.saturating_sub(standing.total);
    if missing_free == 0 && missing_total == 0 {
        None
    } else if missing_free >= missing_total {
        Some((
            missing_free,
            Reason::BelowTarget {
                free: standing.free,
                target,
                demand,
            },
        ))
    } else {
        Some((
            missing_total,
            Reason::BelowMinimum {
                total: standing.total,
                minimum,
            },
        ))
    }
}

/// Plans where the missing addresses come from: ENIs with room first, the fullest of them first,
/// then new ENIs. Whole ENIs are filled whole (`WARM_ENI_TARGET`), single addresses are asked for
/// singly.
pub(super) fn grow(at: &Situation<'_>, (missing, because): (u32, Reason), plan: &mut Plan) {
    if at.facts.provisioning == Provisioning::Disabled {
        return plan.hold(HeldBack::ProvisioningDisabled, None);
    }
    if let Some(back_off) = at
        .pool
        .back_off()
        .filter(|back_off| back_off.until > at.now)
    {
        let (reason, until) = (back_off.reason.clone(), back_off.until);
        return plan.hold(HeldBack::BackOff { reason, until }, Some(until));
    }
    let cap = at
        .targets
        .max_pods
        .map(|max_pods| max_pods.saturating_sub(at.standing.total));
    let mut order = Order {
        missing,
        cap: cap.unwrap_or(u32::MAX),
        because,
    };
    for (eni, room) in roomy(at) {
        if let Some(count) = order.portion(at, room) {
            plan.actions
                .push(order.place(Work::Assign { eni, count }, count));
        }
    }
    let mut devices = at.free_devices();
    for number in 0..at.targets.max_enis.saturating_sub(at.standing.enis) {
        let Some(addresses) = order.portion(at, at.targets.per_eni) else {
            break;
        };
        let Some(device) = devices.next() else { break };
        let creation = CreationId(at.pool.next_creation().0.saturating_add(u64::from(number)));
        plan.actions.push(order.place(
            Work::Create {
                creation,
                device,
                addresses,
            },
            addresses,
        ));
    }
    if order.missing > 0 {
        match at.targets.max_pods.filter(|_| order.cap == 0) {
            Some(max_pods) => plan.hold(HeldBack::MaxPods { max_pods }, None),
            None => plan.hold(
                HeldBack::NoRoom {
                    max_enis: at.targets.max_enis,
                },
                None,
            ),
        }
    }
}

/// What is still to be found.
struct Order {
    missing: u32,
    /// What the node may have more than it has.
    cap: u32,
    because: Reason,
}

impl Order {
    /// How much of it to put where there is that much room; nothing where nothing is to be put.
    fn portion(&self, at: &Situation<'_>, room: u32) -> Option<u32> {
        let wanted = match at.targets.warm {
            WarmTarget::Enis(_) => room,
            WarmTarget::Ips { .. } => room.min(self.missing),
        };
        let count = wanted.min(self.cap);
        (self.missing > 0 && count > 0).then_some(count)
    }

    fn place(&mut self, work: Work, count: u32) -> Action {
        self.missing = self.missing.saturating_sub(count);
        self.cap = self.cap.saturating_sub(count);
        Action {
            work,
            because: self.because,
        }
    }
}

/// ENIs with room, and how much: the fullest first, of two the older, then the lower id.
fn roomy(at: &Situation<'_>) -> Vec<(EniId, u32)> {
    let mut enis: Vec<_> = at
        .pool
        .enis()
        .filter(|eni| eni.state == EniState::Ready)
        .map(|eni| {
            let taken = eni.len().saturating_add(eni.assigning);
            (eni, at.targets.per_eni.saturating_sub(taken))
        })
        .filter(|(_, room)| *room > 0)
        .collect();
    enis.sort_by_key(|(eni, _)| (Reverse(eni.allocated()), eni.since, &eni.id));
    enis.into_iter()
        .map(|(eni, room)| (eni.id.clone(), room))
        .collect()
}
