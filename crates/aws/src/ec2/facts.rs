//! What the client can tell about types, trunks and subnets beside the calls of [`super::Ec2`]:
//! facts that are looked up now and then, and IPv6.

use ipnet::{Ipv4Net, Ipv6Net};
use vpc_model::instance_types::{CardLimits, Hypervisor, InstanceLimits};
use vpc_model::{EniId, InstanceType, NetworkCard, SubnetId};

use super::operations::{PAGE, Paged};
use super::wire::{self, Request};
use super::{Client, convert};
use crate::error::{DecodeError, Error, ErrorKind};
use crate::retry::Repeat;

/// The largest page of `DescribeTrunkInterfaceAssociations` (EC2 API reference).
const TRUNK_PAGE: i32 = 255;

/// A branch ENI on a trunk ENI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkAssociation {
    /// The branch ENI.
    pub branch: EniId,
    /// The trunk ENI.
    pub trunk: EniId,
    /// The VLAN on the trunk's link; `None` where the association is by GRE.
    pub vlan: Option<u16>,
}

/// A part of a subnet that is kept for one use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CidrReservation {
    /// The part.
    pub cidr: Ipv4Net,
    /// The use.
    pub kind: ReservationKind,
}

/// What a part of a subnet is kept for (EC2 user guide, "Subnet CIDR reservations").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservationKind {
    /// EC2 takes prefixes from it, and nothing else.
    Prefix,
    /// EC2 chooses nothing from it.
    Explicit,
    /// A kind this program does not know.
    Other(String),
}

impl Client {
    /// The network limits of an instance type, for types newer than the built-in table.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a type that EC2 does not know either.
    pub async fn describe_instance_type(
        &self,
        instance_type: &InstanceType,
    ) -> Result<InstanceLimits, Error> {
        let request = wire::DescribeInstanceTypesRequest {
            instance_types: vec![instance_type.to_string()],
            ..Default::default()
        };
        let response = self.call(&request, Repeat::Harmless).await?;
        match response.instance_types.item.into_iter().next() {
            Some(info) => self.decoded::<wire::DescribeInstanceTypesRequest, _>(limits(info)),
            None => Err(self.error(
                wire::DescribeInstanceTypesRequest::ACTION,
                ErrorKind::NotFound,
            )),
        }
    }

    /// The branch ENIs on a trunk ENI. EC2 has no filter for it, so that all associations of the
    /// account and region are read.
    ///
    /// # Errors
    /// The call fails, or an association is of no readable form.
    pub async fn trunk_associations(&self, trunk: &EniId) -> Result<Vec<TrunkAssociation>, Error> {
        let request = wire::DescribeTrunkInterfaceAssociationsRequest {
            max_results: Some(TRUNK_PAGE),
            ..Default::default()
        };
        let pages = self.pages(request).await?;
        let all = pages
            .into_iter()
            .flat_map(|page| page.interface_associations.item)
            .map(association)
            .collect::<Result<Vec<_>, _>>();
        let all = self.decoded::<wire::DescribeTrunkInterfaceAssociationsRequest, _>(all)?;
        Ok(all.into_iter().filter(|one| one.trunk == *trunk).collect())
    }

    /// The IPv4 reservations of a subnet.
    ///
    /// # Errors
    /// The call fails, or a reservation is of no readable form.
    pub async fn subnet_cidr_reservations(
        &self,
        subnet: &SubnetId,
    ) -> Result<Vec<CidrReservation>, Error> {
        let request = wire::GetSubnetCidrReservationsRequest {
            subnet_id: Some(subnet.to_string()),
            max_results: Some(PAGE),
            ..Default::default()
        };
        let pages = self.pages(request).await?;
        let reservations = pages
            .into_iter()
            .flat_map(|page| page.subnet_ipv4_cidr_reservations.item);
        self.decoded::<wire::GetSubnetCidrReservationsRequest, _>(
            reservations.map(reservation).collect(),
        )
    }

    /// Assigns that many IPv6 prefixes that EC2 chooses. Not idempotent: each call adds more.
    ///
    /// # Errors
    /// The call fails; with [`Error::may_have_taken_effect`] look before it is repeated.
    pub async fn assign_ipv6_prefixes(
        &self,
        eni: &EniId,
        count: u8,
    ) -> Result<Vec<Ipv6Net>, Error> {
        let request = wire::AssignIpv6AddressesRequest {
            network_interface_id: Some(eni.to_string()),
            ipv6_prefix_count: Some(count.into()),
            ..Default::default()
        };
        let response = self.call(&request, Repeat::IfNotDone).await?;
        let prefixes = response.assigned_ipv6_prefixes.item.into_iter();
        let read = |text| convert::required("assignedIpv6Prefix", "an IPv6 network", Some(text));
        self.decoded::<wire::AssignIpv6AddressesRequest, _>(prefixes.map(read).collect())
    }

    /// Takes IPv6 prefixes from an ENI.
    ///
    /// # Errors
    /// The call fails.
    pub async fn unassign_ipv6_prefixes(
        &self,
        eni: &EniId,
        prefixes: &[Ipv6Net],
    ) -> Result<(), Error> {
        let request = wire::UnassignIpv6AddressesRequest {
            network_interface_id: Some(eni.to_string()),
            ipv6_prefixes: prefixes.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        self.call(&request, Repeat::IfNotDone).await.map(drop)
    }
}

fn limits(info: wire::InstanceTypeInfo) -> Result<InstanceLimits, DecodeError> {
    let network = convert::missing("networkInfo", info.network_info)?;
    let all = convert::missing(
        "maximumNetworkInterfaces",
        network.maximum_network_interfaces,
    )?;
    let mut cards = Vec::new();
    for card in network.network_cards.item {
        let enis = convert::missing("maximumNetworkInterfaces", card.maximum_network_interfaces)?;
        cards.push(CardLimits {
            card: convert::card(card.network_card_index)?,
            enis: count("maximumNetworkInterfaces", enis)?,
        });
    }
    let default_card = convert::card(network.default_network_card_index)?;
    if cards.is_empty() {
        cards.push(CardLimits {
            card: NetworkCard(0),
            enis: count("maximumNetworkInterfaces", all)?,
        });
    }
    cards.sort_by_key(|card| card.card);
    let default = cards.iter().find(|card| card.card == default_card);
    let addresses = network.ipv4_addresses_per_interface;
    let addresses = convert::missing("ipv4AddressesPerInterface", addresses)?;
    let vcpus = info.v_cpu_info.and_then(|info| info.default_v_cpus);
    Ok(InstanceLimits {
        enis: convert::missing("defaultNetworkCardIndex", default)?.enis,
        ipv4_per_eni: count("ipv4AddressesPerInterface", addresses)?,
        hypervisor: hypervisor(info.bare_metal, info.hypervisor.as_deref())?,
        vcpus: count("defaultVCpus", convert::missing("defaultVCpus", vcpus)?)?,
        default_card,
        cards,
    })
}

/// Bare metal has no hypervisor, and EC2 then names none.
fn hypervisor(metal: Option<bool>, name: Option<&str>) -> Result<Hypervisor, DecodeError> {
    match (metal, name) {
        (Some(true), _) => Ok(Hypervisor::Metal),
        (_, Some("nitro")) => Ok(Hypervisor::Nitro),
        (_, Some("xen")) => Ok(Hypervisor::Xen),
        (_, Some(other)) => Err(DecodeError::Value {
            field: "hypervisor",
            value: other.to_owned(),
            allowed: "nitro or xen",
        }),
        (_, None) => Err(DecodeError::Missing {
            field: "hypervisor",
        }),
    }
}

fn association(
    association: wire::TrunkInterfaceAssociation,
) -> Result<TrunkAssociation, DecodeError> {
    let eni = |field, value| convert::required(field, "eni-…", value);
    let vlan = |id: i32| match u16::try_from(id) {
        Ok(id @ 1..=4094) => Ok(id),
        Ok(_) | Err(_) => Err(DecodeError::Value {
            field: "vlanId",
            value: id.to_string(),
            allowed: "1 to 4094",
        }),
    };
    Ok(TrunkAssociation {
        branch: eni("branchInterfaceId", association.branch_interface_id)?,
        trunk: eni("trunkInterfaceId", association.trunk_interface_id)?,
        vlan: association.vlan_id.map(vlan).transpose()?,
    })
}

fn reservation(reservation: wire::SubnetCidrReservation) -> Result<CidrReservation, DecodeError> {
    let kind = convert::missing("reservationType", reservation.reservation_type)?;
    Ok(CidrReservation {
        cidr: convert::required("cidr", "an IPv4 network", reservation.cidr)?,
        kind: match kind.as_str() {
            "prefix" => ReservationKind::Prefix,
            "explicit" => ReservationKind::Explicit,
            _ => ReservationKind::Other(kind),
        },
    })
}

fn count(field: &'static str, value: i32) -> Result<u32, DecodeError> {
    u32::try_from(value).map_err(|_| DecodeError::Value {
        field,
        value: value.to_string(),
        allowed: "0 or more",
    })
}

impl Paged for wire::DescribeTrunkInterfaceAssociationsRequest {
    fn resume(&mut self, token: String) {
        self.next_token = Some(token);
    }

    fn next(response: &Self::Response) -> Option<String> {
        response.next_token.clone()
    }
}

impl Paged for wire::GetSubnetCidrReservationsRequest {
    fn resume(&mut self, token: String) {
        self.next_token = Some(token);
    }

    fn next(response: &Self::Response) -> Option<String> {
        response.next_token.clone()
    }
}
