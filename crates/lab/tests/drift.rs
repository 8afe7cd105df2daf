//! A node whose kernel state somebody changes behind the daemon's back, and one on which nothing
//! is wrong.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::pool::{
    Holdings, assert_connected, assert_keep_addresses, config_with, delete, env, eventually, says,
    up,
};
use netlink_sys::{Socket, SocketAddr, protocols};
use vpc_lab::Pod;
use vpc_lab::demo::stage::{Demo, EniKind};
use vpc_lab::netns::run_in;
use vpc_lab::probe::stream::Stream;

/// How long EC2 and the node may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// More pods than the primary ENI of an m5.large has addresses for.
const PODS: usize = 12;

#[tokio::test]
async fn a_daemon_that_starts_on_a_node_that_is_right_changes_nothing_in_the_kernel() {
    let (demo, pods) = demo_at_rest("right").await;
    let before = everything(demo.node(1).netns());
    let from = demo.node(2).netns();
    let stream = Stream::start(from, pods[0].address)
        .await
        .expect("a stream");
    stream.settle(10).await;
    for kill in [false, true] {
        let node = demo.node(1);
        if kill {
            node.kill_ipamd().await.expect("an end");
        } else {
            node.stop_ipamd().await.expect("an end");
        }
        let monitor = Monitor::start(node.netns());
        std::fs::remove_file(node.ipamd_log()).expect("no log");
        demo.start(1, &env(&[("WARM_IP_TARGET", "2")]))
            .await
            .expect("a daemon");
        // It serves only when it has looked at everything.
        assert_connected(&demo, 1).await;
        assert_eq!(monitor.heard(), [""; 0], "notifications, killed: {kill}");
        assert_eq!(everything(node.netns()), before);
    }
    stream.settle(10).await;
    assert_eq!(stream.so_far().lost(), 0, "{:?}", stream.so_far());
    demo.down().await.expect("a clean end");
}

#[tokio::test]
async fn what_somebody_takes_away_comes_back_by_the_daemon() {
    let (demo, _) = demo_at_rest("drift").await;
    let node = demo.node(1).netns().to_owned();
    let pod = demo.pods_on(1, EniKind::Secondary).expect("pods").remove(0);
    let eni = eni_of(&node, &pod);
    let before = everything(&node);
    let stream = Stream::start(demo.node(2).netns(), pod.address)
        .await
        .expect("a stream");
    let lines = [
        "ip rule del priority 1024".to_owned(),
        format!("ip rule del to {} priority 512", pod.address),
        format!("ip rule del from {} priority 1536", pod.address),
        format!("ip route del {}", pod.address),
        format!("ip route flush table {}", eni.table),
        format!("ip addr flush dev {}", eni.link),
        format!("ip link set {} down", eni.link),
        format!("ip rule del priority 32765 lookup {}", eni.table),
        "nft delete table ip aws-cni".to_owned(),
        "nft flush ruleset".to_owned(),
        "sysctl -qw net.ipv4.ip_forward=0".to_owned(),
    ];
    for line in &lines {
        let begun = Instant::now();
        run(&node, line);
        eventually(&format!("repair after {line}"), PATIENCE, || {
            (everything(&node) == before).then_some(())
        })
        .await;
        println!(
            "{:6.1} ms until seen: {line}",
            begun.elapsed().as_secs_f64() * 1e3
        );
        stream.settle(2).await;
    }
    says(
        &demo,
        1,
        &["repaired the node's network", "\"repairs\":"],
        PATIENCE,
    )
    .await;
    assert_connected(&demo, 1).await;
    println!("the stream through all of it: {:?}", stream.so_far());
    // A pod that was deleted gets nothing back.
    let pods = demo.pods(1).expect("pods");
    delete(&demo, &pods).await;
    for pod in &pods {
        let left = everything(&node);
        let named = left.lines().find(|line| {
            line.split([' ', '/'])
                .any(|word| word == pod.address.to_string())
        });
        assert_eq!(named, None);
    }
    demo.down().await.expect("a clean end");
}

/// A lab whose first node has pods on two ENIs and nothing left to do.
async fn demo_at_rest(test: &str) -> (Demo, Vec<Pod>) {
    let demo = up(config_with(test, &[("WARM_IP_TARGET", "2")])).await;
    let pods = demo.add_pods(1, 0, PODS).await.expect("pods");
    let held = eventually("two addresses to spare", PATIENCE, || {
        let held = Holdings::of(&demo, 1);
        (held.addresses.len() == PODS + 2).then_some(held)
    })
    .await;
    assert!(held.enis >= 2, "{held:?}");
    let socket = demo.node(1).socket();
    eventually("the node at rest", PATIENCE, || {
        let mut vpcctl = Command::new(common::program("vpcctl"));
        vpcctl
            .args(["status", "--format", "json", "--socket"])
            .arg(&socket);
        let text = vpcctl.output().expect("vpcctl").stdout;
        let status: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let at_rest = status["coming"] == 0 && status["creating"].as_array()?.is_empty();
        (at_rest && status["addresses"]["free"] == 2).then_some(())
    })
    .await;
    assert_keep_addresses(&demo, 1, &pods).await;
    (demo, pods)
}

/// The ENI by which a pod's traffic leaves.
struct Way {
    table: String,
    link: String,
}

fn eni_of(node: &Path, pod: &Pod) -> Way {
    let rules = output(node, "ip rule");
    let from = format!("from {} ", pod.address);
    let rule = rules
        .lines()
        .find(|line| line.contains(&from))
        .expect("a rule");
    let table = rule.split_whitespace().last().expect("a table").to_owned();
    let route = output(node, &format!("ip route show table {table} default"));
    let mut words = route.split_whitespace().skip_while(|word| *word != "dev");
    let link = words.nth(1).expect("a link").to_owned();
    Way { table, link }
}

/// What the daemon and the plugin set on the node, as ip(8) and nft(8) list it, in no order: a
/// rule that comes back stands behind its like.
fn everything(node: &Path) -> String {
    let text = [
        "ip -4 addr",
        "ip -4 route show table all",
        "ip -4 rule",
        "nft -s list table ip aws-cni",
        "sysctl net.ipv4.ip_forward",
    ]
    .map(|line| output(node, line))
    .concat();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    // Whether the other end has come up is told late.
    lines.join("\n").replace(" linkdown", "")
}

fn run(node: &Path, line: &str) {
    let said = command(node, line);
    assert!(said.status.success(), "{line}: {said:?}");
}

fn output(node: &Path, line: &str) -> String {
    String::from_utf8_lossy(&command(node, line).stdout).into_owned()
}

fn command(node: &Path, line: &str) -> std::process::Output {
    let words: Vec<&str> = line.split_whitespace().collect();
    run_in(node, || Command::new(words[0]).args(&words[1..]).output())
        .expect("the namespace")
        .expect("a program")
}

/// All that the kernel says about changes of a namespace's links, addresses, routes, rules,
/// settings and nf_tables.
struct Monitor {
    sockets: [(&'static str, Socket); 2],
}

impl Monitor {
    fn start(node: &Path) -> Monitor {
        let open = |protocol: isize, groups: &[u32]| {
            let mut socket = Socket::new(protocol).expect("a socket");
            socket.bind(&SocketAddr::new(0, 0)).expect("an address");
            for group in groups {
                socket.add_membership(*group).expect("a group");
            }
            socket.set_non_blocking(true).expect("not to wait");
            socket
        };
        let node = PathBuf::from(node);
        let sockets = run_in(&node, || {
            [
                // Links, IPv4 addresses, routes, rules, settings.
                ("route", open(protocols::NETLINK_ROUTE, &[1, 5, 7, 8, 24])),
                ("nftables", open(protocols::NETLINK_NETFILTER, &[7])),
            ]
        });
        Monitor {
            sockets: sockets.expect("the namespace"),
        }
    }

    /// What was said until now, as family and bytes.
    fn heard(self) -> Vec<String> {
        let mut heard = Vec::new();
        for (family, socket) in &self.sockets {
            let mut buffer: Vec<u8> = Vec::with_capacity(65536);
            while socket.recv(&mut buffer, 0).is_ok() {
                heard.push(format!(
                    "{family}: {:?}",
                    buffer.get(..64).unwrap_or(&buffer)
                ));
                buffer.clear();
            }
        }
        heard
    }
}
