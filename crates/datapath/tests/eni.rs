//! Secondary ENIs on a real kernel.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use common::{Namespace, link};
use vpc_datapath::eni::{self, EniFacts};
use vpc_datapath::{Error, links};
use vpc_model::{MacAddress, Mtu, RouteTableId};

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 2, 1]);

fn facts() -> EniFacts {
    EniFacts {
        mac: MAC,
        primary_ip: Ipv4Addr::new(10, 0, 2, 10),
        subnet: "10.0.2.0/24".parse().unwrap(),
        table: RouteTableId(2),
        mtu: Mtu::default(),
    }
}

/// A node with a bare second ENI, and the VPC's router behind it.
fn node() -> (Namespace, Namespace) {
    let (node, router) = (Namespace::new("node"), Namespace::new("router"));
    node.ip("link add ens6 type veth peer name to-ens6");
    node.ip(&format!("link set ens6 address {MAC}"));
    node.ip(&format!("link set to-ens6 netns {}", router.name()));
    router.ip("link set to-ens6 up");
    router.ip("addr add 10.0.2.1/24 dev to-ens6");
    (node, router)
}

fn apply(node: &Namespace) -> Vec<String> {
    node.inside(|| eni::apply(&facts())).unwrap().changed
}

#[test]
fn a_bare_eni_gets_its_address_table_and_rule() {
    let (node, _router) = node();
    let report = node.inside(|| eni::apply(&facts())).unwrap();
    assert_eq!(report.link, link("ens6"));
    let ens6 = &node.ip_json("link show ens6")[0];
    assert_eq!(ens6["mtu"], 9001);
    assert!(ens6["flags"].as_array().unwrap().contains(&"UP".into()));
    let addresses = &node.ip_json("-4 addr show ens6")[0]["addr_info"];
    assert_eq!(
        (&addresses[0]["local"], &addresses[0]["prefixlen"]),
        (&"10.0.2.10".into(), &24.into())
    );
    assert_eq!(
        node.ip("-4 route show table 2").trim(),
        "default via 10.0.2.1 dev ens6 \n10.0.2.1 dev ens6 scope link"
    );
    assert_eq!(
        node.ip("-4 route show table main"),
        "",
        "no route to the subnet in main"
    );
    assert!(
        node.ip("rule")
            .contains("32765:\tfrom 10.0.2.10 lookup 2\n")
    );
}

#[test]
fn applying_again_changes_nothing() {
    let (node, _router) = node();
    assert!(!apply(&node).is_empty());
    node.wait_until_up("ens6");
    let (before, watch) = (node.everything(), node.watch());
    assert_eq!(apply(&node), [""; 0]);
    assert_eq!(watch.count(), 0);
    assert_eq!(node.everything(), before);
}

#[test]
fn what_upstream_left_is_taken_over_without_a_change() {
    let (node, _router) = node();
    for command in [
        "link set ens6 mtu 9001",
        "link set ens6 up",
        "addr add 10.0.2.10/24 brd + dev ens6",
        "route add 10.0.2.1 dev ens6 scope link table 2",
        "route add default via 10.0.2.1 dev ens6 table 2",
        "route del 10.0.2.0/24 dev ens6",
        "rule add from 10.0.2.10 priority 32765 lookup 2",
    ] {
        node.ip(command);
    }
    node.wait_until_up("ens6");
    let watch = node.watch();
    assert_eq!(apply(&node), [""; 0]);
    assert_eq!(watch.count(), 0);
}

#[test]
fn whatever_is_wrong_is_made_right_and_nothing_else_is_touched() {
    let (node, _router) = node();
    apply(&node);
    node.wait_until_up("ens6");
    let right = node.everything();
    for tampering in [
        "link set ens6 mtu 1400",
        "route del default table 2",
        "route replace default dev ens6 table 2",
        "route add default via 10.0.2.1 dev ens6 metric 50 table 2",
        "route add 10.0.2.0/24 dev ens6",
        "rule del from 10.0.2.10",
        "rule add from 10.0.2.10 priority 32765 lookup 9",
        "addr add 10.0.2.77/24 dev ens6",
        "addr add 10.7.7.7/32 dev ens6",
    ] {
        node.ip(tampering);
        let changed = apply(&node);
        assert!(!changed.is_empty(), "{tampering}");
        assert_eq!(node.everything(), right, "{tampering}: {changed:?}");
    }
}

#[test]
fn an_eni_whose_address_is_the_second_on_its_link_keeps_it_when_the_first_goes() {
    let (node, _router) = node();
    node.ip("link set ens6 up");
    // Removing the first address of a network takes the others of it along.
    node.ip("addr add 10.0.2.77/24 dev ens6");
    node.ip("addr add 10.0.2.10/24 dev ens6");
    apply(&node);
    let text = node.ip("-4 addr show ens6");
    assert!(
        text.contains("10.0.2.10/24") && !text.contains("10.0.2.77"),
        "{text}"
    );
    assert!(node.ip("route show table 2").contains("default"));
    assert_eq!(apply(&node), [""; 0]);
}

#[test]
fn a_link_that_went_down_is_set_up_again_with_its_routes() {
    let (node, _router) = node();
    apply(&node);
    node.ip("link set ens6 down");
    assert_eq!(node.ip("route show table 2"), "", "the kernel dropped them");
    apply(&node);
    assert_eq!(node.ip("route show table 2").lines().count(), 2);
}

#[test]
fn a_strict_reverse_path_filter_is_loosened() {
    let (node, _router) = node();
    node.set_sysctl("net/ipv4/conf/all/rp_filter", "1");
    node.set_sysctl("net/ipv4/conf/ens6/rp_filter", "0");
    apply(&node);
    assert_eq!(node.sysctl("net/ipv4/conf/ens6/rp_filter"), "2");
    assert_eq!(
        node.sysctl("net/ipv4/conf/all/rp_filter"),
        "1",
        "that one is the node's"
    );
    assert_eq!(apply(&node), [""; 0]);
}

#[test]
fn the_router_is_reached_from_the_enis_address() {
    let (node, _router) = node();
    apply(&node);
    node.exec("ping", "-c1 -W2 -q -I 10.0.2.10 10.0.2.1");
}

#[test]
fn a_vlan_or_bridge_with_the_enis_mac_address_is_not_taken_for_it() {
    let (node, _router) = node();
    node.ip("link add abridge type bridge");
    node.ip(&format!("link set abridge address {MAC}"));
    assert_eq!(
        node.inside(|| links::by_mac(MAC)).unwrap(),
        Some(link("ens6"))
    );
}

#[test]
fn nothing_names_an_eni_after_it_is_removed() {
    let (node, _router) = node();
    apply(&node);
    node.ip("rule add from 10.0.2.10 priority 100 lookup 2");
    node.ip("rule add from 10.0.2.11 priority 1536 lookup 2");
    node.inside(|| {
        eni::remove(facts().primary_ip, facts().table).unwrap();
        eni::remove(facts().primary_ip, facts().table).unwrap();
    });
    let rules = node.ip("rule");
    assert!(!rules.contains("10.0.2.10"), "{rules}");
    assert!(
        rules.contains("from 10.0.2.11 lookup 2"),
        "a pod's: {rules}"
    );
    assert_eq!(node.ip("route show table 2"), "");
}

#[test]
fn the_main_table_is_not_a_secondary_enis() {
    let (node, _router) = node();
    node.ip("addr add 10.9.9.9/32 dev lo");
    node.ip("route add 192.0.2.0/24 dev lo");
    let main = EniFacts {
        table: RouteTableId::MAIN,
        ..facts()
    };
    let error = node.inside(|| eni::apply(&main)).unwrap_err();
    assert!(matches!(error, Error::NotASecondaryTable { .. }), "{error}");
    assert!(
        node.inside(|| eni::remove(facts().primary_ip, RouteTableId::MAIN))
            .is_err()
    );
    assert!(node.ip("route").contains("192.0.2.0/24"));
}

#[test]
fn an_eni_that_is_not_there_is_named() {
    let empty = Namespace::new("empty");
    let error = empty.inside(|| eni::apply(&facts())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no link has MAC address {MAC}; is the ENI attached?")
    );
}

#[test]
fn a_link_is_found_when_it_appears_and_not_before() {
    let node = Namespace::new("node");
    let appeared = node.inside(|| {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| links::wait_for_mac(MAC, Duration::from_secs(20)));
            // Other links come first.
            node.ip("link add other type veth peer name another");
            node.ip("link add ens6 type veth peer name to-ens6");
            thread::sleep(Duration::from_millis(100));
            assert!(!waiting.is_finished());
            node.ip(&format!("link set ens6 address {MAC}"));
            waiting.join().unwrap()
        })
    });
    assert_eq!(appeared.unwrap(), link("ens6"));
    let at_once = node.inside(|| links::wait_for_mac(MAC, Duration::ZERO));
    assert_eq!(at_once.unwrap(), link("ens6"));
}

#[test]
fn waiting_for_a_link_ends_with_the_time_it_was_given() {
    let node = Namespace::new("node");
    let waited = Duration::from_millis(50);
    let error = node
        .inside(|| links::wait_for_mac(MAC, waited))
        .unwrap_err();
    assert!(matches!(error, Error::LinkDidNotAppear { .. }), "{error}");
}

#[test]
fn the_links_of_a_node_are_listed() {
    let (node, _router) = node();
    let names = node.inside(links::names).unwrap();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        [link("ens6"), link("lo")]
    );
}
