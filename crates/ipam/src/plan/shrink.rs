//! Less: what is given back, when it has not been needed for a while.
//!
//! Whole unused ENIs first, the emptiest and youngest of them first; then single slots, of the ENI
//! with the fewest pods first. Never an address that rests, never anything that would be asked for
//! again. An excess has to last, and much of it goes in several goes with a pause between: a
//! deployment that is rolled out gives back and takes again otherwise.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use vpc_model::{EniId, Timestamp};

use super::grow::wanted_with_singles;
use super::need::{Need, Want, pods_left, whole_eni};
use super::reason::{HeldBack, Reason};
use super::standing::{Counted, Standing};
use super::{Action, Context, Plan, Provisioning, Work};
use crate::pool::{Eni, Mode, Scope, SlotKind, Slots};
use crate::targets::WarmTarget;

/// ENIs given back in one go. Detaching takes EC2 seconds each.
const ENIS_AT_ONCE: usize = 2;

/// An excess must be seen twice, also where no delay is wanted: what one plan brings about is not
/// undone by the next one at the same moment.
const SHORTEST_EXCESS: Duration = Duration::from_millis(1);

/// The pause between two goes.
const PAUSE: Duration = Duration::from_secs(10);

/// Plans what goes back.
pub(super) fn shrink(
    context: &Context<'_>,
    standing: &Standing,
    need: Option<&Need>,
    plan: &mut Plan,
) {
    match context.facts.provisioning {
        Provisioning::Enabled | Provisioning::Cordoned => {}
        Provisioning::Disabled | Provisioning::ImdsOnly => return,
    }
    if standing.growing || !plan.actions.is_empty() {
        // Whether there is an excess shows when what is on its way is here.
        plan.excess_since = context.pool.excess_since();
        return;
    }
    let mut cut = Cut::new(context, *standing);
    if need.is_none() {
        cut.whole_enis(plan);
        cut.slots();
    }
    if pool_can_do_without_singles(context, need, plan) {
        cut.left_overs();
    }
    cut.conclude(plan);
}

/// Whether unused single addresses are of no use under prefix delegation: prefixes meet the
/// targets, or single addresses are what keeps them from it, or they stand in for prefixes and
/// there are more of them than needed.
fn pool_can_do_without_singles(context: &Context<'_>, need: Option<&Need>, plan: &Plan) -> bool {
    let in_the_way = plan
        .held_back
        .iter()
        .any(|held| matches!(held, HeldBack::NoRoom { .. }));
    context.pool.mode() == Mode::Prefixes
        && (need.is_none() || context.falls_back() || (in_the_way && context.facts.demand == 0))
}

/// Whether an unused ENI stays all the same.
enum Stay {
    Not,
    ForSomeTime,
    AsLongAsItsPods,
}

/// What goes back, and what is left then.
struct Cut<'a> {
    context: &'a Context<'a>,
    before: Standing,
    left: Standing,
    leaving: Vec<EniId>,
    /// Leaving as soon as they are old enough.
    waiting: Vec<EniId>,
    slots: BTreeMap<EniId, (Slots, Reason)>,
}

impl<'a> Cut<'a> {
    fn new(context: &'a Context<'a>, standing: Standing) -> Self {
        Self {
            context,
            before: standing,
            left: standing,
            leaving: Vec::new(),
            waiting: Vec::new(),
            slots: BTreeMap::new(),
        }
    }

    /// Unused ENIs that the pool can do without.
    fn whole_enis(&mut self, plan: &mut Plan) {
        let pool = self.context.pool;
        let mut candidates: Vec<&Eni> = pool
            .enis()
            .filter(|eni| eni.may_return() && eni.is_unused())
            .collect();
        candidates.sort_by_cached_key(|eni| (eni.len(), Reverse(eni.since), eni.id.clone()));
        for eni in candidates {
            let left = self.left.without(eni);
            if !self.can_do_without_eni(eni, &left) {
                continue;
            }
            if self.context.facts.provisioning == Provisioning::Cordoned {
                plan.hold(HeldBack::NodeCordoned);
                return;
            }
            match self.must_stay(eni, plan) {
                Stay::Not => self.leaving.push(eni.id.clone()),
                // It will go: what it holds is not given back singly before.
                Stay::ForSomeTime => self.waiting.push(eni.id.clone()),
                Stay::AsLongAsItsPods => continue,
            }
            self.left = left;
        }
    }

    /// Whether an unused ENI must stay all the same, which is said then.
    fn must_stay(&self, eni: &Eni, plan: &mut Plan) -> Stay {
        let context = self.context;
        let id = || eni.id.clone();
        // The record of allocations outranks what the ENI is seen to have.
        if context.pool.ledger().holds_at(eni.card, eni.device) {
            plan.hold(HeldBack::HeldUnseen { eni: id() });
            return Stay::AsLongAsItsPods;
        }
        // Which ENI has an address that only the journal knows of, nobody can say while it rests.
        let resting = context.pool.ledger().rests_until();
        if let Some(until) = resting.filter(|until| *until > context.now) {
            plan.hold(HeldBack::RestingUnseen { eni: id(), until });
            return Stay::ForSomeTime;
        }
        let until = eni.since + context.targets.eni_min_age;
        if until > context.now {
            plan.hold(HeldBack::TooYoung { eni: id(), until });
            return Stay::ForSomeTime;
        }
        Stay::Not
    }

    /// Whether the pool is as it should be without that ENI. Upstream's conditions for its kinds
    /// of targets; and what is left must not be short.
    fn can_do_without_eni(&self, eni: &Eni, left: &Standing) -> bool {
        let context = self.context;
        let want = Want::of(context, left);
        let round = |addresses: u32| match context.pool.mode() {
            Mode::SecondaryIps => addresses,
            Mode::Prefixes => addresses.next_multiple_of(SlotKind::Prefix.addresses()),
        };
        let by_target = match context.targets.warm {
            WarmTarget::Enis(warm) => {
                let enough = (warm + 1)
                    .saturating_mul(whole_eni(context))
                    .saturating_add(context.facts.demand);
                self.left.free >= enough || self.is_enough_for_all(left) || !eni.gives_addresses()
            }
            WarmTarget::Ips { .. } => {
                left.free >= round(want.free) && left.total >= round(want.total)
            }
            WarmTarget::Prefixes(_) => self.has_unbroken(left),
        };
        by_target && Need::of(context, left).is_none()
    }

    /// Whether all the pods that the node can still run would find an address.
    fn is_enough_for_all(&self, left: &Standing) -> bool {
        left.free >= pods_left(self.context, left)
    }

    /// Whether there are as many unbroken prefixes as `WARM_PREFIX_TARGET` says, if it does.
    fn has_unbroken(&self, left: &Standing) -> bool {
        match (self.context.targets.warm, self.context.pool.mode()) {
            (WarmTarget::Prefixes(warm), Mode::Prefixes) => {
                let broken_soon = left.prefixes_for(self.context.facts.demand);
                left.free_prefixes >= warm.saturating_add(broken_soon)
                    || self.is_enough_for_all(left)
            }
            (WarmTarget::Enis(_) | WarmTarget::Ips { .. } | WarmTarget::Prefixes(_), _) => true,
        }
    }

    /// Unused slots beyond the targets: unbroken prefixes, then, in secondary IP mode with targets
    /// that count addresses, single ones.
    fn slots(&mut self) {
        if self.left.free_prefixes > 0 {
            for eni in self.by_pods() {
                self.prefixes_of(eni);
            }
        }
        let counts_addresses = match self.context.targets.warm {
            WarmTarget::Ips { .. } => self.context.pool.mode() == Mode::SecondaryIps,
            WarmTarget::Enis(_) | WarmTarget::Prefixes(_) => false,
        };
        if counts_addresses {
            let want = Want::of(self.context, &self.left);
            let over = self.left.free.saturating_sub(want.free);
            let over = over.min(self.left.total.saturating_sub(want.total));
            self.singles(over, self.above());
        }
    }

    fn prefixes_of(&mut self, eni: &Eni) {
        for prefix in eni.unused_prefixes() {
            let left = self.left.without_slot(SlotKind::Prefix);
            if !self.has_unbroken(&left) || Need::of(self.context, &left).is_some() {
                return;
            }
            self.left = left;
            let because = self.above();
            let slots = self.slots.entry(eni.id.clone());
            let (slots, _) = slots.or_insert_with(|| (Slots::default(), because));
            slots.prefixes.push(prefix);
        }
    }

    /// Unused single addresses under prefix delegation.
    fn left_overs(&mut self) {
        let all = Standing::of(self.context.pool, Counted::All);
        let free = all.free.saturating_sub(self.before.free);
        let keep = if self.context.falls_back() {
            wanted_with_singles(self.context, &self.before).saturating_sub(self.before.free)
        } else {
            0
        };
        self.singles(free.saturating_sub(keep), Reason::LeftOver { free });
    }

    /// That many free single addresses, the ones that became free last first, so that those that
    /// have rested longest stay to be handed out.
    fn singles(&mut self, mut over: u32, because: Reason) {
        if over == 0 {
            return;
        }
        for eni in self.by_pods() {
            let free = eni.counts(SlotKind::Address).free;
            let take = free.min(over);
            if take > 0 {
                let count = usize::try_from(take).unwrap_or(usize::MAX);
                let slots = self.slots.entry(eni.id.clone());
                let (slots, _) = slots.or_insert_with(|| (Slots::default(), because));
                slots
                    .addresses
                    .extend(eni.newest_free_singles().take(count));
                over -= take;
                for _ in 0..take {
                    self.left = self.left.without_slot(SlotKind::Address);
                }
            }
        }
    }

    /// ENIs whose slots may go, those with the fewest pods first, the younger of two, then the one
    /// with the lower id. Not those that go whole.
    fn by_pods(&self) -> Vec<&'a Eni> {
        let mut enis: Vec<&Eni> = self
            .context
            .pool
            .enis()
            .filter(|eni| eni.may_shrink())
            .filter(|eni| !self.leaving.contains(&eni.id) && !self.waiting.contains(&eni.id))
            .collect();
        enis.sort_by_cached_key(|eni| (eni.allocated(), Reverse(eni.since), eni.id.clone()));
        enis
    }

    fn above(&self) -> Reason {
        match self.context.targets.warm {
            WarmTarget::Prefixes(target) => Reason::AbovePrefixTarget {
                free: self.before.free_prefixes,
                target,
            },
            WarmTarget::Enis(_) | WarmTarget::Ips { .. } => Reason::AboveTarget {
                free: self.before.free,
                target: Want::of(self.context, &self.before).free,
            },
        }
    }

    /// Whether what was found goes now or later.
    fn conclude(self, plan: &mut Plan) {
        let nothing = self.leaving.is_empty() && self.slots.is_empty();
        if nothing && self.waiting.is_empty() {
            return;
        }
        let since = self.context.pool.excess_since().unwrap_or(self.context.now);
        plan.excess_since = Some(since);
        if nothing {
            return;
        }
        if let Some(held) = self.not_yet(since) {
            return plan.hold(held);
        }
        let because = self.above();
        let more = self.leaving.len() > ENIS_AT_ONCE;
        let leaving = self.leaving.into_iter().take(ENIS_AT_ONCE);
        plan.actions.extend(leaving.map(|eni| Action {
            work: Work::Return { eni },
            because,
        }));
        let slots = self.slots.into_iter();
        plan.actions
            .extend(slots.map(|(eni, (slots, because))| Action {
                work: Work::Unassign { eni, slots },
                because,
            }));
        if more {
            let until = self.context.now + PAUSE;
            plan.hold(HeldBack::ReturnPause { until });
        }
    }

    fn not_yet(&self, since: Timestamp) -> Option<HeldBack> {
        let delay = self.context.targets.return_delay;
        let spread = self
            .context
            .pool
            .refusals()
            .spread(since.as_millis(), delay / 2);
        let lasted = since + (delay + spread).max(SHORTEST_EXCESS);
        if lasted > self.context.now {
            return Some(HeldBack::ReturnDelay { until: lasted });
        }
        let refusals = self.context.pool.refusals();
        if let Some(refused) = refusals.active(&Scope::Returns, self.context.now) {
            return Some(HeldBack::NotTaken {
                reason: refused.reason.clone(),
                until: refused.until,
            });
        }
        let paused = self.context.pool.last_return()? + PAUSE;
        (paused > self.context.now).then_some(HeldBack::ReturnPause { until: paused })
    }
}
