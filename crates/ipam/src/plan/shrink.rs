//! Less: what is given back, when it has not been needed for a while.

use vpc_model::Timestamp;

use super::{Action, Facts, HeldBack, Plan, Reason, Standing, Work, wanted_free};
use crate::pool::{Eni, EniKind, EniState, Pool};
use crate::targets::{Targets, WarmTarget};

/// Plans what goes back: whole unused ENIs first, the emptiest and youngest of them first; then
/// single free addresses, where addresses are what is counted. Never one that rests, never one
/// that would be asked for again.
pub(super) fn shrink(
    pool: &Pool,
    targets: &Targets,
    facts: &Facts,
    now: Timestamp,
    standing: &Standing,
    plan: &mut Plan,
) {
    let wanted = wanted_free(targets).saturating_add(facts.demand);
    let mut room = Room { free: standing.free, total: standing.total, wanted, targets };
    let because = Reason::AboveTarget { free: standing.free, target: wanted };
    // Nothing is given back while something is on its way: the numbers are not what they will be.
    if standing.growing {
        return;
    }
    let mut returns = Vec::new();
    let mut candidates: Vec<&Eni> = pool
        .enis()
        .filter(|eni| eni.kind == EniKind::Secondary && eni.state == EniState::Ready)
        .filter(|eni| eni.is_unused())
        .collect();
    candidates.sort_by_key(|eni| (eni.len(), std::cmp::Reverse(eni.since), eni.id.clone()));
    for eni in candidates {
        if !room.can_do_without(eni) {
            continue;
        }
        let old_enough = eni.since + targets.eni_min_age;
        if old_enough > now {
            let eni = eni.id.clone();
            plan.hold(HeldBack::TooYoung { eni, until: old_enough }, Some(old_enough));
            continue;
        }
        room.without(eni);
        returns.push(eni.id.clone());
    }
    let singles = single_addresses(pool, &room, &returns);
    if returns.is_empty() && singles.is_empty() {
        // An ENI that is only too young counts as an excess that is already lasting.
        plan.excess_since = if plan.held_back.is_empty() {
            None
        } else {
            Some(pool.excess_since().unwrap_or(now))
        };
        return;
    }
    let since = pool.excess_since().unwrap_or(now);
    plan.excess_since = Some(since);
    let lasted = since + targets.return_delay;
    if lasted > now {
        return plan.hold(HeldBack::ReturnDelay { until: lasted }, Some(lasted));
    }
    plan.actions
        .extend(returns.into_iter().map(|eni| Action { work: Work::Return { eni }, because }));
    plan.actions.extend(singles.into_iter().map(|work| Action { work, because }));
}

/// What may still be taken away.
struct Room<'a> {
    free: u32,
    total: u32,
    wanted: u32,
    targets: &'a Targets,
}

impl Room<'_> {
    /// Whether the pool without this ENI would still be as it should be. With whole ENIs as the
    /// target this is upstream's `available >= (WARM_ENI_TARGET + 1) * addresses an ENI`.
    fn can_do_without(&self, eni: &Eni) -> bool {
        match self.targets.warm {
            WarmTarget::Enis(warm) => {
                let whole = self.targets.per_eni;
                let enough = (warm + 1).saturating_mul(whole).saturating_add(
                    self.wanted.saturating_sub(warm.saturating_mul(whole)),
                );
                self.free >= enough && self.free - eni.free() >= self.wanted.max(1)
            }
            WarmTarget::Ips { minimum, .. } => {
                self.free.saturating_sub(eni.free()) >= self.wanted
                    && self.total.saturating_sub(eni.len()) >= minimum
            }
        }
    }

    fn without(&mut self, eni: &Eni) {
        self.free -= eni.free();
        self.total -= eni.len();
    }

    /// How many single addresses are too many.
    fn singles(&self) -> u32 {
        match self.targets.warm {
            WarmTarget::Enis(_) => 0,
            WarmTarget::Ips { minimum, .. } => self
                .free
                .saturating_sub(self.wanted)
                .min(self.total.saturating_sub(minimum)),
        }
    }
}

/// Single addresses to give back: of the ENI with the fewest pods first, the ones that became free
/// last first, so that those that have rested longest stay to be handed out.
fn single_addresses(pool: &Pool, room: &Room<'_>, returned: &[vpc_model::EniId]) -> Vec<Work> {
    let mut too_many = room.singles();
    let mut enis: Vec<&Eni> = pool
        .enis()
        .filter(|eni| eni.state == EniState::Ready && !returned.contains(&eni.id))
        .collect();
    enis.sort_by_key(|eni| (eni.allocated(), std::cmp::Reverse(eni.since), eni.id.clone()));
    let mut works = Vec::new();
    for eni in enis {
        let take = eni.free().min(too_many);
        if take > 0 {
            let count = usize::try_from(take).unwrap_or(usize::MAX);
            let addresses = eni.newest_free().take(count).collect();
            works.push(Work::Unassign { eni: eni.id.clone(), addresses });
            too_many -= take;
        }
    }
    works
}
