//! Where the pool stands, with what is under way counted as there.

use crate::pool::{Eni, Mode, Pool, SlotKind};

/// Which slots count towards the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// All: in secondary IP mode a prefix that the node has anyway is as good as its addresses.
    All,
    /// Prefixes only: single addresses take up slots that could hold sixteen, so they do not keep
    /// the node from asking for prefixes. (Upstream counts the mode's own kind.)
    PrefixesOnly,
}

impl Counted {
    pub(super) fn of_mode(mode: Mode) -> Self {
        match mode {
            Mode::SecondaryIps => Counted::All,
            Mode::Prefixes => Counted::PrefixesOnly,
        }
    }

    fn kinds(self) -> &'static [SlotKind] {
        match self {
            Counted::All => &[SlotKind::Address, SlotKind::Prefix],
            Counted::PrefixesOnly => &[SlotKind::Prefix],
        }
    }
}

/// Counts over all ENIs that give addresses, and what is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) counted: Counted,
    /// Addresses that are free or on their way.
    pub(super) free: u32,
    /// Addresses in whatever state, those that leave not counted.
    pub(super) total: u32,
    /// Prefixes that are free in all their addresses, or on their way.
    pub(super) free_prefixes: u32,
    /// ENIs on the card, whatever they are, and those being created.
    pub(super) enis: u32,
    /// Whether anything is on its way.
    pub(super) growing: bool,
    /// Sandboxes that hold an address, wherever it is.
    pub(super) pods: u32,
}

impl Standing {
    pub(super) fn of(pool: &Pool, counted: Counted) -> Self {
        let mut standing = Self {
            counted,
            free: 0,
            total: 0,
            free_prefixes: 0,
            enis: u32::try_from(pool.foreign().len()).unwrap_or(u32::MAX),
            growing: false,
            pods: u32::try_from(pool.allocated()).unwrap_or(u32::MAX),
        };
        for eni in pool.enis() {
            standing.enis += 1;
            standing.growing |= eni.is_assigning();
            if eni.gives_addresses() {
                standing.add(eni);
            }
        }
        for (_, begun) in pool.creations() {
            standing.enis += 1;
            standing.growing = true;
            standing.comes(begun.ask.kind(), begun.ask.slots());
        }
        standing
    }

    fn add(&mut self, eni: &Eni) {
        for kind in self.counted.kinds() {
            let counts = eni.counts(*kind);
            self.free += counts.free;
            self.total += counts.total - counts.unassigning;
        }
        self.free_prefixes += eni.free_prefixes();
        for kind in [SlotKind::Address, SlotKind::Prefix] {
            self.comes(kind, eni.assigning(kind));
        }
    }

    fn comes(&mut self, kind: SlotKind, slots: u32) {
        if self.counted.kinds().contains(&kind) {
            self.free += slots * kind.addresses();
            self.total += slots * kind.addresses();
        }
        if kind == SlotKind::Prefix {
            self.free_prefixes += slots;
        }
    }

    /// The same without an unused ENI.
    pub(super) fn without(mut self, eni: &Eni) -> Self {
        if eni.gives_addresses() {
            for kind in self.counted.kinds() {
                let counts = eni.counts(*kind);
                self.free -= counts.free;
                self.total -= counts.total - counts.unassigning;
            }
            self.free_prefixes -= eni.free_prefixes();
        }
        self
    }

    /// The same without an unused slot. A slot of a kind that does not count changes nothing.
    pub(super) fn without_slot(mut self, kind: SlotKind) -> Self {
        if self.counted.kinds().contains(&kind) {
            self.free = self.free.saturating_sub(kind.addresses());
            self.total = self.total.saturating_sub(kind.addresses());
        }
        if kind == SlotKind::Prefix {
            self.free_prefixes = self.free_prefixes.saturating_sub(1);
        }
        self
    }

    /// Free addresses in prefixes that pods share, and single ones where they count.
    fn free_beside_whole_prefixes(&self) -> u32 {
        self.free
            .saturating_sub(self.free_prefixes * SlotKind::Prefix.addresses())
    }

    /// How many of the free prefixes that many pods would break into, or need beyond them.
    pub(super) fn prefixes_for(&self, pods: u32) -> u32 {
        pods.saturating_sub(self.free_beside_whole_prefixes())
            .div_ceil(SlotKind::Prefix.addresses())
    }
}
