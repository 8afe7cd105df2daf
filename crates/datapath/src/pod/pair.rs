//! The veth pair a pod gets: a new one, the one it has, or a new one in the place of an older
//! sandbox's.

use std::os::fd::AsFd;

use vpc_model::{LinkName, MacAddress, RouteTableId};

use super::PodPlan;
use crate::apply;
use crate::desired::pod::{self as desired, Ends};
use crate::error::Error;
use crate::hash::fnv1a;
use crate::netlink::{Netlink, VethEnd, VethPair};
use crate::netns::Namespaces;
use crate::state::{Dev, Link, LinkState, Route, Selector, State, host_net};
use crate::step::Step;

/// How often we look again when a name was taken and then was not.
const ATTEMPTS: u32 = 3;

/// A pair of links, made but perhaps not configured.
pub(super) struct Pair {
    ends: Ends,
    pod: Link,
    /// The host end as it was found or made.
    host: LinkState,
    origin: Origin,
}

enum Origin {
    /// Made just now, under its own name.
    New,
    /// It was the pod's before.
    Kept,
    /// Made just now under a passing name, to replace another.
    Replacing(Box<Older>),
}

/// The host end of an older sandbox.
struct Older {
    link: Link,
    routes: Vec<Route>,
    passing: LinkName,
    /// Whether the two have been swapped.
    moved: bool,
}

impl Pair {
    /// Finds or makes the pair for `plan`. After an error nothing has been made.
    pub(super) fn prepare(
        host: &mut Netlink,
        namespaces: &mut Namespaces,
        plan: &PodPlan,
    ) -> Result<Self, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(pod) = create(namespaces, plan, &plan.host_veth)? {
                return Self::made(pod, plan, Origin::New);
            }
            let pod_end = namespaces.pod.link(&plan.container_if)?;
            let host_end = host.link(&plan.host_veth)?;
            match (pod_end, host_end) {
                (Some(pod), Some(found)) if joined(&pod, &found) => {
                    return Ok(Self::kept(pod, &found));
                }
                (Some(_), _) => break,
                (None, Some(old)) if is_veth(&old) => {
                    return Self::replacing(host, namespaces, plan, old);
                }
                (None, Some(foreign)) => return Err(Error::HostLinkTaken { name: foreign.name }),
                (None, None) => {}
            }
        }
        let (name, host_veth) = (plan.container_if.clone(), plan.host_veth.clone());
        Err(Error::InterfaceTaken { name, host_veth })
    }

    fn made(pod: Link, plan: &PodPlan, origin: Origin) -> Result<Self, Error> {
        let Some(index) = pod.peer else {
            let doing = format!("add veth {}", plan.host_veth);
            return Err(Error::Decode {
                doing,
                what: "the link has no other end".to_owned(),
            });
        };
        let (host_mac, _) = desired::macs(plan);
        let dev = Dev {
            index,
            name: Some(plan.host_veth.clone()),
        };
        let host = LinkState {
            dev: dev.clone(),
            mtu: plan.mtu.get(),
            up: false,
        };
        let ends = Ends {
            pod: pod.dev(),
            host: dev,
            host_mac,
        };
        Ok(Self {
            ends,
            pod,
            host,
            origin,
        })
    }

    fn kept(pod: Link, host: &Link) -> Self {
        let host_mac = host.mac.unwrap_or(MacAddress([0; 6]));
        let ends = Ends {
            pod: pod.dev(),
            host: host.dev(),
            host_mac,
        };
        Self {
            ends,
            pod,
            host: host.state(),
            origin: Origin::Kept,
        }
    }

    fn replacing(
        host: &mut Netlink,
        namespaces: &mut Namespaces,
        plan: &PodPlan,
        link: Link,
    ) -> Result<Self, Error> {
        let mut routes = host.routes(RouteTableId::MAIN)?;
        routes.retain(|route| {
            route
                .dev
                .as_ref()
                .is_some_and(|dev| dev.index == link.index)
        });
        let passing = passing_name("new", &plan.host_veth);
        // What an ADD left that was killed while replacing.
        for leftover in [&passing, &passing_name("old", &plan.host_veth)] {
            if let Some(link) = host.link(leftover)? {
                apply::steps(host, &[Step::DeleteLink(link.dev())])?;
            }
        }
        let Some(pod) = create(namespaces, plan, &passing)? else {
            let name = plan.container_if.clone();
            return Err(Error::InterfaceTaken {
                name,
                host_veth: passing,
            });
        };
        let older = Older {
            link,
            routes,
            passing,
            moved: false,
        };
        Self::made(pod, plan, Origin::Replacing(Box::new(older)))
    }

    /// The two ends, by the names they are to have.
    pub(super) fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Whether it was made just now.
    pub(super) fn is_new(&self) -> bool {
        match self.origin {
            Origin::New | Origin::Replacing(_) => true,
            Origin::Kept => false,
        }
    }

    /// The pod end's MAC address.
    pub(super) fn pod_mac(&self) -> MacAddress {
        self.pod.mac.unwrap_or(MacAddress([0; 6]))
    }

    /// The name the host end has until it is put in place.
    pub(super) fn current_host_name<'a>(&'a self, plan: &'a PodPlan) -> &'a LinkName {
        match &self.origin {
            Origin::New | Origin::Kept => &plan.host_veth,
            Origin::Replacing(older) => &older.passing,
        }
    }

    /// What the pod's namespace has of the plan already.
    pub(super) fn pod_state(&self, pod: &mut Netlink, plan: &PodPlan) -> Result<State, Error> {
        match self.origin {
            Origin::Kept => observe_pod(pod, &self.pod, plan),
            Origin::New | Origin::Replacing(_) => Ok(State {
                links: vec![self.pod.state()],
                ..State::default()
            }),
        }
    }

    /// What the host has of it. Rules and route of a kept pair are looked for, so that nothing
    /// is touched that is right.
    pub(super) fn host_state(&self, host: &mut Netlink, plan: &PodPlan) -> Result<State, Error> {
        let links = vec![self.host.clone()];
        match self.origin {
            Origin::Kept => observe_host(host, links, plan),
            Origin::New | Origin::Replacing(_) => Ok(State {
                links,
                ..State::default()
            }),
        }
    }

    /// Gives the host end its name, if another had it. The other one's routes end here.
    pub(super) fn put_in_place(&mut self, host: &mut Netlink) -> Result<(), Error> {
        let Origin::Replacing(older) = &mut self.origin else {
            return Ok(());
        };
        older.moved = true;
        let (old, name) = (older.link.dev(), &older.link.name);
        let swap = [
            Step::SetDown(old.clone()),
            Step::Rename(old, passing_name("old", name)),
            Step::Rename(self.ends.host.clone(), name.clone()),
        ];
        let of_the_old = 2;
        for (number, outcome) in apply::outcomes(host, &swap)?.into_iter().enumerate() {
            match outcome {
                // The older sandbox's namespace was taken away in the meantime, and its veth
                // with it: its name is free, which is all that was wanted of it.
                Err(error) if number < of_the_old && is_gone(&error) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// The plan is in force: what was replaced goes. It is out of service already, so that a
    /// failure here is no failure of the ADD.
    pub(super) fn keep(self, host: &mut Netlink) {
        if let Origin::Replacing(older) = self.origin {
            for error in apply::all_steps(host, &[Step::DeleteLink(older.link.dev())]) {
                tracing::warn!(%error, "an older sandbox's host veth stays");
            }
        }
    }

    /// The plan failed: what was made goes, what it replaced comes back.
    pub(super) fn give_up(self, host: &mut Netlink, pod: &mut Netlink) {
        let Self { ends, origin, .. } = self;
        if matches!(origin, Origin::Kept) {
            return;
        }
        apply::log_failed_undo(apply::all_steps(pod, &[Step::DeleteLink(ends.pod)]));
        if let Origin::Replacing(older) = origin
            && older.moved
        {
            let old = older.link.dev();
            let mut steps = vec![Step::Rename(old.clone(), older.link.name.clone())];
            steps.extend(older.link.up.then_some(Step::SetUp(old)));
            steps.extend(older.routes.into_iter().map(Step::ReplaceRoute));
            apply::log_failed_undo(apply::all_steps(host, &steps));
        }
    }
}

fn create(
    namespaces: &mut Namespaces,
    plan: &PodPlan,
    host_name: &LinkName,
) -> Result<Option<Link>, Error> {
    let (host_mac, pod_mac) = desired::macs(plan);
    let pair = VethPair {
        near: VethEnd {
            name: &plan.container_if,
            mac: pod_mac,
        },
        far: VethEnd {
            name: host_name,
            mac: host_mac,
        },
        far_namespace: namespaces.host.as_fd(),
        mtu: plan.mtu,
    };
    namespaces.pod.create_veth(&pair)
}

/// Whether a step failed because its link does not exist any more.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Refused { source, .. } if source.is(rustix::io::Errno::NODEV))
}

fn is_veth(link: &Link) -> bool {
    link.kind.as_deref() == Some("veth")
}

/// Whether two links, in two namespaces, are the ends of one pair.
pub(super) fn joined(pod: &Link, host: &Link) -> bool {
    is_veth(pod) && is_veth(host) && pod.peer == Some(host.index) && host.peer == Some(pod.index)
}

/// A name for the time of a replacement: always the same for the same link, so that what a killed
/// ADD leaves is found by the next.
fn passing_name(word: &str, name: &LinkName) -> LinkName {
    let digits = fnv1a(&[name.as_str().as_bytes()]) >> 20;
    // 3 letters and 11 digits always fit.
    format!("{word}{digits:011x}")
        .parse()
        .unwrap_or_else(|_| name.clone())
}

/// What a pod has of a plan: everything the plan could say something about, and nothing that
/// other plugins of the chain may have added.
pub(super) fn observe_pod(pod: &mut Netlink, link: &Link, plan: &PodPlan) -> Result<State, Error> {
    let dev = link.dev();
    let wanted = desired::inside(
        plan,
        &Ends {
            pod: dev.clone(),
            host: dev.clone(),
            host_mac: MacAddress([0; 6]),
        },
    );
    let mut routes = pod.routes_naming(desired::table_inside(plan), &dev)?;
    routes.retain(|route| {
        let known = wanted
            .routes
            .iter()
            .any(|w| w.destination == route.destination);
        known && route.dev.as_ref() == Some(&dev)
    });
    let mut neighbours = pod.neighbours(&dev)?;
    neighbours.retain(|found| wanted.neighbours.iter().any(|w| w.address == found.address));
    let mut rules = Vec::new();
    if !wanted.rules.is_empty() {
        rules = pod.rules()?;
        rules.retain(|rule| wanted.rules.iter().any(|w| w.selector == rule.selector));
    }
    let addresses = pod.addresses(&dev)?;
    let links = vec![link.state()];
    Ok(State {
        links,
        addresses,
        routes,
        neighbours,
        rules,
        ..State::default()
    })
}

/// What the host has for a pod's address: its route in main, wherever it leads, and its rules.
pub(super) fn observe_host(
    host: &mut Netlink,
    links: Vec<LinkState>,
    plan: &PodPlan,
) -> Result<State, Error> {
    let own = host_net(plan.address);
    let mut routes = host.routes(RouteTableId::MAIN)?;
    routes.retain(|route| route.destination == own);
    let mut rules = host.rules()?;
    let (to, from) = (
        desired::to_pod(plan.address),
        desired::any_from_pod(plan.address),
    );
    rules.retain(|rule| match rule.selector {
        Selector::To(net) => net == own && rule.priority == to.priority,
        Selector::From(net) => net == own && rule.priority == from.priority,
        Selector::Mark(_) => false,
    });
    Ok(State {
        links,
        routes,
        rules,
        ..State::default()
    })
}
