//! The plugin as a runtime runs it: executed in a node's namespace for pods in theirs, against an
//! ipamd on a real socket, judged by what `ip` and packets show.

#![allow(
    clippy::unwrap_used,
    reason = "in a test file helpers may fail the test too"
)]

mod support;

use serde_json::{Value, json};
use support::{FakeAgent, FakeIpamd, Manner, Node, Pod};
use vpc_rpc::proto::IpAllocationMetadata;
use vpc_rpc::{Code, Status};

#[test]
fn add_wires_the_pod_as_upstream_does() {
    let node = Node::new();
    let pod = Pod::new(&node, "web");
    pod.add();
    assert_eq!(pod.address(), "10.0.1.20");
    let link = &pod.ip(&["link", "show", "eth0"])[0];
    assert_eq!(link["mtu"], 9001);
    let routes = pod.ip(&["route"]);
    let route = |dst: &str| {
        routes
            .as_array()
            .unwrap()
            .iter()
            .find(|route| route["dst"] == dst)
            .unwrap()
    };
    assert_eq!(route("default")["gateway"], "169.254.1.1");
    assert_eq!(route("169.254.1.1")["scope"], "link");
    let neighbour = &pod.ip(&["neigh", "show", "169.254.1.1"])[0];
    assert_eq!(neighbour["state"], json!(["PERMANENT"]));

    let veth = node.route_to("10.0.1.20").unwrap();
    let host = &node.netns.ip(&["link", "show", &veth])[0];
    assert_eq!(neighbour["lladdr"], host["address"]);
    assert_eq!(node.rules_of("10.0.1.20"), ["512/main", "1536/2"]);
    assert!(answers(&node, "10.0.1.20"));
}

#[test]
fn the_result_has_the_shape_of_the_configurations_version() {
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        let node = Node::new();
        let mut pod = Pod::new(&node, "sample-pod");
        pod.fields = json!({ "cniVersion": version });
        let mut expected = json!({
            "cniVersion": version,
            "interfaces": [
                { "name": "enicc21c2d7785" },
                { "name": "eth0", "mac": "2", "sandbox": pod.netns_path },
                { "name": "dummycc21c2d7785", "mac": "0", "sandbox": "1" }
            ],
            "ips": [{ "interface": 1, "address": "10.0.1.20/32" }],
        });
        if version == "0.4.0" {
            expected["ips"][0]["version"] = json!("4");
            expected["dns"] = json!({});
        }
        assert_eq!(pod.add(), expected);
    }
}

#[test]
fn a_pod_that_comes_back_while_its_old_sandbox_is_going_is_wired() {
    let node = Node::new();
    for round in 0..8 {
        let mut pod = Pod::new(&node, "web-0");
        pod.container_id = format!("round-{round}");
        let result = pod.add();
        assert!(answers(&node, &pod.address()));
        pod.call("DEL", Some(&result)).silent();
        // Its namespace goes here, and the kernel takes its time about it.
    }
}

#[test]
fn a_pod_of_the_primary_eni_has_no_rule_of_its_own_for_leaving() {
    let gives = IpAllocationMetadata {
        ipv4_addr: "10.0.1.77".to_owned(),
        route_table_id: 254,
        ..Default::default()
    };
    let node = Node::with(Manner {
        gives: Some(gives),
        ..Default::default()
    });
    let pod = Pod::new(&node, "web");
    let result = pod.add();
    assert_eq!(result["interfaces"][1]["mac"], "254");
    assert_eq!(result["interfaces"][2]["sandbox"], "0");
    assert_eq!(node.rules_of("10.0.1.77"), ["512/main"]);
}

#[test]
fn the_same_add_again_gives_the_same_and_leaves_one_of_everything() {
    let node = Node::new();
    let pod = Pod::new(&node, "web");
    let first = pod.add();
    assert_eq!(pod.add(), first);
    assert_eq!(node.rules_of("10.0.1.20"), ["512/main", "1536/2"]);
    assert_eq!(
        node.netns
            .ip(&["link"])
            .to_string()
            .matches("\"ifname\":\"eni")
            .count(),
        1
    );
    assert_eq!(node.ipamd.as_ref().unwrap().holders(), 1);
    assert!(answers(&node, "10.0.1.20"));
}

#[test]
fn del_removes_rules_and_route_and_may_be_repeated() {
    let node = Node::new();
    let before = node.state();
    let mut pod = Pod::new(&node, "web");
    let result = pod.add();
    let ran = pod.call("DEL", Some(&result));
    ran.silent();
    assert_eq!(ran.log()["addresses"], json!(["10.0.1.20"]));
    assert_eq!(node.rules_of("10.0.1.20"), [""; 0]);
    assert_eq!(node.route_to("10.0.1.20"), None);
    assert_eq!(node.ipamd.as_ref().unwrap().reasons(), ["PodDeleted"]);
    pod.call("DEL", Some(&result)).silent();
    pod.call("DEL", None).silent();
    pod.lose_netns(&node);
    node.settle(&before);
    assert_eq!(node.state(), before);
    pod.call("DEL", Some(&result)).silent();
}

#[test]
fn del_finds_its_way_without_a_namespace() {
    let node = Node::new();
    let mut pod = Pod::new(&node, "web");
    let result = pod.add();
    pod.lose_netns(&node);
    pod.call("DEL", Some(&result)).silent();
    assert_eq!(node.rules_of("10.0.1.20"), [""; 0]);
    assert_eq!(node.ipamd.as_ref().unwrap().holders(), 0);
}

#[test]
fn del_succeeds_without_ipamd_and_keeps_the_release_for_it() {
    let mut node = Node::new();
    let pod = Pod::new(&node, "web");
    let result = pod.add();
    node.ipamd = None;
    let ran = pod.call("DEL", Some(&result));
    ran.silent();
    assert_eq!(ran.log()["level"], "warn");
    assert_eq!(node.rules_of("10.0.1.20"), [""; 0]);
    assert_eq!(node.route_to("10.0.1.20"), None);
    let queued = node.queued();
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0].key.to_string(), "aws-cni/web-sandbox/eth0");
    assert_eq!(queued[0].pod.to_string(), "default/web");

    // The same sandbox once more: its old release must not take the address away again.
    node.ipamd = Some(FakeIpamd::start(&node.socket(), Manner::default()));
    pod.add();
    assert!(node.queued().is_empty());
}

#[test]
fn del_without_ipamd_and_without_a_namespace_removes_the_orphaned_rules() {
    let mut node = Node::new();
    let mut pod = Pod::new(&node, "web");
    let result = pod.add();
    node.ipamd = None;
    pod.lose_netns(&node);
    pod.call("DEL", Some(&result)).silent();
    assert_eq!(node.rules_of("10.0.1.20"), [""; 0]);
    assert_eq!(node.queued().len(), 1);
}

#[test]
fn del_of_a_pod_ipamd_does_not_know_removes_what_is_surely_its_own() {
    let node = Node::new();
    let pod = Pod::new(&node, "web");
    let result = pod.add();
    node.ipamd.as_ref().unwrap().forget();
    let ran = pod.call("DEL", Some(&result));
    ran.silent();
    assert_eq!(ran.log()["unknownToIpamd"], true);
    assert_eq!(node.rules_of("10.0.1.20"), [""; 0]);
    assert!(node.queued().is_empty());
}

#[test]
fn a_late_del_never_touches_the_next_holder_of_the_address() {
    for away in [false, true] {
        let gives = IpAllocationMetadata {
            ipv4_addr: "10.0.1.77".to_owned(),
            route_table_id: 2,
            device_number: 1,
            ..Default::default()
        };
        let mut node = Node::with(Manner {
            gives: Some(gives),
            ..Default::default()
        });
        let old = Pod::new(&node, "old");
        let result = old.add();
        old.call("DEL", Some(&result)).silent();
        let new = Pod::new(&node, "new");
        new.add();
        let wired = node.state();
        if away {
            node.ipamd = None;
        }
        old.call("DEL", Some(&result)).silent();
        assert_eq!(node.state(), wired);
        assert!(answers(&node, "10.0.1.77"));
    }
}

#[test]
fn a_late_del_never_touches_a_newer_sandbox_of_the_same_name() {
    let gives = IpAllocationMetadata {
        ipv4_addr: "10.0.1.77".to_owned(),
        route_table_id: 2,
        device_number: 1,
        ..Default::default()
    };
    let node = Node::with(Manner {
        gives: Some(gives),
        ..Default::default()
    });
    let mut old = Pod::new(&node, "web-0");
    old.container_id = "old".to_owned();
    let result = old.add();
    old.call("DEL", Some(&result)).silent();
    let new = Pod::new(&node, "web-0");
    new.add();
    let wired = node.state();
    old.call("DEL", Some(&result)).silent();
    assert_eq!(node.state(), wired);
    old.netns = None;
    old.call("DEL", Some(&result)).silent();
    assert_eq!(node.state(), wired);
}

#[test]
fn an_add_the_kernel_refuses_leaves_no_trace() {
    let node = Node::new();
    let pod = Pod::new(&node, "web");
    pod.netns
        .as_ref()
        .unwrap()
        .change("link add eth0 type veth peer name other");
    let (before, inside) = (node.state(), pod.ip(&["address"]));
    let error = pod.call("ADD", None).error(103);
    assert!(error.contains("eth0"), "{error}");
    assert_eq!(node.state(), before);
    assert_eq!(pod.ip(&["address"]), inside);
    let ipamd = node.ipamd.as_ref().unwrap();
    assert_eq!(
        (ipamd.holders(), ipamd.reasons()),
        (0, vec!["SetupNSFailed".to_owned()])
    );
}

#[test]
fn an_add_ipamd_has_no_address_for_is_to_be_tried_again_and_touches_nothing() {
    let status = Status::new(Code::ResourceExhausted, "subnet-1 has no free address");
    let cases = [
        (
            Manner {
                refuses: Some(status),
                ..Default::default()
            },
            "subnet-1 has no free address",
        ),
        (
            Manner {
                has_nothing: true,
                ..Default::default()
            },
            "no address",
        ),
    ];
    for (manner, says) in cases {
        let node = Node::with(manner);
        let before = node.state();
        let error = Pod::new(&node, "web").call("ADD", None).error(11);
        assert!(error.contains(says), "{error}");
        assert_eq!(node.state(), before);
    }
    let node = Node::without_ipamd();
    let before = node.state();
    let error = Pod::new(&node, "web").call("ADD", None).error(11);
    assert!(
        error.contains("ipamd.sock") && error.contains("aws-node"),
        "{error}"
    );
    assert_eq!(node.state(), before);
}

#[test]
fn an_answer_that_would_harm_the_node_is_given_back() {
    let gives = IpAllocationMetadata {
        ipv4_addr: "127.0.0.1".to_owned(),
        route_table_id: 254,
        ..Default::default()
    };
    let node = Node::with(Manner {
        gives: Some(gives),
        ..Default::default()
    });
    let before = node.state();
    let error = Pod::new(&node, "web").call("ADD", None).error(100);
    assert!(error.contains("127.0.0.1"), "{error}");
    assert_eq!(node.state(), before);
    assert_eq!(node.ipamd.as_ref().unwrap().holders(), 0);
}

#[test]
fn a_pod_on_two_network_cards_is_wired_twice() {
    let node = Node::with(Manner {
        interfaces: 2,
        ..Default::default()
    });
    let pod = Pod::new(&node, "sample-pod");
    let result = pod.add();
    let names: Vec<_> = result["interfaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].clone())
        .collect();
    assert_eq!(
        names,
        [
            "enicc21c2d7785",
            "eth0",
            "enia0b7655f3c9",
            "mNicIf1",
            "dummycc21c2d7785"
        ]
    );
    assert_eq!(node.route_to("10.0.1.21").unwrap(), "enia0b7655f3c9");
    pod.call("DEL", Some(&result)).silent();
    assert_eq!(node.rules_of("10.0.1.21"), [""; 0]);
}

#[test]
fn policies_are_enforced_before_the_pod_starts_or_it_does_not() {
    let node = Node::with(Manner {
        policy_mode: "strict",
        ..Default::default()
    });
    let before = node.state();
    let pod = Pod::new(&node, "web");
    let error = pod.call("ADD", None).error(104);
    assert!(error.contains("npa.sock"), "{error}");
    node.settle(&before);
    assert_eq!(node.state(), before);
    assert_eq!(node.ipamd.as_ref().unwrap().holders(), 0);

    let agent = FakeAgent::start(&node.socket().with_file_name("npa.sock"));
    let result = pod.add();
    pod.call("DEL", Some(&result)).silent();
    assert_eq!(agent.calls(), ["enforce web strict 1", "delete web"]);
    pod.add();
    drop(agent);
    let ran = pod.call("DEL", Some(&result));
    ran.silent();
    let log = ran.log();
    let warning = log["warnings"][0].as_str().unwrap();
    assert!(warning.contains("npa.sock"), "{log}");
}

#[test]
fn check_names_each_difference() {
    let node = Node::new();
    let pod = Pod::new(&node, "web");
    let result = pod.add();
    pod.call("CHECK", Some(&result)).silent();
    node.netns.change("rule del to 10.0.1.20 priority 512");
    pod.netns.as_ref().unwrap().change("route del default");
    let error = pod.call("CHECK", Some(&result)).error(105);
    assert!(
        error.contains("512") && error.contains("default"),
        "{error}"
    );
}

#[test]
fn status_asks_ipamd() {
    let status = |node: &Node| {
        let mut pod = Pod::new(node, "");
        pod.fields = json!({ "cniVersion": "1.1.0" });
        pod.call("STATUS", None)
    };
    status(&Node::new()).silent();
    let waiting = Node::with(Manner {
        not_ready: Some("waiting for IMDS"),
        ..Default::default()
    });
    assert!(status(&waiting).error(50).contains("waiting for IMDS"));
    assert!(
        status(&Node::without_ipamd())
            .error(50)
            .contains("ipamd.sock")
    );
}

#[test]
fn del_goes_on_where_the_configuration_was_edited_badly_since() {
    let node = Node::new();
    let mut pod = Pod::new(&node, "web");
    let result = pod.add();
    pod.fields = json!({
        "cniVersion": "1.0.0", "mtu": "abc", "vethPrefix": "toolong", "pluginLogFile": "stdout",
        "podSGEnforcingMode": 7
    });
    pod.call("ADD", None).error(7);
    pod.call("DEL", Some(&result)).silent();
    assert_eq!(node.rules_of("10.0.1.20"), [""; 0]);
}

#[test]
fn del_goes_on_where_the_previous_result_was_spoilt_since() {
    for spoilt in [
        json!(7),
        json!({ "cniVersion": "9.9.9" }),
        json!({ "ips": [{}] }),
    ] {
        let node = Node::new();
        let pod = Pod::new(&node, "web");
        pod.add();
        let ran = pod.call("DEL", Some(&spoilt));
        ran.silent();
        assert_eq!(node.rules_of("10.0.1.20"), [""; 0]);
        let warning = ran.log()["warnings"][0].as_str().unwrap().to_owned();
        assert!(warning.contains("prevResult"), "{warning}");
    }
}

#[test]
fn every_verb_leaves_a_line_in_the_log_file() {
    let node = Node::new();
    let mut pod = Pod::new(&node, "web");
    pod.fields["pluginLogFile"] = json!(node.log());
    let result = pod.add();
    pod.call("DEL", Some(&result)).silent();
    let text = std::fs::read_to_string(node.log()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines.iter().map(|line| &line["verb"]).collect::<Vec<_>>(),
        ["ADD", "DEL"]
    );
    assert_eq!(lines[0]["pod"], "default/web");
    assert!(lines[0]["stagesUs"]["ipamd"].is_u64() && lines[0]["stagesUs"]["kernel"].is_u64());
}

#[test]
fn pods_that_start_and_stop_at_once_do_not_disturb_each_other() {
    let node = Node::new();
    let before = node.state();
    let names: Vec<String> = (0..12).map(|number| format!("web-{number}")).collect();
    let pods: Vec<Pod> = names.iter().map(|name| Pod::new(&node, name)).collect();
    let results = std::thread::scope(|scope| {
        let started: Vec<_> = pods.iter().map(|pod| scope.spawn(|| pod.add())).collect();
        started
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect::<Vec<_>>()
    });
    for pod in &pods {
        assert!(answers(&node, &pod.address()));
    }
    std::thread::scope(|scope| {
        for (pod, result) in pods.iter().zip(&results) {
            scope.spawn(|| pod.call("DEL", Some(result)).silent());
        }
    });
    drop(pods);
    node.settle(&before);
    assert_eq!(node.state(), before);
}

/// Whether the address answers a ping from the node.
fn answers(node: &Node, address: &str) -> bool {
    let mut ping = node.netns.command("ping");
    ping.args(["-c", "1", "-W", "5", address])
        .output()
        .unwrap()
        .status
        .success()
}
