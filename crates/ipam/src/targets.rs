//! What to keep ready, as upstream's variables define it.

use std::time::Duration;

/// How much is kept ready. Which variables were set decides which kind it is: address targets go
/// before whole ENIs (upstream's precedence).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmTarget {
    /// Keep this many ENIs' worth of addresses free (`WARM_ENI_TARGET`).
    Enis(u32),
    /// Keep addresses free (`WARM_IP_TARGET`) and hold a minimum in all (`MINIMUM_IP_TARGET`).
    Ips {
        /// Free addresses to keep.
        warm: u32,
        /// Addresses to hold in all, allocated ones included.
        minimum: u32,
    },
}

impl WarmTarget {
    /// From the variables' values; nothing where one is unset. With either address target set,
    /// the other counts as 0 and `WARM_ENI_TARGET` does not matter.
    #[must_use]
    pub fn new(warm_eni: u32, warm_ip: Option<u32>, minimum_ip: Option<u32>) -> Self {
        match (warm_ip.unwrap_or(0), minimum_ip.unwrap_or(0)) {
            (0, 0) => Self::Enis(warm_eni),
            (warm, minimum) => Self::Ips { warm, minimum },
        }
    }
}

/// Everything that bounds and steers the pool, fixed while the daemon runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// What to keep ready.
    pub warm: WarmTarget,
    /// ENIs the node may have: the instance type's limit, `MAX_ENI` if that is lower.
    pub max_enis: u32,
    /// Addresses for pods an ENI can have: the type's limit without the ENI's own address.
    pub per_eni: u32,
    /// Addresses more than the node can run pods are of no use; nothing for no such cap.
    pub max_pods: Option<u32>,
    /// How long a released address rests.
    pub cooldown: Duration,
    /// How old an ENI must be before it is given back.
    pub eni_min_age: Duration,
    /// How long an excess must last before it is given back.
    pub return_delay: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_targets_go_before_whole_enis() {
        assert_eq!(WarmTarget::new(1, None, None), WarmTarget::Enis(1));
        assert_eq!(WarmTarget::new(0, Some(0), Some(0)), WarmTarget::Enis(0));
        let ips = |warm, minimum| WarmTarget::Ips { warm, minimum };
        assert_eq!(WarmTarget::new(1, Some(5), None), ips(5, 0));
        assert_eq!(WarmTarget::new(1, None, Some(10)), ips(0, 10));
        assert_eq!(WarmTarget::new(1, Some(2), Some(5)), ips(2, 5));
    }
}
