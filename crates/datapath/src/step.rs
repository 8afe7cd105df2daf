//! Changes of kernel state, as data.

use std::fmt;

use rustix::io::Errno;
use vpc_model::LinkName;

use crate::state::{Address, Dev, Neighbour, Route, Rule, Sysctl};

/// Everything that has to change, in the order in which it should.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Changes {
    /// Settings, which come before all else: they govern what the rest sets off.
    pub(crate) sysctls: Vec<Sysctl>,
    /// Links, addresses, routes, neighbours and rules.
    pub(crate) steps: Vec<Step>,
}

/// A change made by one netlink message, complete in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Sets a link's MTU in bytes.
    SetMtu(Dev, u32),
    /// Takes a link into service.
    SetUp(Dev),
    /// Takes a link out of service; its routes go with that.
    SetDown(Dev),
    /// Gives a link another name; older kernels (before 6.2) want it down for that.
    Rename(Dev, LinkName),
    /// Deletes a link, and with it everything that refers to it.
    DeleteLink(Dev),
    /// Adds an address without the route to its network that the kernel would make.
    AddAddress(Address),
    /// Takes an address away.
    DeleteAddress(Address),
    /// Adds a route; refused where there is one to the same destination.
    AddRoute(Route),
    /// Sets the route to a destination in a table, in place of another to the same.
    ReplaceRoute(Route),
    /// Takes a route away.
    DeleteRoute(Route),
    /// Sets a permanent neighbour entry.
    ReplaceNeighbour(Neighbour),
    /// Takes a neighbour entry away.
    DeleteNeighbour(Neighbour),
    /// Adds a rule.
    AddRule(Rule),
    /// Takes one rule away, the first that fits.
    DeleteRule(Rule),
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The kernel's state changed, or was set again to what it was.
    Made,
    /// It was so before.
    AlreadySo,
}

impl Changes {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.sysctls.is_empty() && self.steps.is_empty()
    }

    /// One sentence per change.
    pub(crate) fn describe(&self) -> Vec<String> {
        let sysctls = self.sysctls.iter().map(|sysctl| format!("set {sysctl}"));
        sysctls
            .chain(self.steps.iter().map(ToString::to_string))
            .collect()
    }
}

impl Step {
    /// The refusal that means the step was not needed.
    pub(crate) fn not_needed_when(&self) -> Option<Errno> {
        match self {
            Step::AddRule(_) => Some(Errno::EXIST),
            Step::DeleteRule(_) | Step::DeleteNeighbour(_) => Some(Errno::NOENT),
            Step::DeleteRoute(_) => Some(Errno::SRCH),
            Step::DeleteAddress(_) => Some(Errno::ADDRNOTAVAIL),
            Step::DeleteLink(_) => Some(Errno::NODEV),
            Step::SetMtu(..)
            | Step::SetUp(_)
            | Step::SetDown(_)
            | Step::Rename(..)
            | Step::AddAddress(_)
            | Step::AddRoute(_)
            | Step::ReplaceRoute(_)
            | Step::ReplaceNeighbour(_) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::SetMtu(dev, mtu) => write!(f, "set the MTU of {dev} to {mtu}"),
            Step::SetUp(dev) => write!(f, "set {dev} up"),
            Step::SetDown(dev) => write!(f, "set {dev} down"),
            Step::Rename(dev, name) => write!(f, "rename {dev} to {name}"),
            Step::DeleteLink(dev) => write!(f, "delete link {dev}"),
            Step::AddAddress(address) => write!(f, "add {address}"),
            Step::DeleteAddress(address) => write!(f, "delete {address}"),
            Step::AddRoute(route) => write!(f, "add {route}"),
            Step::ReplaceRoute(route) => write!(f, "set {route}"),
            Step::DeleteRoute(route) => write!(f, "delete {route}"),
            Step::ReplaceNeighbour(neighbour) => write!(f, "set {neighbour}"),
            Step::DeleteNeighbour(neighbour) => write!(f, "delete {neighbour}"),
            Step::AddRule(rule) => write!(f, "add {rule}"),
            Step::DeleteRule(rule) => write!(f, "delete {rule}"),
        }
    }
}
