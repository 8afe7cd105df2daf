//! What a lab is doing.

use std::process::ExitCode;

use vpc_lab::fabric::counters;
use vpc_lab::names::netns_path;
use vpc_lab::preflight;
use vpc_lab::recorded_daemon;
use vpc_lab::runtime::pod::Records;
use vpc_lab::state::{EniRecord, LabFolder, NodeRecord};

use super::report::Failure;

/// Prints it.
pub(super) fn status(folder: &LabFolder) -> Result<ExitCode, Failure> {
    let lab = folder.read_lab()?;
    let owner = folder.owner()?.map_or(0, |owner| owner.pid);
    println!("Lab {}: up, held by process {owner}", folder.name());
    println!("  folder    {}", folder.path().display());
    println!("  EC2 API   {}", lab.ec2_endpoint);
    println!("  nodes     {}", lab.instance_type);
    let enis = folder.read_enis()?;
    let pods = Records::in_folder(folder.pods()).all()?;
    for node in &lab.nodes {
        let own = pods.iter().filter(|record| record.node == node.number);
        print_node(folder, node, own.count())?;
        for eni in enis.iter().filter(|eni| eni.node == node.number) {
            print_eni(eni);
        }
    }
    // Reading the router's counters takes root; everything above does not.
    if let Ok(tools) = preflight::tools() {
        let dropped = counters::read(&tools, &netns_path(&folder.name().router()))?;
        println!("router dropped");
        println!(
            "  {:6} packets with a source that is not the ENI's",
            dropped.spoofed
        );
        println!(
            "  {:6} packets to the internet from addresses without a public one",
            dropped.no_public_address
        );
        println!(
            "  {:6} packets that no security group lets pass",
            dropped.refused
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn print_node(folder: &LabFolder, node: &NodeRecord, pods: usize) -> Result<(), Failure> {
    let daemon = match recorded_daemon(folder, node.number)? {
        Some(pid) => format!("ipamd is process {pid}"),
        None => "ipamd does not run".to_owned(),
    };
    println!(
        "node{}  {}  {} (public {})  {daemon}  {pods} pods",
        node.number, node.instance, node.primary_address, node.public_address
    );
    Ok(())
}

fn print_eni(eni: &EniRecord) {
    println!(
        "  {:6} {}  {}  {:13} + {} secondary addresses, {} prefixes",
        eni.link, eni.id, eni.mac, eni.primary, eni.secondary_addresses, eni.prefixes
    );
}
