//! Which allocations are nobody's any more, by two proofs: the runtime does not list the sandbox,
//! and the kernel has nothing of it. One alone frees nothing: a runtime may forget a sandbox that
//! runs, and a sandbox that is being set up has no kernel state yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_model::names::veth_suffix;
use vpc_model::{LinkName, PodKey, Timestamp};

use crate::ledger::{Holder, Ledger};

/// The sandbox interfaces the runtime knows in one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The network.
    pub network: String,
    /// Container id and interface name of each.
    pub attachments: BTreeSet<(String, String)>,
}

/// What the kernel has, seen after the ledger was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kernel {
    /// The node's links.
    pub links: BTreeSet<LinkName>,
    /// Routes to single addresses, and the links they lead over (nothing: one that just went).
    pub routes: BTreeMap<Ipv4Addr, Option<LinkName>>,
    /// The addresses that have a pod's rules.
    pub ruled: BTreeSet<Ipv4Addr>,
}

/// Why an allocation that is not in the runtime's list stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spared {
    /// An ADD asked for it a moment ago, and may still be at work.
    Young {
        /// When it is old enough.
        until: Timestamp,
    },
    /// The kernel routes the address.
    Routed {
        /// Over this link, if it is still there.
        over: Option<LinkName>,
    },
    /// There is a link of the pod's name, and nobody else's.
    Linked(LinkName),
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Young { until } => write!(f, "an ADD may be under way until {until}"),
            Self::Routed { over: Some(link) } => write!(f, "a route leads to it over {link}"),
            Self::Routed { over: None } => f.write_str("a route leads to it"),
            Self::Linked(link) => write!(f, "the link {link} is there"),
        }
    }
}

/// What is to become of the allocations the runtime does not list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Both proofs are there.
    pub free: Vec<Holder>,
    /// They are not.
    pub spared: Vec<(Holder, Spared)>,
}

/// Judges the allocations of the listed network. `min_age` is how long no ADD may have asked for
/// one that is freed; it must be longer than an ADD can take.
#[must_use]
pub fn judge(
    ledger: &Ledger,
    listed: &Listed,
    kernel: &Kernel,
    now: Timestamp,
    min_age: Duration,
) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for holder in ledger.holders() {
        let PodKey {
            network,
            container_id,
            if_name,
        } = &holder.key;
        let attachment = (container_id.clone(), if_name.clone());
        if *network != listed.network || listed.attachments.contains(&attachment) {
            continue;
        }
        match spared(ledger, holder, kernel, now, min_age) {
            Some(why) => verdicts.spared.push((holder.clone(), why)),
            None => verdicts.free.push(holder.clone()),
        }
    }
    verdicts
}

/// The addresses that have a pod's rules and are nobody's: no sandbox holds them, no route leads to
/// them. A DEL that was killed, or came without ipamd after the namespace was gone, leaves such.
pub fn orphans(ledger: &Ledger, kernel: &Kernel) -> impl Iterator<Item = Ipv4Addr> {
    let is_orphan = |address: &Ipv4Addr| {
        !kernel.routes.contains_key(address) && ledger.holder_of(*address).is_none()
    };
    kernel.ruled.iter().copied().filter(is_orphan)
}

fn spared(
    ledger: &Ledger,
    holder: &Holder,
    kernel: &Kernel,
    now: Timestamp,
    min_age: Duration,
) -> Option<Spared> {
    let until = holder.since + min_age;
    if now < until {
        return Some(Spared::Young { until });
    }
    if let Some(over) = kernel.routes.get(&holder.address) {
        let over = over.clone();
        return Some(Spared::Routed { over });
    }
    let suffix = veth_suffix(&holder.pod, 0);
    let link = kernel
        .links
        .iter()
        .find(|link| link.as_str().ends_with(&suffix))?;
    // A pod that was created again under its name has a link of the same name. It is the other
    // sandbox's if the route to the other's address leads over it: two links of one name there
    // are not, so this one's is gone.
    let is_anothers = ledger.holders().any(|other| {
        other.key != holder.key
            && other.pod == holder.pod
            && kernel.routes.get(&other.address) == Some(&Some(link.clone()))
    });
    (!is_anothers).then(|| Spared::Linked(link.clone()))
}

#[cfg(test)]
mod tests {
    use vpc_model::{DeviceIndex, NetworkCard, PodName};

    use super::*;

    const HOUR: u64 = 3_600_000;
    const MIN_AGE: Duration = Duration::from_secs(60);

    fn holder(container: &str, last: u8, pod: &str, since: u64) -> Holder {
        Holder {
            key: PodKey {
                network: "aws-cni".to_owned(),
                container_id: container.to_owned(),
                if_name: "eth0".to_owned(),
            },
            pod: PodName {
                namespace: "default".to_owned(),
                name: pod.to_owned(),
            },
            address: Ipv4Addr::new(10, 0, 1, last),
            device: DeviceIndex(0),
            card: NetworkCard(0),
            since: Timestamp::from_millis(since),
        }
    }

    /// The link of `pod`, as the kernel has it.
    fn link(pod: &str) -> LinkName {
        let pod = holder("", 0, pod, 0).pod;
        format!("eni{}", veth_suffix(&pod, 0)).parse().unwrap()
    }

    fn judged(holders: &[Holder], listed: &[&str], kernel: &Kernel) -> Verdicts {
        let mut ledger = Ledger::default();
        for holder in holders {
            ledger.allocate(holder.clone());
        }
        let attachment = |id: &&str| ((*id).to_owned(), "eth0".to_owned());
        let listed = Listed {
            network: "aws-cni".to_owned(),
            attachments: listed.iter().map(attachment).collect(),
        };
        judge(
            &ledger,
            &listed,
            kernel,
            Timestamp::from_millis(HOUR),
            MIN_AGE,
        )
    }

    fn wired(pod: &str, last: u8) -> Kernel {
        Kernel {
            links: [link(pod)].into(),
            routes: [(Ipv4Addr::new(10, 0, 1, last), Some(link(pod)))].into(),
            ruled: [Ipv4Addr::new(10, 0, 1, last)].into(),
        }
    }

    #[test]
    fn both_proofs_free_and_each_alone_does_not() {
        let gone = Kernel::default();
        let web = [holder("a", 5, "web", 0)];
        assert_eq!(judged(&web, &[], &gone).free, web);
        assert_eq!(judged(&web, &["a"], &gone), Verdicts::default());
        let over = Some(link("web"));
        let spared = judged(&web, &[], &wired("web", 5)).spared;
        assert_eq!(spared, [(web[0].clone(), Spared::Routed { over })]);
    }

    #[test]
    fn a_link_without_its_route_is_a_sandbox_still() {
        let web = [holder("a", 5, "web", 0)];
        let mut kernel = wired("web", 5);
        kernel.routes.clear();
        let spared = judged(&web, &[], &kernel).spared;
        assert_eq!(spared, [(web[0].clone(), Spared::Linked(link("web")))]);
    }

    #[test]
    fn what_an_add_may_be_at_work_on_is_spared_to_the_millisecond() {
        let limit = HOUR - 60_000;
        let (young, old) = (
            holder("a", 5, "web", limit + 1),
            holder("a", 5, "web", limit),
        );
        let until = Timestamp::from_millis(HOUR + 1);
        let kernel = Kernel::default();
        let spared = judged(std::slice::from_ref(&young), &[], &kernel).spared;
        assert_eq!(spared, [(young, Spared::Young { until })]);
        assert_eq!(judged(&[old], &[], &kernel).free.len(), 1);
        // A clock that was set back since.
        let future = holder("a", 5, "web", 2 * HOUR);
        assert_eq!(judged(&[future], &[], &kernel).free, []);
    }

    #[test]
    fn a_link_that_is_a_newer_sandboxs_of_the_name_does_not_spare_the_older() {
        let (old, new) = (holder("old", 5, "web", 0), holder("new", 6, "web", 1));
        let both = [old.clone(), new.clone()];
        assert_eq!(judged(&both, &["new"], &wired("web", 6)).free, [old]);
        // And not the other way round: the newer one's ADD came to nothing.
        assert_eq!(judged(&both, &[], &wired("web", 5)).free, [new]);
    }

    #[test]
    fn rules_of_addresses_that_nobody_holds_and_nothing_leads_to_are_orphans() {
        let address = |last| Ipv4Addr::new(10, 0, 1, last);
        let mut ledger = Ledger::default();
        ledger.allocate(holder("a", 5, "web", 0));
        let mut kernel = wired("other", 6);
        kernel.ruled = [address(5), address(6), address(7)].into();
        let found: Vec<_> = orphans(&ledger, &kernel).collect();
        assert_eq!(found, [address(7)]);
    }

    #[test]
    fn other_networks_and_other_interfaces_are_told_apart() {
        let mut other = holder("a", 5, "web", 0);
        other.key.network = "storage".to_owned();
        let mut second = holder("a", 6, "web", 0);
        second.key.if_name = "net1".to_owned();
        let verdicts = judged(&[other, second.clone()], &["a"], &Kernel::default());
        assert_eq!(verdicts.free, [second]);
        assert_eq!(verdicts.spared, []);
    }
}
