//! What is counted, by connections that are counted otherwise.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::net::{Ipv4Addr, UdpSocket};

use common::topology::{IN_VPC, OUTSIDE, Topology, facts};
use common::{Namespace, answer_with_source, ask};
use vpc_datapath::counters::{self, Counters};
use vpc_datapath::host::{ExternalSnat, HostFacts};
use vpc_model::PortRange;

const PORT: u16 = 5300;

fn read(topology: &Topology) -> Counters {
    topology.node.inside(counters::read).unwrap()
}

fn translated(topology: &Topology) -> Option<u64> {
    read(topology).translated.map(|counted| counted.packets)
}

/// So many new connections; how many were answered.
fn connect(pod: &Namespace, target: Ipv4Addr, count: usize) -> usize {
    pod.inside(|| {
        let sockets: Vec<UdpSocket> = (0..count)
            .map(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap())
            .collect();
        let answered = |socket: &&UdpSocket| ask(socket, (target, PORT)).is_some();
        sockets.iter().filter(answered).count()
    })
}

#[test]
fn each_translated_connection_counts_once_and_goes_on_to_count_when_the_table_changes() {
    let topology = Topology::new().with_second_eni();
    assert_eq!(translated(&topology), None);
    topology.apply(&facts());
    let _servers = topology
        .world
        .inside(|| [OUTSIDE, IN_VPC].map(|address| answer_with_source(address, PORT)));
    let pod = topology.pod(130, 2);
    assert_eq!(translated(&topology), Some(0));
    assert_eq!(connect(&pod, OUTSIDE, 7), 7);
    assert_eq!(connect(&pod, IN_VPC, 3), 3);
    assert_eq!(translated(&topology), Some(7));
    let grown = HostFacts {
        vpc_cidrs: vec![
            "10.0.0.0/16".parse().unwrap(),
            "10.1.0.0/16".parse().unwrap(),
        ],
        ..facts()
    };
    assert_eq!(
        topology.apply(&grown),
        ["replace nf_tables table ip aws-cni"]
    );
    assert_eq!(translated(&topology), Some(7));
    assert_eq!(connect(&pod, OUTSIDE, 2), 2);
    assert_eq!(translated(&topology), Some(9));
    topology.apply(&HostFacts {
        external_snat: ExternalSnat::On,
        ..facts()
    });
    assert_eq!(translated(&topology), None);
}

#[test]
fn connections_for_which_no_port_is_left_are_counted() {
    let topology = Topology::new().with_second_eni();
    topology.apply(&HostFacts {
        ports: PortRange::new(40_000, 40_003),
        ..facts()
    });
    let _server = topology.world.inside(|| answer_with_source(OUTSIDE, PORT));
    let pod = topology.pod(130, 2);
    let before = read(&topology).conntrack;
    assert_eq!(before.insert_failed, 0);
    assert_eq!(connect(&pod, OUTSIDE, 6), 4);
    let after = read(&topology).conntrack;
    assert_eq!(after.insert_failed, 2);
    assert!(after.entries >= before.entries + 4, "{after:?}");
    let limit = topology.node.sysctl("net/netfilter/nf_conntrack_max");
    assert_eq!(after.limit, limit.parse().ok());
}
