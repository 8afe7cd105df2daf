//! What a world is made with.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use vpc_model::{InstanceType, SubnetId};

use super::random::Random;
use super::throttle::RateLimits;

/// A range of durations from which a delay is drawn, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub min: Duration,
    /// The longest; `min` counts if it is longer.
    pub max: Duration,
}

impl Span {
    /// No delay.
    pub const ZERO: Span = Span::exactly(Duration::ZERO);

    /// Always the same delay.
    #[must_use]
    pub const fn exactly(duration: Duration) -> Self {
        Self {
            min: duration,
            max: duration,
        }
    }

    /// A delay of so many milliseconds.
    #[must_use]
    pub const fn millis(min: u64, max: u64) -> Self {
        Self {
            min: Duration::from_millis(min),
            max: Duration::from_millis(max),
        }
    }

    /// Draws a delay, in whole milliseconds.
    pub(crate) fn sample(self, random: &mut Random) -> Duration {
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let (min, max) = (millis(self.min), millis(self.max));
        Duration::from_millis(min.saturating_add(random.below(max.saturating_sub(min))))
    }
}

/// What a world is made with. Two worlds with equal settings and equal calls are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldConfig {
    /// Decides ids, MAC addresses and delays.
    pub seed: u64,
    /// The region's name; availability zones are named after it.
    pub region: String,
    /// The account that owns everything: twelve digits.
    pub account: String,
    /// From the request to attach to the link's presence in the instance.
    pub attach_link: Span,
    /// From the link's presence to the attachment's status `attached`.
    pub attach_status: Span,
    /// From the request to detach to the attachment's end; the link is there until then.
    pub detach: Span,
    /// From a launch by request to the state `running`.
    pub launch: Span,
    /// From a request to terminate to the state `terminated`.
    pub terminate: Span,
    /// From a change of an ENI to the descriptions that show it.
    pub describe_lag: Span,
    /// From a change to IMDS's knowledge of it.
    pub imds_lag: Span,
    /// The most ENIs in the region (the quota of EC2 is 5000 unless raised).
    pub max_enis: usize,
    /// The most VPCs that requests make (the quota of EC2 is 5 unless raised).
    pub max_vpcs: usize,
    /// The most subnets of a VPC that requests make (the quota of EC2 is 200 unless raised).
    pub max_subnets: usize,
    /// The most IPv4 addresses (a prefix counts as one) on an ENI that no instance limits.
    pub max_addresses_unattached: u32,
    /// Where instances' public addresses are taken from.
    pub public_pool: Ipv4Net,
    /// How often actions may be called; without limit if absent.
    pub rate_limits: Option<RateLimits>,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            region: "us-west-2".to_owned(),
            account: "111122223333".to_owned(),
            attach_link: Span::millis(700, 1_300),
            attach_status: Span::millis(100, 400),
            detach: Span::millis(800, 2_000),
            launch: Span::millis(5_000, 10_000),
            terminate: Span::millis(10_000, 20_000),
            describe_lag: Span::millis(0, 500),
            imds_lag: Span::millis(100, 500),
            max_enis: 5_000,
            max_vpcs: 5,
            max_subnets: 200,
            max_addresses_unattached: 50,
            public_pool: Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 128), 25),
            rate_limits: None,
        }
    }
}

impl WorldConfig {
    /// The default without any delay.
    #[must_use]
    pub fn immediate(seed: u64) -> Self {
        Self {
            seed,
            attach_link: Span::ZERO,
            attach_status: Span::ZERO,
            detach: Span::ZERO,
            launch: Span::ZERO,
            terminate: Span::ZERO,
            describe_lag: Span::ZERO,
            imds_lag: Span::ZERO,
            ..Self::default()
        }
    }

    /// The names of the region's availability zones.
    pub(super) fn zones(&self) -> impl Iterator<Item = String> {
        ["a", "b", "c", "d"]
            .map(|letter| format!("{}{letter}", self.region))
            .into_iter()
    }

    /// The region's partition and the domain of its services.
    pub(super) fn partition(&self) -> (&'static str, &'static str) {
        if self.region.starts_with("cn-") {
            ("aws-cn", "amazonaws.com.cn")
        } else if self.region.starts_with("us-gov-") {
            ("aws-us-gov", "amazonaws.com")
        } else {
            ("aws", "amazonaws.com")
        }
    }
}

/// The public address of a new instance's primary address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicAddress {
    /// None.
    #[default]
    None,
    /// The lowest free one of [`WorldConfig::public_pool`].
    FromPool,
    /// This one, from anywhere.
    Exact(Ipv4Addr),
}

/// What the primary ENI of a new instance holds beside its primary address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Secondary {
    /// Nothing.
    #[default]
    None,
    /// So many addresses.
    Addresses(u32),
    /// So many /28 prefixes.
    Prefixes(u32),
}

/// An instance to be launched. It runs at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInstance {
    /// Becomes the tag `Name`.
    pub name: String,
    /// A type of the built-in table.
    pub instance_type: InstanceType,
    /// The subnet of the primary ENI.
    pub subnet: SubnetId,
    /// The primary address; the lowest free one if absent.
    pub private_ip: Option<Ipv4Addr>,
    /// What else the primary ENI holds.
    pub secondary: Secondary,
    /// The public address.
    pub public: PublicAddress,
}

impl RunInstance {
    /// An instance with one private address and no public one.
    #[must_use]
    pub fn new(name: impl Into<String>, instance_type: InstanceType, subnet: SubnetId) -> Self {
        Self {
            name: name.into(),
            instance_type,
            subnet,
            private_ip: None,
            secondary: Secondary::None,
            public: PublicAddress::None,
        }
    }
}
