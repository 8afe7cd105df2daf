//! Request limits: a bucket of tokens per account, region and action, as EC2 has them.
//!
//! Every call takes a token of its action's bucket, whatever becomes of it; a call that finds none
//! is refused with `RequestLimitExceeded` and takes none. Some actions have a second bucket for the
//! resources they make or end. A bucket that nobody takes from fills up again.
//!
//! After the pages "Request throttling for the Amazon EC2 API" (buckets, sizes, rates: [`table`])
//! and "Error codes for the Amazon EC2 API" (`RequestLimitExceeded`, HTTP 503). There buckets are
//! filled once a second; here evenly, in thousandths of a token, so that no call depends on which
//! part of a second it falls into.

mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vpc_aws::ec2::wire::Request;
use vpc_model::Timestamp;

use super::World;
use crate::error::ApiError;

/// A bucket's size and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bucket {
    /// The most tokens it holds: what may be called at once.
    pub size: u32,
    /// Tokens that it gains in a second: what may be called for ever.
    pub per_second: u32,
}

/// The limits of one action that are not AWS's defaults; `None` leaves a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ActionLimits {
    /// For requests.
    pub requests: Option<Bucket>,
    /// For requests that are neither filtered nor paginated, where those are counted apart.
    pub unfiltered: Option<Bucket>,
    /// For the resources that requests make or end, where those are counted too.
    pub resources: Option<Bucket>,
}

/// What an account may call: AWS's defaults, but for what was raised or lowered for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RateLimits {
    /// By action, for example `DescribeSecurityGroups`.
    pub actions: BTreeMap<String, ActionLimits>,
}

/// What is counted apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Requests,
    Unfiltered,
    Resources,
}

impl RateLimits {
    fn bucket(&self, action: &str, kind: Kind) -> Option<Bucket> {
        let changed = self.actions.get(action).copied().unwrap_or_default();
        match kind {
            Kind::Requests => changed.requests.or_else(|| Some(table::requests(action))),
            Kind::Unfiltered => changed.unfiltered.or_else(|| table::unfiltered(action)),
            Kind::Resources => changed.resources.or_else(|| table::resources(action)),
        }
    }
}

/// What one call takes from the account's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand<'a> {
    action: &'a str,
    /// Whether it has a filter or is one page.
    narrowed: bool,
    resources: u32,
}

impl<'a> Demand<'a> {
    /// That of a call with these form parameters. Ids are neither a filter nor pagination: EC2's
    /// page names only those two as what makes a request count as the cheaper kind.
    #[must_use]
    pub fn of(action: &'a str, params: &[(String, String)]) -> Self {
        let narrows =
            |name: &str| name.starts_with("Filter.") || name == "MaxResults" || name == "NextToken";
        let resources = match action {
            "RunInstances" => params
                .iter()
                .find(|(name, _)| name == "MaxCount")
                .and_then(|(_, count)| count.parse().ok())
                .unwrap_or(1),
            "TerminateInstances" => {
                let ids = params
                    .iter()
                    .filter(|(name, _)| name.starts_with("InstanceId."));
                u32::try_from(ids.count()).unwrap_or(u32::MAX)
            }
            _ => 0,
        };
        Self {
            action,
            narrowed: params.iter().any(|(name, _)| narrows(name)),
            resources,
        }
    }
}

/// How full the buckets are. One that was never taken from is full and absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Levels(BTreeMap<(String, Kind), Level>);

/// How full a bucket was at a moment.
#[derive(Debug, Clone, Copy)]
struct Level {
    thousandths: u64,
    at: Timestamp,
}

impl Levels {
    fn level(&self, key: &(String, Kind), bucket: Bucket, now: Timestamp) -> u64 {
        let full = u64::from(bucket.size) * 1_000;
        let Some(level) = self.0.get(key) else {
            return full;
        };
        let millis = u64::try_from(now.since(level.at).as_millis()).unwrap_or(u64::MAX);
        // A token a second is a thousandth a millisecond.
        let gained = millis.saturating_mul(u64::from(bucket.per_second));
        level.thousandths.saturating_add(gained).min(full)
    }

    /// Takes what a call needs from all buckets it draws on; from none if one has too little.
    fn take(&mut self, limits: &RateLimits, demand: &Demand<'_>, now: Timestamp) -> bool {
        let unfiltered = limits
            .bucket(demand.action, Kind::Unfiltered)
            .filter(|_| !demand.narrowed);
        let by_request = match unfiltered {
            Some(bucket) => Some((Kind::Unfiltered, bucket, 1)),
            None => limits
                .bucket(demand.action, Kind::Requests)
                .map(|bucket| (Kind::Requests, bucket, 1)),
        };
        let by_resource = limits
            .bucket(demand.action, Kind::Resources)
            .map(|bucket| (Kind::Resources, bucket, demand.resources));
        let mut left = Vec::new();
        for (kind, bucket, count) in by_request.into_iter().chain(by_resource) {
            let key = (demand.action.to_owned(), kind);
            let level = self.level(&key, bucket, now);
            let Some(thousandths) = level.checked_sub(u64::from(count) * 1_000) else {
                return false;
            };
            left.push((
                key,
                Level {
                    thousandths,
                    at: now,
                },
            ));
        }
        self.0.extend(left);
        true
    }
}

impl World {
    /// Begins to limit calls, or changes how; with nothing, ends it. Buckets begin full.
    pub fn set_rate_limits(&mut self, limits: Option<RateLimits>) {
        self.config.rate_limits = limits;
        self.levels = Levels::default();
        self.changed();
    }

    /// Takes a call's tokens. Whoever drives the world without its HTTP face asks here before each
    /// call; see also [`World::admit_request`].
    ///
    /// # Errors
    /// `RequestLimitExceeded`, HTTP 503, if a bucket has too few.
    pub fn admit(&mut self, demand: &Demand<'_>, now: Timestamp) -> Result<(), ApiError> {
        let Some(limits) = &self.config.rate_limits else {
            return Ok(());
        };
        if self.levels.take(limits, demand, now) {
            return Ok(());
        }
        let message = format!(
            "Request limit exceeded. Account {} has been throttled on ec2:{} because it exceeded \
             its request rate limit.",
            self.config.account, demand.action
        );
        Err(ApiError::with_status("RequestLimitExceeded", message, 503))
    }

    /// [`World::admit`] for a request in its wire form.
    ///
    /// # Errors
    /// As there.
    pub fn admit_request<R: Request>(
        &mut self,
        request: &R,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        self.admit(&Demand::of(R::ACTION, &request.to_params()), now)
    }
}
