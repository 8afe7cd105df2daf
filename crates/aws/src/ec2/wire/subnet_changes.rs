//! Subnets and the reservations in them: create, delete.

use super::{Subnet, SubnetCidrReservation, TagSpecification};

request! {
    /// Makes a subnet.
    "CreateSubnet" CreateSubnetRequest -> CreateSubnetResponse {
        /// The VPC.
        vpc_id: Option<String> = "VpcId",
        /// The IPv4 network in CIDR form, /16 to /28, in the VPC's.
        cidr_block: Option<String> = "CidrBlock",
        /// The name of the availability zone; EC2 chooses one if absent.
        availability_zone: Option<String> = "AvailabilityZone",
        /// The same by id; not together with the name.
        availability_zone_id: Option<String> = "AvailabilityZoneId",
        /// The IPv6 network in CIDR form, a /64.
        ipv6_cidr_block: Option<String> = "Ipv6CidrBlock",
        /// Whether it is to have IPv6 only.
        ipv6_native: Option<bool> = "Ipv6Native",
        /// Tags for it.
        tag_specifications: Vec<TagSpecification> = "TagSpecification",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The new subnet.
    CreateSubnetResponse {
        /// The subnet.
        subnet: Option<Subnet> = "subnet",
    }
}

request! {
    /// Deletes a subnet, in which no ENI may be.
    "DeleteSubnet" DeleteSubnetRequest -> DeleteSubnetResponse {
        /// The subnet.
        subnet_id: Option<String> = "SubnetId",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// It is deleted.
    DeleteSubnetResponse {
        /// Always true.
        r#return: Option<bool> = "return",
    }
}

request! {
    /// Keeps a part of a subnet for one way of assigning addresses.
    "CreateSubnetCidrReservation"
    CreateSubnetCidrReservationRequest -> CreateSubnetCidrReservationResponse {
        /// The subnet.
        subnet_id: Option<String> = "SubnetId",
        /// The network in CIDR form, in the subnet's.
        cidr: Option<String> = "Cidr",
        /// `prefix` or `explicit`.
        reservation_type: Option<String> = "ReservationType",
        /// Free text.
        description: Option<String> = "Description",
        /// Tags for it.
        tag_specifications: Vec<TagSpecification> = "TagSpecification",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The new reservation.
    CreateSubnetCidrReservationResponse {
        /// The reservation.
        subnet_cidr_reservation: Option<SubnetCidrReservation> = "subnetCidrReservation",
    }
}

request! {
    /// Ends a reservation; what was assigned from it stays assigned.
    "DeleteSubnetCidrReservation"
    DeleteSubnetCidrReservationRequest -> DeleteSubnetCidrReservationResponse {
        /// `scr-…`.
        subnet_cidr_reservation_id: Option<String> = "SubnetCidrReservationId",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The reservation that was.
    DeleteSubnetCidrReservationResponse {
        /// The reservation.
        deleted_subnet_cidr_reservation: Option<SubnetCidrReservation> =
            "deletedSubnetCidrReservation",
    }
}
