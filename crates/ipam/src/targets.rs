//! What to keep ready, as upstream's variables define it.

use std::time::Duration;

use serde::Serialize;
use vpc_model::instance_types::InstanceLimits;
use vpc_model::settings::{Ipv4Mode, Settings};

use crate::pool::Mode;

/// How much is kept ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    /// Keep this many prefixes' worth of addresses free (`WARM_PREFIX_TARGET`).
    Prefixes(u32),
}

impl WarmTarget {
    /// What is kept ready on a network card other than the default one: upstream's fixed values.
    pub const FURTHER_CARD: WarmTarget = WarmTarget::Ips {
        warm: 1,
        minimum: 1,
    };

    /// From the variables' values in secondary IP mode; nothing where one is unset. With either
    /// address target set, the other counts as 0 and `WARM_ENI_TARGET` does not matter.
    #[must_use]
    pub fn new(warm_eni: u32, warm_ip: Option<u32>, minimum_ip: Option<u32>) -> Self {
        Self::resolve(
            Mode::SecondaryIps,
            &WarmSettings {
                warm_eni,
                warm_ip,
                minimum_ip,
                warm_prefix: None,
            },
        )
    }

    /// From the variables' values, with upstream's precedence: address targets first, and 0 is as
    /// good as unset; then `WARM_PREFIX_TARGET` with prefix delegation (unset is 0: one prefix
    /// when nothing is free), `WARM_ENI_TARGET` without.
    #[must_use]
    pub fn resolve(mode: Mode, settings: &WarmSettings) -> Self {
        let warm = settings.warm_ip.unwrap_or(0);
        let minimum = settings.minimum_ip.unwrap_or(0);
        match (mode, warm, minimum) {
            (Mode::SecondaryIps, 0, 0) => Self::Enis(settings.warm_eni),
            (Mode::Prefixes, 0, 0) => Self::Prefixes(settings.warm_prefix.unwrap_or(0)),
            (Mode::SecondaryIps | Mode::Prefixes, warm, minimum) => Self::Ips { warm, minimum },
        }
    }
}

/// The warm-pool variables as they were set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WarmSettings {
    /// `WARM_ENI_TARGET`.
    pub warm_eni: u32,
    /// `WARM_IP_TARGET`.
    pub warm_ip: Option<u32>,
    /// `MINIMUM_IP_TARGET`.
    pub minimum_ip: Option<u32>,
    /// `WARM_PREFIX_TARGET`.
    pub warm_prefix: Option<u32>,
}

/// Everything that bounds and steers the pool, fixed while the daemon runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// What to keep ready.
    pub warm: WarmTarget,
    /// ENIs the node may have: the instance type's limit, `MAX_ENI` if that is lower. Those that
    /// are not ours count too.
    pub max_enis: u32,
    /// Slots for pods an ENI has: the type's limit without the ENI's own address. Each takes one
    /// address or one prefix.
    pub per_eni: u32,
    /// Addresses more than the node can run pods are of no use; nothing for no such cap.
    pub max_pods: Option<u32>,
    /// How long a released address rests.
    pub cooldown: Duration,
    /// How old an ENI must be before it is given back.
    pub eni_min_age: Duration,
    /// How long an excess must last before it is given back. Up to half of it again is added,
    /// different for each node.
    pub return_delay: Duration,
}

/// Why the node does not use prefixes although prefix delegation is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "ENABLE_PREFIX_DELEGATION is set, but EC2 assigns prefixes only on Nitro and bare metal \
     instances; the node uses secondary addresses"
)]
pub struct NoPrefixes;

/// The mode of a node whose operator asked for that one.
///
/// # Errors
/// Prefixes were asked for and the instance cannot have them; it uses
/// [`Mode::SecondaryIps`] then.
pub fn mode_for(asked: Mode, limits: &InstanceLimits) -> Result<Mode, NoPrefixes> {
    match asked {
        Mode::Prefixes if !limits.supports_prefixes() => Err(NoPrefixes),
        Mode::Prefixes | Mode::SecondaryIps => Ok(asked),
    }
}

/// What a node of that type is to keep, by its settings, and which kind of slot it asks for.
/// `max_pods` caps the pool. What comes third is to be said: prefixes were asked for and the type
/// cannot have them.
#[must_use]
pub fn for_node(
    settings: &Settings,
    limits: &InstanceLimits,
    max_pods: Option<u32>,
) -> (Mode, Targets, Option<NoPrefixes>) {
    let asked = match settings.ipv4_mode {
        Ipv4Mode::SecondaryIps => Mode::SecondaryIps,
        Ipv4Mode::Prefixes => Mode::Prefixes,
    };
    let (mode, refused) = match mode_for(asked, limits) {
        Ok(mode) => (mode, None),
        Err(refused) => (Mode::SecondaryIps, Some(refused)),
    };
    let warm = &settings.warm;
    let targets = Targets {
        warm: WarmTarget::resolve(
            mode,
            &WarmSettings {
                warm_eni: warm.warm_eni,
                warm_ip: warm.warm_ip,
                minimum_ip: warm.minimum_ip,
                warm_prefix: warm.warm_prefix,
            },
        ),
        max_enis: settings
            .max_eni
            .map_or(limits.enis, |max| max.min(limits.enis)),
        per_eni: limits.secondary_addresses_per_eni(),
        max_pods,
        cooldown: settings.cooldown,
        eni_min_age: settings.eni_min_age,
        return_delay: settings.return_delay,
    };
    (mode, targets, refused)
}

#[cfg(test)]
mod tests {
    use vpc_model::instance_types::InstanceTypes;

    use super::*;

    fn ips(warm: u32, minimum: u32) -> WarmTarget {
        WarmTarget::Ips { warm, minimum }
    }

    #[test]
    fn address_targets_go_before_whole_enis() {
        assert_eq!(WarmTarget::new(1, None, None), WarmTarget::Enis(1));
        assert_eq!(WarmTarget::new(0, Some(0), Some(0)), WarmTarget::Enis(0));
        assert_eq!(WarmTarget::new(1, Some(5), None), ips(5, 0));
        assert_eq!(WarmTarget::new(1, None, Some(10)), ips(0, 10));
        assert_eq!(WarmTarget::new(1, Some(2), Some(5)), ips(2, 5));
    }

    #[test]
    fn with_prefix_delegation_whole_enis_do_not_matter_and_address_targets_go_first() {
        let settings = WarmSettings {
            warm_eni: 3,
            warm_prefix: Some(2),
            ..WarmSettings::default()
        };
        let resolve = |settings: &WarmSettings| WarmTarget::resolve(Mode::Prefixes, settings);
        assert_eq!(resolve(&settings), WarmTarget::Prefixes(2));
        let with_ips = WarmSettings {
            minimum_ip: Some(20),
            ..settings
        };
        assert_eq!(resolve(&with_ips), ips(0, 20));
        let unset = WarmSettings::default();
        assert_eq!(resolve(&unset), WarmTarget::Prefixes(0));
    }

    #[test]
    fn settings_and_limits_become_targets_in_one_place() {
        let of = |name: &str, vars: &[(&str, &str)], max_pods| {
            let limits = InstanceTypes::builtin().get(&name.parse().unwrap());
            let vars = vars.iter().map(|(name, value)| (name.into(), value.into()));
            let (settings, _) = Settings::from_vars(vars).unwrap();
            for_node(&settings, limits.unwrap(), max_pods)
        };
        let (mode, targets, refused) = of("t3.small", &[("MAX_ENI", "2")], Some(8));
        assert_eq!((mode, refused), (Mode::SecondaryIps, None));
        assert_eq!(targets.warm, WarmTarget::Enis(1));
        assert_eq!((targets.max_enis, targets.per_eni), (2, 3));
        assert_eq!(targets.max_pods, Some(8));
        let prefixes = [
            ("ENABLE_PREFIX_DELEGATION", "true"),
            ("WARM_PREFIX_TARGET", "2"),
        ];
        let (mode, targets, refused) = of("m5.large", &prefixes, None);
        assert_eq!((mode, refused), (Mode::Prefixes, None));
        assert_eq!(targets.warm, WarmTarget::Prefixes(2));
        let (mode, _, refused) = of("m4.large", &prefixes, None);
        assert_eq!((mode, refused), (Mode::SecondaryIps, Some(NoPrefixes)));
    }

    #[test]
    fn prefixes_need_nitro_or_bare_metal() {
        let mode = |name: &str| {
            let limits = InstanceTypes::builtin().get(&name.parse().unwrap());
            mode_for(Mode::Prefixes, limits.unwrap())
        };
        assert_eq!(mode("m5.large"), Ok(Mode::Prefixes));
        assert_eq!(mode("m5.metal"), Ok(Mode::Prefixes));
        assert_eq!(mode("m4.large"), Err(NoPrefixes));
    }
}
