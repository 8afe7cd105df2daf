//! What every lab has from the start: the router, the hosts outside, and nodes without a cable.

use crate::addresses::{
    EC2_API, INTERNET, INTERNET_CIDR, INTERNET_GATEWAY, METADATA, ON_PREMISES, ON_PREMISES_GATEWAY,
    ON_PREMISES_LENGTH, VPC_CIDR,
};
use crate::names::{LabName, NODES, netns_path};
use crate::tool::Tools;

use super::{Error, sysctl};

/// The router's filter, sets and address translation.
const ROUTER_TABLE: &str = include_str!("router.nft");

/// Forwards, answers ARP for every address it has a route to, and trusts its own source check
/// rather than the kernel's.
const ROUTER_SETTINGS: &[(&str, &str)] = &[
    ("ipv4/ip_forward", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv4/conf/default/proxy_arp", "1"),
];

/// As an EKS node boots, and not what the daemon needs: forwarding is off, so that it has to be
/// switched on. Only the primary ENI's reverse-path filter is strict (see [`super::boot`]).
const NODE_SETTINGS: &[(&str, &str)] = &[
    ("ipv4/ip_forward", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
];

/// Accepts packets on whichever of its two links they come.
const OUTSIDE_SETTINGS: &[(&str, &str)] = &[
    ("ipv4/ip_forward", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
];

/// Makes the namespaces and everything in them that does not depend on the cloud's state.
pub(super) fn build(tools: &Tools, name: &LabName) -> Result<(), Error> {
    let nodes = (1..=NODES).map(|number| name.node(number));
    let all: Vec<String> = [name.router(), name.outside()]
        .into_iter()
        .chain(nodes)
        .collect();
    let add: Vec<String> = all.iter().map(|one| format!("netns add {one}")).collect();
    tools.ip(None, &add).map_err(Error::Namespaces)?;
    for number in 1..=NODES {
        let netns = name.node(number);
        let failed = |source| Error::Node { number, source };
        tools
            .ip(Some(&netns), &lines(&["link set lo up"]))
            .map_err(failed)?;
        sysctl::write(&netns_path(&netns), NODE_SETTINGS)?;
    }
    let router = netns_path(&name.router());
    sysctl::write(&router, ROUTER_SETTINGS)?;
    sysctl::write(&netns_path(&name.outside()), OUTSIDE_SETTINGS)?;
    tools
        .ip(Some(&name.router()), &router_lines(&name.outside()))
        .map_err(Error::Router)?;
    tools
        .ip(Some(&name.outside()), &outside_lines())
        .map_err(Error::Outside)?;
    tools.nft(&router, ROUTER_TABLE).map_err(Error::Router)
}

fn router_lines(outside: &str) -> Vec<String> {
    [
        lines(&["link set lo up"]),
        vec![
            format!("addr add {METADATA}/32 dev lo"),
            format!("addr add {EC2_API}/32 dev lo"),
            format!("link add onprem type veth peer name onprem netns {outside}"),
            format!("link add internet type veth peer name internet netns {outside}"),
            format!("addr add {ON_PREMISES_GATEWAY}/{ON_PREMISES_LENGTH} dev onprem"),
            format!(
                "addr add {INTERNET_GATEWAY}/{} dev internet",
                INTERNET_CIDR.prefix_len()
            ),
        ],
        lines(&["link set onprem up", "link set internet up"]),
    ]
    .concat()
}

/// The internet host has no neighbours of its own: everything in its block is behind the gateway.
fn outside_lines() -> Vec<String> {
    [
        lines(&[
            "link set lo up",
            "link set onprem up",
            "link set internet up",
        ]),
        vec![
            format!("addr add {ON_PREMISES}/{ON_PREMISES_LENGTH} dev onprem"),
            format!("route add {VPC_CIDR} via {ON_PREMISES_GATEWAY}"),
            format!("addr add {INTERNET}/32 dev internet"),
            format!("route add {INTERNET_GATEWAY} dev internet scope link"),
            format!("route add {INTERNET_CIDR} via {INTERNET_GATEWAY} src {INTERNET}"),
        ],
    ]
    .concat()
}

pub(super) fn lines(fixed: &[&str]) -> Vec<String> {
    fixed.iter().map(|&line| line.to_owned()).collect()
}
