//! The world a fleet starts in: subnets with room, and instances that run.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_ipam::subnets::Candidate;
use vpc_ipam::{EniKind, NewEni, Slots};
use vpc_model::instance_types::{InstanceLimits, InstanceTypes};
use vpc_model::{InstanceId, SecurityGroupId, Timestamp, VpcId};

use super::{FleetConfig, FleetError};
use crate::world::{FabricEni, RunInstance, Span, World, WorldConfig};

/// The zone of everything.
const ZONE: &str = "us-west-2a";

/// The subnets' size: 4091 addresses each.
const SUBNET_BITS: u8 = 20;

/// What a node learns about itself from instance metadata.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) number: u32,
    pub(super) instance: InstanceId,
    pub(super) vpc: VpcId,
    pub(super) zone: &'static str,
    pub(super) subnet: Candidate,
    pub(super) groups: Vec<SecurityGroupId>,
    pub(super) limits: InstanceLimits,
    pub(super) primary: NewEni,
}

/// A world with the fleet's instances, and who they are.
pub(super) fn launch(
    config: &FleetConfig,
    now: Timestamp,
) -> Result<(World, Vec<Identity>), FleetError> {
    let types = InstanceTypes::builtin();
    let limits = types.get(&config.instance_type).cloned();
    let limits = limits.ok_or_else(|| FleetError::UnknownType(config.instance_type.clone()))?;
    let mut world = World::new(WorldConfig {
        seed: config.seed,
        max_enis: usize::MAX,
        describe_lag: Span::ZERO,
        ..WorldConfig::default()
    });
    let everything = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);
    let vpc = world.create_vpc(everything);
    let mut subnets = everything.subnets(SUBNET_BITS).into_iter().flatten();
    let nodes_in_one = nodes_in_one(config, &limits);
    let mut subnet = None;
    for number in 0..config.nodes {
        if number % nodes_in_one == 0 {
            let cidr = subnets.next().ok_or(FleetError::TooManyNodes)?;
            let made = world.create_subnet(&vpc, cidr, ZONE);
            subnet = Some(made.map_err(FleetError::Launch)?);
        }
        let Some(subnet) = &subnet else { continue };
        let name = format!("node-{number}");
        let spec = RunInstance::new(name, config.instance_type.clone(), subnet.clone());
        world.run_instance(spec, now).map_err(FleetError::Launch)?;
    }
    let instances = world.fabric().instances.into_iter();
    let nodes = (0..).zip(instances).filter_map(|(number, instance)| {
        let primary = instance.enis.into_iter().next()?;
        Some(Identity {
            number,
            instance: instance.id,
            vpc: vpc.clone(),
            zone: ZONE,
            subnet: Candidate {
                id: primary.subnet.clone(),
                cidr: primary.subnet_cidr,
            },
            groups: primary.security_groups.clone(),
            limits: limits.clone(),
            primary: found(primary),
        })
    });
    let nodes = nodes.collect();
    world.set_rate_limits(config.limits.clone());
    Ok((world, nodes))
}

/// So few that a subnet has everything that all of them may ever hold.
fn nodes_in_one(config: &FleetConfig, limits: &InstanceLimits) -> u32 {
    let slots = limits.secondary_addresses_per_eni();
    let per_slot = match config.mode {
        vpc_ipam::Mode::SecondaryIps => 1,
        vpc_ipam::Mode::Prefixes => 16,
    };
    // A node's ENIs take single addresses, which may break up blocks: half as many again.
    let most = limits.enis * (1 + slots * per_slot);
    let usable = (1_u32 << (32 - SUBNET_BITS)) - 5;
    let wanted = match config.mode {
        vpc_ipam::Mode::SecondaryIps => most,
        vpc_ipam::Mode::Prefixes => most.min(limits.enis + 16 * (2 + config.pods.div_ceil(16)) * 2),
    };
    (usable / wanted).max(1)
}

fn found(eni: FabricEni) -> NewEni {
    let primary = eni.primary;
    let secondary = eni.addresses.into_iter().filter(|own| *own != primary);
    NewEni {
        id: eni.id,
        kind: EniKind::Primary,
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
