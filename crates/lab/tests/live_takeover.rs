//! A node that goes from upstream's daemon to ours and back while pods have connections that are
//! translated: none is lost, and no packet leaves untranslated.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::pool::{assert_connected, config_with, env, eventually, says, up};
use vpc_lab::Pod;
use vpc_lab::demo::stage::Demo;
use vpc_lab::netns::run_in;
use vpc_lab::probe::kernel;

/// How long EC2 and the node may take for anything.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long an answer may take: longer than any pause of a busy machine.
const ANSWER: Duration = Duration::from_secs(10);
/// The pause of a client between two rounds.
const PAUSE: Duration = Duration::from_millis(20);
const PORT: u16 = 7790;

const UPSTREAM: &str = include_str!("../../datapath/tests/fixtures/upstream.rules");
const CONNMARK: &str = include_str!("../../datapath/tests/fixtures/upstream-connmark.rules");
const CONNMARK_NFT: &str = include_str!("../../datapath/tests/fixtures/upstream-connmark.nft");

#[tokio::test]
async fn fifty_pods_go_from_upstream_to_us_and_back_and_lose_nothing() {
    there_and_back("livenft", "nft", 50).await;
}

#[tokio::test]
async fn twenty_pods_go_from_upstream_with_the_older_iptables_to_us_and_back_and_lose_nothing() {
    there_and_back("liveleg", "legacy", 20).await;
}

async fn there_and_back(test: &str, iptables: &str, count: usize) {
    // Enough from the start: what is tested is not how the pool grows.
    let enough = (count + 2).to_string();
    let settings = [("WARM_IP_TARGET", "1"), ("MINIMUM_IP_TARGET", &enough)];
    let mut config = config_with(test, &settings);
    config.instance_type = Some("m5.xlarge".parse().expect("a type"));
    let demo = up(config).await;
    let pods = demo.add_pods(1, 0, count).await.expect("pods");
    let node = Upstream::of(&demo, iptables).await;
    demo.node(1).stop_ipamd().await.expect("an end");
    node.sets_its_rules();
    node.gets_the_node_back();
    assert_connected(&demo, 1).await;

    let outside = Outside::new(&demo);
    let traffic = Traffic::start(&demo, &pods);
    for round in 0..2 {
        traffic.settle().await;
        std::fs::remove_file(demo.node(1).ipamd_log()).expect("no log");
        demo.start(1, &env(&settings)).await.expect("a daemon");
        for chain in ["PREROUTING of table mangle", "POSTROUTING of table nat"] {
            says(&demo, 1, &["took upstream's out", chain], PATIENCE).await;
        }
        traffic.settle().await;
        let left = node.saved();
        assert!(!left.contains("AWS"), "round {round}: {left}");
        assert_connected(&demo, 1).await;

        demo.node(1).stop_ipamd().await.expect("an end");
        node.sets_its_rules();
        let begun = Instant::now();
        node.gets_the_node_back();
        println!(
            "{iptables}, round {round}: given back in {:?}",
            begun.elapsed()
        );
        traffic.settle().await;
        assert_connected(&demo, 1).await;
    }
    let totals = traffic.end();
    println!("{iptables}: {count} pods, {totals:?}");
    assert_eq!(totals.lost, 0);
    assert!(outside.was_reached());
    assert_eq!(outside.untranslated(), 0, "packets with a pod's address");
    demo.down().await.expect("a clean end");
}

/// What upstream's daemon does on the first node.
struct Upstream {
    netns: PathBuf,
    address: Ipv4Addr,
    link: String,
    iptables: String,
}

impl Upstream {
    async fn of(demo: &Demo, iptables: &str) -> Upstream {
        let netns = demo.node(1).netns().to_owned();
        let routes = kernel::routes(&netns).await.expect("routes");
        let primary = routes
            .iter()
            .find(|route| route.is_main() && route.dst == "default");
        Upstream {
            link: primary.expect("a default route").dev.clone(),
            address: demo.node(1).primary_address(),
            iptables: iptables.to_owned(),
            netns,
        }
    }

    /// As its daemon does at its start.
    fn sets_its_rules(&self) {
        let restore = format!("iptables-{}-restore", self.iptables);
        self.feed(&[&restore, "--noflush"], UPSTREAM);
        if self.iptables == "nft" {
            self.feed(&["nft", "-f", "-"], CONNMARK_NFT);
        } else {
            self.feed(&[&restore, "--noflush"], CONNMARK);
        }
    }

    /// As the operator does.
    fn gets_the_node_back(&self) {
        let vpcctl = common::program("vpcctl");
        let vpcctl = vpcctl.to_str().expect("a path");
        let said = self.run(&[vpcctl, "give-back"], "");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(
            text.contains("removed chain nat-postrouting"),
            "{text} {said:?}"
        );
    }

    /// All rules.
    fn saved(&self) -> String {
        let save = format!("iptables-{}-save", self.iptables);
        String::from_utf8_lossy(&self.run(&[&save], "").stdout).into_owned()
    }

    fn feed(&self, command: &[&str], fixture: &str) {
        let text = [
            ("@LINK@", self.link.clone()),
            ("@NODE@", self.address.to_string()),
            ("@VPC@", "10.0.0.0/16".to_owned()),
            ("@EXCLUDED@", "192.0.2.0/24".to_owned()),
        ]
        .into_iter()
        .fold(fixture.to_owned(), |text, (mark, value)| {
            text.replace(mark, &value)
        });
        self.run(command, &text);
    }

    fn run(&self, command: &[&str], input: &str) -> Output {
        run(&self.netns, command, input)
    }
}

/// Runs a program in a namespace to its good end.
fn run(netns: &Path, command: &[&str], input: &str) -> Output {
    let output = run_in(netns, || {
        let mut child = Command::new(command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        child.wait_with_output()
    });
    let output = output.expect("the namespace").expect("a program");
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// The host outside of the VPC: tells each client as whom it is seen, and counts packets that
/// have another address of the VPC than the node's.
struct Outside {
    netns: PathBuf,
}

impl Outside {
    fn new(demo: &Demo) -> Outside {
        let netns = demo.lab().outside().to_owned();
        let node = demo.node(1).primary_address();
        let rules = format!(
            "table ip seen {{ chain arriving {{ type filter hook prerouting priority -300;\n\
             tcp dport {PORT} ip saddr {node} counter comment \"translated\"\n\
             udp dport {PORT} ip saddr {node} counter comment \"translated\"\n\
             meta l4proto {{ tcp, udp }} th dport {PORT} ip saddr != {node} counter comment \
             \"untranslated\"\n}}\n}}\n"
        );
        run(&netns, &["nft", "-f", "-"], &rules);
        let any = (Ipv4Addr::UNSPECIFIED, PORT);
        let opened = run_in(&netns, || (UdpSocket::bind(any), TcpListener::bind(any)));
        let (socket, listener) = opened.expect("the namespace");
        let (socket, listener) = (socket.expect("a socket"), listener.expect("a listener"));
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(from.to_string().as_bytes(), from);
            }
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || tell(stream));
            }
        });
        Outside { netns }
    }

    fn untranslated(&self) -> u64 {
        self.packets("\"untranslated\"")
    }

    fn was_reached(&self) -> bool {
        self.packets("\"translated\"") > 0
    }

    fn packets(&self, comment: &str) -> u64 {
        let output = run(
            &self.netns,
            &["nft", "list", "chain", "ip", "seen", "arriving"],
            "",
        );
        let listing = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = listing.lines().filter(|line| line.contains(comment));
        lines
            .map(|line| {
                let mut words = line.split(' ').skip_while(|word| *word != "packets");
                let count = words.nth(1).expect("a count");
                count.parse::<u64>().expect("a number")
            })
            .sum()
    }
}

/// Answers each line with the client's address.
fn tell(stream: TcpStream) {
    let Ok(peer) = stream.peer_addr() else { return };
    let Ok(mut answers) = stream.try_clone() else {
        return;
    };
    let answer = format!("{peer}\n");
    for line in BufReader::new(stream).lines() {
        if line.is_err() || answers.write_all(answer.as_bytes()).is_err() {
            break;
        }
    }
}

/// What became of the questions.
#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    over_tcp: u32,
    over_udp: u32,
    new_connections: u32,
    /// Unanswered, or answered to somebody else.
    lost: u32,
}

/// Two clients in each pod: over one TCP connection, and over one UDP socket and, in turn, a new
/// one each time.
struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<(Arc<AtomicU32>, JoinHandle<Totals>)>,
}

impl Traffic {
    fn start(demo: &Demo, pods: &[Pod]) -> Traffic {
        let (node, to) = (
            demo.node(1).primary_address(),
            SocketAddrV4::new(demo.on_premises().address, PORT),
        );
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for pod in pods {
            for client in [over_tcp, over_udp] {
                let round = Arc::new(AtomicU32::new(0));
                let (theirs, stop) = (Arc::clone(&round), Arc::clone(&stop));
                let netns = pod.netns().to_owned();
                let work = move || {
                    let client = || client(node, to, &stop, &theirs);
                    run_in(&netns, client).expect("the namespace")
                };
                clients.push((round, std::thread::spawn(work)));
            }
        }
        Traffic { stop, clients }
    }

    /// Waits until each client has had so many more answers, or none.
    async fn settle(&self) {
        let rounds = || self.clients.iter().map(|(round, _)| round);
        let now = |round: &Arc<AtomicU32>| round.load(Ordering::Relaxed);
        let before: Vec<u32> = rounds().map(now).collect();
        eventually("ten rounds of each client", PATIENCE, || {
            let mut all = rounds().zip(&before);
            let done = all.all(|(round, before)| now(round) >= before + 10);
            done.then_some(())
        })
        .await;
    }

    fn end(self) -> Totals {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Totals::default();
        for (_, client) in self.clients {
            let one = client.join().expect("a client");
            sum.over_tcp += one.over_tcp;
            sum.over_udp += one.over_udp;
            sum.new_connections += one.new_connections;
            sum.lost += one.lost;
        }
        sum
    }
}

fn over_tcp(node: Ipv4Addr, to: SocketAddrV4, stop: &AtomicBool, round: &AtomicU32) -> Totals {
    let mut totals = Totals::default();
    let mut stream = TcpStream::connect(to).expect("a connection");
    stream.set_read_timeout(Some(ANSWER)).expect("a patience");
    stream.set_nodelay(true).expect("no delay");
    let mut answers = BufReader::new(stream.try_clone().expect("a stream")).lines();
    let mut seen_as = None;
    while !stop.load(Ordering::Relaxed) {
        let asked = stream.write_all(b"whoami\n");
        let answer = answers.next().and_then(Result::ok).unwrap_or_default();
        let first = seen_as.get_or_insert_with(|| answer.clone());
        let is_node = answer.starts_with(&format!("{node}:"));
        if asked.is_err() || !is_node || answer != *first {
            totals.lost += 1;
            break;
        }
        totals.over_tcp += 1;
        round.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(PAUSE);
    }
    totals
}

fn over_udp(node: Ipv4Addr, to: SocketAddrV4, stop: &AtomicBool, round: &AtomicU32) -> Totals {
    let mut totals = Totals::default();
    let open = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        socket.set_read_timeout(Some(ANSWER)).expect("a patience");
        socket.connect(to).expect("a destination");
        socket
    };
    let ask = |socket: &UdpSocket| {
        let mut buffer = [0; 64];
        let sent = socket.send(b"whoami");
        let answer = sent.and_then(|_| socket.recv(&mut buffer)).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..answer]).into_owned()
    };
    let old = open();
    let seen_as = ask(&old);
    let is_node = |answer: &str| answer.starts_with(&format!("{node}:"));
    while !stop.load(Ordering::Relaxed) {
        let answer = ask(&old);
        let same = answer == seen_as && is_node(&answer);
        let from_new = is_node(&ask(&open()));
        totals.lost += u32::from(!same) + u32::from(!from_new);
        totals.over_udp += 1;
        totals.new_connections += 1;
        round.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(PAUSE);
    }
    totals
}
