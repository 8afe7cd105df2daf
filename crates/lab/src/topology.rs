//! The cloud of a lab: one VPC, a subnet in each of two availability zones, an instance in each.

use vpc_model::{InstanceType, Timestamp};
use vpc_sim::{ApiError, PublicAddress, RunInstance, Sim, World, WorldConfig};

use crate::addresses::{VPC_CIDR, address_of_node, public_address_of_node, subnet_of_node};
use crate::names::{NODES, node_name};
use crate::state::NodeRecord;

/// A simulated cloud with the nodes launched in it, first to last.
///
/// # Errors
/// As [`launch`].
pub fn cloud(
    config: WorldConfig,
    instance_type: &InstanceType,
) -> Result<(Sim, Vec<NodeRecord>), ApiError> {
    let region = config.region.clone();
    let sim = Sim::new(World::new(config));
    let nodes = sim.with(|world, now| launch(world, &region, instance_type, now))?;
    Ok((sim, nodes))
}

/// Makes the VPC in `world` and launches the nodes, first to last.
///
/// # Errors
/// The world refused, because it does not know the instance type.
pub fn launch(
    world: &mut World,
    region: &str,
    instance_type: &InstanceType,
    now: Timestamp,
) -> Result<Vec<NodeRecord>, ApiError> {
    let vpc = world.create_vpc(VPC_CIDR);
    let mut nodes = Vec::new();
    for (number, zone) in (1..=NODES).zip('a'..) {
        let zone = format!("{region}{zone}");
        let subnet = world.create_subnet(&vpc, subnet_of_node(number), &zone)?;
        let primary_address = address_of_node(number);
        let public_address = public_address_of_node(number);
        let mut run = RunInstance::new(node_name(number), instance_type.clone(), subnet.clone());
        run.private_ip = Some(primary_address);
        run.public = PublicAddress::Exact(public_address);
        nodes.push(NodeRecord {
            number,
            instance: world.run_instance(run, now)?,
            subnet,
            primary_address,
            public_address,
        });
    }
    Ok(nodes)
}
