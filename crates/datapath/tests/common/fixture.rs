//! Rules of other programs, written out, and set in a namespace.

use std::io::Write;
use std::process::{Command, Stdio};

use super::topology::NODE;
use super::{Namespace, plan};

/// Which iptables sets rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iptables {
    /// Over nf_tables.
    Nft,
    /// The older one.
    Legacy,
}

pub(crate) const UPSTREAM: &str = include_str!("../fixtures/upstream.rules");
pub(crate) const UPSTREAM_CONNMARK: &str = include_str!("../fixtures/upstream-connmark.rules");
pub(crate) const UPSTREAM_CONNMARK_NFT: &str = include_str!("../fixtures/upstream-connmark.nft");
pub(crate) const FIREWALL: &str = include_str!("../fixtures/firewall.rules");
pub(crate) const KUBE_PROXY: &str = include_str!("../fixtures/kube-proxy.rules");
pub(crate) const KUBE_PROXY_NFT: &str = include_str!("../fixtures/kube-proxy.nft");

/// Where the pods of services listen.
pub(crate) const PORT: u16 = 5300;
/// The pods of the services `a`, and `b` and `l`: the last bytes of their addresses.
pub(crate) const POD_A: u8 = 20;
pub(crate) const POD_B: u8 = 130;

impl Iptables {
    /// Adds the rules of a fixture.
    pub(crate) fn restore(self, node: &Namespace, fixture: &str) {
        let program = format!("iptables-{}-restore", self.word());
        feed(node, &[&program, "--noflush"], &filled(fixture));
    }

    /// All rules, without their counters.
    pub(crate) fn save(self, node: &Namespace) -> String {
        let text = node.exec(&format!("iptables-{}-save", self.word()), "");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let without_counters = |line: &str| match line.split_once(" [") {
            Some((chain, _)) if chain.starts_with(':') => format!("{chain}\n"),
            _ => format!("{line}\n"),
        };
        lines.map(without_counters).collect()
    }

    fn word(self) -> &'static str {
        match self {
            Iptables::Nft => "nft",
            Iptables::Legacy => "legacy",
        }
    }
}

/// Feeds a fixture to nft(8).
pub(crate) fn nft(node: &Namespace, fixture: &str) {
    feed(node, &["nft", "-f", "-"], &filled(fixture));
}

fn filled(fixture: &str) -> String {
    [
        ("@LINK@", "ens5".to_owned()),
        ("@NODE@", NODE.to_string()),
        ("@VPC@", "10.0.0.0/16".to_owned()),
        ("@EXCLUDED@", "192.0.2.0/24".to_owned()),
        ("@POD_A@", plan(POD_A, 0).address.to_string()),
        ("@POD_B@", plan(POD_B, 0).address.to_string()),
        ("@PORT@", PORT.to_string()),
    ]
    .into_iter()
    .fold(fixture.to_owned(), |text, (mark, value)| {
        text.replace(mark, &value)
    })
}

fn feed(node: &Namespace, command: &[&str], text: &str) {
    let mut child = Command::new("ip")
        .args(["netns", "exec", node.name()])
        .args(command)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success(), "{command:?}: {text}");
}
