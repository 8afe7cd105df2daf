//! From what the fabric holds to what it should hold: the changes, and how `ip` and `nft` are
//! told. Pure.
//!
//! A packet reaches an ENI because the router has a route for each address assigned to it. The
//! primary address has a permanent neighbour entry with the ENI's MAC; everything else is routed
//! by way of the primary address, so it is delivered to the same MAC. Nothing asks by ARP, as in a
//! VPC.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::LinkName;

use super::guard;
use super::wanted::{Port, SourceCheck, Wanted, Wire};

/// An ENI's largest packet in bytes (EC2 user guide, "Network MTU": jumbo frames).
const ENI_MTU: u32 = 9001;

/// One change of links or routes in the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Pulls a cable; its routes go with it.
    RemovePort(LinkName),
    /// Drops a gateway address.
    RemoveGateway(Ipv4Addr),
    /// Takes a gateway address.
    AddGateway(Ipv4Addr),
    /// Plugs a cable in, with the route of its primary address.
    AddPort(Wire),
    /// Stops delivering.
    Withdraw(LinkName, Ipv4Net),
    /// Starts delivering to the port with this name and primary address.
    Deliver(LinkName, Ipv4Addr, Ipv4Net),
}

/// The changes that lead from `old` to `new`, in an order in which each can be made: what goes
/// makes room for what comes.
#[must_use]
pub(super) fn steps(old: &Wanted, new: &Wanted) -> Vec<Step> {
    let stays = |(id, port): &(_, &Port)| {
        let other = new.ports.get(*id);
        other.is_some_and(|other| other.wire == port.wire)
    };
    let gone = old.ports.iter().filter(|pair| !stays(pair));
    let mut removals: Vec<Step> = gone
        .map(|(_, port)| Step::RemovePort(port.wire.name.clone()))
        .collect();
    let dropped = old.gateways.difference(&new.gateways);
    removals.extend(dropped.copied().map(Step::RemoveGateway));
    let taken = new.gateways.difference(&old.gateways);
    let mut additions: Vec<Step> = taken.copied().map(Step::AddGateway).collect();
    let mut deliveries = Vec::new();
    for (id, port) in &new.ports {
        let before = old.ports.get(id).filter(|before| before.wire == port.wire);
        if before.is_none() {
            additions.push(Step::AddPort(port.wire.clone()));
        }
        let held = before
            .map(|before| before.delivered.clone())
            .unwrap_or_default();
        let Wire { name, primary, .. } = &port.wire;
        let withdrawn = held.difference(&port.delivered);
        removals.extend(withdrawn.map(|&net| Step::Withdraw(name.clone(), net)));
        let assigned = port.delivered.difference(&held);
        deliveries.extend(assigned.map(|&net| Step::Deliver(name.clone(), *primary, net)));
    }
    removals
        .into_iter()
        .chain(additions)
        .chain(deliveries)
        .collect()
}

impl Step {
    /// The lines for `ip -batch` in the router's namespace; `netns_of` names a node's namespace.
    #[must_use]
    pub(super) fn lines(&self, netns_of: impl Fn(u8) -> String) -> Vec<String> {
        match self {
            Step::RemovePort(name) => vec![format!("link del {name}")],
            Step::RemoveGateway(address) => vec![format!("addr del {address}/32 dev lo")],
            Step::AddGateway(address) => vec![format!("addr add {address}/32 dev lo")],
            Step::Withdraw(name, net) => vec![format!("route del {net} dev {name}")],
            Step::Deliver(name, primary, net) => {
                vec![format!(
                    "route replace {net} via {primary} dev {name} onlink"
                )]
            }
            Step::AddPort(wire) => {
                let netns = netns_of(wire.node);
                let Wire {
                    name,
                    link,
                    mac,
                    primary,
                    ..
                } = wire;
                vec![
                    format!(
                        "link add {name} mtu {ENI_MTU} type veth \
                         peer name {link} netns {netns} address {mac} mtu {ENI_MTU}"
                    ),
                    format!("link set {name} up"),
                    // Without this an answer for another address waits up to 0.8 s.
                    format!("ntable change name arp_cache dev {name} proxy_delay 0"),
                    format!("neigh replace {primary} lladdr {mac} dev {name} nud permanent"),
                    format!("route replace {primary}/32 dev {name} scope link"),
                ]
            }
        }
    }
}

/// The script for `nft -f` that makes the router's sets hold exactly what `wanted` says, in one
/// transaction.
#[must_use]
pub(super) fn elements(wanted: &Wanted) -> String {
    let mut assigned = Vec::new();
    let mut unchecked = Vec::new();
    let mut public_of = Vec::new();
    let mut primary_of = Vec::new();
    let mut with_public = Vec::new();
    for port in wanted.ports.values() {
        let Wire { name, primary, .. } = &port.wire;
        assigned.push(format!("\"{name}\" . {primary}"));
        let nets = port
            .delivered
            .iter()
            .map(|net| format!("\"{name}\" . {net}"));
        assigned.extend(nets);
        match port.source_check {
            SourceCheck::Enforced => {}
            SourceCheck::Off => unchecked.push(format!("\"{name}\"")),
        }
        if let Some(public) = port.public {
            with_public.push(primary.to_string());
            public_of.push(format!("{primary} : {public}"));
            primary_of.push(format!("{public} : {primary}"));
        }
    }
    [
        fill("set", "assigned", &assigned),
        fill("set", "unchecked", &unchecked),
        fill("set", "with_public", &with_public),
        fill("map", "public_of", &public_of),
        fill("map", "primary_of", &primary_of),
        guard::script(wanted),
    ]
    .concat()
}

/// Empties a set and fills it again.
pub(super) fn fill(kind: &str, name: &str, elements: &[String]) -> String {
    let flush = format!("flush {kind} ip {} {name}\n", super::TABLE);
    if elements.is_empty() {
        return flush;
    }
    let list = elements.join(", ");
    format!(
        "{flush}add element ip {} {name} {{ {list} }}\n",
        super::TABLE
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use vpc_sim::{Direction, FabricRule, Traffic};

    use super::*;
    use crate::fabric::wanted::Role;

    fn port(device: u8, delivered: &[&str]) -> Port {
        Port {
            wire: Wire {
                name: format!("eni1-{device}").parse().unwrap(),
                node: 1,
                link: format!("ens{}", 5 + device).parse().unwrap(),
                role: Role::Secondary,
                mac: format!("02:00:00:00:01:0{device}").parse().unwrap(),
                primary: Ipv4Addr::new(10, 0, 1, 10 + device),
                subnet: "10.0.1.0/24".parse().unwrap(),
            },
            delivered: delivered.iter().map(|net| net.parse().unwrap()).collect(),
            source_check: SourceCheck::Enforced,
            public: None,
            guard: [Direction::Ingress, Direction::Egress]
                .map(everything)
                .into(),
        }
    }

    fn everything(direction: Direction) -> FabricRule {
        FabricRule {
            direction,
            traffic: Traffic::All,
            peers: vec![Ipv4Net::default()],
        }
    }

    fn wanted(ports: Vec<Port>) -> Wanted {
        Wanted {
            gateways: BTreeSet::from([Ipv4Addr::new(10, 0, 1, 1)]),
            ports: ports
                .into_iter()
                .enumerate()
                .map(|(index, port)| (format!("eni-{index:017x}").parse().unwrap(), port))
                .collect(),
        }
    }

    #[test]
    fn nothing_changes_when_nothing_changed() {
        let same = wanted(vec![port(0, &["10.0.1.20/32"]), port(1, &["10.0.1.32/28"])]);
        assert_eq!(steps(&same, &same), []);
    }

    #[test]
    fn an_address_that_moves_between_enis_is_withdrawn_before_it_is_delivered() {
        let before = wanted(vec![port(0, &[]), port(1, &["10.0.1.20/32"])]);
        let after = wanted(vec![port(0, &["10.0.1.20/32"]), port(1, &[])]);
        let moved = "10.0.1.20/32".parse().unwrap();
        let expected = [
            Step::Withdraw("eni1-1".parse().unwrap(), moved),
            Step::Deliver(
                "eni1-0".parse().unwrap(),
                Ipv4Addr::new(10, 0, 1, 10),
                moved,
            ),
        ];
        assert_eq!(steps(&before, &after), expected);
    }

    #[test]
    fn a_detached_eni_loses_its_cable_and_nothing_is_done_about_its_routes() {
        let before = wanted(vec![port(0, &[]), port(1, &["10.0.1.20/32"])]);
        let after = wanted(vec![port(0, &[])]);
        let expected = [Step::RemovePort("eni1-1".parse().unwrap())];
        assert_eq!(steps(&before, &after), expected);
    }

    #[test]
    fn another_eni_on_the_same_device_is_plugged_in_after_the_old_one_is_out() {
        let before = wanted(vec![port(1, &[])]);
        let mut other = port(1, &["10.0.1.32/28"]);
        other.wire.mac = "02:00:00:00:09:09".parse().unwrap();
        let after = wanted(vec![other]);
        let kinds: Vec<&str> = steps(&before, &after)
            .iter()
            .map(|step| match step {
                Step::RemovePort(_) => "remove",
                Step::AddPort(_) => "add",
                Step::Deliver(..) => "deliver",
                Step::RemoveGateway(_) | Step::AddGateway(_) | Step::Withdraw(..) => "other",
            })
            .collect();
        assert_eq!(kinds, ["remove", "add", "deliver"]);
    }

    #[test]
    fn the_sets_hold_every_assigned_address_of_each_port_and_no_empty_list() {
        let mut open = port(1, &["10.0.1.32/28"]);
        open.source_check = SourceCheck::Off;
        let mut known = port(0, &["10.0.1.20/32"]);
        known.public = Some(Ipv4Addr::new(203, 0, 113, 11));
        let script = elements(&wanted(vec![known, open]));
        let expected = "\
flush set ip vpc assigned
add element ip vpc assigned { \"eni1-0\" . 10.0.1.10, \"eni1-0\" . 10.0.1.20/32, \"eni1-1\" . 10.0.1.11, \"eni1-1\" . 10.0.1.32/28 }
flush set ip vpc unchecked
add element ip vpc unchecked { \"eni1-1\" }
flush set ip vpc with_public
add element ip vpc with_public { 10.0.1.10 }
flush map ip vpc public_of
add element ip vpc public_of { 10.0.1.10 : 203.0.113.11 }
flush map ip vpc primary_of
add element ip vpc primary_of { 203.0.113.11 : 10.0.1.10 }
flush set ip vpc guarded
flush chain ip vpc may_leave
flush chain ip vpc may_arrive
";
        assert_eq!(script, expected);
        assert!(!elements(&Wanted::default()).contains('{'));
    }
}
