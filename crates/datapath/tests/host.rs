//! The node's own state on a real kernel: every row of the matrix as nft(8) sees it, nothing
//! rewritten that is right, and packets translated and marked.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::net::{Ipv4Addr, UdpSocket};

use common::topology::{EXCLUDED, IN_VPC, NODE, OUTSIDE, PRIMARY_MAC, Topology, facts};
use common::{Namespace, answer_with_source, ask, link, plan};
use vpc_datapath::Error;
use vpc_datapath::host::{self, ExternalSnat, HostFacts, HostNetwork, NodePort, SnatRandomization};
use vpc_model::Connmark;

#[test]
fn the_table_reads_back_as_it_was_meant() {
    let topology = Topology::new();
    topology.apply(&facts());
    assert_eq!(
        topology.chain("nat-prerouting"),
        [
            "type nat hook prerouting priority dstnat + 10; policy accept;",
            "fib daddr type local return",
            "iifname \"eni*\" counter jump snat-mark",
            "ct mark & 0x00000080 == 0x00000080 counter meta mark set meta mark | 0x00000080",
        ]
    );
    assert_eq!(
        topology.chain("snat-mark"),
        [
            "counter ip daddr 10.0.0.0/16 return",
            "counter ip daddr 192.0.2.0/24 return",
            "counter ct mark set ct mark | 0x00000080",
        ]
    );
    assert_eq!(
        topology.chain("mangle-prerouting"),
        [
            "type filter hook prerouting priority mangle; policy accept;",
            "iifname \"ens5\" fib daddr . iif type local ct mark set ct mark | 0x00000080",
            "iifname \"eni*\" meta mark set meta mark & 0xffffff7f",
            "iifname \"eni*\" ct mark & 0x00000080 == 0x00000080 \
             meta mark set meta mark | 0x00000080",
            "iifname \"vlan*\" meta mark set meta mark & 0xffffff7f",
            "iifname \"vlan*\" ct mark & 0x00000080 == 0x00000080 \
             meta mark set meta mark | 0x00000080",
        ]
    );
    assert_eq!(
        topology.chain("nat-postrouting"),
        [
            "type nat hook postrouting priority srcnat + 10; policy accept;",
            "oifname \"vlan*\" return",
            "ip daddr 10.0.0.0/16 return",
            "ip daddr 192.0.2.0/24 return",
            "fib daddr type local return",
            "counter snat to 10.0.1.10 fully-random",
        ]
    );
    let text = topology.table();
    assert!(
        text.contains("comment \"leaves the VPC with the node's address\""),
        "{text}"
    );
}

#[test]
fn each_way_of_choosing_ports_is_in_the_rule() {
    let topology = Topology::new();
    for (randomize, rule) in [
        (SnatRandomization::None, "counter snat to 10.0.1.10"),
        (
            SnatRandomization::HashRandom,
            "counter snat to 10.0.1.10 random",
        ),
        (
            SnatRandomization::Prng,
            "counter snat to 10.0.1.10 fully-random",
        ),
    ] {
        topology.apply(&HostFacts {
            randomize,
            ..facts()
        });
        assert_eq!(topology.chain("nat-postrouting").last().unwrap(), rule);
    }
}

#[test]
fn each_row_of_the_matrix_is_in_the_kernel_and_nothing_of_the_row_before() {
    let topology = Topology::new();
    let mark_rule = || {
        topology
            .node
            .ip("rule")
            .contains("1024:\tfrom all fwmark 0x80/0x80 lookup")
    };
    let nat = ["nat-postrouting", "nat-prerouting", "snat-mark"];
    let with = |external_snat, node_port| HostFacts {
        external_snat,
        node_port,
        ..facts()
    };

    topology.apply(&with(ExternalSnat::Off, NodePort::On));
    assert_eq!(
        topology.chains(),
        [&["mangle-prerouting"][..], &nat].concat()
    );
    assert_eq!(topology.chain("mangle-prerouting").len(), 6);
    assert!(mark_rule());

    topology.apply(&with(ExternalSnat::Off, NodePort::Off));
    assert_eq!(
        topology.chains(),
        [&["mangle-prerouting"][..], &nat].concat()
    );
    assert_eq!(topology.chain("mangle-prerouting").len(), 3);
    assert!(topology.chain("mangle-prerouting")[1].starts_with("iifname \"eni*\""));
    assert!(mark_rule());

    topology.apply(&with(ExternalSnat::On, NodePort::On));
    assert_eq!(topology.chains(), ["mangle-prerouting"]);
    assert_eq!(topology.chain("mangle-prerouting").len(), 6);
    assert!(mark_rule());

    topology.apply(&with(ExternalSnat::On, NodePort::Off));
    assert_eq!(topology.chains(), [""; 0]);
    assert!(!mark_rule());
}

#[test]
fn settings_mtu_and_mark_rule_are_made_right() {
    let topology = Topology::new();
    topology
        .node
        .ip("rule add fwmark 0x100/0x100 priority 1024 lookup main");
    topology
        .node
        .ip("rule add fwmark 0x100/0x100 priority 1024 lookup 77");
    topology.apply(&facts());
    assert_eq!(topology.node.sysctl("net/ipv4/ip_forward"), "1");
    assert_eq!(topology.node.sysctl("net/ipv4/conf/ens5/rp_filter"), "2");
    assert_eq!(topology.node.ip_json("link show ens5")[0]["mtu"], 9001);
    let rules = topology.node.ip("rule");
    assert!(
        rules.contains("1024:\tfrom all fwmark 0x80/0x80 lookup main\n"),
        "{rules}"
    );
    assert!(
        !rules.contains("0x100/0x100 lookup main"),
        "a former mark: {rules}"
    );
    assert!(
        rules.contains("0x100/0x100 lookup 77"),
        "somebody else's: {rules}"
    );
}

#[test]
fn applying_again_changes_nothing() {
    let topology = Topology::new();
    let first = topology.apply(&facts());
    assert!(
        first.contains(&"add nf_tables table ip aws-cni".to_owned()),
        "{first:?}"
    );
    assert_eq!(first.len(), 5, "table, two settings, MTU, rule: {first:?}");
    let (before, watch) = (topology.table(), topology.node.watch());
    assert_eq!(topology.apply(&facts()), [""; 0]);
    topology.node.inside(|| {
        let mut network = HostNetwork::open().unwrap();
        for _ in 0..3 {
            assert_eq!(network.apply(&facts()).unwrap().changed, [""; 0]);
        }
    });
    assert_eq!(watch.count(), 0);
    assert_eq!(topology.table(), before);
}

#[test]
fn every_kind_of_tampering_is_noticed_and_repaired() {
    let topology = Topology::new();
    topology.apply(&facts());
    let right = topology.table();
    let rule = "-a list chain ip aws-cni nat-postrouting";
    let listing = topology.node.exec("nft", rule);
    let snat = listing
        .lines()
        .find(|line| line.contains("snat to"))
        .unwrap();
    let handle = snat.rsplit(' ').next().unwrap();
    for tampering in [
        "flush chain ip aws-cni snat-mark",
        "add rule ip aws-cni nat-postrouting accept",
        "insert rule ip aws-cni mangle-prerouting counter",
        &format!("delete rule ip aws-cni nat-postrouting handle {handle}"),
        &format!("replace rule ip aws-cni nat-postrouting handle {handle} counter snat to 1.2.3.4"),
        "add chain ip aws-cni extra",
        "add chain ip aws-cni nat-prerouting { policy drop; }",
        "add table ip aws-cni { flags dormant; }",
        "delete table ip aws-cni",
    ] {
        // Handles change when the table is written again.
        let listing = topology.node.exec("nft", rule);
        let snat = listing
            .lines()
            .find(|line| line.contains("snat to"))
            .unwrap();
        let now = snat.rsplit(' ').next().unwrap();
        topology
            .node
            .nft(&tampering.replace(&format!("handle {handle}"), &format!("handle {now}")));
        let changed = topology.apply(&facts());
        assert_eq!(changed.len(), 1, "{tampering}: {changed:?}");
        assert_eq!(topology.table(), right, "{tampering}");
    }
}

#[test]
fn other_tables_are_left_alone() {
    let topology = Topology::new();
    topology.node.nft("add table ip other");
    topology
        .node
        .nft("add chain ip other mine { type filter hook forward priority 0; }");
    topology.node.nft("add rule ip other mine counter accept");
    let before = topology.node.exec("nft", "-s list table ip other");
    topology.apply(&facts());
    topology
        .node
        .inside(|| host::remove(Connmark::default()))
        .unwrap();
    assert_eq!(topology.node.exec("nft", "-s list ruleset"), before);
}

#[test]
fn nothing_is_left_after_removal_and_removing_twice_is_fine() {
    let topology = Topology::new();
    topology.node.ip("link set ens5 mtu 9001");
    let rules = topology.node.ip("rule");
    topology.apply(&facts());
    topology.node.inside(|| {
        host::remove(Connmark::default()).unwrap();
        host::remove(Connmark::default()).unwrap();
    });
    assert_eq!(topology.node.exec("nft", "list ruleset"), "");
    assert_eq!(topology.node.ip("rule"), rules);
}

#[test]
fn a_missing_primary_eni_and_an_unknown_vpc_are_named() {
    let empty = Namespace::new("empty");
    let error = empty.inside(|| host::apply(&facts())).unwrap_err();
    assert!(
        matches!(error, Error::NoSuchLink { mac } if mac == PRIMARY_MAC),
        "{error}"
    );
    let unknown = HostFacts {
        vpc_cidrs: Vec::new(),
        ..facts()
    };
    let error = empty.inside(|| host::apply(&unknown)).unwrap_err();
    assert!(matches!(error, Error::NoVpcCidrs), "{error}");
}

#[test]
fn a_pods_traffic_leaves_the_vpc_with_the_nodes_address_and_stays_inside_with_its_own() {
    let topology = Topology::new().with_second_eni();
    topology.apply(&facts());
    let (on_primary, on_secondary) = (topology.pod(20, 254), topology.pod(130, 2));
    // A pod on the primary ENI is in the subnet there; the world sends its packets to the node.
    topology.world.ip("route add 10.0.1.20/32 via 10.0.1.10");
    let _servers = topology
        .world
        .inside(|| [OUTSIDE, IN_VPC, EXCLUDED].map(|address| answer_with_source(address, 5300)));
    for (pod, own) in [(&on_primary, "10.0.1.20"), (&on_secondary, "10.0.1.130")] {
        let seen = |target: Ipv4Addr| {
            pod.inside(|| {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
                // Twice: the second packet passes no nat chain, only the mark restored.
                let first = ask(&socket, (target, 5300));
                assert_eq!(
                    ask(&socket, (target, 5300)),
                    first,
                    "second packet to {target}"
                );
                first
            })
        };
        assert_eq!(
            seen(OUTSIDE).as_deref(),
            Some("10.0.1.10"),
            "{own} to the outside"
        );
        assert_eq!(seen(IN_VPC).as_deref(), Some(own), "{own} within the VPC");
        assert_eq!(
            seen(EXCLUDED).as_deref(),
            Some(own),
            "{own} to an excluded network"
        );
    }
}

#[test]
fn translated_traffic_of_a_secondary_enis_pod_leaves_by_the_primary_eni() {
    let topology = Topology::new().with_second_eni();
    topology.apply(&facts());
    let pod = topology.pod(130, 2);
    let _servers = topology
        .world
        .inside(|| [OUTSIDE, IN_VPC].map(|address| answer_with_source(address, 5300)));
    let packets = |link: &str| {
        let stats = topology.world.ip_json(&format!("-s link show {link}"));
        stats[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
    };
    let sends = |target: Ipv4Addr| {
        let before = (packets("to-ens5"), packets("to-ens6"));
        pod.inside(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            for _ in 0..50 {
                assert!(ask(&socket, (target, 5300)).is_some());
            }
        });
        (
            packets("to-ens5") - before.0 >= 50,
            packets("to-ens6") - before.1 >= 50,
        )
    };
    assert_eq!(sends(OUTSIDE), (true, false));
    assert_eq!(sends(IN_VPC), (false, true));
}

#[test]
fn with_external_snat_pods_leave_with_their_own_address_by_their_own_eni() {
    let topology = Topology::new().with_second_eni();
    topology.apply(&HostFacts {
        external_snat: ExternalSnat::On,
        ..facts()
    });
    let pod = topology.pod(130, 2);
    let _server = topology.world.inside(|| answer_with_source(OUTSIDE, 5300));
    let seen = pod.inside(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        ask(&socket, (OUTSIDE, 5300))
    });
    assert_eq!(seen.as_deref(), Some("10.0.1.130"));
}

/// What kube-proxy does for a NodePort, reduced to one rule.
fn forward_node_port(topology: &Topology, pod: Ipv4Addr) {
    for script in [
        "add table ip proxy".to_owned(),
        "add chain ip proxy pre { type nat hook prerouting priority -100; }".to_owned(),
        format!("add rule ip proxy pre ip daddr {NODE} udp dport 30000 dnat to {pod}:8000"),
    ] {
        topology.node.nft(&script);
    }
}

#[test]
fn node_port_connections_are_answered_by_the_primary_eni() {
    for (node_port, answered_by_primary) in [(NodePort::On, true), (NodePort::Off, false)] {
        let topology = Topology::new().with_second_eni();
        topology.apply(&HostFacts {
            node_port,
            ..facts()
        });
        let pod = topology.pod(130, 2);
        forward_node_port(&topology, plan(130, 2).address);
        let _server = pod.inside(|| answer_with_source(plan(130, 2).address, 8000));
        // The world takes answers to this client only where it sent the question.
        topology
            .world
            .set_sysctl("net/ipv4/conf/to-ens5/rp_filter", "1");
        topology
            .world
            .set_sysctl("net/ipv4/conf/to-ens6/rp_filter", "1");
        topology.world.nft("add table ip seen");
        topology
            .world
            .nft("add chain ip seen pre { type filter hook prerouting priority -300; }");
        topology.world.nft(&format!(
            "add rule ip seen pre iifname to-ens5 ip daddr {IN_VPC} counter"
        ));
        topology.world.inside(|| {
            let socket = UdpSocket::bind((IN_VPC, 0)).unwrap();
            socket.set_nonblocking(false).unwrap();
            ask(&socket, (NODE, 30000))
        });
        let counted = topology.world.exec("nft", "list chain ip seen pre");
        let by_primary = !counted.contains("counter packets 0 ");
        assert_eq!(by_primary, answered_by_primary, "{node_port:?}: {counted}");
    }
}

#[test]
fn marks_of_others_survive() {
    let topology = Topology::new().with_second_eni();
    topology.apply(&facts());
    let pod = topology.pod(130, 2);
    for script in [
        "add table ip others",
        // As kube-proxy marks packets that it will masquerade.
        "add chain ip others pre { type filter hook prerouting priority -190; }",
        "add rule ip others pre iifname eni* meta mark set 0x4000",
        "add rule ip others pre iifname eni* ct mark set 0x10",
        "add chain ip others post { type filter hook postrouting priority 300; }",
        "add rule ip others post meta mark 0x4080 ct mark 0x90 oifname ens5 counter",
    ] {
        topology.node.nft(script);
    }
    let _server = topology.world.inside(|| answer_with_source(OUTSIDE, 5300));
    pod.inside(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        assert!(ask(&socket, (OUTSIDE, 5300)).is_some());
    });
    let counted = topology.node.exec("nft", "list chain ip others post");
    assert!(counted.contains("counter packets 1 "), "{counted}");
}

#[test]
fn the_primary_eni_is_reported_by_name() {
    let topology = Topology::new();
    let report = topology.node.inside(|| host::apply(&facts())).unwrap();
    assert_eq!(report.link, link("ens5"));
}
