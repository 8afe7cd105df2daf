//! What somebody takes away is heard of and comes back, under traffic; what goes on all day is
//! not heard of.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::topology::{IN_VPC, OUTSIDE, SECONDARY_MAC, Topology, facts};
use common::{answer_with_source, ask, plan};
use vpc_datapath::drift::{Heard, Watch};
use vpc_datapath::eni::{self, EniFacts};
use vpc_datapath::host::{HostFacts, HostNetwork};
use vpc_datapath::pod::{self, PodTeardown, Running};
use vpc_model::{Mtu, RouteTableId};

/// How long anything may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

fn eni_facts() -> EniFacts {
    EniFacts {
        mac: SECONDARY_MAC,
        primary_ip: Ipv4Addr::new(10, 0, 2, 10),
        subnet: "10.0.2.0/24".parse().unwrap(),
        table: RouteTableId(2),
        mtu: Mtu::default(),
    }
}

fn with_service() -> HostFacts {
    HostFacts {
        external_service_cidrs: vec!["203.0.113.0/24".parse().unwrap()],
        ..facts()
    }
}

fn running() -> Running {
    let plan = plan(130, 2);
    Running {
        address: plan.address,
        veth_suffix: plan.host_veth.as_str()[3..].to_owned(),
        table: plan.table,
    }
}

/// Repairs whatever the watch says until told to end; tells what it did and when.
fn repair(mut watch: Watch, done: &AtomicBool, tell: &mpsc::Sender<(Instant, Vec<String>)>) {
    let mut network = HostNetwork::open().unwrap();
    while !done.load(Ordering::Relaxed) {
        let heard = watch.wait(Duration::from_millis(200)).unwrap();
        let mut changed = Vec::new();
        if heard.node || heard.lost {
            changed.extend(network.apply(&with_service()).unwrap().changed);
            changed.extend(eni::apply(&eni_facts()).unwrap().changed);
        }
        if heard.lost || !heard.addresses.is_empty() || !heard.links.is_empty() {
            changed.extend(pod::keep(&[running()]).unwrap());
        }
        if !changed.is_empty() {
            tell.send((Instant::now(), changed)).unwrap();
        }
    }
}

/// What a person types who does not know whose it is.
const SABOTAGE: [(&str, &str); 21] = [
    ("ip", "rule del priority 1024"),
    ("ip", "rule del priority 1535"),
    ("ip", "rule del priority 32765 from 10.0.2.10"),
    ("ip", "rule del priority 512 to 10.0.1.130"),
    ("ip", "rule del priority 1536 from 10.0.1.130"),
    ("ip", "route del 10.0.1.130"),
    ("ip", "route del default table 2"),
    ("ip", "route flush table 2"),
    ("ip", "addr del 10.0.2.10/24 dev ens6"),
    ("ip", "addr add 10.0.2.77/32 dev ens6"),
    ("ip", "link set ens6 down"),
    ("ip", "link set ens6 mtu 1500"),
    ("ip", "link set ens5 mtu 1500"),
    ("ip", "link set eni00000000082 down"),
    ("nft", "flush chain ip aws-cni snat-mark"),
    ("nft", "delete chain ip aws-cni nat-postrouting"),
    ("nft", "delete table ip aws-cni"),
    ("nft", "flush ruleset"),
    ("nft", "add rule ip aws-cni nat-postrouting accept"),
    ("sysctl", "-qw net.ipv4.ip_forward=0"),
    ("sysctl", "-qw net.ipv4.conf.ens5.rp_filter=1"),
];

#[test]
fn each_thing_that_is_taken_away_under_traffic_comes_back() {
    let topology = Topology::new().with_second_eni();
    topology.apply(&with_service());
    let pod = topology.pod(130, 2);
    let _servers = topology
        .world
        .inside(|| [OUTSIDE, IN_VPC].map(|address| answer_with_source(address, 5300)));
    let state = || format!("{}{}", topology.node.everything(), topology.table());
    let before = state();
    let watch = topology.node.inside(|| Watch::open().unwrap());
    let (tell, told) = mpsc::channel();
    let (done, calm) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let keeper = scope.spawn(|| topology.node.inside(|| repair(watch, &done, &tell)));
        let traffic = scope.spawn(|| pod.inside(|| talk(&calm)));
        for (program, arguments) in SABOTAGE {
            let begun = Instant::now();
            if program == "sysctl" {
                let (name, value) = arguments
                    .trim_start_matches("-qw ")
                    .split_once('=')
                    .unwrap();
                topology.node.set_sysctl(&name.replace('.', "/"), value);
            } else {
                topology.node.exec(program, arguments);
            }
            let (repaired, mut what) = told.recv_timeout(PATIENCE).unwrap();
            let deadline = Instant::now() + PATIENCE;
            while state() != before {
                assert!(Instant::now() < deadline, "{arguments}: {}", state());
                what.extend(told.try_iter().flat_map(|(_, what)| what));
            }
            what.extend(told.try_iter().flat_map(|(_, what)| what));
            println!(
                "{:6.1} ms  {program} {arguments}: {}",
                (repaired - begun).as_secs_f64() * 1e3,
                what.join("; ")
            );
            assert_eq!(topology.node.sysctl("net/ipv4/ip_forward"), "1");
            assert_eq!(topology.node.sysctl("net/ipv4/conf/ens5/rp_filter"), "2");
        }
        done.store(true, Ordering::Relaxed);
        calm.store(true, Ordering::Relaxed);
        keeper.join().unwrap();
        println!("answered between and after: {}", traffic.join().unwrap());
    });
    pod.inside(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        assert_eq!(ask(&socket, (OUTSIDE, 5300)).as_deref(), Some("10.0.1.10"));
        assert_eq!(ask(&socket, (IN_VPC, 5300)).as_deref(), Some("10.0.1.130"));
    });
}

/// Talks until told to end, whether answered or not; how often it was.
fn talk(calm: &AtomicBool) -> usize {
    let mut answered = 0;
    while !calm.load(Ordering::Relaxed) {
        for target in [OUTSIDE, IN_VPC] {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(20)))
                .unwrap();
            let sent = socket.send_to(b"?", (target, 5300));
            answered += usize::from(sent.is_ok() && socket.recv(&mut [0; 64]).is_ok());
        }
    }
    answered
}

#[test]
fn pods_that_come_and_go_and_other_programs_tables_are_no_reason_to_look_at_the_node() {
    let topology = Topology::new().with_second_eni();
    topology.apply(&facts());
    let mut watch = topology.node.inside(|| Watch::open().unwrap());
    let pod = topology.pod(130, 2);
    topology.node.nft("add table ip kube-proxy");
    topology
        .node
        .nft("add chain ip kube-proxy services { type nat hook prerouting priority -100; }");
    topology.node.nft("flush table ip kube-proxy");
    let came = everything_heard(&mut watch);
    // The ADD asks for stale rules of the address to be deleted; there are none.
    assert_eq!(came, Heard::default());
    let teardown = PodTeardown {
        address: plan(130, 2).address,
        table: None,
        host_veth: None,
    };
    topology.node.inside(|| pod::remove(&teardown)).unwrap();
    drop(pod);
    let went = everything_heard(&mut watch);
    assert!(!went.node && !went.lost, "{went:?}");
    assert!(went.addresses.contains(&plan(130, 2).address), "{went:?}");
}

/// All that was said until nothing more is.
fn everything_heard(watch: &mut Watch) -> Heard {
    let mut all = Heard::default();
    loop {
        let heard = watch.wait(Duration::from_millis(300)).unwrap();
        if heard.is_empty() {
            return all;
        }
        all.merge(heard);
    }
}

#[test]
fn a_pod_without_a_veth_gets_nothing_back() {
    let topology = Topology::new().with_second_eni();
    topology.apply(&facts());
    let before = topology.node.everything();
    let changed = topology.node.inside(|| pod::keep(&[running()])).unwrap();
    assert_eq!(changed, [""; 0]);
    assert_eq!(topology.node.everything(), before);
}
