//! AWS's defaults per account and region, as of the page "Request throttling for the Amazon EC2
//! API".

use super::Bucket;

const fn bucket(size: u32, per_second: u32) -> Bucket {
    Bucket { size, per_second }
}

/// Actions with buckets of their own.
const APART: [(&str, Bucket); 10] = [
    ("AssignIpv6Addresses", bucket(100, 5)),
    ("AssignPrivateIpAddresses", bucket(100, 5)),
    ("CreateNetworkInterface", bucket(100, 5)),
    ("CreateSubnetCidrReservation", bucket(5, 1)),
    ("CreateTags", bucket(100, 10)),
    ("DeleteNetworkInterface", bucket(100, 5)),
    ("DeleteSubnetCidrReservation", bucket(5, 1)),
    ("DeleteTags", bucket(100, 10)),
    ("ModifyNetworkInterfaceAttribute", bucket(100, 5)),
    ("RunInstances", bucket(5, 2)),
];

/// Actions that draw on a smaller bucket when they are neither filtered nor paginated.
const UNFILTERED: [&str; 7] = [
    "DescribeInstanceStatus",
    "DescribeInstances",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSnapshots",
    "DescribeSpotInstanceRequests",
    "DescribeVolumes",
];

/// The bucket for requests of an action.
pub(super) fn requests(action: &str) -> Bucket {
    if let Some((_, apart)) = APART.iter().find(|(name, _)| *name == action) {
        return *apart;
    }
    let reads = ["Describe", "Get", "List", "Search"];
    if reads.iter().any(|verb| action.starts_with(verb)) {
        bucket(100, 20)
    } else {
        bucket(50, 5)
    }
}

/// The bucket for unfiltered and unpaginated requests, where there is one.
pub(super) fn unfiltered(action: &str) -> Option<Bucket> {
    UNFILTERED.contains(&action).then(|| bucket(50, 10))
}

/// The bucket for resources, where there is one.
pub(super) fn resources(action: &str) -> Option<Bucket> {
    match action {
        "RunInstances" => Some(bucket(1_000, 2)),
        "TerminateInstances" => Some(bucket(1_000, 20)),
        _ => None,
    }
}
