//! Our rules beside kube-proxy's, in each of its modes: services are reached from the node, from
//! pods, by the pods themselves that serve them, and from outside, and the other side's address
//! is the one that kube-proxy promises.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::net::{Ipv4Addr, UdpSocket};

use common::fixture::{Iptables, KUBE_PROXY, KUBE_PROXY_NFT, POD_A, POD_B, PORT, nft};
use common::topology::{IN_VPC, NODE, OUTSIDE, Topology, facts};
use common::{Namespace, answer_with_source, ask, plan};
use vpc_datapath::host::{ExternalSnat, HostFacts, NodePort};

/// The services of the fixtures: `a`'s pod is on the primary ENI, `b`'s and `l`'s on the other.
const CLUSTER_A: (Ipv4Addr, u16) = (Ipv4Addr::new(172, 20, 0, 10), 80);
const CLUSTER_B: (Ipv4Addr, u16) = (Ipv4Addr::new(172, 20, 0, 20), 80);
const NODE_PORT_A: (Ipv4Addr, u16) = (NODE, 30010);
const NODE_PORT_B: (Ipv4Addr, u16) = (NODE, 30020);
/// With external traffic policy Local: the client's address is kept.
const NODE_PORT_L: (Ipv4Addr, u16) = (NODE, 30030);

#[derive(Debug, Clone, Copy)]
enum Mode {
    Iptables(Iptables),
    Nftables,
}

const MODES: [Mode; 3] = [
    Mode::Iptables(Iptables::Nft),
    Mode::Iptables(Iptables::Legacy),
    Mode::Nftables,
];

/// The node with its rules and kube-proxy's, the services' pods and two more that ask.
struct Stage {
    topology: Topology,
    a: Namespace,
    b: Namespace,
    askers: [(Ipv4Addr, Namespace); 2],
    _servers: Vec<UdpSocket>,
}

impl Stage {
    fn new(mode: Mode, facts: &HostFacts) -> Stage {
        let topology = Topology::new().with_second_eni();
        match mode {
            Mode::Iptables(iptables) => iptables.restore(&topology.node, KUBE_PROXY),
            Mode::Nftables => nft(&topology.node, KUBE_PROXY_NFT),
        }
        topology.apply(facts);
        let (a, b) = (topology.pod(POD_A, 254), topology.pod(POD_B, 2));
        let askers = [(21, 254), (131, 2)]
            .map(|(last, table)| (plan(last, table).address, topology.pod(last, table)));
        for on_primary in [20, 21] {
            topology
                .world
                .ip(&format!("route add 10.0.1.{on_primary}/32 via {NODE}"));
        }
        let mut servers = Vec::new();
        for (pod, last) in [(&a, POD_A), (&b, POD_B)] {
            servers.push(pod.inside(|| answer_with_source(plan(last, 0).address, PORT)));
        }
        for address in [OUTSIDE, IN_VPC] {
            let world = &topology.world;
            servers.push(world.inside(|| answer_with_source(address, PORT)));
        }
        Stage {
            topology,
            a,
            b,
            askers,
            _servers: servers,
        }
    }
}

/// As whom a client in this namespace is seen, by its first packet and by its second. A client on
/// a port of its own; kube-proxy's random choices are made many times.
fn seen(from: &Namespace, own: Ipv4Addr, target: (Ipv4Addr, u16)) -> Option<Ipv4Addr> {
    from.inside(|| {
        let mut sources = (0..4).map(|_| {
            let socket = UdpSocket::bind((own, 0)).unwrap();
            let first = ask(&socket, target)?;
            (ask(&socket, target)? == first).then(|| first.parse().unwrap())
        });
        let first = sources.next()?;
        sources.all(|source| source == first).then_some(first)?
    })
}

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

#[test]
fn pods_reach_services_with_their_own_address() {
    for mode in MODES {
        let stage = Stage::new(mode, &facts());
        for (address, pod) in &stage.askers {
            for service in [CLUSTER_A, CLUSTER_B] {
                let case = format!("{mode:?} {address} to {service:?}");
                assert_eq!(seen(pod, ANY, service), Some(*address), "{case}");
            }
            for service in [NODE_PORT_A, NODE_PORT_B] {
                let case = format!("{mode:?} {address} to {service:?}");
                assert!(seen(pod, ANY, service).is_some(), "{case}");
            }
            // Beside that, all is as it was.
            assert_eq!(seen(pod, ANY, (OUTSIDE, PORT)), Some(NODE), "{mode:?}");
            assert_eq!(seen(pod, ANY, (IN_VPC, PORT)), Some(*address), "{mode:?}");
        }
    }
}

#[test]
fn a_pod_reaches_itself_by_its_service() {
    for mode in MODES {
        let stage = Stage::new(mode, &facts());
        for (pod, last, service) in [(&stage.a, POD_A, CLUSTER_A), (&stage.b, POD_B, CLUSTER_B)] {
            let source = seen(pod, ANY, service);
            let source = source.unwrap_or_else(|| panic!("{mode:?} {service:?}: no answer"));
            assert_ne!(source, plan(last, 0).address, "{mode:?}: masqueraded");
        }
    }
}

#[test]
fn the_node_reaches_services() {
    for mode in MODES {
        let stage = Stage::new(mode, &facts());
        for service in [CLUSTER_A, CLUSTER_B, NODE_PORT_A, NODE_PORT_B] {
            let source = seen(&stage.topology.node, ANY, service);
            assert!(source.is_some(), "{mode:?} {service:?}");
        }
    }
}

#[test]
fn node_ports_are_reached_from_the_vpc_and_from_outside() {
    for mode in MODES {
        for external_snat in [ExternalSnat::Off, ExternalSnat::On] {
            let stage = Stage::new(
                mode,
                &HostFacts {
                    external_snat,
                    node_port: NodePort::On,
                    ..facts()
                },
            );
            let world = &stage.topology.world;
            // An answer by another ENI than the one asked is none.
            for link in ["to-ens5", "to-ens6"] {
                world.set_sysctl(&format!("net/ipv4/conf/{link}/rp_filter"), "0");
            }
            world.nft("add table ip only");
            world.nft("add chain ip only pre { type filter hook prerouting priority -300; }");
            world.nft(&format!(
                "add rule ip only pre iifname to-ens6 ip saddr {NODE} drop"
            ));
            for client in [IN_VPC, OUTSIDE] {
                for service in [NODE_PORT_A, NODE_PORT_B, NODE_PORT_L] {
                    let case = format!("{mode:?} {external_snat:?} {client} to {service:?}");
                    let source = seen(world, client, service);
                    assert!(source.is_some(), "{case}");
                    if service == NODE_PORT_L {
                        assert_eq!(source, Some(client), "{case}");
                    } else {
                        assert_ne!(source, Some(client), "{case}: masqueraded");
                    }
                }
            }
        }
    }
}
