//! Whose rules and routes the kernel has for an address.
//!
//! When ipamd vouches for a sandbox's address, what the kernel has for it is that sandbox's: a
//! released address is not handed out again for a while. When it does not (it is away, or does not
//! know the sandbox), the address may belong to another pod by now, and only what is surely the
//! sandbox's may be removed.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use vpc_datapath::pod::{self, PodPlan};
use vpc_datapath::rules;
use vpc_model::names::host_veth;
use vpc_model::{LinkName, Mtu, PodName, RouteTableId, VethPrefix};

use crate::prev_result::PreviousNic;

/// The main table's IPv4 routes, as text.
const ROUTES: &str = "/proc/thread-self/net/route";

/// What is known about an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// No route leads to it, so rules for it are nobody's.
    Nobody,
    /// The sandbox in question.
    ThisSandbox,
    /// Another sandbox, or one that cannot be told from this one.
    PerhapsAnother,
}

/// Finds out who holds the address in `plan`, which is how the sandbox was wired in `netns`;
/// `None` when the namespace is gone.
///
/// # Errors
/// The kernel's routes cannot be read.
pub fn holder(plan: &PodPlan, netns: Option<&Path>) -> io::Result<Holder> {
    let routes = std::fs::read_to_string(ROUTES)?;
    let Some(link) = route_to(&routes, plan.address) else {
        return Ok(Holder::Nobody);
    };
    if link != plan.host_veth {
        return Ok(Holder::PerhapsAnother);
    }
    // A pod created again under its name has a veth of the same name. Only the namespace tells.
    let as_wired = |netns| pod::check(netns, plan).is_ok_and(|differences| differences.is_empty());
    Ok(if netns.is_some_and(as_wired) {
        Holder::ThisSandbox
    } else {
        Holder::PerhapsAnother
    })
}

/// How an interface was wired, from what the previous result tells and, where it does not tell
/// the route table, from the rule in the kernel.
#[must_use]
pub fn as_wired(nic: PreviousNic, pod: &PodName, prefix: &VethPrefix, mtu: Mtu) -> PodPlan {
    let PreviousNic {
        index,
        container_if,
        address,
        table,
    } = nic;
    PodPlan {
        container_if,
        host_veth: host_veth(prefix, pod, index),
        address,
        index,
        mtu,
        table: table
            .or_else(|| table_in_use(address))
            .unwrap_or(RouteTableId::MAIN),
    }
}

fn table_in_use(address: Ipv4Addr) -> Option<RouteTableId> {
    let rules = rules::pods_on_node().ok()?;
    rules
        .into_iter()
        .find(|rules| rules.address == address)?
        .from_pod
}

/// The link that the host route to `address` leads over.
fn route_to(routes: &str, address: Ipv4Addr) -> Option<LinkName> {
    // The kernel prints the address as a number in its own byte order.
    let wanted = format!("{:08X}", u32::from_ne_bytes(address.octets()));
    routes.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let (link, destination, mask) = (columns.first()?, columns.get(1)?, columns.get(7)?);
        let leads = *destination == wanted && *mask == "FFFFFFFF";
        leads.then(|| link.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_route_to_the_address_counts() {
        let wanted = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let (pod, subnet) = (wanted([10, 0, 1, 15]), wanted([10, 0, 1, 0]));
        let routes = format!(
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
             ens5\t00000000\t0101000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
             ens5\t{subnet}\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
             enicc21c2d7785\t{pod}\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n"
        );
        let link = route_to(&routes, Ipv4Addr::new(10, 0, 1, 15)).unwrap();
        assert_eq!(link.as_str(), "enicc21c2d7785");
        assert_eq!(route_to(&routes, Ipv4Addr::new(10, 0, 1, 16)), None);
        assert_eq!(route_to(&routes, Ipv4Addr::new(10, 0, 1, 0)), None);
    }
}
