//! AWS's request buckets, per action.
//!
//! Source: EC2 developer guide, "Request throttling for the Amazon EC2 API" (default request token
//! bucket sizes and refill rates, per account and region). A raised quota only makes these careful.

use super::{Call, Scope, Shape};

const fn shape(burst: f64, per_second: f64) -> Shape {
    Shape { burst, per_second }
}

/// Non-mutating actions.
const READ: Shape = shape(100.0, 20.0);

/// Non-mutating actions of [`UNFILTERED`] when they are neither filtered nor paginated.
const READ_ALL: Shape = shape(50.0, 10.0);

/// Mutating actions without a line of their own.
const WRITE: Shape = shape(50.0, 5.0);

/// Mutating actions with a line of their own.
const OWN: [(&str, Shape); 9] = [
    ("AssignIpv6Addresses", shape(100.0, 5.0)),
    ("AssignPrivateIpAddresses", shape(100.0, 5.0)),
    ("CreateNetworkInterface", shape(100.0, 5.0)),
    ("CreateSubnetCidrReservation", shape(5.0, 1.0)),
    ("CreateTags", shape(100.0, 10.0)),
    ("DeleteNetworkInterface", shape(100.0, 5.0)),
    ("DeleteSubnetCidrReservation", shape(5.0, 1.0)),
    ("DeleteTags", shape(100.0, 10.0)),
    ("ModifyNetworkInterfaceAttribute", shape(100.0, 5.0)),
];

/// The actions of ours that draw on a smaller bucket when they ask for everything.
const UNFILTERED: [&str; 4] = [
    "DescribeInstances",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSubnets",
];

/// `PutMetricData` of CloudWatch (CloudWatch user guide, "Service quotas": 500 a second per account
/// and region). It has no published burst; a tenth of a second's worth is one.
const METRICS: Shape = shape(50.0, 500.0);

/// Whether the action has a bucket of its own for requests without filter and page size.
pub(super) fn has_smaller_bucket(action: &str) -> bool {
    UNFILTERED.contains(&action)
}

/// The bucket that AWS has for a call.
pub(super) fn of(call: Call) -> Shape {
    if let Some((_, own)) = OWN.iter().find(|(action, _)| *action == call.action) {
        return *own;
    }
    let reads = ["Describe", "Get", "List"];
    match call.scope {
        _ if call.action == "PutMetricData" => METRICS,
        Scope::All => READ_ALL,
        Scope::Part if reads.iter().any(|verb| call.action.starts_with(verb)) => READ,
        Scope::Part => WRITE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_of_the_ec2_guide() {
        let of = |action, scope| {
            let shape = of(Call { action, scope });
            (shape.burst, shape.per_second)
        };
        for (action, scope, expected) in [
            ("DescribeNetworkInterfaces", Scope::Part, (100.0, 20.0)),
            ("DescribeNetworkInterfaces", Scope::All, (50.0, 10.0)),
            ("GetSubnetCidrReservations", Scope::Part, (100.0, 20.0)),
            ("AttachNetworkInterface", Scope::Part, (50.0, 5.0)),
            ("UnassignPrivateIpAddresses", Scope::Part, (50.0, 5.0)),
            ("CreateNetworkInterface", Scope::Part, (100.0, 5.0)),
            ("CreateTags", Scope::Part, (100.0, 10.0)),
            ("CreateSubnetCidrReservation", Scope::Part, (5.0, 1.0)),
        ] {
            assert_eq!(of(action, scope), expected, "{action} {scope:?}");
        }
    }
}
