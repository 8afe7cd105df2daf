//! What must hold after every step of a history.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use vpc_ipam::allocate::held;
use vpc_ipam::journal;
use vpc_ipam::{Action, AddressState, Ask, Mode, Plan, Reason, SlotKind, Slots, WarmTarget, Work};
use vpc_model::Ipv4Prefix;

use super::History;
use crate::executor::{CloudEni, Node, key};

pub(crate) fn has(eni: &CloudEni, address: Ipv4Addr) -> bool {
    eni.addresses.contains(&address) || eni.prefixes.contains(&Ipv4Prefix::containing(address))
}

fn addresses(slots: &Slots) -> impl Iterator<Item = Ipv4Addr> {
    let in_prefixes = slots.prefixes.iter().flat_map(|prefix| prefix.addresses());
    slots.addresses.iter().copied().chain(in_prefixes)
}

impl History {
    /// Whether the pool knows what EC2 has.
    pub(super) fn agrees(&self) -> bool {
        self.node.cloud.enis.iter().all(|(id, eni)| {
            let known = self.node.pool.eni(id);
            known.is_some_and(|known| {
                let singles = known.singles().map(|(address, _)| address);
                let prefixes = known.prefixes().map(|(prefix, _)| prefix);
                singles.eq(eni.addresses.iter().copied())
                    && prefixes.eq(eni.prefixes.iter().copied())
            })
        }) && self.node.pool.enis().count() == self.node.cloud.enis.len()
    }

    /// What does not hold. `thorough` adds what is costly to find out.
    pub(super) fn broken(&self, thorough: bool) -> Vec<String> {
        let mut broken = self.node.pool.check().err().unwrap_or_default();
        broken.extend(self.faults.iter().cloned());
        for (name, address) in &self.pods {
            let found = held(&self.node.pool, &key(name)).map(|held| held.address);
            if found != Some(*address) {
                broken.push(format!("{name} has {address}, the pool says {found:?}"));
            }
        }
        if self.node.pool.allocated() != self.pods.len() {
            broken.push("the pool has allocations that no pod knows of".to_owned());
        }
        broken.extend(self.resting_is_not_free());
        if thorough {
            broken.extend(self.replays_to_the_same());
            broken.extend(self.comes_to_rest());
        }
        broken
    }

    fn resting_is_not_free(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for eni in self.node.pool.enis() {
            for (address, state) in eni.addresses() {
                let resting = self
                    .released
                    .get(&address)
                    .is_some_and(|released| self.node.now.since(*released) < self.cooldown());
                if resting && matches!(state, AddressState::Free { .. }) {
                    broken.push(format!("{address} should rest and is free"));
                }
            }
        }
        broken
    }

    /// A plan gives back nothing that a pod has or had until a moment ago, and stays within the
    /// instance's limits.
    pub(super) fn check_plan(&self, plan: &Plan) {
        let seed = self.seed;
        let mut creations = 0;
        let mut touched = BTreeSet::new();
        for action in &plan.actions {
            match &action.work {
                Work::Create { ask, device, .. } => {
                    creations += 1;
                    assert!(ask.slots() > 0 && ask.slots() <= self.node.targets.per_eni);
                    let taken = self.node.pool.enis().any(|eni| eni.device == *device);
                    assert!(!taken, "seed {seed}: device {device} is taken");
                }
                Work::Assign { eni, ask } => {
                    assert!(
                        touched.insert((eni.clone(), ask.kind())),
                        "seed {seed}: twice"
                    );
                    let eni = self.node.pool.eni(eni).unwrap();
                    let slots = eni.slots_taken() + ask.slots();
                    assert!(ask.slots() > 0 && slots <= self.node.targets.per_eni);
                    assert_eq!(eni.exclusion, None, "seed {seed}: grows an excluded ENI");
                }
                Work::Unassign { eni, slots } => {
                    let eni = self.node.pool.eni(eni).unwrap();
                    assert_eq!(eni.exclusion, None, "seed {seed}: shrinks an excluded ENI");
                    for address in addresses(slots) {
                        self.assert_unused(address);
                    }
                }
                Work::Return { eni } => {
                    assert!(
                        !self.strangers.contains(eni),
                        "seed {seed}: returns a stranger"
                    );
                    let eni = self.node.pool.eni(eni).unwrap();
                    assert!(eni.device.0 != 0, "seed {seed}: returns the primary");
                    for (address, _) in eni.addresses() {
                        self.assert_unused(address);
                    }
                }
            }
        }
        let there = self.node.pool.enis().count() + self.node.pool.creations().count();
        let most = usize::try_from(self.node.targets.max_enis).unwrap();
        assert!(
            creations == 0 || there + creations <= most,
            "seed {seed}: too many ENIs"
        );
    }

    fn assert_unused(&self, address: Ipv4Addr) {
        let seed = self.seed;
        let held = self.pods.iter().find(|(_, held)| **held == address);
        assert_eq!(held, None, "seed {seed}: a pod's address is given back");
        if let Some(released) = self.released.get(&address) {
            let rested = self.node.now.since(*released);
            assert!(
                rested >= self.cooldown(),
                "seed {seed}: {address} is given back resting"
            );
        }
    }

    fn replays_to_the_same(&self) -> Option<String> {
        let mut replayed = journal::replay(&self.journal).unwrap().ledger;
        let mut ledger = self.node.pool.to_ledger();
        // What has rested before the clock stepped back need not rest again.
        replayed.advance(self.latest);
        ledger.advance(self.latest);
        // Where an ENI is known, it knows its place better than the record.
        let held = |ledger: &vpc_ipam::Ledger| {
            let holders = ledger.holders();
            let holders: Vec<_> = holders
                .map(|holder| (holder.key.clone(), holder.address, holder.since))
                .collect();
            (holders, ledger.cooling().collect::<Vec<_>>())
        };
        (held(&replayed) != held(&ledger)).then(|| "the journal tells another story".to_owned())
    }

    /// With a cloud that answers at once, plans come to an end, and then either the targets are
    /// met or there is a reason.
    fn comes_to_rest(&self) -> Vec<String> {
        let mut node = Node {
            pool: self.node.pool.clone(),
            targets: self.node.targets.clone(),
            facts: self.node.facts.clone(),
            cloud: self.node.cloud.clone(),
            now: self.node.now,
        };
        let mut refused = node.pool.back_offs().count() > 0;
        for (_, work) in &self.pending {
            let outcome = node.carry_out(work);
            refused |= outcome.refusal().is_some();
            node.pool.apply(outcome, node.now);
        }
        refused |= node.pool.back_offs().count() > 0;
        let demand = u32::try_from(self.waiting.len()).unwrap();
        // What others took away and EC2 gives again may be a pod's, or rest.
        let ledger = self.node.pool.ledger();
        let surprises = !self.tampered.is_empty() || ledger.len() + ledger.cooling().count() > 0;
        let mut prefixes = false;
        for round in 0..200 {
            let plan = node.plan(demand);
            if plan.actions.is_empty() {
                return self.met_or_reason(&node, demand, &plan);
            }
            // Single addresses that took the place of prefixes go once prefixes have come.
            let left_over = |action: &Action| matches!(action.because, Reason::LeftOver { .. });
            let prefixes_came = prefixes && plan.actions.iter().all(left_over);
            if round > 0 && !refused && !surprises && !prefixes_came {
                return vec![format!("a second plan without a refusal: {plan:?}")];
            }
            node.pool.note_excess(plan.excess_since);
            for action in &plan.actions {
                prefixes |= brings_prefixes(&action.work);
                // Single addresses may go to make room for prefixes.
                refused |= matches!(action.because, Reason::LeftOver { .. });
                node.pool.apply(action.work.begun(), node.now);
            }
            for action in &plan.actions {
                let outcome = node.carry_out(&action.work);
                refused |= outcome.refusal().is_some();
                node.pool.apply(outcome, node.now);
            }
            // Fewer slots than were asked for are a refusal of the rest.
            refused |= node.pool.back_offs().count() > 0;
        }
        vec!["plans have no end".to_owned()]
    }

    fn met_or_reason(&self, node: &Node, demand: u32, plan: &Plan) -> Vec<String> {
        let mut broken = Vec::new();
        let usable = node.pool.enis().filter(|eni| eni.gives_addresses());
        let free: u32 = usable.map(vpc_ipam::Eni::free).sum();
        if free < demand && plan.held_back.is_empty() {
            broken.push(format!(
                "{demand} pods wait, {free} addresses are free, no reason"
            ));
        }
        let (free, target) = counted(node);
        if free < target + demand && plan.held_back.is_empty() {
            broken.push(format!(
                "{free} free, {target} + {demand} wanted, no reason"
            ));
        }
        broken
    }

    /// What the pool holds too much or too little of when everything has come to rest.
    pub(super) fn not_at_rest(&self) -> Vec<String> {
        let node = &self.node;
        let plan = self.plan(&node.pool);
        let mut broken = self.broken(true);
        broken.extend(self.met_or_reason(node, node.facts.demand, &plan));
        let (free, target) = counted(node);
        let wanted = target + node.facts.demand;
        let slot = node.pool.mode().slot().addresses();
        let whole = node.targets.per_eni * slot;
        let usable = || node.pool.enis().filter(|eni| eni.gives_addresses());
        let total: u32 = usable().map(vpc_ipam::Eni::len).sum();
        let prefixes: u32 = usable().map(vpc_ipam::Eni::prefix_count).sum();
        let too_many = match (node.targets.warm, node.pool.mode()) {
            // Prefixes that the node came with or that pods were in may be kept instead.
            (WarmTarget::Ips { minimum, .. }, Mode::SecondaryIps) => {
                prefixes == 0 && free > wanted && total > minimum
            }
            (WarmTarget::Enis(_), _) => {
                let unused = usable().any(|eni| eni.may_return() && eni.is_unused());
                unused && plan.held_back.is_empty() && free >= wanted.max(1) + whole + prefixes * 16
            }
            (WarmTarget::Ips { minimum, .. }, Mode::Prefixes) => {
                let unused: u32 = usable().map(vpc_ipam::Eni::free_prefixes).sum();
                unused > 0 && free >= wanted + 16 && prefixes * 16 >= minimum + 16
            }
            (WarmTarget::Prefixes(_), _) => {
                let unused: u32 = usable().map(vpc_ipam::Eni::free_prefixes).sum();
                unused > 0 && free >= wanted.max(1) + 16 && unused * 16 > wanted
            }
        };
        if too_many {
            broken.push(format!("{free} free, {total} in all, {wanted} wanted"));
        }
        let singles: u32 = usable().map(|eni| eni.counts(SlotKind::Address).free).sum();
        if node.pool.mode() == Mode::Prefixes && singles > 0 && plan.held_back.is_empty() {
            broken.push(format!("{singles} single addresses are left over"));
        }
        broken
    }
}

/// Free addresses as the targets count them, and how many the targets want.
fn counted(node: &Node) -> (u32, u32) {
    let usable = node.pool.enis().filter(|eni| eni.gives_addresses());
    let free = match node.pool.mode() {
        Mode::SecondaryIps => usable.map(vpc_ipam::Eni::free).sum(),
        Mode::Prefixes => usable.map(|eni| eni.counts(SlotKind::Prefix).free).sum(),
    };
    let slot = node.pool.mode().slot().addresses();
    let target = match node.targets.warm {
        WarmTarget::Enis(warm) => warm * node.targets.per_eni * slot,
        WarmTarget::Ips { warm, .. } => warm,
        WarmTarget::Prefixes(warm) => warm * 16,
    };
    let room = node.targets.max_pods.map_or(u32::MAX, |max_pods| {
        max_pods.saturating_sub(u32::try_from(node.pool.allocated()).unwrap())
    });
    (free, target.min(room))
}

fn brings_prefixes(work: &Work) -> bool {
    match work {
        Work::Create { ask, .. } | Work::Assign { ask, .. } => matches!(ask, Ask::Prefixes(_)),
        Work::Unassign { .. } | Work::Return { .. } => false,
    }
}
