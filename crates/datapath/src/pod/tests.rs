//! Failures that no input can bring about: what is undone when the kernel refuses half way.

use super::*;
use crate::state::Route;
use crate::testing::{PodNamespace, in_new_namespace};

fn plan() -> PodPlan {
    PodPlan {
        container_if: "eth0".parse().unwrap(),
        host_veth: "enicc21c2d7785".parse().unwrap(),
        address: Ipv4Addr::new(10, 0, 1, 15),
        index: 0,
        mtu: 9001.try_into().unwrap(),
        table: RouteTableId(2),
    }
}

fn prepared(host: &mut Netlink, pod: &PodNamespace) -> (Pair, netns::Namespaces) {
    let mut namespaces = netns::open(&pod.path).unwrap();
    (
        Pair::prepare(host, &mut namespaces, &plan()).unwrap(),
        namespaces,
    )
}

fn names(host: &mut Netlink) -> Vec<String> {
    host.links()
        .unwrap()
        .into_iter()
        .map(|link| link.name.to_string())
        .collect()
}

fn route_to_pod(host: &mut Netlink) -> Option<Route> {
    let routes = host.routes(RouteTableId::MAIN).unwrap();
    routes
        .into_iter()
        .find(|route| route.destination == host_net(plan().address))
}

#[test]
fn rules_made_before_a_refusal_are_noted_and_can_be_taken_back() {
    in_new_namespace(|| {
        let mut host = Netlink::open().unwrap();
        let stale = Rule {
            table: Some(RouteTableId(7)),
            ..desired::any_from_pod(plan().address)
        };
        apply::steps(&mut host, &[Step::AddRule(stale)]).unwrap();
        let before = host.rules().unwrap();
        let nowhere = Dev {
            index: 4711,
            name: None,
        };
        let steps = [
            Step::DeleteRule(desired::any_from_pod(plan().address)),
            Step::AddRule(desired::to_pod(plan().address)),
            Step::SetUp(nowhere),
        ];
        let mut undo = Vec::new();
        let error = try_noting(&mut host, &steps, &mut undo).unwrap_err();
        assert_eq!(error.to_string(), "the kernel refused to set #4711 up");
        assert_ne!(host.rules().unwrap(), before);
        undo.reverse();
        apply::steps(&mut host, &undo).unwrap();
        assert_eq!(host.rules().unwrap(), before);
    });
}

#[test]
fn an_older_sandbox_is_in_service_until_the_new_one_is_ready() {
    let (old, new) = (PodNamespace::new(), PodNamespace::new());
    in_new_namespace(|| {
        add(&old.path, &plan()).unwrap();
        let mut host = Netlink::open().unwrap();
        let before = (names(&mut host), route_to_pod(&mut host));
        let (pair, mut namespaces) = prepared(&mut host, &new);
        assert_eq!(
            route_to_pod(&mut host),
            before.1,
            "the new pair exists under a passing name"
        );
        pair.give_up(&mut host, &mut namespaces.pod);
        assert_eq!((names(&mut host), route_to_pod(&mut host)), before);
    });
}

#[test]
fn an_older_sandbox_is_put_back_when_the_new_one_fails_late() {
    let (old, new) = (PodNamespace::new(), PodNamespace::new());
    in_new_namespace(|| {
        let links = add(&old.path, &plan()).unwrap();
        let mut host = Netlink::open().unwrap();
        let before = (names(&mut host), route_to_pod(&mut host));
        assert!(before.1.is_some());
        let (mut pair, mut namespaces) = prepared(&mut host, &new);
        pair.put_in_place(&mut host).unwrap();
        assert_eq!(
            route_to_pod(&mut host),
            None,
            "a link that goes down loses its routes"
        );
        pair.give_up(&mut host, &mut namespaces.pod);
        assert_eq!((names(&mut host), route_to_pod(&mut host)), before);
        let back = host.link(&plan().host_veth).unwrap().unwrap();
        assert!(back.up && back.index == links.host_index);
    });
}

#[test]
fn what_a_killed_replacement_left_does_not_stop_the_next() {
    let (old, killed, new) = (
        PodNamespace::new(),
        PodNamespace::new(),
        PodNamespace::new(),
    );
    in_new_namespace(|| {
        add(&old.path, &plan()).unwrap();
        let mut host = Netlink::open().unwrap();
        let (mut pair, _) = prepared(&mut host, &killed);
        pair.put_in_place(&mut host).unwrap();
        drop(pair);
        assert_eq!(
            names(&mut host).len(),
            3,
            "lo, the pair's host end, and the older one aside"
        );
        add(&new.path, &plan()).unwrap();
        assert_eq!(names(&mut host), ["lo", "enicc21c2d7785"]);
        assert!(check(&new.path, &plan()).unwrap().is_empty());
    });
}

#[test]
fn a_veth_to_another_namespace_is_not_taken_for_the_pods() {
    let (mut pod, mut host) = (link(2, Some(7)), link(7, Some(2)));
    assert!(pair::joined(&pod, &host));
    host.peer = Some(3);
    assert!(!pair::joined(&pod, &host));
    host.peer = Some(2);
    pod.kind = None;
    assert!(!pair::joined(&pod, &host));
}

fn link(index: u32, peer: Option<u32>) -> Link {
    let kind = Some("veth".to_owned());
    Link {
        index,
        name: "eth0".parse().unwrap(),
        mac: None,
        mtu: 1500,
        up: true,
        kind,
        peer,
    }
}

#[test]
fn only_what_a_plan_speaks_of_is_compared() {
    let pod = PodNamespace::new();
    in_new_namespace(|| {
        add(&pod.path, &plan()).unwrap();
        let mut inside = netns::open(&pod.path).unwrap().pod;
        let eth0 = inside.link(&plan().container_if).unwrap().unwrap();
        let extra = Route {
            destination: "192.0.2.0/24".parse().unwrap(),
            ..Route::on_link(host_net(plan().address), &eth0.dev(), RouteTableId::MAIN)
        };
        apply::steps(&mut inside, &[Step::AddRoute(extra)]).unwrap();
        assert!(
            check(&pod.path, &plan()).unwrap().is_empty(),
            "another plugin's route"
        );
        let observed = pair::observe_pod(&mut inside, &eth0, &plan()).unwrap();
        assert_eq!(observed.routes.len(), 2, "{:?}", observed.routes);
    });
}
