//! Differences by example, and their one law: making them makes the wanted state.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
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

/// What the kernel does with a step, reduced to what a difference relies on.
fn make(state: &mut State, step: Step) {
    fn put<T: PartialEq>(list: &mut Vec<T>, item: T) {
        list.retain(|other| *other != item);
        list.push(item);
    }
    match step {
        Step::SetMtu(dev, mtu) => link_in(state, &dev).mtu = mtu,
        Step::SetUp(dev) => link_in(state, &dev).up = true,
        Step::SetDown(dev) => link_in(state, &dev).up = false,
        Step::Rename(..) | Step::DeleteLink(_) => unreachable!("no difference asks for it"),
        Step::AddAddress(address) => put(&mut state.addresses, address),
        Step::DeleteAddress(address) => state.addresses.retain(|other| *other != address),
        Step::AddRoute(route) | Step::ReplaceRoute(route) => {
            let key = |route: &Route| (route.destination, route.table, route.metric);
            state.routes.retain(|other| key(other) != key(&route));
            state.routes.push(route);
        }
        Step::DeleteRoute(route) => state.routes.retain(|other| *other != route),
        Step::ReplaceNeighbour(neighbour) => put(&mut state.neighbours, neighbour),
        Step::DeleteNeighbour(neighbour) => state.neighbours.retain(|other| *other != neighbour),
        Step::AddRule(rule) => put(&mut state.rules, rule),
        Step::DeleteRule(rule) => state.rules.retain(|other| *other != rule),
    }
}

fn link_in<'a>(state: &'a mut State, dev: &Dev) -> &'a mut LinkState {
    let place = state
        .links
        .iter()
        .position(|link| link.dev == *dev)
        .unwrap_or_else(|| {
            state.links.push(LinkState {
                dev: dev.clone(),
                mtu: 1500,
                up: false,
            });
            state.links.len() - 1
        });
    &mut state.links[place]
}

fn all_routes() -> Vec<Route> {
    let gateways = ["10.0.1.1", "10.0.1.2"];
    let tables = [2, 254];
    let all = gateways
        .iter()
        .flat_map(|gateway| tables.map(|table| (gateway, table)));
    all.map(|(gateway, table)| {
        Route::default_via(gateway.parse().unwrap(), &dev(), RouteTableId(table))
    })
    .collect()
}

fn all_rules() -> Vec<Rule> {
    let rule = |last: u8| Rule {
        priority: RulePriority(u32::from(last)),
        selector: Selector::From(crate::state::host_net([10, 0, 1, last])),
        table: Some(RouteTableId(2)),
    };
    (0..4).map(rule).collect()
}

fn all_addresses() -> Vec<Address> {
    let address = |last: u8| Address {
        dev: dev(),
        address: crate::state::host_net([10, 0, 1, last]),
    };
    (0..4).map(address).collect()
}

/// Any state a kernel can be in: one route to a destination in a table.
fn states() -> impl Strategy<Value = State> {
    let routes = subsequence(all_routes(), 0..=4).prop_map(|mut routes| {
        routes.sort_by_key(|route| route.table);
        routes.dedup_by_key(|route| route.table);
        routes
    });
    let link = (576u32..9002, any::<bool>());
    let links = vec(
        link.prop_map(|(mtu, up)| LinkState {
            dev: dev(),
            mtu,
            up,
        }),
        1,
    );
    (
        links,
        routes,
        subsequence(all_rules(), 0..=4),
        subsequence(all_addresses(), 0..=4),
    )
        .prop_map(|(links, routes, rules, addresses)| State {
            links,
            addresses,
            routes,
            rules,
            ..State::default()
        })
}

proptest! {
    #[test]
    fn making_the_difference_makes_the_wanted_state(observed in states(), wanted in states()) {
        let mut state = observed.clone();
        diff(&observed, &wanted).steps.into_iter().for_each(|step| make(&mut state, step));
        prop_assert!(diff(&state, &wanted).is_empty(), "{:?}", diff(&state, &wanted));
    }
}
