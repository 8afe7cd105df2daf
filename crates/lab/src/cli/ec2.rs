//! Only the simulated cloud, for programs that speak to EC2.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;

use vpc_lab::addresses::VPC_CIDR;
use vpc_lab::config::STANDARD_INSTANCE_TYPE;
use vpc_lab::fabric::serve::{listen_here, serve as answer};
use vpc_lab::topology::{self, Nodes};
use vpc_sim::{IdentifyBy, WorldConfig};

use super::faults::Faults;
use super::report::{Failure, system};
use super::wait;

/// Serves an example VPC on 127.0.0.1 until interrupted.
pub(super) fn serve(
    config: WorldConfig,
    faults: Vec<Faults>,
    (port, imds_port): (u16, Option<u16>),
) -> Result<ExitCode, Failure> {
    let region = config.region.clone();
    let instance_type = STANDARD_INSTANCE_TYPE
        .parse()
        .map_err(|error| Failure::NotUp(format!("{error}")))?;
    let (sim, nodes) = topology::cloud(config, &Nodes::of_type(instance_type))?;
    for fault in faults.into_iter().flat_map(|it| it.0) {
        sim.add_fault(fault);
    }
    let here = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let ec2 = listen_here(here(port))?;
    let port = ec2.local_addr().map_err(system("learn the port"))?.port();
    println!("EC2 API on http://127.0.0.1:{port}, region {region}, VPC {VPC_CIDR}:");
    for node in &nodes {
        let (number, primary) = (node.number, node.primary_address);
        println!(
            "  node{number}  {}  {}  {primary}",
            node.instance, node.subnet
        );
    }
    let metadata = match (imds_port, nodes.first()) {
        (Some(port), Some(node)) => {
            println!("metadata of {} on http://127.0.0.1:{port}", node.instance);
            let who = IdentifyBy::Instance(node.instance.clone());
            Some((listen_here(here(port))?, sim.imds_router(who)))
        }
        (Some(_) | None, _) => None,
    };
    println!("\nTry it:");
    println!("  export AWS_ENDPOINT_URL=http://127.0.0.1:{port} AWS_REGION={region}");
    println!("  export AWS_ACCESS_KEY_ID=lab AWS_SECRET_ACCESS_KEY=lab");
    println!("  aws ec2 describe-network-interfaces\n\nCtrl-C ends it.");
    wait::runtime()?.block_on(async {
        tokio::select! {
            result = answer(ec2, sim.ec2_router()) => result.map_err(system("serve EC2"))?,
            result = async {
                match metadata {
                    Some((listener, router)) => answer(listener, router).await,
                    None => std::future::pending().await,
                }
            } => result.map_err(system("serve metadata"))?,
            () = async { sim.run().await; } => {}
            result = wait::interrupted() => result?,
        }
        Ok(ExitCode::SUCCESS)
    })
}
