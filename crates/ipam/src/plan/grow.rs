//! More: where what is missing comes from. ENIs with room first, the fullest of them first, then
//! new ENIs, all in one plan.
//!
//! With prefix delegation, where no subnet has a block left, single addresses take their place for
//! the pods that wait. Prefixes are asked for again when the pause is over, so the node comes back
//! to them by itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use vpc_model::{DeviceIndex, EniId, SubnetId};

use super::need::{Fill, Need, Want, pods_left};
use super::reason::{HeldBack, Reason};
use super::standing::{Counted, Standing};
use super::{Action, Context, Plan, Provisioning, Work};
use crate::pool::{Ask, CreationId, Eni, Scope, SlotKind};
use crate::targets::WarmTarget;

/// Single addresses that are kept free while they take the place of prefixes: they cost a slot
/// each, so fewer than the sixteen of a prefix. The smallest ENIs have three slots.
const WARM_SINGLES: u32 = 3;

/// Plans where the missing slots come from.
pub(super) fn grow(context: &Context<'_>, standing: &Standing, need: &Need, plan: &mut Plan) {
    if let Some(held) = forbidden(context) {
        return plan.hold(held);
    }
    let mut growth = Growth::new(context, standing);
    growth.fill(need, plan);
    if context.falls_back()
        && let Some(singles) = singles_instead(context, standing, &growth)
    {
        growth.fill(&singles, plan);
    }
}

/// Why nothing is asked of EC2 at all.
fn forbidden(context: &Context<'_>) -> Option<HeldBack> {
    match context.facts.provisioning {
        Provisioning::Disabled => return Some(HeldBack::ProvisioningDisabled),
        Provisioning::ImdsOnly => return Some(HeldBack::ImdsOnly),
        Provisioning::Cordoned => return Some(HeldBack::NodeCordoned),
        Provisioning::Enabled => {}
    }
    refused(context, Scope::Everything)
}

fn refused(context: &Context<'_>, scope: Scope) -> Option<HeldBack> {
    let refused = context.pool.refusals().active(&scope, context.now)?;
    Some(HeldBack::BackOff {
        scope,
        reason: refused.reason.clone(),
        until: refused.until,
    })
}

/// What is missing of the single addresses that take the place of prefixes.
fn singles_instead(
    context: &Context<'_>,
    standing: &Standing,
    growth: &Growth<'_>,
) -> Option<Need> {
    let all = Standing::of(context.pool, Counted::All);
    let want = wanted_with_singles(context, standing);
    let missing = want.saturating_sub(all.free + growth.addresses);
    (missing > 0).then_some(Need {
        slots: missing,
        kind: SlotKind::Address,
        fill: Fill::Exact,
        because: Reason::NoBlock { missing },
    })
}

/// Free addresses of either kind that are wanted while single ones take the place of prefixes.
pub(super) fn wanted_with_singles(context: &Context<'_>, standing: &Standing) -> u32 {
    let want = Want::of(context, standing).free;
    match context.targets.warm {
        WarmTarget::Ips { .. } => want,
        WarmTarget::Enis(_) | WarmTarget::Prefixes(_) => {
            want.min(context.facts.demand.saturating_add(WARM_SINGLES))
        }
    }
}

/// Whether a subnet is asked, and for how much.
enum Gate {
    Open,
    AtMost(u32),
    /// It is nearly full and was asked already.
    Busy(u32),
    Refused(HeldBack),
}

/// What this plan has asked for so far.
struct Growth<'a> {
    context: &'a Context<'a>,
    /// Slots asked for, per ENI.
    asked: BTreeMap<EniId, u32>,
    /// Addresses asked for in all.
    addresses: u32,
    /// Addresses that may be asked for in all, so that the node has no more than it can run pods.
    most: u32,
    /// Subnets with a request under way, begun or in this plan.
    busy: BTreeSet<SubnetId>,
    devices: Vec<DeviceIndex>,
    next_creation: u64,
    enis_left: u32,
}

impl<'a> Growth<'a> {
    fn new(context: &'a Context<'a>, standing: &Standing) -> Self {
        let pool = context.pool;
        let assigning = pool.enis().filter(|eni| eni.is_assigning());
        let creating = pool.creations().map(|(_, begun)| &begun.subnet);
        let all = Standing::of(pool, Counted::All);
        // Lowest first out, so highest first in.
        let mut devices: Vec<_> = context.free_devices().collect();
        devices.reverse();
        Self {
            context,
            asked: BTreeMap::new(),
            addresses: 0,
            most: pods_left(context, standing).saturating_sub(all.free),
            busy: assigning
                .map(|eni| &eni.subnet)
                .chain(creating)
                .cloned()
                .collect(),
            devices,
            next_creation: pool.next_creation().0,
            enis_left: context
                .targets
                .max_enis
                .saturating_sub(standing.enis + context.facts.reserved_enis),
        }
    }

    /// Asks for what is needed, as far as there is room, and says what is in the way of the rest.
    fn fill(&mut self, need: &Need, plan: &mut Plan) {
        let mut in_the_way = Vec::new();
        let missing = self.assign(need, need.slots, plan, &mut in_the_way);
        let missing = self.leave_to_coming(need, missing, plan);
        let missing = self.create(need, missing, plan, &mut in_the_way);
        if missing == 0 {
            return;
        }
        if let Some(max_pods) = self.context.targets.max_pods.filter(|_| self.most == 0) {
            in_the_way = vec![HeldBack::MaxPods { max_pods }];
        } else if in_the_way.is_empty() {
            in_the_way.push(HeldBack::NoRoom {
                max_enis: self.context.targets.max_enis,
            });
        }
        for held in in_the_way {
            plan.hold(held);
        }
    }

    /// More slots on ENIs with room. Returns how many are still missing.
    fn assign(
        &mut self,
        need: &Need,
        mut missing: u32,
        plan: &mut Plan,
        in_the_way: &mut Vec<HeldBack>,
    ) -> u32 {
        let mut roomy: Vec<&Eni> = self.context.pool.enis().collect();
        roomy.retain(|eni| eni.may_grow() && self.room(eni) > 0);
        roomy.sort_by_cached_key(|eni| (Reverse(eni.allocated()), eni.since, eni.id.clone()));
        for eni in roomy {
            if missing == 0 || self.most == 0 {
                break;
            }
            if let Some(held) = refused(self.context, Scope::Eni(eni.id.clone())) {
                in_the_way.push(held);
                continue;
            }
            let Some(at_most) = self.ask(&eni.subnet, need.kind, in_the_way) else {
                continue;
            };
            let count = self.bounded(need, self.room(eni), missing);
            let count = bounded_by(&eni.subnet, count, at_most, in_the_way);
            missing = missing.saturating_sub(count);
            let ask = self.note(&eni.subnet, need.kind.ask(count));
            *self.asked.entry(eni.id.clone()).or_default() += count;
            let eni = eni.id.clone();
            plan.actions.push(Action {
                work: Work::Assign { eni, ask },
                because: need.because,
            });
        }
        missing
    }

    /// Slots for which an ENI that is being made already will have room: another one would not be
    /// there sooner. Returns how many are still missing.
    fn leave_to_coming(&self, need: &Need, missing: u32, plan: &mut Plan) -> u32 {
        let open = |subnet: &SubnetId| matches!(self.gate_when_idle(subnet, need.kind), Gate::Open);
        let coming = self.context.pool.creations();
        let coming = coming.filter(|(_, begun)| open(&begun.subnet));
        let per_eni = self.context.targets.per_eni;
        let room: u32 = coming
            .map(|(_, begun)| per_eni.saturating_sub(begun.ask.slots()))
            .sum();
        let slots = missing.min(room);
        if slots > 0 {
            plan.hold(HeldBack::EniComing { slots });
        }
        missing - slots
    }

    /// New ENIs. Returns how many slots are still missing.
    fn create(
        &mut self,
        need: &Need,
        mut missing: u32,
        plan: &mut Plan,
        in_the_way: &mut Vec<HeldBack>,
    ) -> u32 {
        if missing == 0 || self.most == 0 || self.enis_left == 0 {
            return missing;
        }
        if let Some(held) = refused(self.context, Scope::Creations) {
            in_the_way.push(held);
            return missing;
        }
        if self.context.facts.subnets.is_empty() {
            in_the_way.push(HeldBack::NoSubnet);
        }
        for subnet in &self.context.facts.subnets {
            while missing > 0 && self.most > 0 && self.enis_left > 0 {
                let Some(at_most) = self.ask(&subnet.id, need.kind, in_the_way) else {
                    break;
                };
                let Some(device) = self.devices.pop() else {
                    return missing;
                };
                let count = self.bounded(need, self.context.targets.per_eni, missing);
                let count = bounded_by(&subnet.id, count, at_most, in_the_way);
                missing = missing.saturating_sub(count);
                let ask = self.note(&subnet.id, need.kind.ask(count));
                let work = Work::Create {
                    creation: CreationId(self.next_creation),
                    card: self.context.pool.card(),
                    device,
                    subnet: subnet.clone(),
                    ask,
                };
                self.next_creation += 1;
                self.enis_left -= 1;
                plan.actions.push(Action {
                    work,
                    because: need.because,
                });
            }
        }
        missing
    }

    fn room(&self, eni: &Eni) -> u32 {
        let asked = self.asked.get(&eni.id).copied().unwrap_or(0);
        self.context
            .targets
            .per_eni
            .saturating_sub(eni.slots_taken() + asked)
    }

    /// How many slots to ask for where there is room for `room`. Never none while the node may
    /// have one address more.
    fn bounded(&self, need: &Need, room: u32, missing: u32) -> u32 {
        let wanted = match need.fill {
            Fill::Whole => room,
            Fill::Exact => room.min(missing),
        };
        wanted.min(self.most.div_ceil(need.kind.addresses()))
    }

    fn note(&mut self, subnet: &SubnetId, ask: Ask) -> Ask {
        self.busy.insert(subnet.clone());
        self.addresses += ask.addresses();
        self.most = self.most.saturating_sub(ask.addresses());
        ask
    }

    /// How many slots the subnet may be asked for; nothing if it is not asked now, and that is in
    /// the way then.
    fn ask(
        &self,
        subnet: &SubnetId,
        kind: SlotKind,
        in_the_way: &mut Vec<HeldBack>,
    ) -> Option<u32> {
        match self.gate(subnet, kind) {
            Gate::Open => Some(u32::MAX),
            Gate::AtMost(at_most) => Some(at_most),
            Gate::Busy(at_most) => {
                in_the_way.push(HeldBack::NearlyFull {
                    subnet: subnet.clone(),
                    at_most,
                });
                None
            }
            Gate::Refused(held) => {
                in_the_way.push(held);
                None
            }
        }
    }

    fn gate(&self, subnet: &SubnetId, kind: SlotKind) -> Gate {
        let gate = self.gate_when_idle(subnet, kind);
        if let Gate::AtMost(at_most) = gate
            && self.busy.contains(subnet)
        {
            return Gate::Busy(at_most);
        }
        gate
    }

    /// The gate of a subnet with no request under way.
    fn gate_when_idle(&self, subnet: &SubnetId, kind: SlotKind) -> Gate {
        let mut scopes = vec![Scope::Subnet(subnet.clone())];
        if kind == SlotKind::Prefix {
            scopes.push(Scope::Blocks(subnet.clone()));
        }
        let mut at_most: Option<u32> = None;
        for scope in scopes {
            if let Some(bound) = self.context.pool.refusals().at_most(&scope) {
                at_most = Some(at_most.map_or(bound, |before| before.min(bound)));
            }
            if let Some(held) = refused(self.context, scope) {
                return Gate::Refused(held);
            }
        }
        match at_most {
            None => Gate::Open,
            Some(at_most) => Gate::AtMost(at_most),
        }
    }
}

/// Fewer than wanted where the subnet is nearly full, and that is in the way of the rest.
fn bounded_by(subnet: &SubnetId, wanted: u32, at_most: u32, in_the_way: &mut Vec<HeldBack>) -> u32 {
    if wanted > at_most {
        in_the_way.push(HeldBack::NearlyFull {
            subnet: subnet.clone(),
            at_most,
        });
    }
    wanted.min(at_most)
}
