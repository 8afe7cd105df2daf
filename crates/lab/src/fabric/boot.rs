//! What an instance's operating system does with its primary ENI when it boots: what DHCP says.

use crate::names::{LabName, netns_path};
use crate::tool::Tools;

use super::build::lines;
use super::wanted::Wire;
use super::{Error, sysctl};

/// Sets the primary ENI up. `gateway` is the router's address in its subnet.
///
/// Its reverse-path filter is strict, as Amazon Linux has it; the daemon has to loosen it.
pub(super) fn boot(
    tools: &Tools,
    name: &LabName,
    wire: &Wire,
    gateway: std::net::Ipv4Addr,
) -> Result<(), Error> {
    let netns = name.node(wire.node);
    let link = &wire.link;
    let strict = format!("ipv4/conf/{link}/rp_filter");
    sysctl::write(&netns_path(&netns), &[(&strict, "1")])?;
    let length = wire.subnet.prefix_len();
    let mut batch = lines(&["link set lo up"]);
    batch.extend([
        format!("link set {link} up"),
        format!("addr add {}/{length} brd + dev {link}", wire.primary),
        format!("route add default via {gateway} dev {link}"),
    ]);
    tools
        .ip(Some(&netns), &batch)
        .map_err(|source| Error::Node {
            number: wire.node,
            source,
        })
}
