//! The VPC's wires: a router, nodes, ENIs that come and go, and hosts outside, all in the kernel.
//!
//! ```text
//!            node1 ─ ens5 ═══ eni1-0 ┐                 ┌ onprem ═══ 198.51.100.9
//!                  ─ ens6 ═══ eni1-1 ┤ router (<lab>-vpc)           (<lab>-outside)
//!            node2 ─ ens5 ═══ eni2-0 ┘                 └ internet ═ 203.0.113.9
//! ```
//!
//! Each `═══` is a veth pair. The router is the VPC: it delivers by assigned address, drops what
//! leaves an ENI with an address that is not its own and what the security groups do not let pass, and translates primary addresses to public
//! ones towards the internet. [`Fabric::sync`] makes the kernel follow the simulated cloud.

mod boot;
mod build;
pub mod counters;
mod guard;
pub mod serve;
mod steps;
mod sysctl;
mod wanted;

use std::net::Ipv4Addr;

use vpc_model::LinkNameError;
use vpc_sim::FabricView;

use crate::names::{LabName, netns_path};
use crate::tool::{self, Tools};

pub use counters::Counters;
pub use sysctl::Error as SysctlError;
pub use wanted::link_name;

use steps::Step;
use wanted::{Role, Wanted};

/// The router's nftables table.
const TABLE: &str = "vpc";

/// Why the fabric is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespaces could not be made.
    #[error("cannot make the lab's network namespaces")]
    Namespaces(#[source] tool::Error),
    /// The router.
    #[error("cannot set up the VPC router")]
    Router(#[source] tool::Error),
    /// The outside.
    #[error("cannot set up the hosts outside the VPC")]
    Outside(#[source] tool::Error),
    /// A node.
    #[error("cannot set up node {number}")]
    Node {
        /// Its number.
        number: u8,
        /// Why not.
        #[source]
        source: tool::Error,
    },
    /// Kernel settings.
    #[error(transparent)]
    Sysctl(#[from] sysctl::Error),
    /// Links and routes could not follow the cloud.
    #[error("cannot change the router's links and routes")]
    Links(#[source] tool::Error),
    /// The source check and the address translation could not follow the cloud.
    #[error("cannot change the router's address sets")]
    Sets(#[source] tool::Error),
    /// A device has no link name.
    #[error("cannot name an ENI's link")]
    LinkName(#[source] LinkNameError),
    /// The router's counters could not be read.
    #[error("cannot read the router's counters")]
    Counters(#[source] tool::Error),
    /// The router's counters are not what `nft -j` prints.
    #[error("cannot understand the router's counters")]
    CounterFormat(#[source] serde_json::Error),
}

/// The fabric of one lab, as far as it was told to the kernel.
#[derive(Debug)]
pub struct Fabric {
    tools: Tools,
    name: LabName,
    present: Wanted,
}

impl Fabric {
    /// Makes router, outside hosts and nodes; no node has an ENI yet.
    ///
    /// # Errors
    /// [`Error`]; what was made so far is there, to be removed by the lab's name.
    pub fn build(tools: &Tools, name: &LabName) -> Result<Fabric, Error> {
        build::build(tools, name)?;
        Ok(Fabric {
            tools: tools.clone(),
            name: name.clone(),
            present: Wanted::default(),
        })
    }

    /// Plugs, unplugs, delivers and translates as `view` says. A node's first primary ENI is set
    /// up as its operating system would; further ENIs appear down and bare.
    ///
    /// # Errors
    /// [`Error`]. The next call does not repeat what failed.
    pub fn sync(&mut self, view: &FabricView) -> Result<(), Error> {
        let wanted = Wanted::of(view).map_err(Error::LinkName)?;
        if wanted == self.present {
            return Ok(());
        }
        let steps = steps::steps(&self.present, &wanted);
        let elements = steps::elements(&wanted);
        self.present = wanted;
        let lines: Vec<String> = steps
            .iter()
            .flat_map(|step| step.lines(|node| self.name.node(node)))
            .collect();
        let router = self.name.router();
        self.tools.ip(Some(&router), &lines).map_err(Error::Links)?;
        self.tools
            .nft(&netns_path(&router), &elements)
            .map_err(Error::Sets)?;
        for step in &steps {
            if let Step::AddPort(wire) = step
                && wire.role == Role::Primary
            {
                boot::boot(
                    &self.tools,
                    &self.name,
                    wire,
                    first_host(wire.subnet.network()),
                )?;
            }
        }
        Ok(())
    }
}

/// The router's address in a subnet (VPC user guide, "Subnet CIDR blocks": the second address).
fn first_host(network: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(network.to_bits() + 1)
}
