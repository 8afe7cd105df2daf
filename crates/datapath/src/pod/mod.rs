//! One interface of a pod: made, checked, taken away.
//!
//! What is made is in `desired::pod`. How:
//!
//! 1. Open the pod's namespace and a socket in each namespace. Nothing is touched yet.
//! 2. One message makes the veth pair, each end under its final name in its final namespace, and
//!    one question in the same system call brings back the pair's indexes.
//! 3. One batch configures the pod's end; settings and one batch the host's: up, rules, and last
//!    and alone the route, so that an ADD that fails never takes another pod's route.
//!
//! Whatever fails, what was made is taken back. Where a name is taken:
//!
//! - The pod has the interface and it is the other end of this host veth: the same ADD again.
//!   The pair is kept and set to what the plan says; traffic flows on.
//! - The host veth leads to an older sandbox of the same pod: the new pair is made and configured
//!   under a passing name. Then one batch moves the old host end aside and the new one into its
//!   place; the old pair is deleted after that. If the batch fails, the old pair is put back.
//! - The pod has the interface and it leads elsewhere, or the host's link of that name is no
//!   veth: an error, nothing is touched.

mod keep;
mod pair;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::path::Path;

use vpc_model::{LinkName, MacAddress, Mtu, RouteTableId};

use crate::apply;
use crate::desired::pod::{self as desired, Ends};
use crate::diff::diff;
use crate::error::{Error, Errors};
use crate::netlink::Netlink;
use crate::netns;
use crate::state::{Dev, Link, Rule, host_net};
use crate::step::{Effect, Step};
use crate::sysctl;
pub use keep::{Running, keep};
use pair::Pair;

/// What one interface of a pod should look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPlan {
    /// The interface's name inside the pod, `CNI_IFNAME`.
    pub container_if: LinkName,
    /// The name of the veth's other end, on the host ([`vpc_model::names::host_veth`]).
    pub host_veth: LinkName,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// The interface's number in the pod, 0 for the first: the gateway is 169.254.1.(index + 1).
    pub index: u8,
    /// The MTU of both ends.
    pub mtu: Mtu,
    /// The route table of the ENI that owns the address.
    pub table: RouteTableId,
}

/// What [`add`] made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodLinks {
    /// The host end's MAC address, which the pod's gateway has.
    pub host_mac: MacAddress,
    /// The pod end's MAC address.
    pub pod_mac: MacAddress,
    /// The host end's interface index.
    pub host_index: u32,
}

/// What to take away for a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodTeardown {
    /// The pod's address.
    pub address: Ipv4Addr,
    /// The table its rule leads to; `None`: whichever.
    pub table: Option<RouteTableId>,
    /// The host veth, when it is to be deleted at once. It is deleted only while the route to
    /// `address` goes over it: pods' veths are named after the pod, so that of a newer sandbox
    /// has the same name. Costs some 20 ms, for which the kernel makes the caller wait; it goes
    /// by itself with the pod's namespace.
    pub host_veth: Option<LinkName>,
}

/// Sets up a pod's interface from the calling thread's network namespace, the host's.
///
/// # Errors
/// [`Error::OpenNamespace`], [`Error::EnterNamespace`] and [`Error::HostNamespace`] about the
/// path; [`Error::InterfaceTaken`] and [`Error::HostLinkTaken`] when the pod or the host has an
/// interface of that name that is not ours;
/// [`Error::Refused`] with the step the kernel refused. After an error there is nothing that was
/// not there before.
pub fn add(netns: &Path, plan: &PodPlan) -> Result<PodLinks, Error> {
    let mut host = Netlink::open()?;
    let mut namespaces = netns::open(netns)?;
    let mut pair = Pair::prepare(&mut host, &mut namespaces, plan)?;
    let mut undo = Vec::new();
    let configured = configure(&mut host, &mut namespaces.pod, plan, &mut pair, &mut undo);
    if let Err(error) = configured {
        undo.reverse();
        apply::log_failed_undo(apply::all_steps(&mut host, &undo));
        pair.give_up(&mut host, &mut namespaces.pod);
        return Err(error);
    }
    let ends = pair.ends();
    let links = PodLinks {
        host_mac: ends.host_mac,
        pod_mac: pair.pod_mac(),
        host_index: ends.host.index,
    };
    pair.keep(&mut host);
    let ends = [
        (&mut namespaces.pod, &plan.container_if),
        (&mut host, &plan.host_veth),
    ];
    for (netlink, link) in ends {
        await_transmission(netlink, link);
    }
    Ok(links)
}

/// Has the kernel finish what it does about a link's carrier. A veth gets its queue by deferred
/// work (`linkwatch`), which a busy machine may run much later than the answers to our requests;
/// what the pod sends before is dropped. Asking for the link by name runs that work at once
/// (`rtnl_getlink` in net/core/rtnetlink.c, since Linux 6.8; before, it changes nothing). The
/// answer tells nothing new, so that no failure here is one of the ADD.
fn await_transmission(netlink: &mut Netlink, link: &LinkName) {
    if let Err(error) = netlink.link(link) {
        tracing::debug!(%link, %error, "the link's state could not be asked for");
    }
}

/// Configures both ends of a pair, and notes in `undo` how to take back what would outlive it.
fn configure(
    host: &mut Netlink,
    pod: &mut Netlink,
    plan: &PodPlan,
    pair: &mut Pair,
    undo: &mut Vec<Step>,
) -> Result<(), Error> {
    let mut inside = diff(
        &pair.pod_state(pod, plan)?,
        &desired::inside(plan, pair.ends()),
    )
    .steps;
    if pair.is_new() {
        inside = inside.into_iter().map(without_replacing).collect();
    }
    apply::steps(pod, &inside)?;
    sysctl::ensure(&desired::host_sysctls(pair.current_host_name(plan)))?;
    pair.put_in_place(host)?;
    let outside = diff(
        &pair.host_state(host, plan)?,
        &desired::outside(plan, pair.ends()),
    );
    let (routes, rest): (Vec<Step>, Vec<Step>) = outside
        .steps
        .into_iter()
        .partition(|step| matches!(step, Step::ReplaceRoute(_)));
    if pair.is_new() {
        add_only_rules(host, plan, rest, undo)?;
    } else {
        try_noting(host, &rest, undo)?;
    }
    apply::steps(host, &routes)?;
    Ok(())
}

/// A new interface takes no route from another one the pod may have.
fn without_replacing(step: Step) -> Step {
    if let Step::ReplaceRoute(route) = step {
        Step::AddRoute(route)
    } else {
        step
    }
}

/// Makes the steps that add the pod's rules, and removes what an interrupted DEL of an earlier
/// holder of the address may have left: a rule that leads from it to another ENI's table. Asking
/// for it in the same batch costs less than looking for it.
fn add_only_rules(
    host: &mut Netlink,
    plan: &PodPlan,
    mut steps: Vec<Step>,
    undo: &mut Vec<Step>,
) -> Result<(), Error> {
    steps.insert(0, Step::DeleteRule(desired::any_from_pod(plan.address)));
    // The kernel deletes the oldest first, and ours is the youngest: each further round takes
    // one stale rule away.
    while try_noting(host, &steps, undo)? && !only_ours(host, plan)? {}
    Ok(())
}

/// Makes all steps, notes how to undo those that changed a rule, and returns whether a rule was
/// deleted.
fn try_noting(host: &mut Netlink, steps: &[Step], undo: &mut Vec<Step>) -> Result<bool, Error> {
    let (mut deleted, mut failed) = (false, None);
    for (attempt, step) in host.attempt(steps)?.into_iter().zip(steps) {
        match (attempt.result, step) {
            (Ok(Effect::Made), Step::AddRule(rule)) => undo.push(Step::DeleteRule(*rule)),
            (Ok(Effect::Made), Step::DeleteRule(_)) => {
                deleted = true;
                undo.extend(attempt.deleted.map(Step::AddRule));
            }
            (Ok(_), _) => {}
            (Err(source), _) => {
                let doing = step.to_string();
                failed.get_or_insert(Error::Refused { doing, source });
            }
        }
    }
    failed.map_or(Ok(deleted), Err)
}

/// Whether the rule that leads from the address is the plan's and the only one.
fn only_ours(host: &mut Netlink, plan: &PodPlan) -> Result<bool, Error> {
    let from = desired::any_from_pod(plan.address);
    let mut rules = host.rules()?;
    rules.retain(|rule| rule.selector == from.selector && rule.priority == from.priority);
    let ours = Rule {
        table: Some(plan.table),
        ..from
    };
    Ok(rules
        .into_iter()
        .eq((plan.table != RouteTableId::MAIN).then_some(ours)))
}

/// Takes a pod's rules and route away, and its veth if asked to. What is gone already is fine.
///
/// # Errors
/// All that the kernel refused; the rest was done nevertheless.
pub fn remove(teardown: &PodTeardown) -> Result<(), Errors> {
    let mut host = Netlink::open().map_err(|error| Errors(vec![error]))?;
    let mut failed = Vec::new();
    let mut veth = None;
    if let Some(name) = &teardown.host_veth {
        match veth_of(&mut host, name, teardown.address) {
            Ok(found) => veth = found,
            Err(error) => failed.push(error),
        }
    }
    failed.extend(remove_rules_and_route(&mut host, teardown));
    if let Some(dev) = veth {
        failed.extend(apply::all_steps(&mut host, &[Step::DeleteLink(dev)]));
    }
    Errors::check(failed)
}

/// Each rule is asked for twice in one batch: usually the second is not there, and that is how
/// we know that there are no more.
fn remove_rules_and_route(host: &mut Netlink, teardown: &PodTeardown) -> Vec<Error> {
    let rules = desired::rules_to_delete(teardown).map(Step::DeleteRule);
    let mut steps = Vec::from(rules.clone());
    steps.push(Step::DeleteRoute(desired::route_to_delete(teardown)));
    steps.extend(rules);
    loop {
        match apply::outcomes(host, &steps) {
            Err(error) => return vec![error],
            Ok(outcomes) => {
                let more = outcomes
                    .iter()
                    .rev()
                    .take(2)
                    .any(|o| matches!(o, Ok(Effect::Made)));
                let failed: Vec<Error> = outcomes.into_iter().filter_map(Result::err).collect();
                if !more || !failed.is_empty() {
                    return failed;
                }
            }
        }
    }
}

/// The veth of that name, if the route to `address` goes over it.
fn veth_of(host: &mut Netlink, name: &LinkName, address: Ipv4Addr) -> Result<Option<Dev>, Error> {
    let Some(link) = host.link(name)? else {
        return Ok(None);
    };
    let dev = link.dev();
    let over_it = host
        .routes(RouteTableId::MAIN)?
        .into_iter()
        .any(|route| route.destination == host_net(address) && route.dev.as_ref() == Some(&dev));
    Ok(over_it.then_some(dev))
}

/// Compares a pod's interface with the plan. One sentence per change that would make it right;
/// empty when all is right.
///
/// # Errors
/// As [`add`] about the path, and when the kernel cannot be asked.
pub fn check(netns: &Path, plan: &PodPlan) -> Result<Vec<String>, Error> {
    let mut host = Netlink::open()?;
    let mut pod = netns::open(netns)?.pod;
    let pod_end = pod.link(&plan.container_if)?;
    let host_end = host.link(&plan.host_veth)?;
    let (Some(pod_end), Some(host_end)) = (&pod_end, &host_end) else {
        let missing = |end: &Option<Link>, name: &LinkName, place: &str| {
            end.is_none()
                .then(|| format!("there is no link {name} {place}"))
        };
        let inside = missing(&pod_end, &plan.container_if, "in the pod");
        let outside = missing(&host_end, &plan.host_veth, "on the host");
        return Ok(inside.into_iter().chain(outside).collect());
    };
    let mut differences = Vec::new();
    if !pair::joined(pod_end, host_end) {
        differences.push(format!(
            "{} in the pod is not the other end of {}",
            plan.container_if, plan.host_veth
        ));
    }
    let host_mac = host_end.mac.unwrap_or(MacAddress([0; 6]));
    let ends = Ends {
        pod: pod_end.dev(),
        host: host_end.dev(),
        host_mac,
    };
    let inside = pair::observe_pod(&mut pod, pod_end, plan)?;
    differences.extend(diff(&inside, &desired::inside(plan, &ends)).describe());
    let outside = pair::observe_host(&mut host, vec![host_end.state()], plan)?;
    differences.extend(diff(&outside, &desired::outside(plan, &ends)).describe());
    Ok(differences)
}
