//! A node with two ENIs, and the rest of the world behind a router to which both lead.

use std::net::Ipv4Addr;

use serde_json::Value;
use vpc_datapath::host::{self, ExternalSnat, HostFacts, NodePort, SnatRandomization};
use vpc_datapath::{eni, pod};
use vpc_model::{Connmark, MacAddress, Mtu, RouteTableId, VethPrefix};

use super::{Namespace, plan};

pub(crate) const PRIMARY_MAC: MacAddress = MacAddress([2, 0, 0, 0, 1, 1]);
pub(crate) const SECONDARY_MAC: MacAddress = MacAddress([2, 0, 0, 0, 1, 2]);
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
pub(crate) const IN_VPC: Ipv4Addr = Ipv4Addr::new(10, 0, 9, 9);
pub(crate) const EXCLUDED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);

pub(crate) fn facts() -> HostFacts {
    HostFacts {
        primary_mac: PRIMARY_MAC,
        primary_ip: NODE,
        vpc_cidrs: vec!["10.0.0.0/16".parse().unwrap()],
        exclude_snat_cidrs: vec!["192.0.2.0/24".parse().unwrap()],
        external_snat: ExternalSnat::Off,
        node_port: NodePort::On,
        randomize: SnatRandomization::Prng,
        ports: None,
        external_service_cidrs: Vec::new(),
        veth_prefix: VethPrefix::default(),
        mtu: Mtu::default(),
        connmark: Connmark::default(),
    }
}

/// A node with two ENIs, and the rest of the world behind a router to which both lead.
pub(crate) struct Topology {
    pub(crate) node: Namespace,
    pub(crate) world: Namespace,
}

impl Topology {
    pub(crate) fn new() -> Self {
        let (node, world) = (Namespace::new("node"), Namespace::new("world"));
        for (name, mac, gateway) in [
            ("ens5", PRIMARY_MAC, "10.0.1.1"),
            ("ens6", SECONDARY_MAC, "10.0.2.1"),
        ] {
            node.wire(name, &world, &format!("to-{name}"));
            node.ip(&format!("link set {name} address {mac}"));
            node.ip(&format!("link set {name} up"));
            world.ip(&format!("addr add {gateway}/24 dev to-{name}"));
        }
        node.ip("addr add 10.0.1.10/24 dev ens5");
        node.ip("route add default via 10.0.1.1");
        for address in [OUTSIDE, IN_VPC, EXCLUDED] {
            world.ip(&format!("addr add {address}/32 dev lo"));
        }
        // Pods' addresses belong to the second ENI, as they do in a VPC.
        world.ip("route add 10.0.1.128/25 via 10.0.2.10 dev to-ens6");
        world.set_sysctl("net/ipv4/ip_forward", "1");
        Self { node, world }
    }

    pub(crate) fn with_second_eni(self) -> Self {
        let facts = eni::EniFacts {
            mac: SECONDARY_MAC,
            primary_ip: Ipv4Addr::new(10, 0, 2, 10),
            subnet: "10.0.2.0/24".parse().unwrap(),
            table: RouteTableId(2),
            mtu: Mtu::default(),
        };
        self.node.inside(|| eni::apply(&facts)).unwrap();
        self
    }

    pub(crate) fn apply(&self, facts: &HostFacts) -> Vec<String> {
        self.node.inside(|| host::apply(facts)).unwrap().changed
    }

    pub(crate) fn pod(&self, last: u8, table: u32) -> Namespace {
        let pod = Namespace::new("pod");
        self.node
            .inside(|| pod::add(&pod.path(), &plan(last, table)))
            .unwrap();
        pod
    }

    pub(crate) fn table(&self) -> String {
        self.node.exec("nft", "-s list table ip aws-cni")
    }

    /// The rules of a chain as nft(8) prints them, comments left out.
    pub(crate) fn chain(&self, name: &str) -> Vec<String> {
        let text = self
            .node
            .exec("nft", &format!("-s list chain ip aws-cni {name}"));
        text.lines()
            .map(str::trim)
            .filter(|line| !line.ends_with('{') && *line != "}")
            .map(|line| line.split(" comment ").next().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn chains(&self) -> Vec<String> {
        let text = self.node.exec("nft", "-j list chains");
        let list: Value = serde_json::from_str(&text).unwrap();
        let chains = list["nftables"].as_array().unwrap().iter();
        let mut names: Vec<String> = chains
            .filter_map(|entry| entry["chain"]["name"].as_str())
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }
}
