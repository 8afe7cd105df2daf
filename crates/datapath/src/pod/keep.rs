//! The node's side of pods that run, put back where somebody took it away.

use std::net::Ipv4Addr;

use vpc_model::{LinkName, RouteTableId};

use crate::apply;
use crate::desired::pod as desired;
use crate::error::Error;
use crate::netlink::Netlink;
use crate::pods::prefix_of;
use crate::state::{Link, Route, Rule, Selector, host_net};
use crate::step::Step;

/// A pod that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its address.
    pub address: Ipv4Addr,
    /// What its host veth's name ends with ([`vpc_model::names::veth_suffix`]); what it begins
    /// with was decided when the pod was started.
    pub veth_suffix: String,
    /// The route table of the ENI that owns the address.
    pub table: RouteTableId,
}

/// Puts back what of the rules, the route and the host veth's being up is missing. Takes nothing
/// away, and gives nothing to a pod that has no veth: it is about to end. Returns one sentence per
/// change.
///
/// # Errors
/// The operation that failed.
pub fn keep(pods: &[Running]) -> Result<Vec<String>, Error> {
    let mut host = Netlink::open()?;
    let links = host.links()?;
    let rules = host.rules()?;
    let routes = host.routes(RouteTableId::MAIN)?;
    let steps: Vec<Step> = pods
        .iter()
        .filter_map(|pod| Some((pod, veth_of(&links, pod)?)))
        .flat_map(|(pod, veth)| missing(pod, veth, &rules, &routes))
        .collect();
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let outcomes = apply::outcomes(&mut host, &steps)?;
    let mut changed = Vec::new();
    for (outcome, step) in outcomes.into_iter().zip(&steps) {
        outcome?;
        changed.push(step.to_string());
    }
    Ok(changed)
}

fn veth_of<'a>(links: &'a [Link], pod: &Running) -> Option<&'a Link> {
    let ends_so = |name: &LinkName| name.as_str().ends_with(&pod.veth_suffix);
    links.iter().find(|link| {
        link.kind.as_deref() == Some("veth")
            && ends_so(&link.name)
            && prefix_of(&link.name).is_some()
    })
}

fn missing(pod: &Running, veth: &Link, rules: &[Rule], routes: &[Route]) -> Vec<Step> {
    let mut steps = Vec::new();
    if !veth.up {
        steps.push(Step::SetUp(veth.dev()));
    }
    let wanted = desired::rules(pod.address, pod.table);
    // Where the address leads from already is not for this to correct: a rule that leads to
    // another ENI is told apart from a missing one.
    let has = |rule: &Rule| match rule.selector {
        Selector::From(_) => rules
            .iter()
            .any(|other| other.priority == rule.priority && other.selector == rule.selector),
        Selector::To(_) | Selector::Mark(_) => rules.contains(rule),
    };
    steps.extend(
        wanted
            .into_iter()
            .filter(|rule| !has(rule))
            .map(Step::AddRule),
    );
    let own = host_net(pod.address);
    if !routes.iter().any(|route| route.destination == own) {
        let route = Route::on_link(own, &veth.dev(), RouteTableId::MAIN);
        steps.push(Step::ReplaceRoute(route));
    }
    steps
}
