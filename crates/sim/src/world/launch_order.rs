//! What a `RunInstances` request asks for, read and checked as far as the world does not matter.

use vpc_aws::ec2::wire::{
    CreateNetworkInterfaceRequest, InstanceNetworkInterfaceSpecification, RunInstancesRequest,
};
use vpc_model::instance_types::{InstanceLimits, InstanceTypes};
use vpc_model::{EniId, InstanceType, NetworkCard, SubnetId};

use super::World;
use super::attach::{card_number, device_number};
use super::groups::no_default_vpc;
use super::lookup::{parse_id, required};
use super::state::{Order, Tags};
use super::tags::specified_by_kind;
use crate::error::ApiError;

/// The kinds of resources that a launch makes and that a request may tag. The world has no volumes.
const TAGGED: [&str; 3] = ["instance", "network-interface", "volume"];

/// The type of EC2's choice, as the API reference says.
const DEFAULT_TYPE: &str = "m1.small";

/// Instances to be launched.
pub(super) struct LaunchOrder {
    pub(super) least: i32,
    pub(super) most: i32,
    pub(super) instance_type: InstanceType,
    pub(super) limits: InstanceLimits,
    pub(super) image: String,
    /// The primary ENI's.
    pub(super) subnet: SubnetId,
    /// The ENIs of each instance, the primary one first.
    pub(super) interfaces: Vec<Interface>,
    pub(super) tags: Tags,
    pub(super) rest: Order,
}

/// An ENI of a new instance.
pub(super) struct Interface {
    pub(super) source: Source,
    pub(super) device: u8,
    pub(super) card: Option<NetworkCard>,
    pub(super) interface_type: String,
    pub(super) delete_on_termination: bool,
    pub(super) public: bool,
}

/// Where an ENI of a new instance comes from.
pub(super) enum Source {
    Existing(EniId),
    New(Box<CreateNetworkInterfaceRequest>),
}

impl World {
    pub(super) fn launch_order(
        &self,
        request: &RunInstancesRequest,
    ) -> Result<LaunchOrder, ApiError> {
        let (least, most) = counts(request)?;
        let image = required(request.image_id.as_deref(), "ImageId")?;
        let image: String = parse_id(image, "InvalidAMIID", "ami")?;
        let (instance_type, limits) = known_type(request)?;
        let mut tags = specified_by_kind(&request.tag_specifications, &TAGGED)?;
        let eni_tags = tags.remove("network-interface").unwrap_or_default();
        let specs = interface_specs(request)?;
        let mut interfaces = Vec::new();
        for spec in &specs {
            interfaces.push(self.interface(spec, &eni_tags)?);
        }
        interfaces.sort_by_key(|i| (i.card.unwrap_or(limits.default_card), i.device));
        self.check_interfaces(&interfaces, most)?;
        let subnet = self.primary_subnet(&interfaces)?;
        self.check_zone(request, &subnet)?;
        Ok(LaunchOrder {
            least,
            most,
            instance_type,
            limits,
            image,
            subnet,
            interfaces,
            tags: tags.remove("instance").unwrap_or_default(),
            rest: Order {
                client_token: request.client_token.clone(),
                index: 0,
                key_name: request.key_name.clone(),
                protected: request.disable_api_termination == Some(true),
                metadata_options: request.metadata_options.clone().unwrap_or_default(),
            },
        })
    }

    fn interface(
        &self,
        spec: &InstanceNetworkInterfaceSpecification,
        tags: &Tags,
    ) -> Result<Interface, ApiError> {
        let kind = spec.interface_type.as_deref().unwrap_or("interface");
        if !["interface", "efa", "efa-only"].contains(&kind) {
            return Err(ApiError::invalid(format!(
                "Value ({kind}) for parameter InterfaceType is invalid."
            )));
        }
        let source = match spec.network_interface_id.as_deref() {
            Some(id) => Source::Existing(self.eni_id(Some(id))?),
            None => Source::New(Box::new(new_eni(spec, tags)?)),
        };
        let existing = matches!(source, Source::Existing(_));
        Ok(Interface {
            source,
            device: device_number(spec.device_index)?,
            card: spec.network_card_index.map(card_number).transpose()?,
            interface_type: kind.to_owned(),
            // What exists outlives the instance unless the request says otherwise.
            delete_on_termination: spec.delete_on_termination.unwrap_or(!existing),
            public: spec.associate_public_ip_address == Some(true),
        })
    }

    fn check_interfaces(&self, interfaces: &[Interface], most: i32) -> Result<(), ApiError> {
        let Some(primary) = interfaces.first().filter(|first| first.device == 0) else {
            return Err(ApiError::invalid(
                "A network interface at device index 0 must be specified",
            ));
        };
        if primary.public && interfaces.len() > 1 {
            return Err(ApiError::client(
                "InvalidParameterCombination",
                "The associatePublicIPAddress parameter cannot be specified when launching with \
                 multiple network interfaces.",
            ));
        }
        let unique = |interface: &Interface| match &interface.source {
            Source::Existing(_) => true,
            Source::New(request) => {
                request.private_ip_address.is_some() || !request.private_ip_addresses.is_empty()
            }
        };
        if most > 1 && interfaces.iter().any(unique) {
            return Err(ApiError::client(
                "InvalidParameterCombination",
                "Network interfaces and private addresses that exist once are for one instance",
            ));
        }
        let mut places = interfaces
            .iter()
            .map(|i| (i.card, i.device))
            .collect::<Vec<_>>();
        places.dedup();
        if places.len() < interfaces.len() {
            let message = "Each network interface requires a unique device index.";
            return Err(ApiError::invalid(message));
        }
        Ok(())
    }

    fn primary_subnet(&self, interfaces: &[Interface]) -> Result<SubnetId, ApiError> {
        match interfaces.first().map(|interface| &interface.source) {
            Some(Source::Existing(eni)) => Ok(self.eni(eni)?.subnet.clone()),
            Some(Source::New(request)) => match request.subnet_id.as_deref() {
                Some(subnet) => self.subnet_id(Some(subnet)),
                None => Err(no_default_vpc()),
            },
            None => Err(no_default_vpc()),
        }
    }

    fn check_zone(&self, request: &RunInstancesRequest, subnet: &SubnetId) -> Result<(), ApiError> {
        let zone = &self.subnet(subnet)?.availability_zone;
        let placement = request.placement.as_ref();
        match placement.and_then(|placement| placement.availability_zone.as_ref()) {
            Some(wanted) if wanted != zone => Err(ApiError::invalid(format!(
                "The specified subnet '{subnet}' is not in availability zone {wanted}"
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

fn counts(request: &RunInstancesRequest) -> Result<(i32, i32), ApiError> {
    let count = |value: Option<i32>, name: &str| match value {
        None => Err(ApiError::missing(name)),
        Some(count) if count < 1 => Err(ApiError::invalid(format!(
            "Value ({count}) for parameter {name} is invalid. It must be at least 1."
        ))),
        Some(count) => Ok(count),
    };
    let least = count(request.min_count, "MinCount")?;
    let most = count(request.max_count, "MaxCount")?;
    if least > most {
        return Err(ApiError::invalid(format!(
            "Value ({least}) for parameter MinCount is invalid. It may not exceed MaxCount."
        )));
    }
    Ok((least, most))
}

fn known_type(request: &RunInstancesRequest) -> Result<(InstanceType, InstanceLimits), ApiError> {
    let text = request.instance_type.as_deref().unwrap_or(DEFAULT_TYPE);
    let known: Option<InstanceType> = text.parse().ok();
    known
        .and_then(|kind| {
            let limits = InstanceTypes::builtin().get(&kind)?.clone();
            Some((kind, limits))
        })
        .ok_or_else(|| ApiError::invalid(format!("Invalid value '{text}' for InstanceType.")))
}

/// The ENIs of a request: as it lists them, or the one that its own parameters describe.
fn interface_specs(
    request: &RunInstancesRequest,
) -> Result<Vec<InstanceNetworkInterfaceSpecification>, ApiError> {
    if request.network_interfaces.is_empty() {
        return Ok(vec![InstanceNetworkInterfaceSpecification {
            device_index: Some(0),
            subnet_id: request.subnet_id.clone(),
            groups: request.security_group_ids.clone(),
            private_ip_address: request.private_ip_address.clone(),
            ..Default::default()
        }]);
    }
    let both = [
        (request.subnet_id.is_some(), "subnet ID"),
        (!request.security_group_ids.is_empty(), "security groups"),
        (request.private_ip_address.is_some(), "private address"),
    ];
    match both.iter().find(|(given, _)| *given) {
        None => Ok(request.network_interfaces.clone()),
        Some((_, what)) => Err(ApiError::client(
            "InvalidParameterCombination",
            format!(
                "Network interfaces and an instance-level {what} may not be specified on the same \
                 request"
            ),
        )),
    }
}

/// The request for a new ENI of an instance.
fn new_eni(
    spec: &InstanceNetworkInterfaceSpecification,
    tags: &Tags,
) -> Result<CreateNetworkInterfaceRequest, ApiError> {
    if spec.subnet_id.is_none() {
        return Err(no_default_vpc());
    }
    let tags = vpc_aws::ec2::wire::TagSpecification {
        resource_type: Some("network-interface".to_owned()),
        tags: super::tags::to_wire(tags).item,
    };
    Ok(CreateNetworkInterfaceRequest {
        subnet_id: spec.subnet_id.clone(),
        description: spec.description.clone(),
        groups: spec.groups.clone(),
        private_ip_address: spec.private_ip_address.clone(),
        private_ip_addresses: spec.private_ip_addresses.clone(),
        secondary_private_ip_address_count: spec.secondary_private_ip_address_count,
        ipv4_prefixes: spec.ipv4_prefixes.clone(),
        ipv4_prefix_count: spec.ipv4_prefix_count,
        tag_specifications: vec![tags],
        ..Default::default()
    })
}
