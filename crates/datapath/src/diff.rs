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
mod tests {
    use vpc_model::{RouteTableId, RulePriority};

    use super::*;
    use crate::state::{Address, Dev, Route, Rule, Selector, Sysctl};

    fn dev() -> Dev {
        Dev {
            index: 2,
            name: "ens6".parse().ok(),
        }
    }

    fn route(gateway: &str) -> Route {
        Route::default_via(gateway.parse().unwrap(), &dev(), RouteTableId(2))
    }

    fn wanted() -> State {
        let address = Address {
            dev: dev(),
            address: "10.0.1.9/24".parse().unwrap(),
        };
        let selector = Selector::From("10.0.1.9/32".parse().unwrap());
        State {
            sysctls: vec![Sysctl {
                name: "net/x".to_owned(),
                value: "2".to_owned(),
            }],
            links: vec![LinkState {
                dev: dev(),
                mtu: 9001,
                up: true,
            }],
            addresses: vec![address],
            routes: vec![route("10.0.1.1")],
            neighbours: Vec::new(),
            rules: vec![Rule {
                priority: RulePriority::FROM_ENI,
                selector,
                table: Some(RouteTableId(2)),
            }],
        }
    }

    #[test]
    fn nothing_changes_where_all_is_as_wanted() {
        assert!(diff(&wanted(), &wanted()).is_empty());
    }

    #[test]
    fn everything_is_set_on_a_bare_link_in_the_order_in_which_it_is_needed() {
        let mut bare = State::default();
        bare.links.push(LinkState {
            dev: dev(),
            mtu: 1500,
            up: false,
        });
        assert_eq!(
            diff(&bare, &wanted()).describe(),
            [
                "set sysctl net/x = 2",
                "set the MTU of ens6 to 9001",
                "set ens6 up",
                "add address 10.0.1.9/24 dev ens6",
                "add rule from 10.0.1.9 priority 32765 lookup 2",
                "set route default via 10.0.1.1 dev ens6 table 2",
            ]
        );
    }

    #[test]
    fn what_is_not_wanted_goes_after_what_is_wanted_came() {
        let mut observed = wanted();
        observed.routes = vec![route("10.0.1.254")];
        assert_eq!(
            diff(&observed, &wanted()).describe(),
            [
                "set route default via 10.0.1.1 dev ens6 table 2",
                "delete route default via 10.0.1.254 dev ens6 table 2",
            ]
        );
    }

    #[test]
    fn settings_nobody_wants_otherwise_are_left_alone() {
        let mut observed = wanted();
        observed.sysctls.push(Sysctl {
            name: "net/y".to_owned(),
            value: "1".to_owned(),
        });
        assert!(diff(&observed, &wanted()).is_empty());
    }
}
