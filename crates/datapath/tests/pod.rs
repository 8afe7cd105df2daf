//! Pods on a real kernel: what `add` makes, what `remove` leaves, and what failures leave behind.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::net::Ipv4Addr;

use common::{Namespace, link, plan, run};
use serde_json::Value;
use vpc_datapath::pod::{self, PodTeardown};
use vpc_datapath::{Error, rules};
use vpc_model::RouteTableId;

/// A host with an address of its own, so that pods have somebody to talk to.
fn host() -> Namespace {
    let host = Namespace::new("host");
    host.ip("addr add 10.0.1.1/32 dev lo");
    host.set_sysctl("net/ipv4/ip_forward", "1");
    host
}

fn teardown(last: u8) -> PodTeardown {
    PodTeardown {
        address: Ipv4Addr::new(10, 0, 1, last),
        table: None,
        host_veth: None,
    }
}

fn texts<'a>(list: &'a [Value], key: &str) -> Vec<&'a str> {
    list.iter()
        .filter_map(|entry| entry[key].as_str())
        .collect()
}

#[test]
fn a_pod_on_a_secondary_eni_has_upstreams_kernel_state() {
    let (host, pod) = (host(), Namespace::new("pod"));
    let plan = plan(15, 2);
    let links = host.inside(|| pod::add(&pod.path(), &plan)).unwrap();

    pod.wait_until_up("eth0");
    host.wait_until_up(plan.host_veth.as_str());
    let eth0 = &pod.ip_json("link show eth0")[0];
    assert_eq!(eth0["mtu"], 9001);
    assert_eq!(eth0["qdisc"], "noqueue");
    assert_eq!(eth0["address"], links.pod_mac.to_string());
    let address = &pod.ip_json("-4 addr show eth0")[0]["addr_info"];
    assert_eq!(address[0]["local"], "10.0.1.15");
    assert_eq!(address[0]["prefixlen"], 32);
    assert_eq!(address[0]["scope"], "global");
    let routes = pod.ip("-4 route show");
    assert_eq!(
        routes.trim(),
        "default via 169.254.1.1 dev eth0 \n169.254.1.1 dev eth0 scope link"
    );
    let neighbour = &pod.ip_json("neigh show 169.254.1.1")[0];
    assert_eq!(neighbour["lladdr"], links.host_mac.to_string());
    assert_eq!(neighbour["state"][0], "PERMANENT");

    let veth = &host.ip_json(&format!("link show {}", plan.host_veth))[0];
    assert_eq!(veth["ifindex"], links.host_index);
    assert_eq!(veth["address"], links.host_mac.to_string());
    assert_eq!(veth["mtu"], 9001);
    assert_eq!(
        host.ip("-4 route show table main").trim(),
        format!("10.0.1.15 dev {} scope link", plan.host_veth)
    );
    let rules = host.ip("-4 rule");
    assert!(
        rules.contains("512:\tfrom all to 10.0.1.15 lookup main\n"),
        "{rules}"
    );
    assert!(
        rules.contains("1536:\tfrom 10.0.1.15 lookup 2\n"),
        "{rules}"
    );
    for setting in ["accept_ra", "accept_redirects", "forwarding"] {
        let name = format!("net/ipv6/conf/{}/{setting}", plan.host_veth);
        assert_eq!(host.sysctl(&name), "0", "{setting}");
    }
    assert!(pod.reaches(Ipv4Addr::new(10, 0, 1, 1)), "pod to node");
    assert!(host.reaches(plan.address), "node to pod");
}

#[test]
fn pods_on_one_node_reach_each_other() {
    let (host, one, two) = (host(), Namespace::new("one"), Namespace::new("two"));
    host.inside(|| pod::add(&one.path(), &plan(21, 254)))
        .unwrap();
    host.inside(|| pod::add(&two.path(), &plan(22, 3))).unwrap();
    assert!(one.reaches(Ipv4Addr::new(10, 0, 1, 22)));
    assert!(two.reaches(Ipv4Addr::new(10, 0, 1, 21)));
    assert!(
        !host.ip("rule").contains("from 10.0.1.21"),
        "a pod on the primary ENI needs no rule"
    );
}

#[test]
fn a_further_interface_has_its_own_table_and_gateway() {
    let (host, pod) = (host(), Namespace::new("pod"));
    host.inside(|| pod::add(&pod.path(), &plan(31, 254)))
        .unwrap();
    let mut second = plan(32, 10101);
    second.container_if = link("mNicIf1");
    second.index = 1;
    host.inside(|| pod::add(&pod.path(), &second)).unwrap();
    assert_eq!(
        pod.ip("-4 route show table 1").trim(),
        "default via 169.254.1.2 dev mNicIf1 \n169.254.1.2 dev mNicIf1 scope link"
    );
    assert!(
        pod.ip("rule").contains("1:\tfrom 10.0.1.32 lookup 1\n"),
        "{}",
        pod.ip("rule")
    );
    assert!(host.reaches(Ipv4Addr::new(10, 0, 1, 32)));
    assert!(
        host.inside(|| pod::check(&pod.path(), &second))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn nothing_of_a_pod_is_left_after_it_is_removed() {
    let (host, pod) = (host(), Namespace::new("pod"));
    let before = host.everything();
    let plan = plan(15, 2);
    host.inside(|| pod::add(&pod.path(), &plan)).unwrap();
    assert_eq!(host.inside(rules::pods_on_node).unwrap().len(), 1);
    let gone = PodTeardown {
        host_veth: Some(plan.host_veth),
        ..teardown(15)
    };
    host.inside(|| pod::remove(&gone)).unwrap();
    assert_eq!(host.everything(), before);
    assert_eq!(host.inside(rules::pods_on_node).unwrap(), []);
    assert!(
        pod.ip("link").lines().all(|line| !line.contains("eth0")),
        "the pair is gone"
    );
}

#[test]
fn removing_twice_and_removing_what_never_was_is_fine() {
    let (host, pod) = (host(), Namespace::new("pod"));
    host.inside(|| pod::add(&pod.path(), &plan(15, 2))).unwrap();
    host.inside(|| {
        pod::remove(&teardown(15)).unwrap();
        pod::remove(&teardown(15)).unwrap();
        pod::remove(&teardown(16)).unwrap();
    });
    assert!(!host.ip("rule").contains("10.0.1.15"));
}

#[test]
fn all_rules_of_an_address_go_however_many_there_are() {
    let host = host();
    for table in [2, 3, 4, 5] {
        host.ip(&format!(
            "rule add from 10.0.1.15 priority 1536 lookup {table}"
        ));
    }
    host.ip("rule add from 10.0.1.15 priority 1537 lookup 9");
    let only_table_3 = PodTeardown {
        table: Some(RouteTableId(3)),
        ..teardown(15)
    };
    host.inside(|| pod::remove(&only_table_3)).unwrap();
    let rules = host.ip("rule");
    assert!(
        !rules.contains("lookup 3") && rules.contains("lookup 2"),
        "{rules}"
    );
    host.inside(|| pod::remove(&teardown(15))).unwrap();
    let rules = host.ip("rule");
    assert_eq!(rules.matches("10.0.1.15").count(), 1, "{rules}");
    assert!(
        rules.contains("1537:\tfrom 10.0.1.15 lookup 9"),
        "that one is not ours: {rules}"
    );
}

#[test]
fn a_late_removal_leaves_the_veth_of_a_newer_sandbox_alone() {
    let (host, new) = (host(), Namespace::new("new"));
    // The older sandbox of the pod had 10.0.1.15; the newer one has 10.0.1.16.
    let mut newer = plan(16, 2);
    newer.host_veth = plan(15, 2).host_veth;
    host.inside(|| pod::add(&new.path(), &newer)).unwrap();
    let late = PodTeardown {
        host_veth: Some(newer.host_veth),
        ..teardown(15)
    };
    host.inside(|| pod::remove(&late)).unwrap();
    assert!(host.reaches(newer.address));
}

#[test]
fn adding_again_changes_nothing() {
    let (host, pod) = (host(), Namespace::new("pod"));
    let plan = plan(15, 2);
    let first = host.inside(|| pod::add(&pod.path(), &plan)).unwrap();
    host.wait_until_up(plan.host_veth.as_str());
    pod.wait_until_up("eth0");
    let (before, watch_host, watch_pod) = (host.everything(), host.watch(), pod.watch());
    let second = host.inside(|| pod::add(&pod.path(), &plan)).unwrap();
    assert_eq!(first, second);
    assert_eq!(host.everything(), before);
    assert_eq!((watch_host.count(), watch_pod.count()), (0, 0));
}

#[test]
fn adding_again_repairs_what_is_missing_and_takes_a_new_address() {
    let (host, pod) = (host(), Namespace::new("pod"));
    let mut plan = plan(15, 2);
    host.inside(|| pod::add(&pod.path(), &plan)).unwrap();
    host.ip("rule del to 10.0.1.15 priority 512");
    pod.ip("route del default");
    plan.address = Ipv4Addr::new(10, 0, 1, 19);
    plan.table = RouteTableId(3);
    host.inside(|| pod::add(&pod.path(), &plan)).unwrap();
    assert!(
        host.inside(|| pod::check(&pod.path(), &plan))
            .unwrap()
            .is_empty()
    );
    assert!(!pod.ip("addr").contains("10.0.1.15"));
    assert!(pod.reaches(Ipv4Addr::new(10, 0, 1, 1)));
}

#[test]
fn a_new_sandbox_takes_the_place_of_an_older_one_of_the_same_pod() {
    let (host, old, new) = (host(), Namespace::new("old"), Namespace::new("new"));
    let plan = plan(15, 2);
    host.inside(|| pod::add(&old.path(), &plan)).unwrap();
    let links = host.inside(|| pod::add(&new.path(), &plan)).unwrap();
    assert!(new.reaches(Ipv4Addr::new(10, 0, 1, 1)));
    assert!(
        host.inside(|| pod::check(&new.path(), &plan))
            .unwrap()
            .is_empty()
    );
    assert!(!old.ip("link").contains("eth0"), "the old pair is gone");
    let veths = host.ip_json("link show type veth");
    assert_eq!(texts(&veths, "ifname"), [plan.host_veth.as_str()]);
    assert_eq!(veths[0]["ifindex"], links.host_index);
    assert_eq!(host.ip("rule").matches("10.0.1.15").count(), 2);
}

#[test]
fn a_rule_that_an_interrupted_removal_left_does_not_lead_the_next_pod_astray() {
    let (host, pod) = (host(), Namespace::new("pod"));
    host.ip("rule add from 10.0.1.15 priority 1536 lookup 7");
    host.ip("rule add from 10.0.1.15 priority 1536 lookup 8");
    host.inside(|| pod::add(&pod.path(), &plan(15, 2))).unwrap();
    let found = host.inside(rules::pods_on_node).unwrap();
    assert_eq!(found[0].from_pod, Some(RouteTableId(2)));
    assert_eq!(host.ip("rule").matches("from 10.0.1.15").count(), 1);
}

#[test]
fn a_namespace_that_is_not_there_is_named_and_nothing_is_touched() {
    let host = host();
    let before = host.everything();
    let missing = "/run/netns/there-is-no-such-namespace".as_ref();
    let error = host.inside(|| pod::add(missing, &plan(15, 2))).unwrap_err();
    assert!(matches!(error, Error::OpenNamespace { .. }), "{error}");
    assert!(error.to_string().contains("there-is-no-such-namespace"));
    assert_eq!(host.everything(), before);
}

#[test]
fn a_file_that_is_no_namespace_is_refused() {
    let host = host();
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = host
        .inside(|| pod::add(file.path(), &plan(15, 2)))
        .unwrap_err();
    assert!(matches!(error, Error::EnterNamespace { .. }), "{error}");
}

#[test]
fn the_hosts_own_namespace_is_refused() {
    let host = host();
    let before = host.everything();
    let error = host
        .inside(|| pod::add(&host.path(), &plan(15, 2)))
        .unwrap_err();
    assert!(matches!(error, Error::HostNamespace { .. }), "{error}");
    assert_eq!(host.everything(), before);
}

#[test]
fn an_interface_another_plugin_made_is_left_alone() {
    let (host, pod) = (host(), Namespace::new("pod"));
    pod.ip("link add eth0 type bridge");
    let (host_before, pod_before) = (host.everything(), pod.everything());
    let error = host
        .inside(|| pod::add(&pod.path(), &plan(15, 2)))
        .unwrap_err();
    assert!(matches!(error, Error::InterfaceTaken { .. }), "{error}");
    assert_eq!(
        (host.everything(), pod.everything()),
        (host_before, pod_before)
    );
}

#[test]
fn a_link_of_the_node_that_is_no_veth_is_left_alone() {
    let (host, pod) = (host(), Namespace::new("pod"));
    host.ip(&format!("link add {} type bridge", plan(15, 2).host_veth));
    let (host_before, pod_before) = (host.everything(), pod.everything());
    let error = host
        .inside(|| pod::add(&pod.path(), &plan(15, 2)))
        .unwrap_err();
    assert!(matches!(error, Error::HostLinkTaken { .. }), "{error}");
    assert_eq!(
        (host.everything(), pod.everything()),
        (host_before, pod_before)
    );
}

#[test]
fn an_add_that_fails_half_way_leaves_no_trace() {
    let (host, pod) = (host(), Namespace::new("pod"));
    // Another plugin's default route, which is not ours to take.
    pod.ip("link add net1 type bridge");
    pod.ip("link set net1 up");
    pod.ip("route add default dev net1");
    let (host_before, pod_before) = (host.everything(), pod.everything());
    let error = host
        .inside(|| pod::add(&pod.path(), &plan(15, 2)))
        .unwrap_err();
    let expected = "the kernel refused to add route default via 169.254.1.1 dev eth0 table main";
    assert_eq!(error.to_string(), expected);
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("File exists"), "{reason}");
    assert_eq!(
        (host.everything(), pod.everything()),
        (host_before, pod_before)
    );
}

#[test]
fn check_names_each_difference() {
    let (host, pod) = (host(), Namespace::new("pod"));
    let plan = plan(15, 2);
    let check = || host.inside(|| pod::check(&pod.path(), &plan)).unwrap();
    assert_eq!(
        check(),
        [
            "there is no link eth0 in the pod",
            &format!("there is no link {} on the host", plan.host_veth)
        ]
    );
    host.inside(|| pod::add(&pod.path(), &plan)).unwrap();
    assert!(check().is_empty(), "{:?}", check());
    host.ip("rule del to 10.0.1.15 priority 512");
    host.ip("rule del from 10.0.1.15 priority 1536");
    host.ip("rule add from 10.0.1.15 priority 1536 lookup 7");
    pod.ip("link set eth0 mtu 1400");
    pod.ip("neigh del 169.254.1.1 dev eth0");
    let differences = check();
    for part in [
        "set the MTU of eth0 to 9001",
        "set neighbour 169.254.1.1",
        "add rule to 10.0.1.15 priority 512 lookup main",
        "add rule from 10.0.1.15 priority 1536 lookup 2",
        "delete rule from 10.0.1.15 priority 1536 lookup 7",
    ] {
        assert!(
            differences.iter().any(|line| line.contains(part)),
            "{part}: {differences:?}"
        );
    }
    assert_eq!(differences.len(), 5, "{differences:?}");
}

#[test]
fn pods_added_at_the_same_time_do_not_disturb_each_other() {
    let host = host();
    let pods: Vec<Namespace> = (0..16).map(|_| Namespace::new("many")).collect();
    host.inside(|| {
        let path = host.path();
        std::thread::scope(|scope| {
            for (number, pod) in pods.iter().enumerate() {
                let plan = plan(100 + u8::try_from(number).unwrap(), 2);
                let path = &path;
                scope.spawn(move || {
                    // A thread starts in its parent's namespace.
                    assert!(path.exists());
                    pod::add(&pod.path(), &plan).unwrap();
                });
            }
        });
    });
    assert_eq!(host.inside(rules::pods_on_node).unwrap().len(), 16);
    assert!(pods[3].reaches(Ipv4Addr::new(10, 0, 1, 115)));
}

#[test]
fn this_machine_can_run_these_tests() {
    assert_eq!(
        run(std::process::Command::new("id").arg("-u")).trim(),
        "0",
        "needs root"
    );
}
