//! `DescribeSubnets` and the description of a subnet.

use super::{Filter, Set, Tag};

request! {
    /// Asks for subnets by id or by condition, page by page.
    "DescribeSubnets" DescribeSubnetsRequest -> DescribeSubnetsResponse {
        /// Only these subnets; an unknown one fails the call.
        subnet_ids: Vec<String> = "SubnetId",
        /// Only subnets that meet every condition.
        filters: Vec<Filter> = "Filter",
        /// Where the previous page ended.
        next_token: Option<String> = "NextToken",
        /// Page size, 5 to 1000.
        max_results: Option<i32> = "MaxResults",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// Subnets.
    DescribeSubnetsResponse {
        /// The subnets, in no particular order.
        subnets: Set<Subnet> = "subnetSet",
        /// Where the next page begins; absent or empty on the last one.
        next_token: Option<String> = "nextToken",
    }
}

element! {
    /// A subnet.
    Subnet {
        /// `subnet-…`.
        subnet_id: Option<String> = "subnetId",
        /// Its name in ARN form.
        subnet_arn: Option<String> = "subnetArn",
        /// `pending`, `available`, `unavailable` or `failed`.
        state: Option<String> = "state",
        /// The VPC.
        vpc_id: Option<String> = "vpcId",
        /// The account that owns it.
        owner_id: Option<String> = "ownerId",
        /// The IPv4 network in CIDR form.
        cidr_block: Option<String> = "cidrBlock",
        /// IPv4 addresses that are not in use; the five reserved ones never count.
        available_ip_address_count: Option<i32> = "availableIpAddressCount",
        /// The name of the availability zone.
        availability_zone: Option<String> = "availabilityZone",
        /// The availability zone's id, the same in every account.
        availability_zone_id: Option<String> = "availabilityZoneId",
        /// Whether it is the default subnet of its availability zone.
        default_for_az: Option<bool> = "defaultForAz",
        /// Whether instances get a public address at launch.
        map_public_ip_on_launch: Option<bool> = "mapPublicIpOnLaunch",
        /// Whether ENIs get an IPv6 address at creation.
        assign_ipv6_address_on_creation: Option<bool> = "assignIpv6AddressOnCreation",
        /// The IPv6 networks.
        ipv6_cidr_block_association_set: Set<SubnetIpv6CidrBlockAssociation> =
            "ipv6CidrBlockAssociationSet",
        /// Whether it has IPv6 only.
        ipv6_native: Option<bool> = "ipv6Native",
        /// Whether DNS answers synthesise IPv6 addresses.
        enable_dns64: Option<bool> = "enableDns64",
        /// The tags.
        tags: Set<Tag> = "tagSet",
    }
}

element! {
    /// An IPv6 network of a subnet.
    SubnetIpv6CidrBlockAssociation {
        /// The association's id.
        association_id: Option<String> = "associationId",
        /// The network in CIDR form.
        ipv6_cidr_block: Option<String> = "ipv6CidrBlock",
        /// Whether it is in use yet.
        ipv6_cidr_block_state: Option<SubnetIpv6CidrBlockState> = "ipv6CidrBlockState",
    }
}

element! {
    /// The state of a subnet's IPv6 network.
    SubnetIpv6CidrBlockState {
        /// `associating`, `associated`, `disassociating`, `disassociated`, `failing` or `failed`.
        state: Option<String> = "state",
        /// Why, if it failed.
        status_message: Option<String> = "statusMessage",
    }
}
