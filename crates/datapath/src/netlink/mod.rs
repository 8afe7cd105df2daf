//! rtnetlink: the kernel's links, addresses, routes, rules and neighbours.
//!
//! One file for each kind of object knows its messages; [`Netlink`] knows how to ask and how to
//! change. The codec is our own, some sixty lines for each kind: it writes exactly the attributes
//! we mean, and reads the ones we know out of messages that grow with every kernel.

pub(crate) mod address;
pub(crate) mod attributes;
pub(crate) mod link;
mod neighbour;
pub(crate) mod route;
pub(crate) mod rule;
pub(crate) mod socket;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use rustix::io::Errno;
use vpc_model::{LinkName, MacAddress, RouteTableId};

pub(crate) use link::{VethEnd, VethPair};

use crate::error::{Error, Refusal};
use crate::state::{Address, Dev, Link, Neighbour, Route, Rule};
use crate::step::{Effect, Step};
use socket::{Batch, Family, Listing, Socket};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Answers to one batch must fit the socket's queue (208 KiB by default, under 1 KiB each).
const STEPS_PER_BATCH: usize = 128;
/// How often rules are listed until two lists agree.
const RULE_LISTINGS: u32 = 20;

fn family_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

/// The result of one step, and the rule it took away if it was to take away any.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) result: Result<Effect, Refusal>,
    pub(crate) deleted: Option<Rule>,
}

/// A handle on one network namespace: the one its opener was in, for good.
pub(crate) struct Netlink {
    socket: Socket,
}

impl Netlink {
    /// Opens a handle on the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open(Family::Route)?,
        })
    }

    /// Tries all steps, in order, in as few system calls as it takes. One that fails does not
    /// stop the next.
    pub(crate) fn attempt(&mut self, steps: &[Step]) -> Result<Vec<Attempt>, Error> {
        let mut attempts = Vec::with_capacity(steps.len());
        for some in steps.chunks(STEPS_PER_BATCH) {
            let mut batch = Batch::default();
            some.iter().for_each(|step| encode(&mut batch, step));
            let doing = some.first().map_or_else(String::new, ToString::to_string);
            let answers = self.socket.exchange(batch, &doing)?;
            for (step, result) in some.iter().zip(answers.results) {
                let result = match result {
                    Ok(()) => Ok(Effect::Made),
                    Err(refusal) if step.not_needed_when().is_some_and(|e| refusal.is(e)) => {
                        Ok(Effect::AlreadySo)
                    }
                    Err(refusal) => Err(refusal),
                };
                attempts.push(Attempt {
                    result,
                    deleted: None,
                });
            }
            let before = attempts.len() - some.len();
            for (place, reply) in answers.replies {
                attempts[before + place].deleted = rule::decode(&reply.payload);
            }
        }
        Ok(attempts)
    }

    /// Makes a veth pair and returns the near end, which knows the far end's index. `Ok(None)`
    /// where one of the two names is taken.
    pub(crate) fn create_veth(&mut self, pair: &VethPair<'_>) -> Result<Option<Link>, Error> {
        let doing = format!(
            "add veth {} with its other end {}",
            pair.near.name, pair.far.name
        );
        let mut batch = Batch::default();
        link::create(&mut batch, pair);
        link::get(&mut batch, pair.near.name);
        let answers = self.socket.exchange(batch, &doing)?;
        match answers.results.into_iter().find_map(Result::err) {
            Some(refused) if refused.is(Errno::EXIST) => return Ok(None),
            Some(source) => return Err(Error::Refused { doing, source }),
            None => {}
        }
        let made = answers
            .replies
            .iter()
            .find_map(|(_, reply)| link::decode(&reply.payload));
        let what = "it did not describe the new link".to_owned();
        made.map(Some).ok_or(Error::Decode { doing, what })
    }

    /// The link of this name, if it is there.
    pub(crate) fn link(&mut self, name: &LinkName) -> Result<Option<Link>, Error> {
        let doing = format!("look for link {name}");
        let mut batch = Batch::default();
        link::get(&mut batch, name);
        let answers = self.socket.exchange(batch, &doing)?;
        match answers.results.into_iter().next() {
            Some(Err(refused)) if refused.is(Errno::NODEV) => Ok(None),
            Some(Err(source)) => Err(Error::Refused { doing, source }),
            Some(Ok(())) | None => Ok(answers
                .replies
                .iter()
                .find_map(|(_, reply)| link::decode(&reply.payload))),
        }
    }

    /// All links.
    pub(crate) fn links(&mut self) -> Result<Vec<Link>, Error> {
        let listing = self
            .socket
            .dump(link::RTM_GETLINK, &link::all(), &"list links")?;
        Ok(listing
            .entries
            .iter()
            .filter_map(|entry| link::decode(&entry.payload))
            .collect())
    }

    /// The link an ENI with this MAC address has. Links that sit on another one (vlans, bridges)
    /// may carry its address too; they are passed over.
    pub(crate) fn link_by_mac(&mut self, mac: MacAddress) -> Result<Option<Link>, Error> {
        Ok(pick_by_mac(self.links()?, mac))
    }

    /// A link's IPv4 addresses of global scope.
    pub(crate) fn addresses(&mut self, dev: &Dev) -> Result<Vec<Address>, Error> {
        let doing = format!("list the addresses of {dev}");
        let listing = self
            .socket
            .dump(address::RTM_GETADDR, &address::all_on(dev), &doing)?;
        Ok(decoded(&listing, |payload| address::decode(payload, dev)))
    }

    /// A table's unicast IPv4 routes. A table nobody used yet is empty.
    pub(crate) fn routes(&mut self, table: RouteTableId) -> Result<Vec<Route>, Error> {
        let doing = format!("list the routes of table {table}");
        match self
            .socket
            .dump(route::RTM_GETROUTE, &route::all_in(table), &doing)
        {
            Ok(listing) => {
                let mut routes = decoded(&listing, route::decode);
                routes.retain(|route| route.table == table);
                Ok(routes)
            }
            Err(Error::Refused { source, .. }) if source.is(Errno::NOENT) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The same, with the name of `dev` in those that lead over it.
    pub(crate) fn routes_naming(
        &mut self,
        table: RouteTableId,
        dev: &Dev,
    ) -> Result<Vec<Route>, Error> {
        Ok(self
            .routes(table)?
            .into_iter()
            .map(|route| route.named(dev))
            .collect())
    }

    /// The permanent IPv4 neighbour entries of a link.
    pub(crate) fn neighbours(&mut self, dev: &Dev) -> Result<Vec<Neighbour>, Error> {
        let doing = format!("list the neighbours of {dev}");
        let listing = self
            .socket
            .dump(neighbour::RTM_GETNEIGH, &neighbour::all(), &doing)?;
        Ok(decoded(&listing, |payload| neighbour::decode(payload, dev)))
    }

    /// The IPv4 rules that look like ours. The kernel continues a long list by position, so that
    /// a rule deleted meanwhile makes it skip another, and does not say so: a list that came in
    /// pieces counts only when the next one is equal.
    pub(crate) fn rules(&mut self) -> Result<Vec<Rule>, Error> {
        let doing = "list rules";
        let mut before: Option<Vec<Rule>> = None;
        for _ in 0..RULE_LISTINGS {
            let listing = self.socket.dump(rule::RTM_GETRULE, &rule::all(), &doing)?;
            let rules = decoded(&listing, rule::decode);
            // The end of the list is a piece of its own.
            if listing.pieces <= 2 || before.as_ref() == Some(&rules) {
                return Ok(rules);
            }
            before = Some(rules);
        }
        Err(Error::Unstable {
            doing: doing.to_owned(),
            attempts: RULE_LISTINGS,
        })
    }
}

/// The link of `mac` that is not another link's upper.
pub(crate) fn pick_by_mac(links: Vec<Link>, mac: MacAddress) -> Option<Link> {
    const UPPERS: [&str; 7] = [
        "vlan", "macvlan", "macvtap", "ipvlan", "bridge", "bond", "team",
    ];
    links
        .into_iter()
        .filter(|link| link.mac == Some(mac))
        .filter(|link| {
            !link
                .kind
                .as_deref()
                .is_some_and(|kind| UPPERS.contains(&kind))
        })
        .min_by_key(|link| link.index)
}

fn decoded<T>(listing: &Listing, decode: impl Fn(&[u8]) -> Option<T>) -> Vec<T> {
    listing
        .entries
        .iter()
        .filter_map(|entry| decode(&entry.payload))
        .collect()
}

fn encode(batch: &mut Batch, step: &Step) {
    match step {
        Step::SetMtu(dev, mtu) => link::set_mtu(batch, dev.index, *mtu),
        Step::SetUp(dev) => link::set_up(batch, dev.index, true),
        Step::SetDown(dev) => link::set_up(batch, dev.index, false),
        Step::Rename(dev, name) => link::rename(batch, dev.index, name),
        Step::DeleteLink(dev) => link::delete(batch, dev.index),
        Step::AddAddress(address) => address::add(batch, address),
        Step::DeleteAddress(address) => address::delete(batch, address),
        Step::AddRoute(route) => route::add(batch, route),
        Step::ReplaceRoute(route) => route::replace(batch, route),
        Step::DeleteRoute(route) => route::delete(batch, route),
        Step::ReplaceNeighbour(neighbour) => neighbour::replace(batch, neighbour),
        Step::DeleteNeighbour(neighbour) => neighbour::delete(batch, neighbour),
        Step::AddRule(rule) => rule::add(batch, rule),
        Step::DeleteRule(rule) => rule::delete(batch, rule),
    }
}
