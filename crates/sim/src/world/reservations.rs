//! CIDR reservations of subnets: create, describe, delete.
//!
//! After the page "Subnet CIDR reservations" (Amazon VPC user guide). The API reference names no
//! error codes; those here are moto's, which compares its answers with AWS's.

use ipnet::Ipv4Net;
use vpc_aws::ec2::wire::{
    CreateSubnetCidrReservationRequest, CreateSubnetCidrReservationResponse,
    DeleteSubnetCidrReservationRequest, DeleteSubnetCidrReservationResponse,
    GetSubnetCidrReservationsRequest, GetSubnetCidrReservationsResponse, SubnetCidrReservation,
};
use vpc_model::{SubnetId, Timestamp};

use super::World;
use super::filter::chosen;
use super::lookup::required;
use super::modify::refuse_dry_run;
use super::page::Paging;
use super::space::ReservedFor;
use super::state::Reservation;
use super::tags::{specified, to_wire};
use super::vpcs::cidr;
use crate::error::ApiError;

impl World {
    /// Reserves a range of a subnet. Addresses in it that are taken stay so.
    ///
    /// # Errors
    /// As EC2's: an unknown subnet, a range that cannot be read, lies outside the subnet or
    /// overlaps with another, an unknown type.
    pub fn create_subnet_cidr_reservation(
        &mut self,
        request: &CreateSubnetCidrReservationRequest,
        now: Timestamp,
    ) -> Result<CreateSubnetCidrReservationResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let subnet = self.subnet_id(request.subnet_id.as_deref())?;
        let reserved_for = reserved_for(request.reservation_type.as_deref())?;
        let range = cidr(request.cidr.as_deref(), "cidr")?;
        self.check_range(&subnet, range)?;
        let reservation = Reservation {
            range,
            reserved_for,
            description: request.description.clone(),
            tags: specified(&request.tag_specifications, "subnet-cidr-reservation")?,
        };
        let id = format!("scr-0{:016x}", self.random.next());
        let described = self.describe_reservation(&subnet, &id, &reservation);
        let state = self.subnet_mut(&subnet)?;
        state.space.reserve(range, reserved_for);
        state.reservations.insert(id, reservation);
        self.changed();
        Ok(CreateSubnetCidrReservationResponse {
            subnet_cidr_reservation: Some(described),
            ..Default::default()
        })
    }

    fn check_range(&self, subnet: &SubnetId, range: Ipv4Net) -> Result<(), ApiError> {
        let subnet = self.subnet(subnet)?;
        let whole = subnet.space.cidr();
        if !whole.contains(&range) {
            return Err(ApiError::invalid(format!(
                "Reservation CIDR should be within subnet CIDR block ({whole})"
            )));
        }
        let overlaps =
            |other: &Reservation| other.range.contains(&range) || range.contains(&other.range);
        if subnet.reservations.values().any(overlaps) {
            return Err(ApiError::invalid(format!(
                "Reservation CIDR {range} has overlap with existing reserved CIDR block"
            )));
        }
        Ok(())
    }

    /// Describes the reservations of a subnet.
    ///
    /// # Errors
    /// As EC2's: an unknown subnet, an unknown filter, a bad page size or token.
    pub fn get_subnet_cidr_reservations(
        &mut self,
        request: &GetSubnetCidrReservationsRequest,
        now: Timestamp,
    ) -> Result<GetSubnetCidrReservationsResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let subnet = self.subnet_id(request.subnet_id.as_deref())?;
        let mut found = Vec::new();
        for (id, reservation) in &self.subnet(&subnet)?.reservations {
            let meets = chosen(&request.filters, &reservation.tags, |facts| {
                facts
                    .with("reservationType", [reservation.reserved_for.name()])
                    .with("subnet-id", [&subnet])
            })?;
            if meets {
                let described = self.describe_reservation(&subnet, id, reservation);
                found.push((id.clone(), described));
            }
        }
        let paging = Paging {
            max_results: request.max_results,
            next_token: request.next_token.as_deref(),
            by_id: false,
            sizes: (5, 1000),
        };
        let (page, next_token) = paging.cut(found)?;
        Ok(GetSubnetCidrReservationsResponse {
            subnet_ipv4_cidr_reservations: page.into(),
            next_token,
            ..Default::default()
        })
    }

    /// Ends a reservation. What was assigned from it stays assigned.
    ///
    /// # Errors
    /// `InvalidSubnetCidrReservationID.NotFound`.
    pub fn delete_subnet_cidr_reservation(
        &mut self,
        request: &DeleteSubnetCidrReservationRequest,
        now: Timestamp,
    ) -> Result<DeleteSubnetCidrReservationResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let id = request.subnet_cidr_reservation_id.as_deref();
        let id = required(id, "subnetCidrReservationId")?;
        let mut subnets = self.subnets.iter();
        let holder = subnets.find(|(_, subnet)| subnet.reservations.contains_key(id));
        let subnet = holder.map(|(subnet, _)| subnet.clone());
        let missing = || {
            ApiError::client(
                "InvalidSubnetCidrReservationID.NotFound",
                format!("The subnet-cidr-reservation ID '{id}' does not exist"),
            )
        };
        let subnet = subnet.ok_or_else(missing)?;
        let state = self.subnet_mut(&subnet)?;
        let reservation = state.reservations.remove(id).ok_or_else(missing)?;
        state.space.release_range(reservation.range);
        self.changed();
        let described = self.describe_reservation(&subnet, id, &reservation);
        Ok(DeleteSubnetCidrReservationResponse {
            deleted_subnet_cidr_reservation: Some(described),
            ..Default::default()
        })
    }

    fn describe_reservation(
        &self,
        subnet: &SubnetId,
        id: &str,
        reservation: &Reservation,
    ) -> SubnetCidrReservation {
        SubnetCidrReservation {
            subnet_cidr_reservation_id: Some(id.to_owned()),
            subnet_id: Some(subnet.to_string()),
            cidr: Some(reservation.range.to_string()),
            reservation_type: Some(reservation.reserved_for.name().to_owned()),
            owner_id: Some(self.config.account.clone()),
            description: reservation.description.clone(),
            tags: to_wire(&reservation.tags),
        }
    }
}

fn reserved_for(text: Option<&str>) -> Result<ReservedFor, ApiError> {
    match required(text, "reservationType")? {
        "prefix" => Ok(ReservedFor::Prefixes),
        "explicit" => Ok(ReservedFor::Explicit),
        other => Err(ApiError::invalid(format!(
            "Value ({other}) for parameter reservationType is invalid."
        ))),
    }
}
