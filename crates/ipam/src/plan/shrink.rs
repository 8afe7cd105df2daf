//! Less: what is given back, when it has not been needed for a while.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use vpc_model::EniId;

use super::{Action, HeldBack, Plan, Reason, Situation, Work};
use crate::pool::{Eni, EniKind, EniState};
use crate::targets::WarmTarget;

/// An excess must be seen twice, also where no delay is wanted: what one plan brings about is not
/// undone by the next one at the same moment.
const SHORTEST_EXCESS: Duration = Duration::from_millis(1);

/// Plans what goes back: whole unused ENIs first, the emptiest and youngest of them first; then
/// single free addresses, where addresses are what is counted. Never one that rests, never one
/// that would be asked for again.
pub(super) fn shrink(at: &Situation<'_>, plan: &mut Plan) {
    // Nothing is given back while something is on its way: the numbers are not what they will be.
    if at.standing.growing {
        return;
    }
    let wanted = at.warm_addresses().saturating_add(at.facts.demand);
    let because = Reason::AboveTarget {
        free: at.standing.free,
        target: wanted,
    };
    let mut room = Room {
        free: at.standing.free,
        total: at.standing.total,
        at,
    };
    let returns = whole_enis(at, &mut room, plan);
    let singles = single_addresses(at, &room, &returns);
    if returns.is_empty() && singles.is_empty() {
        // An ENI that only must not go yet counts as an excess that is already lasting.
        plan.excess_since = if plan.held_back.is_empty() {
            None
        } else {
            Some(at.pool.excess_since().unwrap_or(at.now))
        };
        return;
    }
    let since = at.pool.excess_since().unwrap_or(at.now);
    plan.excess_since = Some(since);
    let lasted = since + at.targets.return_delay.max(SHORTEST_EXCESS);
    if lasted > at.now {
        return plan.hold(HeldBack::ReturnDelay { until: lasted }, Some(lasted));
    }
    if let Some(refused) = at.pool.not_taken().filter(|refused| refused.until > at.now) {
        let (reason, until) = (refused.reason.clone(), refused.until);
        return plan.hold(HeldBack::NotTaken { reason, until }, Some(until));
    }
    let returns = returns.into_iter().map(|eni| Work::Return { eni });
    plan.actions
        .extend(returns.chain(singles).map(|work| Action { work, because }));
}

/// The unused ENIs that the node can do without and that may go now.
fn whole_enis(at: &Situation<'_>, room: &mut Room<'_>, plan: &mut Plan) -> BTreeSet<EniId> {
    let mut candidates: Vec<&Eni> = at
        .pool
        .enis()
        .filter(|eni| eni.kind == EniKind::Secondary && eni.state == EniState::Ready)
        .filter(|eni| eni.is_unused())
        .collect();
    candidates.sort_by_key(|eni| (eni.len(), Reverse(eni.since), &eni.id));
    // Which ENI has an address that only the journal knows of, nobody can say while it rests.
    let resting_unseen = at
        .pool
        .ledger()
        .rests_until()
        .filter(|until| *until > at.now);
    let mut returns = BTreeSet::new();
    for eni in candidates {
        if !room.can_do_without(eni) {
            continue;
        }
        let old_enough = eni.since + at.targets.eni_min_age;
        if at.pool.ledger().holds_at(eni.card, eni.device) {
            plan.hold(
                HeldBack::HeldUnseen {
                    eni: eni.id.clone(),
                },
                None,
            );
        } else if let Some(until) = resting_unseen {
            plan.hold(
                HeldBack::RestingUnseen {
                    eni: eni.id.clone(),
                    until,
                },
                Some(until),
            );
        } else if old_enough > at.now {
            let eni = eni.id.clone();
            plan.hold(
                HeldBack::TooYoung {
                    eni,
                    until: old_enough,
                },
                Some(old_enough),
            );
        } else {
            room.without(eni);
            returns.insert(eni.id.clone());
        }
    }
    returns
}

/// What may still be taken away.
struct Room<'a> {
    free: u32,
    total: u32,
    at: &'a Situation<'a>,
}

impl Room<'_> {
    /// Whether the pool without this ENI would still be as it should be. With whole ENIs as the
    /// target this is upstream's `available >= (WARM_ENI_TARGET + 1) * addresses an ENI`.
    fn can_do_without(&self, eni: &Eni) -> bool {
        let demand = self.at.facts.demand;
        let wanted = self.at.warm_addresses().saturating_add(demand);
        let left = self.free.saturating_sub(eni.free());
        match self.at.targets.warm {
            WarmTarget::Enis(warm) => {
                let whole = self.at.targets.per_eni;
                let enough = warm
                    .saturating_add(1)
                    .saturating_mul(whole)
                    .saturating_add(demand);
                self.free >= enough && left >= wanted
            }
            WarmTarget::Ips { minimum, .. } => {
                left >= wanted && self.total.saturating_sub(eni.len()) >= minimum
            }
        }
    }

    fn without(&mut self, eni: &Eni) {
        self.free = self.free.saturating_sub(eni.free());
        self.total = self.total.saturating_sub(eni.len());
    }

    /// How many single addresses are too many.
    fn singles(&self) -> u32 {
        match self.at.targets.warm {
            WarmTarget::Enis(_) => 0,
            WarmTarget::Ips { warm, minimum } => {
                let wanted = warm.saturating_add(self.at.facts.demand);
                let free = self.free.saturating_sub(wanted);
                free.min(self.total.saturating_sub(minimum))
            }
        }
    }
}

/// Single addresses to give back: of the ENI with the fewest pods first, the ones that became free
/// last first, so that those that have rested longest stay to be handed out.
fn single_addresses(at: &Situation<'_>, room: &Room<'_>, returns: &BTreeSet<EniId>) -> Vec<Work> {
    let mut too_many = room.singles();
    let mut enis: Vec<&Eni> = at
        .pool
        .enis()
        .filter(|eni| eni.state == EniState::Ready && !returns.contains(&eni.id))
        .collect();
    enis.sort_by_key(|eni| (eni.allocated(), Reverse(eni.since), &eni.id));
    let mut works = Vec::new();
    for eni in enis {
        let take = eni.free().min(too_many);
        if take > 0 {
            let count = usize::try_from(take).unwrap_or(usize::MAX);
            let addresses = eni.newest_free().take(count).collect();
            works.push(Work::Unassign {
                eni: eni.id.clone(),
                addresses,
            });
            too_many -= take;
        }
    }
    works
}
