//! The series of calls to EC2, from what the call budget counted.

use std::collections::BTreeMap;

use vpc_aws::Budget;
use vpc_aws::budget::{Call, Counts, LATENCY_BOUNDS, Latency};

use super::catalogue as series;
use super::text::Exposition;

/// What the budget knows.
#[derive(Debug, Clone, Default)]
pub struct Ec2Facts {
    /// What became of calls.
    pub counts: BTreeMap<Call, Counts>,
    /// Calls a second that are allowed now.
    pub rates: BTreeMap<Call, f64>,
}

impl Ec2Facts {
    /// What a budget counted so far.
    #[must_use]
    pub fn of(budget: &Budget) -> Self {
        Self {
            counts: budget.counts(),
            rates: budget.rates(),
        }
    }

    /// Calls by action and outcome: the two kinds that some actions have are one here.
    fn outcomes(&self) -> BTreeMap<(&'static str, &'static str), Latency> {
        let mut all: BTreeMap<_, Latency> = BTreeMap::new();
        for (call, counts) in &self.counts {
            for (outcome, latency) in &counts.latencies {
                let sum = all.entry((call.action, *outcome)).or_default();
                sum.sum += latency.sum;
                for (bucket, count) in sum.buckets.iter_mut().zip(latency.buckets) {
                    *bucket += count;
                }
            }
        }
        all
    }
}

const OK: &str = "ok";

pub(super) fn write(text: &mut Exposition, facts: &Ec2Facts) {
    let outcomes = facts.outcomes();
    upstreams(text, &outcomes);
    let bounds = LATENCY_BOUNDS.map(|millis| millis as f64 / 1000.0);
    let mut family = text.family(&series::EC2_SECONDS);
    for ((action, outcome), latency) in &outcomes {
        let sum = latency.sum.as_secs_f64();
        family.histogram(&[action, outcome], &bounds, &latency.buckets, sum);
    }
    // Of an action with two kinds the smaller rate is the one that makes callers wait.
    let mut rates: BTreeMap<&str, f64> = BTreeMap::new();
    for (call, rate) in &facts.rates {
        let least = rates.entry(call.action).or_insert(*rate);
        *least = least.min(*rate);
    }
    let mut family = text.family(&series::EC2_RATE);
    for (action, rate) in rates {
        family.sample(&[action], rate);
    }
    let mut held_back: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    for (call, counts) in &facts.counts {
        let sums = held_back.entry(call.action).or_default();
        sums.0 += counts.held_back;
        sums.1 += counts.waited.as_secs_f64();
    }
    let mut family = text.family(&series::EC2_HELD_BACK);
    for (action, (count, _)) in &held_back {
        family.sample(&[action], count);
    }
    let mut family = text.family(&series::EC2_WAITED);
    for (action, (_, waited)) in &held_back {
        family.sample(&[action], waited);
    }
}

fn upstreams(text: &mut Exposition, outcomes: &BTreeMap<(&'static str, &'static str), Latency>) {
    // Several kinds of failure can share one of EC2's codes.
    let mut by_code: BTreeMap<(&str, &str), (f64, u64)> = BTreeMap::new();
    let mut by_action: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for ((action, outcome), latency) in outcomes {
        let sums = by_code.entry((action, code(outcome))).or_default();
        sums.0 += latency.sum.as_secs_f64() * 1000.0;
        sums.1 += latency.count();
        let sums = by_action.entry(action).or_default();
        sums.0 += latency.count();
        sums.1 += if *outcome == OK { 0 } else { latency.count() };
    }
    let mut family = text.family(&series::API_LATENCY);
    for ((action, code), (millis, count)) in &by_code {
        let error = if *code == "200" { "false" } else { "true" };
        family.summary(&[action, error, code], *millis, *count);
    }
    let failed = || by_code.iter().filter(|((_, code), _)| *code != "200");
    let mut family = text.family(&series::API_ERRORS);
    for ((action, code), (_, count)) in failed() {
        family.sample(&[action, code], count);
    }
    let mut family = text.family(&series::UTILS_ERRORS);
    for ((action, code), (_, count)) in failed() {
        let function = match *action {
            "DeleteNetworkInterface" => "FreeENIDeleteErr",
            "DetachNetworkInterface" => "FreeENIDetachErr",
            _ => continue,
        };
        family.sample(&[function, code], count);
    }
    let mut family = text.family(&series::EC2_REQUESTS);
    for (action, (requests, _)) in &by_action {
        family.sample(&[action], requests);
    }
    let mut family = text.family(&series::EC2_ERRORS);
    for (action, (_, errors)) in &by_action {
        family.sample(&[action], errors);
    }
}

/// EC2's main code for a kind of failure (EC2 API reference, "Error codes"), `200` for none; where
/// EC2 has no single one, the kind's own name.
fn code(outcome: &'static str) -> &'static str {
    match outcome {
        OK => "200",
        "throttled" => "RequestLimitExceeded",
        "insufficient-addresses" => "InsufficientFreeAddressesInSubnet",
        "insufficient-cidr-blocks" => "InsufficientCidrBlocks",
        "address-limit" => "PrivateIpAddressLimitExceeded",
        "attachment-limit" => "AttachmentLimitExceeded",
        "network-interface-limit" => "NetworkInterfaceLimitExceeded",
        "unauthorized" => "UnauthorizedOperation",
        "not-authenticated" => "AuthFailure",
        "expired-credentials" => "RequestExpired",
        "not-nitro" | "unsupported" => "UnsupportedOperation",
        "idempotency-mismatch" => "IdempotentParameterMismatch",
        "invalid-parameter" => "InvalidParameterValue",
        "wrong-state" => "IncorrectState",
        "dry-run" => "DryRunOperation",
        "server" => "InternalError",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vpc_aws::budget::Scope;

    use super::*;

    fn call(scope: Scope) -> Call {
        Call {
            action: "DescribeNetworkInterfaces",
            scope,
        }
    }

    fn counts(outcome: &'static str, millis: u64, tries: u64) -> Counts {
        let mut latency = Latency {
            sum: Duration::from_millis(millis),
            ..Latency::default()
        };
        latency.buckets[3] = tries;
        Counts {
            latencies: [(outcome, latency)].into(),
            ..Counts::default()
        }
    }

    #[test]
    fn the_two_kinds_of_an_action_are_one_series_and_failures_have_ec2s_codes() {
        let mut facts = Ec2Facts::default();
        facts.counts.insert(call(Scope::Part), counts("ok", 300, 2));
        let mut all = counts("ok", 100, 1);
        all.latencies.extend(counts("throttled", 50, 4).latencies);
        facts.counts.insert(call(Scope::All), all);
        let mut text = Exposition::default();
        write(&mut text, &facts);
        let text = text.finish();
        let api = r#"api="DescribeNetworkInterfaces""#;
        for line in [
            format!(r#"awscni_aws_api_latency_ms_sum{{{api},error="false",status="200"}} 400"#),
            format!(r#"awscni_aws_api_latency_ms_count{{{api},error="false",status="200"}} 3"#),
            format!(r#"awscni_aws_api_error_count{{{api},error="RequestLimitExceeded"}} 4"#),
            r#"awscni_ec2api_req_count{fn="DescribeNetworkInterfaces"} 7"#.to_owned(),
            r#"awscni_ec2api_error_count{fn="DescribeNetworkInterfaces"} 4"#.to_owned(),
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }
}
