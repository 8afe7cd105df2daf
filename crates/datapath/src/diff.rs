//! Observed and wanted state in, changes out. Pure.
//!
//! What is wanted and missing is set; what is observed and not wanted is taken away. So the
//! observer decides by what it lists what is ours to take away. Things are set before others are
//! taken away, so that nothing is without its route in between, and in the order in which they
//! need each other: a link's MTU, the link up, its addresses, its neighbours, rules, routes.

use crate::state::{LinkState, State};
use crate::step::{Changes, Step};

/// The changes that turn `observed` into `wanted`.
pub(crate) fn diff(observed: &State, wanted: &State) -> Changes {
    let mut steps: Vec<Step> = Vec::new();
    for link in &wanted.links {
        let before = observed.links.iter().find(|other| other.dev == link.dev);
        steps.extend(link_steps(before, link));
    }
    steps.extend(missing(&observed.addresses, &wanted.addresses).map(Step::AddAddress));
    steps.extend(missing(&observed.neighbours, &wanted.neighbours).map(Step::ReplaceNeighbour));
    steps.extend(missing(&observed.rules, &wanted.rules).map(Step::AddRule));
    steps.extend(missing(&observed.routes, &wanted.routes).map(Step::ReplaceRoute));
    steps.extend(missing(&wanted.rules, &observed.rules).map(Step::DeleteRule));
    steps.extend(missing(&wanted.routes, &observed.routes).map(Step::DeleteRoute));
    steps.extend(missing(&wanted.neighbours, &observed.neighbours).map(Step::DeleteNeighbour));
    steps.extend(missing(&wanted.addresses, &observed.addresses).map(Step::DeleteAddress));
    Changes {
        sysctls: missing(&observed.sysctls, &wanted.sysctls).collect(),
        steps,
    }
}

/// Those of `wanted` that are not in `have`.
fn missing<'a, T: PartialEq + Clone>(
    have: &'a [T],
    wanted: &'a [T],
) -> impl Iterator<Item = T> + 'a {
    wanted.iter().filter(|item| !have.contains(item)).cloned()
}

fn link_steps(before: Option<&LinkState>, wanted: &LinkState) -> Vec<Step> {
    let mut steps = Vec::new();
    if before.is_none_or(|link| link.mtu != wanted.mtu) {
        steps.push(Step::SetMtu(wanted.dev.clone(), wanted.mtu));
    }
    if before.is_none_or(|link| link.up != wanted.up) {
        let dev = wanted.dev.clone();
        steps.push(if wanted.up {
            Step::SetUp(dev)
        } else {
            Step::SetDown(dev)
        });
    }
    steps
}

#[cfg(test)]
mod tests;
