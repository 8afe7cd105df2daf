//! What must be so after every step, judged without the planner's own arithmetic.

use std::net::Ipv4Addr;

use vpc_ipam::allocate::held;
use vpc_ipam::plan::Provisioning;
use vpc_ipam::{
    AddressState, Allocation, EniKind, EniState, Event, HeldBack, Plan, Pool, WarmTarget, Work,
    plan as make_plan,
};
use vpc_model::Timestamp;

use crate::world::{Checked, World, begun};

fn ensure(so: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if so { Ok(()) } else { Err(otherwise()) }
}

/// A new address for a pod must be EC2's to give, as far as the pool was told the truth.
pub(crate) fn grant(world: &World, found: &Allocation) -> Checked {
    let eni = found.eni.as_ref().and_then(|eni| world.pool.eni(eni));
    let eni = eni.ok_or_else(|| format!("{} is of an ENI nobody knows", found.address))?;
    ensure(eni.state == EniState::Ready, || {
        format!("{} is of {:?} {}", found.address, eni.state, eni.id)
    })?;
    if world.vanished {
        return Ok(());
    }
    let owner = world.cloud.owner(found.address);
    ensure(owner == Some(&eni.id), || {
        format!(
            "{} was handed out; EC2 has it on {owner:?}, the pool on {}",
            found.address, eni.id
        )
    })
}

/// The pool and the reference agree.
pub(crate) fn world(world: &World) -> Checked {
    world.pool.check().map_err(|broken| broken.join("; "))?;
    for (key, address) in &world.reference.live {
        let found = held(&world.pool, key).map(|found| found.address);
        ensure(found == Some(*address), || {
            format!("{key} has {address}, the pool says {found:?}")
        })?;
    }
    let (live, held) = (world.reference.live.len(), world.pool.allocated());
    ensure(live == held, || {
        format!("{live} pods have an address, the pool says {held}")
    })?;
    let enis = world.pool.enis().count() + world.pool.creations().count();
    let max = usize::try_from(world.targets.max_enis).unwrap();
    ensure(enis <= max || world.lied_to, || {
        format!("{enis} ENIs of {max}")
    })?;
    for eni in world.pool.enis().filter(|_| !world.lied_to) {
        ensure(
            eni.len() - eni.unassigning() <= world.targets.per_eni,
            || format!("{} has {} addresses", eni.id, eni.len()),
        )?;
    }
    Ok(())
}

/// A plan takes nothing away that must stay, keeps to the limits, says why it does not do what it
/// does not do, and leaves nothing to plan.
pub(crate) fn plan(world: &World, plan: &Plan, cooled: Option<Timestamp>) -> Checked {
    let context = |problem: String| format!("{problem}\n  in {plan:?}\n  {:?}", world.targets);
    let judged = match world.provisioning {
        Provisioning::Enabled => Ok(()),
        Provisioning::Disabled => ensure(plan.actions.is_empty(), || {
            "actions without provisioning".to_owned()
        }),
    };
    judged
        .and_then(|()| takes_away_nothing_in_use(world, plan))
        .and_then(|()| keeps_to_the_limits(world, plan))
        .and_then(|()| gives_reasons(world, plan))
        .and_then(|()| leaves_nothing_to_plan(world, plan))
        .and_then(|()| says_when_to_look_again(world, plan, cooled))
        .map_err(context)
}

fn takes_away_nothing_in_use(world: &World, plan: &Plan) -> Checked {
    for action in &plan.actions {
        let addresses: Vec<_> = match &action.work {
            Work::Create { .. } | Work::Assign { .. } => continue,
            Work::Unassign { addresses, .. } => addresses.clone(),
            Work::Return { eni } => {
                let pool = world.pool.eni(eni).ok_or("returns an unknown ENI")?;
                ensure(pool.kind == EniKind::Secondary, || {
                    "returns the primary".to_owned()
                })?;
                let known = pool.addresses().map(|(address, _)| address);
                let truth = world.cloud.enis.get(eni);
                let truth = truth
                    .into_iter()
                    .flat_map(|eni| eni.addresses.iter().copied());
                // Where metadata lied, the pool may take an address for another ENI's.
                let elsewhere = |address: &Ipv4Addr| {
                    world
                        .pool
                        .owner(*address)
                        .is_some_and(|owner| owner.id != *eni)
                };
                known
                    .chain(truth.filter(|address| !elsewhere(address)))
                    .collect()
            }
        };
        for address in addresses {
            if let Some(why) = world.reference.protects(address) {
                return Err(format!("{:?} takes {address}: {why}", action.work));
            }
        }
    }
    Ok(())
}

fn keeps_to_the_limits(world: &World, plan: &Plan) -> Checked {
    let targets = &world.targets;
    let mut enis = world.pool.enis().count() + world.pool.creations().count();
    for action in &plan.actions {
        match &action.work {
            Work::Create {
                device, addresses, ..
            } => {
                enis += 1;
                ensure((1..=targets.per_eni).contains(addresses), || {
                    "a wrong count".to_owned()
                })?;
                let taken = world.pool.enis().any(|eni| eni.device == *device);
                ensure(!taken, || format!("device {} is taken", device.0))?;
            }
            Work::Assign { eni, count } => {
                let eni = world.pool.eni(eni).ok_or("assigns to an unknown ENI")?;
                let there = eni.len() + eni.assigning + count;
                ensure(there <= targets.per_eni && *count > 0, || {
                    "a wrong count".to_owned()
                })?;
            }
            Work::Unassign { addresses, .. } => {
                ensure(!addresses.is_empty(), || "unassigns nothing".to_owned())?;
            }
            Work::Return { .. } => {}
        }
    }
    let max = usize::try_from(targets.max_enis).unwrap();
    let creates = plan
        .actions
        .iter()
        .any(|action| matches!(action.work, Work::Create { .. }));
    ensure(!creates || enis <= max, || format!("{enis} ENIs of {max}"))
}

/// Addresses as they count: upstream's formulas (available, total), but nothing that rests is
/// available and nothing on its way out counts.
pub(crate) struct Count {
    pub(crate) free: u32,
    pub(crate) total: u32,
    pub(crate) in_flight: bool,
}

pub(crate) fn count(pool: &Pool) -> Count {
    let mut count = Count {
        free: 0,
        total: 0,
        in_flight: pool.creations().count() > 0,
    };
    for eni in pool.enis() {
        count.in_flight |= eni.assigning > 0 || eni.state == EniState::Returning;
        for (_, state) in eni.addresses().filter(|_| eni.state == EniState::Ready) {
            match state {
                AddressState::Free { .. } => {
                    count.free += 1;
                    count.total += 1;
                }
                AddressState::Allocated { .. } | AddressState::Cooling { .. } => count.total += 1,
                AddressState::Unassigning => count.in_flight = true,
            }
        }
    }
    count
}

pub(crate) fn is_met(world: &World, count: &Count) -> bool {
    let demand = world.facts().demand;
    match world.targets.warm {
        WarmTarget::Enis(0) => count.free > demand,
        WarmTarget::Enis(warm) => count.free >= warm * world.targets.per_eni + demand,
        WarmTarget::Ips { warm, minimum } => count.free >= warm + demand && count.total >= minimum,
    }
}

/// How many single addresses are too many (upstream's `over`).
pub(crate) fn over(world: &World, count: &Count) -> u32 {
    let demand = world.facts().demand;
    match world.targets.warm {
        WarmTarget::Enis(_) => 0,
        WarmTarget::Ips { warm, minimum } => {
            let free = count.free.saturating_sub(warm + demand);
            free.min(count.total.saturating_sub(minimum))
        }
    }
}

fn gives_reasons(world: &World, plan: &Plan) -> Checked {
    let count = count(&world.pool);
    let silent = plan.actions.is_empty() && plan.held_back.is_empty();
    if !count.in_flight {
        ensure(!silent || is_met(world, &count), || {
            "silent below the target".to_owned()
        })?;
        let enabled = world.provisioning == Provisioning::Enabled;
        ensure(!silent || !enabled || over(world, &count) == 0, || {
            "silent above the target".to_owned()
        })?;
    }
    for held in &plan.held_back {
        let so = match held {
            HeldBack::NoRoom { max_enis } => {
                let planned = plan.actions.len();
                let enis = world.pool.enis().count() + world.pool.creations().count() + planned;
                enis >= usize::try_from(*max_enis).unwrap()
            }
            HeldBack::BackOff { until, .. }
            | HeldBack::ReturnDelay { until }
            | HeldBack::NotTaken { until, .. }
            | HeldBack::RestingUnseen { until, .. }
            | HeldBack::TooYoung { until, .. } => *until > world.now,
            HeldBack::HeldUnseen { .. } => !world.pool.ledger().is_empty(),
            HeldBack::MaxPods { max_pods } => Some(*max_pods) == world.targets.max_pods,
            HeldBack::ProvisioningDisabled => world.provisioning == Provisioning::Disabled,
        };
        ensure(so, || format!("not a reason: {held}"))?;
    }
    Ok(())
}

fn leaves_nothing_to_plan(world: &World, plan: &Plan) -> Checked {
    let again = |pool: &Pool| make_plan(pool, &world.targets, &world.facts(), world.now).actions;
    if plan.actions.is_empty() {
        return Ok(());
    }
    let mut pool = world.pool.clone();
    pool.note_excess(plan.excess_since);
    for action in &plan.actions {
        pool.apply(begun(&action.work), world.now);
    }
    let more = again(&pool);
    ensure(more.is_empty(), || {
        format!("begun, and planned again: {more:?}")
    })?;
    for (number, action) in plan.actions.iter().enumerate() {
        let number = u8::try_from(number).unwrap();
        let fresh = |count: u32| {
            (0..count)
                .map(|last| [172, 16, number, u8::try_from(last).unwrap()].into())
                .collect()
        };
        let event = match action.work.clone() {
            Work::Create {
                creation,
                device,
                addresses,
            } => {
                let id = world.pool.enis().next().map(|eni| eni.id.clone()).unwrap();
                let mut eni = world.cloud.describe(&id).unwrap_or_else(|| any_eni(world));
                eni.id = format!("eni-new-{number}").parse().unwrap();
                eni.kind = EniKind::Secondary;
                eni.device = device;
                eni.addresses = fresh(addresses);
                Event::Created { creation, eni }
            }
            Work::Assign { eni, count } => Event::Assigned {
                eni,
                asked: count,
                addresses: fresh(count),
            },
            Work::Unassign { eni, addresses } => Event::Unassigned { eni, addresses },
            Work::Return { eni } => Event::Returned { eni },
        };
        pool.apply(event, world.now);
    }
    pool.check().map_err(|broken| broken.join("; "))?;
    let more = again(&pool);
    ensure(more.is_empty(), || {
        format!("executed, and planned again: {more:?}")
    })
}

fn any_eni(world: &World) -> vpc_ipam::NewEni {
    let id = world.cloud.enis.keys().next().unwrap();
    world.cloud.describe(id).unwrap()
}

/// Between now and the time a plan names, a plan says nothing else.
fn says_when_to_look_again(world: &World, plan: &Plan, cooled: Option<Timestamp>) -> Checked {
    let wake = [cooled, plan.wake_at].into_iter().flatten().min();
    if let Some(at) = wake {
        ensure(at > world.now, || {
            format!("looks again at {at}, it is {} already", world.now)
        })?;
    }
    if !plan.actions.is_empty() {
        return Ok(());
    }
    let day = world.now.as_millis() + 86_400_000;
    let before = wake.map_or(day, |at| at.as_millis() - 1);
    let mut pool = world.pool.clone();
    pool.note_excess(plan.excess_since);
    let then = Timestamp::from_millis(before);
    pool.advance(then);
    let later = make_plan(&pool, &world.targets, &world.facts(), then);
    ensure(later.actions.is_empty(), || {
        format!("at {then} it would say {later:?}")
    })
}
