//! Each row of the matrix of external SNAT and NodePort support, by packets in both directions:
//! which source the other side sees, by which ENI packets come, and whether answers arrive.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::net::{Ipv4Addr, UdpSocket};

use common::topology::{EXCLUDED, IN_VPC, NODE, OUTSIDE, Topology, facts};
use common::{Namespace, answer_with_source, ask, plan};
use vpc_datapath::host::{ExternalSnat, HostFacts, NodePort};
use vpc_model::PortRange;

const PORT: u16 = 5300;
/// A pod on the primary ENI and one on the secondary: the last byte and the route table.
const ON_PRIMARY: (u8, u32) = (20, 254);
const ON_SECONDARY: (u8, u32) = (130, 2);

fn address((last, _): (u8, u32)) -> Ipv4Addr {
    plan(last, 0).address
}

/// The topology with a pod on each ENI, which answers, and answering hosts in the world.
struct Stage {
    topology: Topology,
    pods: [((u8, u32), Namespace); 2],
    _servers: Vec<UdpSocket>,
}

impl Stage {
    fn new(facts: &HostFacts) -> Self {
        let topology = Topology::new().with_second_eni();
        topology.apply(facts);
        let pods = [ON_PRIMARY, ON_SECONDARY].map(|at| (at, topology.pod(at.0, at.1)));
        topology.world.ip("route add 10.0.1.20/32 via 10.0.1.10");
        let mut servers: Vec<UdpSocket> = topology
            .world
            .inside(|| [OUTSIDE, IN_VPC, EXCLUDED].map(|address| answer_with_source(address, PORT)))
            .into();
        for (at, pod) in &pods {
            servers.push(pod.inside(|| answer_with_source(address(*at), PORT)));
        }
        // Counts what the world gets, by link and source.
        let world = &topology.world;
        world.nft("add table ip seen");
        world.nft("add chain ip seen pre { type filter hook prerouting priority -300; }");
        Self {
            topology,
            pods,
            _servers: servers,
        }
    }

    /// The source that the world sees of a pod's packets, of the first of a connection and of one
    /// that follows, and the ENI by which it gets them.
    fn seen_from(&self, at: (u8, u32), target: Ipv4Addr) -> (Ipv4Addr, &'static str) {
        let (_, pod) = self.pods.iter().find(|(other, _)| *other == at).unwrap();
        let count = self.count(&format!("ip daddr {target}"));
        let source = pod.inside(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            let first = ask(&socket, (target, PORT)).unwrap();
            assert_eq!(ask(&socket, (target, PORT)).unwrap(), first);
            first.parse().unwrap()
        });
        (source, count.taken(self))
    }

    /// Asks from the world, twice; whether both answers came, and by which ENI the node sent them.
    fn asked_from_world(&self, client: Ipv4Addr, target: (Ipv4Addr, u16)) -> (bool, &'static str) {
        let count = self.count(&format!("ip daddr {client}"));
        let answered = self.topology.world.inside(|| {
            let socket = UdpSocket::bind((client, 0)).unwrap();
            let once = || {
                socket
                    .set_read_timeout(Some(std::time::Duration::from_secs(2)))
                    .unwrap();
                socket.send_to(b"?", target).unwrap();
                let mut buffer = [0; 64];
                let answer = socket.recv_from(&mut buffer);
                answer.is_ok_and(|(_, from)| from == target.into())
            };
            once() && once()
        });
        (answered, count.taken(self))
    }

    fn count(&self, what: &str) -> Count {
        self.topology.world.nft("flush chain ip seen pre");
        for link in ["to-ens5", "to-ens6"] {
            self.topology.world.nft(&format!(
                "add rule ip seen pre iifname {link} {what} counter"
            ));
        }
        Count
    }
}

/// Counters that were set to nothing.
struct Count;

impl Count {
    /// The one ENI by which packets came.
    fn taken(self, stage: &Stage) -> &'static str {
        let listing = stage.topology.world.exec("nft", "list chain ip seen pre");
        let came = |link: &str| {
            let line = listing.lines().find(|line| line.contains(link)).unwrap();
            !line.contains("packets 0 ")
        };
        match (came("to-ens5"), came("to-ens6")) {
            (true, false) => "primary",
            (false, true) => "secondary",
            (true, true) => "both",
            (false, false) => "neither",
        }
    }
}

/// What kube-proxy does for NodePorts, reduced to a rule for each pod: port 30000 + last byte.
fn forward_node_ports(topology: &Topology) {
    topology.node.nft("add table ip proxy");
    topology
        .node
        .nft("add chain ip proxy pre { type nat hook prerouting priority -100; }");
    for at in [ON_PRIMARY, ON_SECONDARY] {
        topology.node.nft(&format!(
            "add rule ip proxy pre ip daddr {NODE} udp dport {} dnat to {}:{PORT}",
            node_port(at),
            address(at)
        ));
    }
}

fn node_port((last, _): (u8, u32)) -> u16 {
    30_000 + u16::from(last)
}

fn row(external_snat: ExternalSnat, node_port_support: NodePort) {
    let stage = Stage::new(&HostFacts {
        external_snat,
        node_port: node_port_support,
        ..facts()
    });
    forward_node_ports(&stage.topology);
    for (at, own_eni) in [(ON_PRIMARY, "primary"), (ON_SECONDARY, "secondary")] {
        let own = address(at);
        let case = format!("{external_snat:?} {node_port_support:?} {own}");
        let outside = match external_snat {
            ExternalSnat::Off => (NODE, "primary"),
            ExternalSnat::On => (own, own_eni),
        };
        assert_eq!(stage.seen_from(at, OUTSIDE), outside, "{case} to outside");
        assert_eq!(stage.seen_from(at, IN_VPC), (own, own_eni), "{case} in VPC");
        assert_eq!(
            stage.seen_from(at, EXCLUDED),
            (own, own_eni),
            "{case} to an excluded network"
        );
        // From the VPC to the pod itself: answered by the pod's own ENI, untranslated.
        assert_eq!(
            stage.asked_from_world(IN_VPC, (own, PORT)),
            (true, own_eni),
            "{case} from the VPC"
        );
        for client in [IN_VPC, OUTSIDE] {
            let (answered, eni) = stage.asked_from_world(client, (NODE, node_port(at)));
            let expected = match (node_port_support, external_snat, own_eni) {
                (NodePort::On, _, _) | (_, _, "primary") => "primary",
                _ => own_eni,
            };
            assert_eq!(eni, expected, "{case} NodePort from {client}");
            assert!(answered, "{case} NodePort from {client}");
        }
    }
}

#[test]
fn the_node_translates_and_node_ports_are_cared_for() {
    row(ExternalSnat::Off, NodePort::On);
}

#[test]
fn the_node_translates_and_node_ports_are_not_cared_for() {
    row(ExternalSnat::Off, NodePort::Off);
}

#[test]
fn somebody_else_translates_and_node_ports_are_cared_for() {
    row(ExternalSnat::On, NodePort::On);
}

#[test]
fn somebody_else_translates_and_node_ports_are_not_cared_for() {
    row(ExternalSnat::On, NodePort::Off);
}

#[test]
fn external_services_are_reached_by_the_primary_eni_with_the_pods_address() {
    let service = "10.0.9.0/24".parse().unwrap();
    let stage = Stage::new(&HostFacts {
        external_service_cidrs: vec![service],
        ..facts()
    });
    assert_eq!(
        stage.seen_from(ON_SECONDARY, IN_VPC),
        (address(ON_SECONDARY), "primary")
    );
    assert_eq!(
        stage.seen_from(ON_SECONDARY, EXCLUDED),
        (address(ON_SECONDARY), "secondary")
    );
    let changed = stage.topology.apply(&facts());
    assert_eq!(
        changed,
        ["delete rule to 10.0.9.0/24 priority 1535 lookup main"]
    );
    assert_eq!(
        stage.seen_from(ON_SECONDARY, IN_VPC),
        (address(ON_SECONDARY), "secondary")
    );
}

#[test]
fn a_network_that_joins_the_vpc_is_reached_untranslated_from_then_on() {
    let stage = Stage::new(&facts());
    assert_eq!(stage.seen_from(ON_SECONDARY, OUTSIDE).0, NODE);
    let grown = HostFacts {
        vpc_cidrs: vec![
            "10.0.0.0/16".parse().unwrap(),
            "198.51.100.0/24".parse().unwrap(),
        ],
        ..facts()
    };
    assert_eq!(
        stage.topology.apply(&grown),
        ["replace nf_tables table ip aws-cni"]
    );
    assert_eq!(
        stage.seen_from(ON_SECONDARY, OUTSIDE),
        (address(ON_SECONDARY), "secondary")
    );
    stage.topology.apply(&facts());
    assert_eq!(stage.seen_from(ON_SECONDARY, OUTSIDE), (NODE, "primary"));
}

#[test]
fn translated_packets_have_ports_of_the_range() {
    let ports = PortRange::new(40_000, 40_999);
    let stage = Stage::new(&HostFacts { ports, ..facts() });
    assert!(
        stage
            .topology
            .chain("nat-postrouting")
            .last()
            .unwrap()
            .contains("snat to 10.0.1.10:40000-40999"),
    );
    let world = &stage.topology.world;
    world.nft("flush chain ip seen pre");
    world.nft("add rule ip seen pre ip daddr 198.51.100.9 udp sport 40000-40999 counter accept");
    world.nft("add rule ip seen pre ip daddr 198.51.100.9 udp sport 0-65535 counter");
    let (_, pod) = &stage.pods[1];
    for _ in 0..20 {
        pod.inside(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            assert!(ask(&socket, (OUTSIDE, PORT)).is_some());
        });
    }
    let counted = world.exec("nft", "list chain ip seen pre");
    assert!(
        counted.contains("40000-40999 counter packets 20 "),
        "{counted}"
    );
    assert!(counted.contains("0-65535 counter packets 0 "), "{counted}");
    assert!(pod.reaches(OUTSIDE), "what has no ports is translated, too");
}

#[test]
fn pods_started_under_another_prefix_go_on_to_be_translated() {
    let stage = Stage::new(&facts());
    let renamed = HostFacts {
        veth_prefix: "pod".parse().unwrap(),
        ..facts()
    };
    assert_eq!(
        stage.topology.apply(&renamed),
        ["replace nf_tables table ip aws-cni"]
    );
    assert_eq!(stage.seen_from(ON_SECONDARY, OUTSIDE), (NODE, "primary"));
    let chain = stage.topology.chain("nat-prerouting");
    for prefix in ["\"eni*\"", "\"pod*\""] {
        assert!(chain.iter().any(|rule| rule.contains(prefix)), "{chain:?}");
    }
    // Somebody else's links of a like name are not pods.
    stage
        .topology
        .node
        .ip("link add cali0123456789a type veth peer name other");
    assert_eq!(stage.topology.apply(&renamed), [""; 0]);
    // With the last of them their rules go.
    for (at, _) in &stage.pods {
        let veth = plan(at.0, at.1).host_veth;
        stage.topology.node.ip(&format!("link del {veth}"));
    }
    stage.topology.apply(&renamed);
    let chain = stage.topology.chain("nat-prerouting");
    assert!(
        !chain.iter().any(|rule| rule.contains("\"eni*\"")),
        "{chain:?}"
    );
}
