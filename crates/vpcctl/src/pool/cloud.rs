//! The node's account: a VPC with one subnet and one instance, asked in EC2's own words.

use ipnet::Ipv4Net;
use vpc_aws::ec2::wire::{
    AssignPrivateIpAddressesRequest, AttachNetworkInterfaceRequest, CreateNetworkInterfaceRequest,
    DeleteNetworkInterfaceRequest, DetachNetworkInterfaceRequest, Ipv4Prefix as WirePrefix,
    NetworkInterface, UnassignPrivateIpAddressesRequest,
};
use vpc_ipam::subnets::Candidate;
use vpc_ipam::{Ask, EniKind, NewEni, Slots};
use vpc_model::{DeviceIndex, EniId, InstanceId, InstanceType, NetworkCard, Timestamp};
use vpc_sim::{ApiError, FabricEni, RunInstance, World, WorldConfig};

use super::RehearsalError;

/// The zone of everything.
const ZONE: &str = "us-west-2a";

/// Worlds are alike; nothing here is left to chance.
const SEED: u64 = 1;

/// The simulated EC2 with the node in it.
pub(super) struct Cloud {
    world: World,
    instance: InstanceId,
    subnet: Candidate,
}

impl Cloud {
    /// A subnet with nothing in it but the new instance.
    pub(super) fn launch(
        instance_type: &InstanceType,
        cidr: Ipv4Net,
        now: Timestamp,
    ) -> Result<Self, RehearsalError> {
        let mut world = World::new(WorldConfig::immediate(SEED));
        let vpc = world.create_vpc(cidr);
        let subnet = world
            .create_subnet(&vpc, cidr.trunc(), ZONE)
            .map_err(|source| RehearsalError::Subnet { cidr, source })?;
        let spec = RunInstance::new("node", instance_type.clone(), subnet.clone());
        let instance = world
            .run_instance(spec, now)
            .map_err(refused("RunInstances"))?;
        Ok(Self {
            world,
            instance,
            subnet: Candidate {
                id: subnet,
                cidr: cidr.trunc(),
            },
        })
    }

    /// The subnet.
    pub(super) fn subnet(&self) -> &Candidate {
        &self.subnet
    }

    /// The ENIs of the instance, as the pool takes them up.
    pub(super) fn enis(&self) -> Vec<NewEni> {
        let instances = self.world.fabric().instances;
        let enis = instances.into_iter().flat_map(|instance| instance.enis);
        enis.map(of_fabric).collect()
    }

    /// Creates an ENI and attaches it; one that cannot be attached is deleted.
    pub(super) fn create(
        &mut self,
        (card, device): (NetworkCard, DeviceIndex),
        subnet: &Candidate,
        ask: Ask,
        now: Timestamp,
    ) -> Result<NewEni, ApiError> {
        let (addresses, prefixes) = counts(ask);
        let request = CreateNetworkInterfaceRequest {
            subnet_id: Some(subnet.id.to_string()),
            secondary_private_ip_address_count: addresses,
            ipv4_prefix_count: prefixes,
            ..Default::default()
        };
        let created = self.world.create_network_interface(&request, now)?;
        let id = created.network_interface.and_then(id_of);
        let id = id.ok_or_else(|| unusable("CreateNetworkInterface", "networkInterfaceId"))?;
        let attach = AttachNetworkInterfaceRequest {
            network_interface_id: Some(id.to_string()),
            instance_id: Some(self.instance.to_string()),
            device_index: Some(i32::from(device.0)),
            network_card_index: Some(i32::from(card.0)),
            ..Default::default()
        };
        if let Err(error) = self.world.attach_network_interface(&attach, now) {
            self.delete(&id, now)?;
            return Err(error);
        }
        let attached = self.enis().into_iter().find(|eni| eni.id == id);
        attached.ok_or_else(|| unusable("AttachNetworkInterface", "attachment"))
    }

    /// Gives an ENI slots.
    pub(super) fn assign(
        &mut self,
        eni: &EniId,
        ask: Ask,
        now: Timestamp,
    ) -> Result<Slots, ApiError> {
        let (addresses, prefixes) = counts(ask);
        let request = AssignPrivateIpAddressesRequest {
            network_interface_id: Some(eni.to_string()),
            secondary_private_ip_address_count: addresses,
            ipv4_prefix_count: prefixes,
            ..Default::default()
        };
        let action = "AssignPrivateIpAddresses";
        let assigned = self.world.assign_private_ip_addresses(&request, now)?;
        let addresses = assigned.assigned_private_ip_addresses.item.into_iter();
        let addresses = addresses.filter_map(|assigned| assigned.private_ip_address);
        let prefixes = assigned.assigned_ipv4_prefixes.into_iter();
        let prefixes = prefixes.flat_map(|set| set.item).filter_map(prefix_text);
        Ok(Slots {
            addresses: parsed(addresses, action, "privateIpAddress")?,
            prefixes: parsed(prefixes, action, "ipv4Prefix")?,
        })
    }

    /// Takes slots from an ENI.
    pub(super) fn unassign(
        &mut self,
        eni: &EniId,
        slots: &Slots,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let request = UnassignPrivateIpAddressesRequest {
            network_interface_id: Some(eni.to_string()),
            private_ip_addresses: slots.addresses.iter().map(ToString::to_string).collect(),
            ipv4_prefixes: slots.prefixes.iter().map(ToString::to_string).collect(),
        };
        self.world.unassign_private_ip_addresses(&request, now)?;
        Ok(())
    }

    /// Detaches an ENI and deletes it.
    pub(super) fn give_back(&mut self, eni: &EniId, now: Timestamp) -> Result<(), ApiError> {
        let describe = vpc_aws::ec2::wire::DescribeNetworkInterfacesRequest {
            network_interface_ids: vec![eni.to_string()],
            ..Default::default()
        };
        let described = self.world.describe_network_interfaces(&describe, now)?;
        let found = described.network_interfaces.item.into_iter().next();
        let attachment = found.and_then(|eni| eni.attachment?.attachment_id);
        let detach = DetachNetworkInterfaceRequest {
            attachment_id: attachment,
            ..Default::default()
        };
        self.world.detach_network_interface(&detach, now)?;
        self.delete(eni, now)
    }

    fn delete(&mut self, eni: &EniId, now: Timestamp) -> Result<(), ApiError> {
        let request = DeleteNetworkInterfaceRequest {
            network_interface_id: Some(eni.to_string()),
            ..Default::default()
        };
        self.world.delete_network_interface(&request, now)?;
        Ok(())
    }
}

/// A call that must work and did not.
fn refused(action: &'static str) -> impl FnOnce(ApiError) -> RehearsalError {
    move |source| RehearsalError::Call { action, source }
}

/// An answer that lacks what the real EC2's has.
fn unusable(action: &str, field: &str) -> ApiError {
    let message = format!("the answer to {action} has no usable {field}");
    ApiError::with_status("InternalError", message, 500)
}

fn id_of(eni: NetworkInterface) -> Option<EniId> {
    eni.network_interface_id?.parse().ok()
}

fn prefix_text(prefix: WirePrefix) -> Option<String> {
    prefix.ipv4_prefix
}

fn parsed<T: std::str::FromStr>(
    texts: impl Iterator<Item = String>,
    action: &str,
    field: &str,
) -> Result<Vec<T>, ApiError> {
    let parse = |text: String| text.parse().map_err(|_| unusable(action, field));
    texts.map(parse).collect()
}

/// How EC2 is asked for slots: addresses, prefixes.
fn counts(ask: Ask) -> (Option<i32>, Option<i32>) {
    let some = |count: u32| (count > 0).then(|| i32::try_from(count).unwrap_or(i32::MAX));
    match ask {
        Ask::Addresses(count) => (some(count), None),
        Ask::Prefixes(count) => (None, some(count)),
    }
}

fn of_fabric(eni: FabricEni) -> NewEni {
    let primary = eni.primary;
    let secondary = eni.addresses.into_iter().filter(|own| *own != primary);
    NewEni {
        id: eni.id,
        kind: match eni.device {
            DeviceIndex(0) => EniKind::Primary,
            DeviceIndex(_) => EniKind::Secondary,
        },
        exclusion: None,
        mac: eni.mac,
        card: eni.card,
        device: eni.device,
        subnet: eni.subnet,
        subnet_cidr: eni.subnet_cidr,
        primary,
        slots: Slots {
            addresses: secondary.collect(),
            prefixes: eni.prefixes,
        },
        attached_at: None,
    }
}
