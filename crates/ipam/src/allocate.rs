//! Which address a pod gets.
//!
//! The fullest ENI first, so that the others empty out and can be given back; of two equally full
//! ones the older, then the one with the lower id. Within it the address that has been free the
//! longest; of two the lower.

use std::cmp::Reverse;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_model::{DeviceIndex, EniId, NetworkCard, PodKey, PodName, RouteTableId, Timestamp};

use crate::ledger::Holder;
use crate::pool::{AddressState, Eni, EniState, Pool};

/// An address and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// The address.
    pub address: Ipv4Addr,
    /// The ENI that has it; nothing while the pool does not know the ENI (right after a restart).
    pub eni: Option<EniId>,
    /// The ENI's device index.
    pub device: DeviceIndex,
    /// The ENI's network card.
    pub card: NetworkCard,
    /// The ENI's route table.
    pub table: RouteTableId,
    /// The sandbox that holds (or held) it.
    pub key: PodKey,
    /// The pod's name.
    pub pod: PodName,
    /// Since when the sandbox has held it.
    pub since: Timestamp,
    /// Whether the sandbox held it before this call.
    pub repeated: bool,
}

/// There is no address to hand out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct AllocateError {
    /// Addresses for pods on the node's ENIs.
    pub total: u32,
    /// Of these, the ones pods have.
    pub allocated: u32,
    /// Of these, the ones in their cooldown.
    pub cooling: u32,
    /// Of these, the ones on their way back to the VPC, with their ENI or without.
    pub leaving: u32,
    /// When the next cooldown ends.
    pub soonest: Option<Timestamp>,
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            total,
            allocated,
            cooling,
            leaving,
            soonest,
        } = self;
        if *total == 0 {
            return f.write_str("the node's ENIs have no addresses for pods yet");
        }
        write!(
            f,
            "all {total} addresses of the node are taken ({allocated} by pods, {cooling} resting \
             after a release"
        )?;
        if *leaving > 0 {
            write!(f, ", {leaving} on their way back to the VPC")?;
        }
        f.write_str(")")?;
        if let Some(soonest) = soonest {
            write!(f, "; the next one is free at {soonest}")?;
        }
        Ok(())
    }
}

/// The key holds no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} holds no address")]
pub struct UnknownPod(pub PodKey);

/// Gives a sandbox an address: the one it has, or a free one.
///
/// # Errors
/// There is none.
pub fn allocate(
    pool: &mut Pool,
    key: &PodKey,
    pod: &PodName,
    now: Timestamp,
) -> Result<Allocation, AllocateError> {
    pool.advance(now);
    if let Some(held) = held(pool, key) {
        return Ok(held);
    }
    let order = |eni: &Eni| (Reverse(eni.allocated()), eni.since);
    let fullest = pool
        .enis()
        .filter(|eni| eni.state == EniState::Ready && eni.free() > 0)
        .min_by(|one, other| {
            order(one)
                .cmp(&order(other))
                .then_with(|| one.id.cmp(&other.id))
        });
    let chosen = fullest.and_then(|eni| {
        let address = eni.longest_free()?;
        Some((eni.id.clone(), eni.device, eni.card, eni.table(), address))
    });
    let Some((eni, device, card, table, address)) = chosen else {
        return Err(why_not(pool));
    };
    let holder = Holder {
        key: key.clone(),
        pod: pod.clone(),
        address,
        device,
        card,
        since: now,
    };
    pool.hold(&eni, address, holder);
    Ok(Allocation {
        address,
        eni: Some(eni),
        device,
        card,
        table,
        key: key.clone(),
        pod: pod.clone(),
        since: now,
        repeated: false,
    })
}

/// What a sandbox holds.
#[must_use]
pub fn held(pool: &Pool, key: &PodKey) -> Option<Allocation> {
    if let Some((eni, address)) = pool.holder(key) {
        let AddressState::Allocated { key, pod, since } = eni.state_of(address)? else {
            return None;
        };
        return Some(Allocation {
            address,
            eni: Some(eni.id.clone()),
            device: eni.device,
            card: eni.card,
            table: eni.table(),
            key: key.clone(),
            pod: pod.clone(),
            since: *since,
            repeated: true,
        });
    }
    pool.ledger().holder(key).cloned().map(from_ledger)
}

fn from_ledger(holder: Holder) -> Allocation {
    Allocation {
        address: holder.address,
        eni: None,
        device: holder.device,
        card: holder.card,
        table: RouteTableId::for_eni(holder.card, holder.device),
        key: holder.key,
        pod: holder.pod,
        since: holder.since,
        repeated: true,
    }
}

/// Takes a sandbox's address into its cooldown.
///
/// # Errors
/// The key holds none.
pub fn release(
    pool: &mut Pool,
    key: &PodKey,
    now: Timestamp,
    cooldown: Duration,
) -> Result<Allocation, UnknownPod> {
    let found = held(pool, key).ok_or_else(|| UnknownPod(key.clone()))?;
    let until = now + cooldown;
    if pool.cool(key, until).is_none() {
        pool.ledger_mut().release(key, until);
    }
    Ok(found)
}

/// Takes back an allocation that could not be recorded: the address is free again, at once, since
/// no pod ever had it.
pub fn undo(pool: &mut Pool, allocation: &Allocation) {
    if let Some((eni, address)) = pool.cool(&allocation.key, Timestamp::ZERO)
        && let Some(eni) = pool.eni_mut(&eni)
    {
        eni.insert(
            address,
            AddressState::Free {
                since: Timestamp::ZERO,
            },
        );
    }
}

fn why_not(pool: &Pool) -> AllocateError {
    let mut error = AllocateError {
        total: 0,
        allocated: 0,
        cooling: 0,
        leaving: 0,
        soonest: None,
    };
    for eni in pool.enis() {
        error.total += eni.len();
        error.allocated += eni.allocated();
        match eni.state {
            EniState::Ready => {
                error.cooling += eni.cooling();
                error.leaving += eni.unassigning();
                error.soonest = error.soonest.into_iter().chain(eni.next_cooled()).min();
            }
            EniState::Returning => error.leaving += eni.len() - eni.allocated(),
        }
    }
    error
}
