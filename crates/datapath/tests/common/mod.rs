//! Network namespaces for tests, and judges that know nothing of this crate: ip(8), nft(8) and
//! real packets.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

pub(crate) mod fixture;
pub(crate) mod topology;

use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr, protocols};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use vpc_datapath::pod::PodPlan;
use vpc_model::{LinkName, Mtu, RouteTableId};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace, deleted with everything in it when dropped.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes an empty one; its loopback link is up.
    pub(crate) fn new(label: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dp{}-{number}-{label}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file a runtime would pass as `CNI_NETNS`.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// Runs ip(8) inside.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let mut command = Command::new("ip");
        command
            .args(["-n", &self.name])
            .args(arguments.split_whitespace());
        // Whether the other end has come up is the kernel's to tell, and it tells it late on a
        // busy machine; packets show whether it has.
        run(&mut command)
            .replace(" linkdown", "")
            .replace(r#"["linkdown"]"#, "[]")
    }

    /// Asks ip(8) inside, in JSON.
    pub(crate) fn ip_json(&self, arguments: &str) -> Vec<Value> {
        let text = self.ip(&format!("-j -d {arguments}"));
        if text.trim().is_empty() {
            Vec::new()
        } else {
            serde_json::from_str(&text).unwrap()
        }
    }

    /// Runs any program inside.
    pub(crate) fn exec(&self, program: &str, arguments: &str) -> String {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name, program])
            .args(arguments.split_whitespace());
        run(&mut command)
    }

    /// Feeds nft(8) inside.
    pub(crate) fn nft(&self, script: &str) -> String {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "nft", script]);
        run(&mut command)
    }

    /// Runs `work` on a thread inside.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(self.path()).unwrap();
        let moved = || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(moved).join().unwrap())
    }

    /// Everything ip(8) can list here.
    pub(crate) fn everything(&self) -> String {
        [
            "link",
            "-4 addr",
            "-4 route show table all",
            "-4 rule",
            "-4 neigh show nud permanent",
        ]
        .map(|what| self.ip(what))
        .concat()
    }

    /// Waits until a link works; the kernel says so a moment after it was set up.
    pub(crate) fn wait_until_up(&self, link: &str) {
        for _ in 0..500 {
            if self.ip_json(&format!("link show {link}"))[0]["operstate"] == "UP" {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!(
            "{link} did not come up: {}",
            self.ip(&format!("link show {link}"))
        );
    }

    /// The value of a setting inside.
    pub(crate) fn sysctl(&self, name: &str) -> String {
        let path = format!("/proc/sys/{name}");
        self.inside(|| std::fs::read_to_string(path).unwrap().trim().to_owned())
    }

    /// Sets a setting inside.
    pub(crate) fn set_sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/{name}");
        self.inside(|| std::fs::write(path, value).unwrap());
    }

    /// Listens to changes inside from now on.
    pub(crate) fn watch(&self) -> Watch {
        self.inside(|| {
            let open = |protocol: isize, groups: &[u32]| {
                let mut socket = Socket::new(protocol).unwrap();
                socket.bind(&SocketAddr::new(0, 0)).unwrap();
                groups
                    .iter()
                    .for_each(|group| socket.add_membership(*group).unwrap());
                set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_millis(50)))
                    .unwrap();
                socket
            };
            // Links, neighbours, IPv4 addresses, IPv4 routes, IPv4 rules; nf_tables.
            Watch {
                sockets: vec![
                    open(protocols::NETLINK_ROUTE, &[1, 3, 5, 7, 8]),
                    open(protocols::NETLINK_NETFILTER, &[7]),
                ],
            }
        })
    }

    /// Joins this namespace and another by a veth pair.
    pub(crate) fn wire(&self, here: &str, other: &Namespace, there: &str) {
        self.ip(&format!(
            "link add {here} type veth peer name {there} netns {}",
            other.name
        ));
        self.ip(&format!("link set {here} up"));
        other.ip(&format!("link set {there} up"));
    }

    /// Whether one ping from here is answered.
    pub(crate) fn reaches(&self, address: Ipv4Addr) -> bool {
        let mut command = Command::new("ip");
        let target = address.to_string();
        command.args([
            "netns", "exec", &self.name, "ping", "-c1", "-W2", "-q", &target,
        ]);
        command.output().unwrap().status.success()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

/// The kernel's notifications since [`Namespace::watch`].
pub(crate) struct Watch {
    sockets: Vec<Socket>,
}

impl Watch {
    /// How many messages came, until none came for a while. IPv6's address and multicast
    /// routes come late and by themselves, and are not in the groups that are heard.
    pub(crate) fn count(&self) -> usize {
        let mut count = 0;
        for socket in &self.sockets {
            let mut buffer: Vec<u8> = Vec::with_capacity(65536);
            while socket.recv(&mut buffer, 0).is_ok() {
                count += 1;
                buffer.clear();
            }
        }
        count
    }
}

/// Runs a program to its end; its output, or a panic with what it said.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A plan for a pod with this last byte of its address.
pub(crate) fn plan(last: u8, table: u32) -> PodPlan {
    PodPlan {
        container_if: link("eth0"),
        host_veth: link(&format!("eni{last:011x}")),
        address: Ipv4Addr::new(10, 0, 1, last),
        index: 0,
        mtu: Mtu::try_from(9001).unwrap(),
        table: RouteTableId(table),
    }
}

pub(crate) fn link(name: &str) -> LinkName {
    name.parse().unwrap()
}

/// A UDP server that answers every datagram with the address it came from.
pub(crate) fn answer_with_source(address: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((address, port)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let server = socket.try_clone().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = server.recv_from(&mut buffer) {
            if server
                .send_to(from.ip().to_string().as_bytes(), from)
                .is_err()
            {
                break;
            }
        }
    });
    socket
}

/// Sends a datagram and returns the answer.
pub(crate) fn ask(socket: &UdpSocket, target: (Ipv4Addr, u16)) -> Option<String> {
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    socket.send_to(b"who am I", target).ok()?;
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    assert_eq!(from, target.into(), "the answer came from another address");
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}
