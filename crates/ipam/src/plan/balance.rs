//! What is wanted and what is there, in numbers and in words.

use serde::{Deserialize, Serialize};

use super::Context;
use super::need::{Want, whole_eni};
use super::standing::{Counted, Standing};
use crate::targets::WarmTarget;

/// What is wanted and what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Balance {
    /// Addresses that are free or on their way.
    pub free: u32,
    /// How many are wanted at least.
    pub wanted_free: u32,
    /// Addresses in all, those on their way included.
    pub total: u32,
    /// How many are wanted at least.
    pub wanted_total: u32,
    /// Where what is wanted comes from.
    pub because: String,
}

impl Balance {
    pub(super) fn of(context: &Context<'_>) -> Self {
        let standing = Standing::of(context.pool, Counted::of_mode(context.pool.mode()));
        let want = Want::of(context, &standing);
        let mut because = match context.targets.warm {
            WarmTarget::Enis(enis) => format!(
                "WARM_ENI_TARGET {enis}, with {} addresses to an ENI",
                whole_eni(context)
            ),
            WarmTarget::Ips { warm, minimum } => {
                format!("WARM_IP_TARGET {warm}, MINIMUM_IP_TARGET {minimum}")
            }
            WarmTarget::Prefixes(prefixes) => {
                format!("WARM_PREFIX_TARGET {prefixes}, with 16 addresses to a prefix")
            }
        };
        if context.facts.demand > 0 {
            because.push_str(&format!("; {} pods wait", context.facts.demand));
        }
        if let Some(max_pods) = context.targets.max_pods {
            because.push_str(&format!("; at most {max_pods} pods"));
        }
        Self {
            free: standing.free,
            wanted_free: want.free,
            total: standing.total,
            wanted_total: want.total,
            because,
        }
    }
}
