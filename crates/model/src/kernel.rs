//! Numbers the kernel and upstream's conventions give a meaning to: route tables, rule priorities,
//! marks, MTUs, and an ENI's place on its instance.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The position of an ENI on its network card, 0 to 99. Device 0 of card 0 is the primary ENI.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceIndex(pub u8);

/// A network card of the instance; 0 on most types.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NetworkCard(pub u8);

impl fmt::Display for DeviceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NetworkCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A kernel route table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RouteTableId(pub u32);

impl RouteTableId {
    /// The main table (`RT_TABLE_MAIN`), which the primary ENI uses.
    pub const MAIN: RouteTableId = RouteTableId(254);

    /// The table that holds an ENI's routes: main for the primary, device + 1 on card 0,
    /// 10000 + 100 · card + device on further cards (upstream's numbers, which are also those of
    /// amazon-ec2-net-utils).
    #[must_use]
    pub fn for_eni(card: NetworkCard, device: DeviceIndex) -> Self {
        match (card.0, device.0) {
            (0, 0) => Self::MAIN,
            (0, device) => Self(u32::from(device) + 1),
            (card, device) => Self(10_000 + 100 * u32::from(card) + u32::from(device)),
        }
    }
}

impl fmt::Display for RouteTableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The priority of an ip rule; lower is asked first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RulePriority(pub u32);

impl RulePriority {
    /// `to <pod>` → main: the node's own pods are reached over their veths.
    pub const TO_POD: RulePriority = RulePriority(512);
    /// Marked connections → main: they leave by the primary ENI.
    pub const FWMARK: RulePriority = RulePriority(1024);
    /// `to <external service>` → main: reached by the primary ENI whatever the pod's.
    pub const EXTERNAL_SERVICE: RulePriority = RulePriority(1535);
    /// `from <pod>` → the table of the ENI that owns the pod's address.
    pub const FROM_POD: RulePriority = RulePriority(1536);
    /// `from <ENI's own address>` → that ENI's table.
    pub const FROM_ENI: RulePriority = RulePriority(32765);
}

/// The bit that marks connections which must leave by the primary ENI. Used as mark and as mask.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Connmark(pub u32);

impl Default for Connmark {
    fn default() -> Self {
        Self(0x80)
    }
}

/// Transport ports, both ends included. Never 0, never backwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The ports from `first` to `last`; `None` where there are none, or 0 is among them.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first > 0 && first <= last).then_some(Self { first, last })
    }

    /// The lowest.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest.
    #[must_use]
    pub fn last(self) -> u16 {
        self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A maximum transmission unit in bytes, 576 (RFC 791's minimum) to 9001 (EC2's jumbo frame).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Mtu(u32);

/// An MTU outside the range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MTU is {0}; allowed: 576 to 9001")]
pub struct MtuError(u32);

impl Mtu {
    /// The smallest allowed for IPv4.
    pub const MIN: u32 = 576;
    /// EC2's jumbo frame, the largest and the default.
    pub const MAX: u32 = 9001;

    /// The value in bytes.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Mtu {
    fn default() -> Self {
        Self(Self::MAX)
    }
}

impl TryFrom<u32> for Mtu {
    type Error = MtuError;

    fn try_from(bytes: u32) -> Result<Self, MtuError> {
        if (Self::MIN..=Self::MAX).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(MtuError(bytes))
        }
    }
}

impl From<Mtu> for u32 {
    fn from(mtu: Mtu) -> u32 {
        mtu.0
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_tables_are_numbered_as_upstream_numbers_them() {
        let table = |card, device| RouteTableId::for_eni(NetworkCard(card), DeviceIndex(device)).0;
        assert_eq!(table(0, 0), 254);
        assert_eq!(table(0, 1), 2);
        assert_eq!(table(1, 1), 10101);
        assert_eq!(table(3, 2), 10302);
    }

    #[test]
    fn mtus_outside_the_range_are_refused() {
        assert_eq!(Mtu::try_from(9001).unwrap(), Mtu::default());
        for bad in [0, 575, 9002] {
            assert!(Mtu::try_from(bad).is_err(), "{bad}");
        }
    }
}
