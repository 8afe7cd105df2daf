//! `GetSubnetCidrReservations`: parts of a subnet that only explicit or only prefix assignments get.

use super::{Filter, Set, Tag};

request! {
    /// Asks for the reservations of one subnet, page by page.
    "GetSubnetCidrReservations"
    GetSubnetCidrReservationsRequest -> GetSubnetCidrReservationsResponse {
        /// The subnet.
        subnet_id: Option<String> = "SubnetId",
        /// Only reservations that meet every condition, for example on `reservationType`.
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
    /// Reservations.
    GetSubnetCidrReservationsResponse {
        /// Those of IPv4 networks.
        subnet_ipv4_cidr_reservations: Set<SubnetCidrReservation> =
            "subnetIpv4CidrReservationSet",
        /// Those of IPv6 networks.
        subnet_ipv6_cidr_reservations: Set<SubnetCidrReservation> =
            "subnetIpv6CidrReservationSet",
        /// Where the next page begins; absent or empty on the last one.
        next_token: Option<String> = "nextToken",
    }
}

element! {
    /// A reservation.
    SubnetCidrReservation {
        /// `scr-…`.
        subnet_cidr_reservation_id: Option<String> = "subnetCidrReservationId",
        /// The subnet.
        subnet_id: Option<String> = "subnetId",
        /// The network in CIDR form.
        cidr: Option<String> = "cidr",
        /// `prefix` (EC2 takes prefixes from it, and nothing else) or `explicit` (EC2 takes
        /// nothing from it by itself).
        reservation_type: Option<String> = "reservationType",
        /// The account that made it.
        owner_id: Option<String> = "ownerId",
        /// Free text.
        description: Option<String> = "description",
        /// The tags.
        tags: Set<Tag> = "tagSet",
    }
}
