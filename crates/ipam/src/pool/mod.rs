//! What the node has: plain data, and how each thing that happens changes it.
//!
//! ```text
//!  an ENI:      (creation begun ─▶ attaching) ─▶ Ready ─▶ Returning ─▶ gone
//!                     └─ failed                   ▲           │ failed
//!                                                 └───────────┘
//!  an address:  (assigning) ─▶ Free ─▶ Allocated ─▶ Cooling ─▶ Free
//!                               └──▶ Unassigning ─▶ gone
//!                                        └─ failed ─▶ Free
//! ```
//!
//! A pool is that of one network card: upstream keeps a store for each, and so do we. All ENIs of
//! the card are in it, also those that are none of our business, because they take up room.
//!
//! What the journal says about addresses that no ENI of the pool has (yet, or any more) stays in
//! the pool's [`Ledger`]: an allocation is never dropped because metadata does not show its
//! address.

mod address;
mod apply;
mod ask;
mod back_off;
mod check;
mod eni;
mod event;
mod give_back;
mod holders;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use vpc_model::{
    DeviceIndex, EniId, Ipv4Prefix, NetworkCard, PodKey, PodName, SubnetId, Timestamp,
};

pub use address::{AddressState, Counts, Tenant};
pub use ask::{Ask, Mode, SlotKind, Slots};
pub use back_off::{BackOff, Scope};
pub use eni::{Eni, EniKind, EniState, NewEni};
pub use event::{CreationId, Event, Refusal};

pub(crate) use back_off::BackOffs;

use crate::ledger::{Holder, Ledger};
use holders::Holders;

/// An ENI that is being created.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Creation {
    /// Where it will be attached.
    pub device: DeviceIndex,
    /// The subnet it will be in.
    pub subnet: SubnetId,
    /// What it will bring for pods.
    pub ask: Ask,
    /// The ENI, once EC2 has made it.
    pub eni: Option<EniId>,
    /// Since when.
    pub since: Timestamp,
}

/// The order in which ENIs give addresses: the fullest first, of two equally full ones the older,
/// then the one with the lower id.
type Rank = (Reverse<u32>, Timestamp, EniId);

/// The pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    mode: Mode,
    card: NetworkCard,
    enis: BTreeMap<EniId, Eni>,
    creations: BTreeMap<CreationId, Creation>,
    next_creation: u64,
    holders: Holders,
    owners: BTreeMap<Ipv4Addr, EniId>,
    prefix_owners: BTreeMap<Ipv4Prefix, EniId>,
    single_givers: BTreeSet<Rank>,
    prefix_givers: BTreeSet<Rank>,
    cooling: BTreeSet<(Timestamp, Ipv4Addr)>,
    ledger: Ledger,
    back_offs: BackOffs,
    excess_since: Option<Timestamp>,
    last_return: Option<Timestamp>,
    /// Places that ENIs have which are not in the pool.
    foreign: BTreeSet<DeviceIndex>,
}

impl Pool {
    /// A pool without ENIs, and what the journal knows. It asks for secondary addresses and is
    /// that of network card 0.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            ..Self::default()
        }
    }

    /// The same pool, asking for that kind of slot.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The same pool, being that of another network card.
    #[must_use]
    pub fn on_card(mut self, card: NetworkCard) -> Self {
        self.card = card;
        self
    }

    /// The same pool, with pauses that differ from those of other nodes. Any number that differs
    /// between nodes will do.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.back_offs.seed(seed);
        self
    }

    /// Which kind of slot the pool asks for.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// From now on the pool asks for that kind of slot. What it has stays.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// The network card whose pool this is.
    #[must_use]
    pub fn card(&self) -> NetworkCard {
        self.card
    }

    /// The ENIs, by id.
    pub fn enis(&self) -> impl Iterator<Item = &Eni> {
        self.enis.values()
    }

    /// One ENI.
    #[must_use]
    pub fn eni(&self, id: &EniId) -> Option<&Eni> {
        self.enis.get(id)
    }

    /// ENIs that are being created.
    pub fn creations(&self) -> impl Iterator<Item = (CreationId, &Creation)> {
        self.creations.iter().map(|(id, creation)| (*id, creation))
    }

    /// What the journal knows of addresses that no ENI of the pool has.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What EC2 refused not long ago, by what that stops.
    pub fn back_offs(&self) -> impl Iterator<Item = (&Scope, &BackOff)> {
        self.back_offs.iter()
    }

    pub(crate) fn refusals(&self) -> &BackOffs {
        &self.back_offs
    }

    /// Places on the instance that ENIs have which are not in the pool, as
    /// [`Pool::note_foreign`] was told.
    #[must_use]
    pub fn foreign(&self) -> &BTreeSet<DeviceIndex> {
        &self.foreign
    }

    /// Remembers where ENIs of the pool's card are of which too little is known to have them in
    /// the pool: they count towards the instance's limit, and nothing else can be attached there.
    pub fn note_foreign(&mut self, devices: BTreeSet<DeviceIndex>) {
        self.foreign = devices;
    }

    /// Since when there has been an excess to give back, as the last plan noted it.
    #[must_use]
    pub fn excess_since(&self) -> Option<Timestamp> {
        self.excess_since
    }

    /// Remembers what a plan found ([`crate::Plan::excess_since`]).
    pub fn note_excess(&mut self, since: Option<Timestamp>) {
        self.excess_since = since;
    }

    /// When something was last given back.
    #[must_use]
    pub fn last_return(&self) -> Option<Timestamp> {
        self.last_return
    }

    /// Which ENI has an address.
    #[must_use]
    pub fn owner(&self, address: Ipv4Addr) -> Option<&Eni> {
        let id = self
            .owners
            .get(&address)
            .or_else(|| self.prefix_owner(Ipv4Prefix::containing(address)))?;
        self.enis.get(id)
    }

    pub(crate) fn prefix_owner(&self, prefix: Ipv4Prefix) -> Option<&EniId> {
        self.prefix_owners.get(&prefix)
    }

    /// Where a key's address is.
    #[must_use]
    pub fn holder(&self, key: &PodKey) -> Option<(&Eni, Ipv4Addr)> {
        let (eni, address) = self.holders.get(key)?;
        Some((self.enis.get(eni)?, *address))
    }

    /// The pods that have addresses, of ENIs that are known or not.
    pub fn pods(&self) -> impl Iterator<Item = &PodName> {
        let states = self.enis.values().flat_map(Eni::addresses);
        let placed = states.filter_map(|(_, state)| match state {
            AddressState::Allocated(tenant) => Some(&tenant.pod),
            AddressState::Free { .. }
            | AddressState::Cooling { .. }
            | AddressState::Unassigning => None,
        });
        placed.chain(self.ledger.holders().map(|holder| &holder.pod))
    }

    /// The next number for a creation.
    #[must_use]
    pub fn next_creation(&self) -> CreationId {
        CreationId(self.next_creation)
    }

    /// How many sandboxes hold an address.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.holders.len() + self.ledger.len()
    }

    /// Lets time pass: addresses whose cooldown is over become free. Returns when the next one
    /// does. O(log n) for each that does.
    pub fn advance(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.ledger.advance(now);
        while let Some(&(until, address)) = self.cooling.first() {
            if until > now {
                return Some(until);
            }
            self.cooling.pop_first();
            self.make_free(address, until);
        }
        None
    }

    /// When the next cooldown ends.
    #[must_use]
    pub fn next_cooled(&self) -> Option<Timestamp> {
        self.cooling.first().map(|(until, _)| *until)
    }

    /// The ENI and the address to hand out next. Slots of the kind that the mode asks for first,
    /// so that those of the other kind empty out.
    pub(crate) fn next_free(&self) -> Option<(&Eni, Ipv4Addr)> {
        let wanted = self.mode.slot();
        [wanted, wanted.other()].into_iter().find_map(|kind| {
            let (_, _, id) = self.givers(kind).first()?;
            let eni = self.enis.get(id)?;
            Some((eni, eni.next_free(kind)?))
        })
    }

    fn givers(&self, kind: SlotKind) -> &BTreeSet<Rank> {
        match kind {
            SlotKind::Address => &self.single_givers,
            SlotKind::Prefix => &self.prefix_givers,
        }
    }

    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Makes an address a pod's.
    pub(crate) fn hold(&mut self, id: &EniId, address: Ipv4Addr, holder: Holder) {
        let Holder {
            key, pod, since, ..
        } = holder;
        let holders = &mut self.holders;
        if let Some(eni) = self.enis.get_mut(id) {
            holders.insert(key.clone(), (id.clone(), address));
            let before = ranks(eni);
            let tenant = Box::new(Tenant { key, pod, since });
            eni.set(address, AddressState::Allocated(tenant));
            let after = ranks(eni);
            self.rerank(id, before, after);
        }
    }

    /// Takes an address from a pod into its cooldown.
    pub(crate) fn cool(&mut self, key: &PodKey, until: Timestamp) -> Option<(EniId, Ipv4Addr)> {
        let (eni, address) = self.holders.remove(key)?;
        self.cooling.insert((until, address));
        self.with_eni(&eni, |eni| {
            eni.set(address, AddressState::Cooling { until });
        });
        Some((eni, address))
    }

    /// Takes an address from a pod that never had it; it is the next to be handed out.
    pub(crate) fn take_back(&mut self, key: &PodKey) {
        if let Some((_, address)) = self.holders.remove(key) {
            self.make_free(address, Timestamp::ZERO);
        }
    }

    fn make_free(&mut self, address: Ipv4Addr, since: Timestamp) {
        if let Some(id) = self.owner(address).map(|eni| eni.id.clone()) {
            self.with_eni(&id, |eni| eni.set(address, AddressState::Free { since }));
        }
    }

    /// Changes an ENI and keeps the order in which ENIs give addresses.
    fn with_eni<R>(&mut self, id: &EniId, change: impl FnOnce(&mut Eni) -> R) -> Option<R> {
        let eni = self.enis.get_mut(id)?;
        let before = ranks(eni);
        let result = change(eni);
        let after = ranks(eni);
        self.rerank(id, before, after);
        Some(result)
    }

    fn rerank(&mut self, id: &EniId, before: [Option<Key>; 2], after: [Option<Key>; 2]) {
        let sets = [&mut self.single_givers, &mut self.prefix_givers];
        for (set, (before, after)) in sets.into_iter().zip(before.into_iter().zip(after)) {
            if before == after {
                continue;
            }
            if let Some((allocated, since)) = before {
                set.remove(&(allocated, since, id.clone()));
            }
            if let Some((allocated, since)) = after {
                set.insert((allocated, since, id.clone()));
            }
        }
    }

    /// All allocations and cooldowns, wherever they are: what a compacted journal has to say.
    #[must_use]
    pub fn to_ledger(&self) -> Ledger {
        let mut ledger = self.ledger.clone();
        for eni in self.enis.values() {
            for (address, state) in eni.addresses() {
                match state {
                    AddressState::Allocated(tenant) => ledger.allocate(Holder {
                        key: tenant.key.clone(),
                        pod: tenant.pod.clone(),
                        address,
                        device: eni.device,
                        card: eni.card,
                        since: tenant.since,
                    }),
                    AddressState::Cooling { until } => ledger.cool(address, *until),
                    AddressState::Free { .. } | AddressState::Unassigning => {}
                }
            }
        }
        ledger
    }
}

type Key = (Reverse<u32>, Timestamp);

/// Where the ENI stands among those that give single addresses, and addresses of prefixes.
fn ranks(eni: &Eni) -> [Option<Key>; 2] {
    if !eni.gives_addresses() {
        return [None, None];
    }
    let key = (Reverse(eni.allocated()), eni.since);
    let of = |kind| (eni.counts(kind).free > 0).then_some(key);
    [of(SlotKind::Address), of(SlotKind::Prefix)]
}
