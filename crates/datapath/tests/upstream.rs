//! Taking a node over from upstream's daemon and giving it back, with upstream's rules set by the
//! real iptables, others' rules beside them, and packets all the while.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::fixture::{
    FIREWALL, Iptables, KUBE_PROXY, UPSTREAM, UPSTREAM_CONNMARK, UPSTREAM_CONNMARK_NFT, nft,
};
use common::topology::{IN_VPC, NODE, OUTSIDE, Topology, facts};
use common::{Namespace, answer_with_source, ask};
use vpc_datapath::Error;
use vpc_datapath::upstream::{self, legacy};

const PORT: u16 = 5300;

/// How upstream marks connections.
#[derive(Debug, Clone, Copy)]
enum Connmark {
    Iptables,
    Nft,
}

/// What upstream sets: by the older iptables it marks with iptables, too; by iptables over
/// nf_tables it did so in former versions.
const VARIANTS: [(Iptables, Connmark); 3] = [
    (Iptables::Nft, Connmark::Nft),
    (Iptables::Nft, Connmark::Iptables),
    (Iptables::Legacy, Connmark::Iptables),
];

fn set_upstreams(node: &Namespace, iptables: Iptables, connmark: Connmark) {
    iptables.restore(node, UPSTREAM);
    match connmark {
        Connmark::Iptables => iptables.restore(node, UPSTREAM_CONNMARK),
        Connmark::Nft => nft(node, UPSTREAM_CONNMARK_NFT),
    }
}

/// Both kinds, as a daemon does it.
fn take_over(topology: &Topology) -> Vec<String> {
    topology.node.inside(|| {
        let mut removed = upstream::take_over().unwrap();
        let taken = legacy::take_over().unwrap();
        assert_eq!(taken.unread, [""; 0]);
        removed.extend(taken.removed);
        removed
    })
}

#[test]
fn all_of_upstreams_goes_and_all_of_the_others_stays_as_it_was() {
    for (iptables, connmark) in VARIANTS {
        let topology = Topology::new();
        let node = &topology.node;
        for others in [KUBE_PROXY, FIREWALL] {
            iptables.restore(node, others);
        }
        let before = iptables.save(node);
        set_upstreams(node, iptables, connmark);
        assert_ne!(iptables.save(node), before);
        topology.apply(&facts());
        let ours = topology.table();
        let removed = take_over(&topology);
        let count = match connmark {
            Connmark::Nft => 3 + 1 + 1,
            Connmark::Iptables => 3 + 1 + 1 + 2 + 1,
        };
        assert_eq!(removed.len(), count, "{iptables:?}: {removed:?}");
        for named in [
            "rule \"AWS, primary ENI\" of chain PREROUTING of table mangle",
            "rule \"AWS SNAT CHAIN\" of chain POSTROUTING of table nat",
            "chain AWS-SNAT-CHAIN-0 of table nat",
        ] {
            assert!(removed.contains(&named.to_owned()), "{removed:?}");
        }
        assert_eq!(iptables.save(node), before, "{iptables:?} {connmark:?}");
        assert_eq!(topology.table(), ours);
        let watch = node.watch();
        assert_eq!(take_over(&topology), [""; 0], "a second time");
        assert_eq!(watch.count(), 0);
    }
}

#[test]
fn a_node_without_iptables_gets_none() {
    let topology = Topology::new();
    topology.apply(&facts());
    assert_eq!(take_over(&topology), [""; 0]);
    topology.node.inside(|| {
        let used = std::fs::read_to_string("/proc/thread-self/net/ip_tables_names");
        assert_eq!(used.unwrap_or_default(), "");
    });
    assert_eq!(topology.chains().len(), 4);
}

#[test]
fn a_refused_removal_removes_nothing() {
    let topology = Topology::new();
    set_upstreams(&topology.node, Iptables::Nft, Connmark::Iptables);
    // Somebody else's rule keeps a chain of upstream's in use.
    let line = "-t nat -A POSTROUTING -d 192.168.9.9/32 -j AWS-SNAT-CHAIN-0";
    topology.node.exec("iptables-nft", line);
    let before = Iptables::Nft.save(&topology.node);
    topology.apply(&facts());
    let error = topology.node.inside(upstream::take_over).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(Iptables::Nft.save(&topology.node), before);
}

#[test]
fn ours_does_not_go_where_nothing_of_upstreams_stands() {
    let topology = Topology::new();
    topology.apply(&facts());
    let before = topology.table();
    let error = topology.node.inside(upstream::give_back).unwrap_err();
    assert!(matches!(error, Error::NobodyTranslates), "{error}");
    assert_eq!(topology.table(), before);
}

#[test]
fn ours_goes_and_what_upstream_keeps_in_the_table_stays() {
    for (iptables, connmark) in VARIANTS {
        let topology = Topology::new();
        topology.apply(&facts());
        set_upstreams(&topology.node, iptables, connmark);
        let removed = topology.node.inside(upstream::give_back).unwrap();
        match connmark {
            Connmark::Nft => {
                assert_eq!(
                    removed,
                    [
                        "chain mangle-prerouting of table aws-cni",
                        "chain nat-postrouting of table aws-cni",
                    ]
                );
                assert_eq!(topology.chain("nat-prerouting").len(), 4);
                assert_eq!(topology.chain("snat-mark").len(), 3);
            }
            Connmark::Iptables => {
                assert_eq!(removed.len(), 4);
                let tables = topology.node.exec("nft", "list tables");
                assert!(!tables.contains("aws-cni"), "{tables}");
            }
        }
        let rules = topology.node.ip("rule");
        assert!(
            rules.contains("fwmark 0x80/0x80"),
            "upstream's too: {rules}"
        );
        let again = topology.node.inside(upstream::give_back).unwrap();
        assert_eq!(again, [""; 0]);
    }
}

/// The source of a packet from a new socket, or from this one, as the world sees it.
fn seen(socket: &UdpSocket, target: Ipv4Addr) -> Option<String> {
    ask(socket, (target, PORT))
}

fn new_socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap()
}

#[test]
fn at_no_moment_is_a_connection_lost_or_untranslated() {
    for (iptables, connmark) in VARIANTS {
        let topology = Topology::new().with_second_eni();
        for others in [KUBE_PROXY, FIREWALL] {
            iptables.restore(&topology.node, others);
        }
        set_upstreams(&topology.node, iptables, connmark);
        topology.node.set_sysctl("net/ipv4/ip_forward", "1");
        topology
            .node
            .set_sysctl("net/ipv4/conf/ens5/rp_filter", "2");
        let rule = "rule add fwmark 0x80/0x80 priority 1024 lookup main";
        topology.node.ip(rule);
        let pods = [topology.pod(20, 254), topology.pod(130, 2)];
        topology.world.ip("route add 10.0.1.20/32 via 10.0.1.10");
        let _servers = topology
            .world
            .inside(|| [OUTSIDE, IN_VPC].map(|address| answer_with_source(address, PORT)));
        let (end, node) = (AtomicBool::new(false), NODE.to_string());
        let asks = |pod: &Namespace| {
            pod.inside(|| {
                let (outside, within) = (new_socket(), new_socket());
                let own = seen(&within, IN_VPC).unwrap();
                let mut rounds = 0;
                while !end.load(Ordering::Relaxed) || rounds < 10 {
                    let who = format!("{iptables:?} {connmark:?} {own} round {rounds}");
                    assert_eq!(seen(&outside, OUTSIDE).as_ref(), Some(&node), "{who}");
                    assert_eq!(seen(&new_socket(), OUTSIDE).as_ref(), Some(&node), "{who}");
                    assert_eq!(seen(&within, IN_VPC).as_ref(), Some(&own), "{who}");
                    assert_eq!(seen(&new_socket(), IN_VPC).as_ref(), Some(&own), "{who}");
                    rounds += 1;
                }
                rounds
            })
        };
        thread::scope(|scope| {
            let asking: Vec<_> = pods.iter().map(|pod| scope.spawn(|| asks(pod))).collect();
            for _ in 0..5 {
                topology.apply(&facts());
                take_over(&topology);
                set_upstreams(&topology.node, iptables, connmark);
                topology.node.inside(upstream::give_back).unwrap();
            }
            end.store(true, Ordering::Relaxed);
            for rounds in asking {
                let rounds = rounds.join().unwrap();
                println!("{iptables:?} {connmark:?}: {rounds} rounds of four");
            }
        });
    }
}
