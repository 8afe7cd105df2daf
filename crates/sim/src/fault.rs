//! Faults on demand: which calls go wrong, and how.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ApiError;

/// The action's name by which rules match requests to the metadata service. Its errors are bare
/// statuses, so of an [`Effect::Error`] only the status counts.
pub const METADATA: &str = "IMDS";

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Effect {
    /// It fails before it does anything.
    Error {
        /// EC2's error code, for example `RequestLimitExceeded`.
        code: String,
        /// The HTTP status, 400 to 599; other numbers count as 500.
        #[serde(default = "default_status")]
        status: u16,
        /// The text for people.
        #[serde(default)]
        message: String,
    },
    /// It is carried out as ever, but starts late.
    Delay {
        /// How late.
        millis: u64,
    },
    /// It is carried out, and the connection breaks before the answer.
    LostResponse,
    /// It is carried out, and from just before it no instance's metadata service learns anything
    /// for a while.
    StaleMetadata {
        /// How long.
        millis: u64,
    },
}

fn default_status() -> u16 {
    400
}

/// A rule: the calls it matches get its effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The action it matches, or [`METADATA`]; any EC2 action if absent.
    #[serde(default)]
    pub action: Option<String>,
    /// How many calls it still affects; without end if absent.
    #[serde(default)]
    pub count: Option<u64>,
    /// The share of matching calls that it affects, 0 to 1; all if absent.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What it does.
    pub effect: Effect,
}

impl Fault {
    /// The next `count` calls of an action fail with a code.
    #[must_use]
    pub fn error(action: &str, count: u64, code: &str, status: u16) -> Self {
        Self {
            action: Some(action.to_owned()),
            count: Some(count),
            probability: None,
            effect: Effect::Error {
                code: code.to_owned(),
                status,
                message: format!("{code} on demand"),
            },
        }
    }

    /// The answers to the next `count` calls of an action are lost.
    #[must_use]
    pub fn lost_response(action: &str, count: u64) -> Self {
        Self {
            action: Some(action.to_owned()),
            count: Some(count),
            probability: None,
            effect: Effect::LostResponse,
        }
    }
}

impl Fault {
    fn matches(&self, action: &str) -> bool {
        match &self.action {
            Some(wanted) => wanted == action,
            None => action != METADATA,
        }
    }
}

/// What is to be done with one call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// It fails with this and does nothing else.
    pub error: Option<ApiError>,
    /// It starts so much later.
    pub delay: Duration,
    /// Its answer is lost.
    pub lose_response: bool,
    /// Metadata services learn nothing for so long.
    pub stale_metadata: Option<Duration>,
}

/// The rules in force, by number.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    rules: std::collections::BTreeMap<u64, Fault>,
    next: u64,
    random: crate::world::Random,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rules: std::collections::BTreeMap::new(),
            next: 1,
            random: crate::world::Random::new(seed),
        }
    }

    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        let number = self.next;
        self.next += 1;
        self.rules.insert(number, fault);
        number
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn rules(&self) -> &std::collections::BTreeMap<u64, Fault> {
        &self.rules
    }

    /// Decides about one call. Delays add up; the first error wins.
    pub(crate) fn judge(&mut self, action: &str) -> Verdict {
        let mut verdict = Verdict::default();
        for fault in self.rules.values_mut() {
            if !fault.matches(action)
                || fault.count == Some(0)
                || (verdict.error.is_some() && matches!(fault.effect, Effect::Error { .. }))
            {
                continue;
            }
            if let Some(probability) = fault.probability {
                let drawn = u32::try_from(self.random.below(999_999)).unwrap_or(0);
                if f64::from(drawn) >= probability * 1_000_000.0 {
                    continue;
                }
            }
            if let Some(count) = &mut fault.count {
                *count -= 1;
            }
            match &fault.effect {
                Effect::Error {
                    code,
                    status,
                    message,
                } => {
                    let status = if (400..600).contains(status) {
                        *status
                    } else {
                        500
                    };
                    verdict.error = Some(ApiError::with_status(code, message.clone(), status));
                }
                Effect::Delay { millis } => verdict.delay += Duration::from_millis(*millis),
                Effect::LostResponse => verdict.lose_response = true,
                Effect::StaleMetadata { millis } => {
                    verdict.stale_metadata = Some(Duration::from_millis(*millis));
                }
            }
        }
        self.rules.retain(|_, fault| fault.count != Some(0));
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_wears_off_and_leaves_other_actions_alone() {
        let mut faults = Faults::new(1);
        faults.add(Fault::error(
            "DeleteNetworkInterface",
            2,
            "Unavailable",
            503,
        ));
        assert_eq!(faults.judge("DescribeSubnets"), Verdict::default());
        let statuses: Vec<Option<u16>> = (0..3)
            .map(|_| {
                faults
                    .judge("DeleteNetworkInterface")
                    .error
                    .map(|e| e.status)
            })
            .collect();
        assert_eq!(statuses, [Some(503), Some(503), None]);
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn delays_add_up_and_the_first_error_wins() {
        let mut faults = Faults::new(1);
        for millis in [20, 30] {
            faults.add(Fault {
                action: None,
                count: None,
                probability: None,
                effect: Effect::Delay { millis },
            });
        }
        faults.add(Fault::error("CreateTags", 1, "First", 400));
        faults.add(Fault::error("CreateTags", 1, "Second", 500));
        let codes: Vec<Option<String>> = (0..3)
            .map(|_| {
                let verdict = faults.judge("CreateTags");
                assert_eq!(verdict.delay, Duration::from_millis(50));
                verdict.error.map(|error| error.code)
            })
            .collect();
        assert_eq!(
            codes,
            [Some("First".to_owned()), Some("Second".to_owned()), None]
        );
    }

    #[test]
    fn a_probable_fault_hits_about_its_share() {
        let mut faults = Faults::new(1);
        faults.add(Fault {
            action: None,
            count: None,
            probability: Some(0.25),
            effect: Effect::LostResponse,
        });
        let lost = (0..4000)
            .filter(|_| faults.judge("CreateTags").lose_response)
            .count();
        assert!((900..1100).contains(&lost), "{lost}");
    }
}
