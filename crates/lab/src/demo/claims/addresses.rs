//! Pods have addresses of ENIs, and the kernel state upstream's own tests look for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Instant;

use vpc_model::{RouteTableId, RulePriority};

use crate::Pod;
use crate::demo::check::{Refuted, Tally, seen};
use crate::demo::stage::{Demo, EniKind, NODES, kind_of};
use crate::demo::table::Verdict;
use crate::probe::kernel::{self, Link, Route, Rule};

/// How many pods each node gets: one ENI of an m5.large has nine addresses for pods, so this
/// takes a third one on each node.
pub const PODS: usize = 20;

/// The real plugin adds [`PODS`] pods on each node, several at once, on both nodes at once.
pub async fn pods_come_up(demo: &Demo) -> Vec<Verdict> {
    let claim = format!("{PODS} pods a node through the real aws-cni and ipamd");
    vec![Verdict::of(&claim, come_up(demo).await)]
}

async fn come_up(demo: &Demo) -> Result<String, Refuted> {
    let before = eni_counts(demo)?;
    let start = Instant::now();
    let (one, two) = tokio::join!(demo.add_pods(1, 0, PODS), demo.add_pods(2, 0, PODS));
    let pods = one?.len() + two?.len();
    let time = start.elapsed().as_secs_f64();
    let after = eni_counts(demo)?;
    if before
        .iter()
        .zip(&after)
        .any(|(before, after)| after <= before)
    {
        return Err(seen(format_args!(
            "ENIs per node: {before:?} before, {after:?} after"
        )));
    }
    Ok(format!(
        "{pods} pods in {time:.1} s, ENIs per node from {before:?} to {after:?}"
    ))
}

fn eni_counts(demo: &Demo) -> Result<Vec<usize>, Refuted> {
    NODES
        .iter()
        .map(|node| Ok(demo.instance(*node)?.enis.len()))
        .collect()
}

/// Each pod's address is a secondary address of an ENI of its own node, and nobody else's.
pub async fn are_of_the_nodes_enis(demo: &Demo) -> Vec<Verdict> {
    vec![Verdict::of(
        "each pod has a VPC address on an ENI of its node",
        owned(demo),
    )]
}

fn owned(demo: &Demo) -> Result<String, Refuted> {
    let mut tally = Tally::default();
    let mut taken = BTreeSet::new();
    for node in NODES {
        let instance = demo.instance(node)?;
        let on_node: BTreeSet<Ipv4Addr> = instance
            .enis
            .iter()
            .flat_map(|eni| {
                eni.addresses
                    .iter()
                    .filter(|one| **one != eni.primary)
                    .copied()
            })
            .collect();
        for pod in demo.pods(node)? {
            tally.expect(
                format_args!("{} on node{node}", pod.address),
                &on_node.contains(&pod.address),
                &true,
            );
            tally.expect(
                format_args!("{} given out once", pod.address),
                &taken.insert(pod.address),
                &true,
            );
        }
    }
    tally.all()?;
    Ok(format!(
        "{} pods, {} addresses that EC2 assigned to their nodes",
        taken.len(),
        taken.len()
    ))
}

/// The host side of every pod is exactly what upstream's integration tests ask for: the veth with
/// its MTU, one rule to the pod, one route, and for a pod on a secondary ENI one rule from it to
/// a table that leaves by that ENI.
pub async fn are_wired_as_upstream_wires_them(demo: &Demo) -> Vec<Verdict> {
    let claim = "upstream's kernel state for every pod";
    vec![Verdict::of(claim, wired(demo).await)]
}

async fn wired(demo: &Demo) -> Result<String, Refuted> {
    let mut tally = Tally::default();
    let mut pods = 0;
    for number in NODES {
        let host = HostState::read(demo, number).await?;
        let tables = tables_by_address(demo, number)?;
        for pod in demo.pods(number)? {
            host.judge(&pod, tables.get(&pod.address).copied(), &mut tally);
            pods += 1;
        }
    }
    let observations = tally.all()?;
    Ok(format!(
        "{pods} pods, {observations} observations of the kernel"
    ))
}

/// What the kernel of a node holds, read back with `ip`.
#[derive(Debug)]
pub struct HostState {
    /// Every rule.
    pub rules: Vec<Rule>,
    /// Every route of every table.
    pub routes: Vec<Route>,
    /// Every link.
    pub links: Vec<Link>,
}

impl HostState {
    /// Reads a node's.
    ///
    /// # Errors
    /// When `ip` fails.
    pub async fn read(demo: &Demo, node: usize) -> Result<HostState, Refuted> {
        let netns = demo.node(node).netns();
        Ok(HostState {
            rules: kernel::rules(netns).await?,
            routes: kernel::routes(netns).await?,
            links: kernel::links(netns).await?,
        })
    }

    /// Rules of this priority that mention the address.
    #[must_use]
    pub fn rules_about(&self, address: Ipv4Addr, priority: RulePriority) -> Vec<&Rule> {
        let text = address.to_string();
        self.rules
            .iter()
            .filter(|rule| rule.priority == priority.0 && (rule.src == text || rule.dst == text))
            .collect()
    }

    /// Routes of the main table to exactly this address.
    #[must_use]
    pub fn routes_to(&self, address: Ipv4Addr) -> Vec<&Route> {
        let text = address.to_string();
        self.routes
            .iter()
            .filter(|route| route.is_main() && route.dst == text)
            .collect()
    }

    fn judge(&self, pod: &Pod, table: Option<RouteTableId>, tally: &mut Tally) {
        let address = pod.address;
        let to: Vec<&str> = self
            .rules_about(address, RulePriority::TO_POD)
            .iter()
            .map(|rule| rule.table.as_str())
            .collect();
        tally.expect(
            format_args!("tables of rules to {address}"),
            &to,
            &vec!["main"],
        );
        let from: Vec<String> = self
            .rules_about(address, RulePriority::FROM_POD)
            .iter()
            .map(|rule| rule.table.clone())
            .collect();
        let secondary = table.filter(|table| *table != RouteTableId::MAIN);
        let expected: Vec<String> = secondary.iter().map(|table| table.0.to_string()).collect();
        tally.expect(
            format_args!("tables of rules from {address}"),
            &from,
            &expected,
        );
        let veth = host_veth(pod);
        let routes: Vec<&str> = self
            .routes_to(address)
            .iter()
            .map(|route| route.dev.as_str())
            .collect();
        tally.expect(
            format_args!("links of routes to {address}"),
            &routes,
            &vec![veth],
        );
        let link: Vec<(&str, u32)> = self
            .links
            .iter()
            .filter(|link| link.ifname == veth)
            .map(|link| (link.operstate.as_str(), link.mtu))
            .collect();
        tally.expect(format_args!("state of {veth}"), &link, &vec![("UP", 9001)]);
        if let Some(table) = secondary {
            self.judge_table(table, tally);
        }
    }

    /// A secondary ENI's table holds two routes: to its gateway, and everything through it.
    fn judge_table(&self, table: RouteTableId, tally: &mut Tally) {
        let name = table.0.to_string();
        let mut routes: Vec<(&str, bool)> = self
            .routes
            .iter()
            .filter(|route| route.table == name)
            .map(|route| (route.dst.as_str(), route.gateway.is_some()))
            .collect();
        routes.sort_by_key(|(_, through_gateway)| *through_gateway);
        let shape: Vec<bool> = routes
            .iter()
            .map(|(_, through_gateway)| *through_gateway)
            .collect();
        tally.expect(
            format_args!("routes of table {name} through a gateway"),
            &shape,
            &vec![false, true],
        );
        let default = routes.last().map(|(destination, _)| *destination);
        tally.expect(
            format_args!("last route of table {name}"),
            &default,
            &Some("default"),
        );
    }
}

/// The host end's name as the ADD result gives it: upstream puts it first.
fn host_veth(pod: &Pod) -> &str {
    pod.result["interfaces"][0]["name"]
        .as_str()
        .unwrap_or_default()
}

/// The route table each address of the node should leave by: main on the primary ENI, device
/// index + 1 on the others.
fn tables_by_address(
    demo: &Demo,
    node: usize,
) -> Result<BTreeMap<Ipv4Addr, RouteTableId>, Refuted> {
    let mut tables = BTreeMap::new();
    for eni in demo.instance(node)?.enis {
        let table = match kind_of(&eni) {
            EniKind::Primary => RouteTableId::MAIN,
            EniKind::Secondary => RouteTableId(u32::from(eni.device.0) + 1),
        };
        tables.extend(eni.addresses.iter().map(|address| (*address, table)));
    }
    Ok(tables)
}
