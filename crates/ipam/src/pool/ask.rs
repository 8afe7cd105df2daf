//! What is asked of EC2, and what it gives: slots of one of two kinds.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;
use vpc_model::Ipv4Prefix;

/// What a slot of an ENI holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum SlotKind {
    /// One secondary address.
    Address,
    /// One prefix: sixteen addresses.
    Prefix,
}

impl SlotKind {
    /// The kind that [`Mode`] does not ask for.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            SlotKind::Address => SlotKind::Prefix,
            SlotKind::Prefix => SlotKind::Address,
        }
    }

    /// How many addresses a slot of this kind brings.
    #[must_use]
    pub const fn addresses(self) -> u32 {
        match self {
            SlotKind::Address => 1,
            SlotKind::Prefix => Ipv4Prefix::SIZE,
        }
    }

    /// A request for that many slots of this kind.
    #[must_use]
    pub fn ask(self, count: u32) -> Ask {
        match self {
            SlotKind::Address => Ask::Addresses(count),
            SlotKind::Prefix => Ask::Prefixes(count),
        }
    }
}

/// Which kind of slot the node asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// Secondary addresses.
    #[default]
    SecondaryIps,
    /// Prefix delegation (`ENABLE_PREFIX_DELEGATION`).
    Prefixes,
}

impl Mode {
    /// The kind of slot that is asked for, and handed out first.
    #[must_use]
    pub fn slot(self) -> SlotKind {
        match self {
            Mode::SecondaryIps => SlotKind::Address,
            Mode::Prefixes => SlotKind::Prefix,
        }
    }
}

/// A request for slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Ask {
    /// That many secondary addresses.
    Addresses(u32),
    /// That many prefixes.
    Prefixes(u32),
}

impl Ask {
    /// What kind of slot is asked for.
    #[must_use]
    pub fn kind(self) -> SlotKind {
        match self {
            Ask::Addresses(_) => SlotKind::Address,
            Ask::Prefixes(_) => SlotKind::Prefix,
        }
    }

    /// How many slots are asked for.
    #[must_use]
    pub fn slots(self) -> u32 {
        match self {
            Ask::Addresses(count) | Ask::Prefixes(count) => count,
        }
    }

    /// How many addresses the slots bring.
    #[must_use]
    pub fn addresses(self) -> u32 {
        self.slots().saturating_mul(self.kind().addresses())
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Addresses(1) => write!(f, "1 address"),
            Ask::Addresses(count) => write!(f, "{count} addresses"),
            Ask::Prefixes(1) => write!(f, "1 prefix"),
            Ask::Prefixes(count) => write!(f, "{count} prefixes"),
        }
    }
}

/// Slots of an ENI, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Slots {
    /// Secondary addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// Prefixes.
    pub prefixes: Vec<Ipv4Prefix>,
}

impl Slots {
    /// Secondary addresses only.
    #[must_use]
    pub fn of_addresses(addresses: Vec<Ipv4Addr>) -> Self {
        Self {
            addresses,
            prefixes: Vec::new(),
        }
    }

    /// Prefixes only.
    #[must_use]
    pub fn of_prefixes(prefixes: Vec<Ipv4Prefix>) -> Self {
        Self {
            addresses: Vec::new(),
            prefixes,
        }
    }

    /// How many there are of that kind.
    #[must_use]
    pub fn count(&self, kind: SlotKind) -> u32 {
        let count = match kind {
            SlotKind::Address => self.addresses.len(),
            SlotKind::Prefix => self.prefixes.len(),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.prefixes.is_empty()
    }
}
