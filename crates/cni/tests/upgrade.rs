//! Sandboxes that an earlier plugin wired: DEL with what three generations of upstream left behind
//! as `prevResult`, in the situations in which only that tells what there is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test file helpers may fail the test too"
)]

mod support;

use serde_json::{Value, json};
use support::{Manner, Node, Pod};

/// Who printed the result.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Generation {
    /// Up to 1.12: nothing but names and addresses.
    Bare,
    /// 1.12.1 to 1.19: the device number in a dummy interface.
    Device,
    /// From 1.20: the route table as the MAC of the pod's interface.
    Table,
    /// Ours, as the specification has it and nothing besides.
    Plain,
    /// The table, and egress-cni behind it added its own.
    TableAndEgress,
}

const GENERATIONS: [Generation; 5] = [
    Generation::Bare,
    Generation::Device,
    Generation::Table,
    Generation::Plain,
    Generation::TableAndEgress,
];

/// `result` as that generation would have printed it.
fn as_printed_by(generation: Generation, result: &Value) -> Value {
    let mut result = result.clone();
    let interfaces = result["interfaces"].as_array_mut().unwrap();
    if matches!(generation, Generation::Bare | Generation::Device) {
        for interface in interfaces.iter_mut().skip(1).step_by(2) {
            interface.as_object_mut().unwrap().remove("mac");
        }
    }
    match generation {
        Generation::Bare => drop(interfaces.pop()),
        Generation::Device => {
            interfaces.last_mut().unwrap()["mac"] = json!("0");
        }
        Generation::Table => {}
        Generation::Plain => {
            interfaces[1]["mac"] = json!("02:00:00:00:00:01");
            interfaces.pop();
        }
        Generation::TableAndEgress => {
            interfaces.push(json!({ "name": "vethegress" }));
            interfaces.push(json!({ "name": "v4if0", "sandbox": "/run/netns/x" }));
            let at = interfaces.len() - 1;
            let ips = result["ips"].as_array_mut().unwrap();
            ips.push(json!({ "interface": at, "address": "169.254.172.9/22", "version": "4" }));
        }
    }
    result
}

/// What ipamd has to say about the sandbox, and what became of its namespace.
#[derive(Clone, Copy, Debug)]
struct Situation {
    ipamd_is_away: bool,
    netns_is_gone: bool,
}

const SITUATIONS: [Situation; 4] = [
    Situation {
        ipamd_is_away: false,
        netns_is_gone: false,
    },
    Situation {
        ipamd_is_away: false,
        netns_is_gone: true,
    },
    Situation {
        ipamd_is_away: true,
        netns_is_gone: false,
    },
    Situation {
        ipamd_is_away: true,
        netns_is_gone: true,
    },
];

#[test]
fn every_generations_sandbox_is_torn_down_whoever_is_away() {
    for generation in GENERATIONS {
        for situation in SITUATIONS {
            let mut node = Node::new();
            let before = node.state();
            let mut pod = Pod::new(&node, "web");
            pod.fields = json!({ "cniVersion": "0.4.0" });
            let printed = as_printed_by(generation, &pod.add());
            if situation.ipamd_is_away {
                node.ipamd = None;
            } else {
                node.ipamd.as_ref().unwrap().forget();
            }
            if situation.netns_is_gone {
                pod.lose_netns(&node);
            }
            pod.call("DEL", Some(&printed)).silent();
            let what = format!("{generation:?}, {situation:?}");
            assert_eq!(node.rules_of("10.0.1.20"), [""; 0], "{what}");
            assert_eq!(node.route_to("10.0.1.20"), None, "{what}");
            assert_eq!(
                node.queued().len(),
                usize::from(situation.ipamd_is_away),
                "{what}"
            );
            // Once more, as runtimes do.
            pod.call("DEL", Some(&printed)).silent();
            if !situation.netns_is_gone {
                pod.netns = None;
            }
            node.settle(&before);
            assert_eq!(node.state(), before, "{what}");
        }
    }
}

#[test]
fn every_interface_of_a_pod_on_two_cards_is_torn_down() {
    for generation in [Generation::Table, Generation::TableAndEgress] {
        let mut node = Node::with(Manner {
            interfaces: 2,
            ..Manner::default()
        });
        let pod = Pod::new(&node, "web");
        let printed = as_printed_by(generation, &pod.add());
        node.ipamd = None;
        pod.call("DEL", Some(&printed)).silent();
        for address in ["10.0.1.20", "10.0.1.21"] {
            assert_eq!(node.rules_of(address), [""; 0], "{generation:?}");
        }
    }
}

#[test]
fn no_generations_result_makes_del_touch_another_pod() {
    for generation in GENERATIONS {
        let mut node = Node::new();
        let (old, other) = (Pod::new(&node, "old"), Pod::new(&node, "other"));
        let printed = as_printed_by(generation, &old.add());
        let others = other.add();
        // The address in the result is another pod's by now.
        let mut stale = printed.clone();
        stale["ips"][0]["address"] = others["ips"][0]["address"].clone();
        node.ipamd = None;
        let wired = node.state();
        old.call("DEL", Some(&stale)).silent();
        assert_eq!(node.state(), wired, "{generation:?}");
    }
}

#[test]
fn a_branch_pods_result_removes_nothing_and_says_so() {
    let mut node = Node::new();
    let pod = Pod::new(&node, "web");
    let mut printed = pod.add();
    printed["interfaces"][2] = json!({ "name": printed["interfaces"][2]["name"], "mac": "7" });
    node.ipamd = None;
    let wired = node.state();
    let ran = pod.call("DEL", Some(&printed));
    ran.silent();
    assert_eq!(node.state(), wired);
    let warnings = ran.log()["warnings"].to_string();
    assert!(warnings.contains("VLAN 7"), "{warnings}");
}

#[test]
fn what_we_print_is_what_the_newest_generation_reads_back() {
    // The rules by which upstream's plugin (from 1.20) finds what to tear down.
    let node = Node::new();
    let mut pod = Pod::new(&node, "sample-pod");
    pod.fields = json!({ "cniVersion": "0.4.0" });
    let result = pod.add();
    let interfaces = result["interfaces"].as_array().unwrap();
    let named = |name: &str| {
        let at = interfaces.iter().position(|it| it["name"] == name).unwrap();
        (at, &interfaces[at])
    };
    let (_, dummy) = named("dummycc21c2d7785");
    assert_eq!(dummy["mac"], "0");
    assert!(dummy["sandbox"].as_str().unwrap().parse::<u32>().is_ok());
    let (at, pod_end) = named("eth0");
    assert_eq!((interfaces.len() - 1) / 2, 1, "interfaces of the pod");
    assert_eq!(pod_end["mac"].as_str().unwrap().parse::<u32>(), Ok(2));
    let bound = result["ips"].as_array().unwrap().iter();
    assert_eq!(bound.filter(|ip| ip["interface"] == at).count(), 1);
}
