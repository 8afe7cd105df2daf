//! Which address a pod gets.
//!
//! 1. A slot of the kind that the pool's mode asks for, so that those of the other kind empty out.
//! 2. The fullest ENI, so that the others empty out and can be given back; of two equally full
//!    ones the older, then the one with the lower id.
//! 3. Of its prefixes the fullest, for the same reason; of two the lower.
//! 4. The address that has been free the longest; of two the lower.
//!
//! Never one that rests after a release, or that is on its way back to the VPC, or of an ENI that
//! is excluded.

use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_model::{DeviceIndex, EniId, NetworkCard, PodKey, PodName, RouteTableId, Timestamp};

use crate::ledger::Holder;
use crate::pool::{AddressState, Pool, SlotKind};

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
#[error("{}", self.describe())]
pub struct AllocateError {
    /// Addresses for pods on the node's ENIs.
    pub total: u32,
    /// Of these, the ones pods have.
    pub allocated: u32,
    /// Of these, the ones in their cooldown.
    pub cooling: u32,
    /// Of these, the ones of ENIs that new pods get none of, or on their way back to the VPC.
    pub withheld: u32,
    /// Addresses that EC2 was asked for and that are not here yet.
    pub coming: u32,
    /// When the next cooldown ends.
    pub soonest: Option<Timestamp>,
}

impl AllocateError {
    fn of(pool: &Pool) -> Self {
        let mut error = Self {
            total: 0,
            allocated: 0,
            cooling: 0,
            withheld: 0,
            coming: 0,
            soonest: pool.next_cooled(),
        };
        for eni in pool.enis() {
            let all = eni.all();
            error.total += all.total;
            error.allocated += all.allocated;
            error.cooling += all.cooling;
            error.withheld += all.unassigning;
            if !eni.gives_addresses() {
                error.withheld += all.free;
            }
            for kind in [SlotKind::Address, SlotKind::Prefix] {
                error.coming += kind.ask(eni.assigning(kind)).addresses();
            }
        }
        for (_, creation) in pool.creations() {
            error.coming += creation.ask.addresses();
        }
        error
    }

    fn describe(&self) -> String {
        if self.total == 0 && self.coming == 0 {
            return "the node has no address for pods".to_owned();
        }
        let Self {
            total, allocated, ..
        } = self;
        let mut text = format!("of the node's {total} addresses pods have {allocated}");
        for (count, what) in [
            (self.cooling, "resting after a release"),
            (self.withheld, "withheld from new pods"),
            (self.coming, "on the way"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} are {what}"));
            }
        }
        if let Some(at) = self.soonest {
            text.push_str(&format!("; the next one is free at {at}"));
        }
        text
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
    let Some((eni, address)) = pool.next_free() else {
        return Err(AllocateError::of(pool));
    };
    let (eni, device, card, table) = (eni.id.clone(), eni.device, eni.card, eni.table());
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
        let AddressState::Allocated(tenant) = eni.state_of(address)? else {
            return None;
        };
        return Some(Allocation {
            address,
            eni: Some(eni.id.clone()),
            device: eni.device,
            card: eni.card,
            table: eni.table(),
            key: tenant.key.clone(),
            pod: tenant.pod.clone(),
            since: tenant.since,
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

/// The names under which an early upstream recorded sandboxes whose CNI names it did not know.
const OLD_NETWORK: &str = "_migrated-from-cri";
const OLD_INTERFACE: &str = "unknown";

/// What a sandbox holds, also if it was recorded under the names that an early upstream used for
/// sandboxes it had taken over from the runtime. What is found says under which key.
#[must_use]
pub fn held_for_release(pool: &Pool, key: &PodKey) -> Option<Allocation> {
    held(pool, key).or_else(|| {
        let old = PodKey {
            network: OLD_NETWORK.to_owned(),
            container_id: key.container_id.clone(),
            if_name: OLD_INTERFACE.to_owned(),
        };
        held(pool, &old)
    })
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
    let found = held_for_release(pool, key).ok_or_else(|| UnknownPod(key.clone()))?;
    let until = now + cooldown;
    if pool.cool(&found.key, until).is_none() {
        pool.ledger_mut().release(&found.key, until);
    }
    Ok(found)
}

/// Takes back an allocation that could not be recorded: the address is free again, at once, since
/// no pod ever had it.
pub fn undo(pool: &mut Pool, allocation: &Allocation) {
    pool.take_back(&allocation.key);
}

impl From<&Allocation> for Holder {
    fn from(allocation: &Allocation) -> Self {
        Self {
            key: allocation.key.clone(),
            pod: allocation.pod.clone(),
            address: allocation.address,
            device: allocation.device,
            card: allocation.card,
            since: allocation.since,
        }
    }
}

#[cfg(test)]
mod tests;
