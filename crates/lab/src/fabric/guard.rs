//! Security groups, as the router's nftables is told. Pure.
//!
//! An ENI whose groups let everything pass both ways is not guarded: EC2 keeps no state for such
//! traffic either (EC2 user guide, "Security group connection tracking").

use std::fmt::Write as _;

use vpc_model::LinkName;
use vpc_sim::{Direction, FabricRule, Traffic};

use super::TABLE;
use super::steps::fill;
use super::wanted::{Port, Wanted};

/// The part of the script for `nft -f` that makes the router let pass what the groups say.
pub(super) fn script(wanted: &Wanted) -> String {
    let guarded: Vec<&Port> = wanted
        .ports
        .values()
        .filter(|port| is_guarded(port))
        .collect();
    let names: Vec<String> = guarded
        .iter()
        .map(|port| format!("\"{}\"", port.wire.name))
        .collect();
    let mut script = fill("set", "guarded", &names);
    for chain in ["may_leave", "may_arrive"] {
        let _ = writeln!(script, "flush chain ip {TABLE} {chain}");
    }
    for port in guarded {
        for rule in &port.guard {
            script.extend(line(&port.wire.name, rule));
        }
    }
    script
}

fn is_guarded(port: &Port) -> bool {
    let open = |direction| {
        let mut rules = port.guard.iter();
        rules.any(|rule| rule.direction == direction && rule.is_everything())
    };
    !open(Direction::Ingress) || !open(Direction::Egress)
}

/// The line of a rule; nothing for one that names a group without members.
fn line(port: &LinkName, rule: &FabricRule) -> Option<String> {
    if rule.peers.is_empty() {
        return None;
    }
    let (chain, link, peer, verdict) = match rule.direction {
        Direction::Egress => ("may_leave", "iifname", "daddr", "leaves"),
        Direction::Ingress => ("may_arrive", "oifname", "saddr", "arrives"),
    };
    let everybody = rule.peers.iter().any(|net| net.prefix_len() == 0);
    let peers = if everybody {
        String::new()
    } else {
        let nets: Vec<String> = rule.peers.iter().map(ToString::to_string).collect();
        format!("ip {peer} {{ {} }} ", nets.join(", "))
    };
    let traffic = traffic(rule.traffic);
    Some(format!(
        "add rule ip {TABLE} {chain} {link} \"{port}\" {peers}{traffic}goto {verdict}\n"
    ))
}

fn traffic(traffic: Traffic) -> String {
    match traffic {
        Traffic::All => String::new(),
        Traffic::Protocol(number) => format!("meta l4proto {number} "),
        Traffic::Ports {
            protocol,
            first,
            last,
        } => format!("meta l4proto {protocol} th dport {first}-{last} "),
        Traffic::Icmp { kind, code } => {
            let mut text = "meta l4proto 1 ".to_owned();
            if let Some(kind) = kind {
                let _ = write!(text, "icmp type {kind} ");
            }
            if let Some(code) = code {
                let _ = write!(text, "icmp code {code} ");
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(direction: Direction, traffic: Traffic, peers: &[&str]) -> FabricRule {
        FabricRule {
            direction,
            traffic,
            peers: peers.iter().map(|net| net.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn each_kind_of_rule_is_a_line() {
        let name = "eni1-1".parse().unwrap();
        let line = |rule: FabricRule| line(&name, &rule).unwrap_or_default();
        let web = Traffic::Ports {
            protocol: 6,
            first: 80,
            last: 81,
        };
        assert_eq!(
            line(rule(
                Direction::Ingress,
                web,
                &["10.0.1.0/24", "10.0.2.7/32"]
            )),
            "add rule ip vpc may_arrive oifname \"eni1-1\" ip saddr { 10.0.1.0/24, 10.0.2.7/32 } \
             meta l4proto 6 th dport 80-81 goto arrives\n"
        );
        assert_eq!(
            line(rule(Direction::Egress, Traffic::All, &["0.0.0.0/0"])),
            "add rule ip vpc may_leave iifname \"eni1-1\" goto leaves\n"
        );
        let ping = Traffic::Icmp {
            kind: Some(8),
            code: None,
        };
        assert_eq!(
            line(rule(Direction::Ingress, ping, &["0.0.0.0/0"])),
            "add rule ip vpc may_arrive oifname \"eni1-1\" meta l4proto 1 icmp type 8 goto arrives\n"
        );
        assert_eq!(line(rule(Direction::Ingress, Traffic::All, &[])), "");
    }
}
