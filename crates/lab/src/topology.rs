//! The cloud of a lab: one VPC, a subnet in each of two availability zones, an instance in each.

use vpc_model::{InstanceType, Timestamp};
use vpc_sim::{ApiError, PublicAddress, RunInstance, Secondary, Sim, World, WorldConfig};

use crate::addresses::{
    SubnetLength, VPC_CIDR, address_of_node, public_address_of_node, subnet_of_node,
};
use crate::names::{NODES, node_name};
use crate::state::NodeRecord;

/// How the nodes are launched, both alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// The instance type.
    pub instance_type: InstanceType,
    /// How large their subnets are.
    pub subnet_length: SubnetLength,
    /// What their primary ENIs hold from the start, beside their own addresses.
    pub launched_with: Secondary,
}

impl Nodes {
    /// Nodes of this type, with everything else as usual.
    #[must_use]
    pub fn of_type(instance_type: InstanceType) -> Nodes {
        Nodes {
            instance_type,
            subnet_length: SubnetLength::default(),
            launched_with: Secondary::None,
        }
    }
}

/// A simulated cloud with the nodes launched in it, first to last.
///
/// # Errors
/// As [`launch`].
pub fn cloud(config: WorldConfig, nodes: &Nodes) -> Result<(Sim, Vec<NodeRecord>), ApiError> {
    let region = config.region.clone();
    let sim = Sim::new(World::new(config));
    let records = sim.with(|world, now| launch(world, &region, nodes, now))?;
    Ok((sim, records))
}

/// Makes the VPC in `world` and launches the nodes, first to last.
///
/// # Errors
/// The world refused: it does not know the instance type, or an ENI or subnet has too little room.
pub fn launch(
    world: &mut World,
    region: &str,
    nodes: &Nodes,
    now: Timestamp,
) -> Result<Vec<NodeRecord>, ApiError> {
    let vpc = world.create_vpc(VPC_CIDR);
    // A lab is about security groups only where somebody makes it so.
    world.open_default_group(&vpc)?;
    let mut launched = Vec::new();
    for (number, zone) in (1..=NODES).zip('a'..) {
        let zone = format!("{region}{zone}");
        let cidr = subnet_of_node(number, nodes.subnet_length);
        let subnet = world.create_subnet(&vpc, cidr, &zone)?;
        let primary_address = address_of_node(number, nodes.subnet_length);
        let public_address = public_address_of_node(number);
        let instance_type = nodes.instance_type.clone();
        let mut run = RunInstance::new(node_name(number), instance_type, subnet.clone());
        run.private_ip = Some(primary_address);
        run.secondary = nodes.launched_with;
        run.public = PublicAddress::Exact(public_address);
        launched.push(NodeRecord {
            number,
            instance: world.run_instance(run, now)?,
            subnet,
            primary_address,
            public_address,
        });
    }
    Ok(launched)
}
