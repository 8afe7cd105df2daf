//! Upstream's unit-test vectors for its targets, and where we differ from it on purpose.

use std::collections::BTreeSet;

use crate::executor::{Node, T};
use vpc_ipam::{
    Action, Ask, EniKind, Event, HeldBack, Mode, Plan, Provisioning, Reason, SlotKind, WarmTarget,
    Work,
};
use vpc_model::{DeviceIndex, EniId, Timestamp};

const fn ips(warm: u32, minimum: u32) -> WarmTarget {
    WarmTarget::Ips { warm, minimum }
}

/// Slots asked for and slots given back by a plan.
fn change(plan: &Plan) -> (u32, u32) {
    let mut change = (0, 0);
    for action in &plan.actions {
        match &action.work {
            Work::Create { ask, .. } | Work::Assign { ask, .. } => change.0 += ask.slots(),
            Work::Unassign { slots, .. } => {
                change.1 += u32::try_from(slots.addresses.len() + slots.prefixes.len()).unwrap();
            }
            Work::Return { .. } => {}
        }
    }
    change
}

fn returned(plan: &Plan) -> Vec<EniId> {
    let enis = plan.actions.iter().filter_map(|action| match &action.work {
        Work::Return { eni } => Some(eni.clone()),
        Work::Create { .. } | Work::Assign { .. } | Work::Unassign { .. } => None,
    });
    enis.collect()
}

/// A node whose primary ENI came with slots, of which pods have some. Delays are over.
fn node(mode: Mode, per_eni: u32, warm: WarmTarget, slots: u32, pods: u32) -> Node {
    let mut node = Node::in_subnets((3, per_eni), mode, warm, &["10.0.0.0/16"]);
    node.targets.return_delay = std::time::Duration::ZERO;
    node.launched_with(mode.slot().ask(slots));
    for pod in 0..pods {
        node.allocate(&format!("pod-{pod}")).unwrap();
    }
    node.pool.note_excess(Some(Timestamp::ZERO));
    node.pass(300);
    node
}

fn is_low(node: &Node) -> bool {
    change(&node.plan(0)).0 > 0
}

#[test]
fn a_warm_target_of_five_addresses_asks_for_what_is_missing() {
    for (there, missing) in [(0, 5), (2, 3), (5, 0)] {
        let node = node(Mode::SecondaryIps, 14, ips(5, 0), there, 0);
        assert_eq!(change(&node.plan(0)), (missing, 0), "with {there}");
    }
}

#[test]
fn a_warm_target_of_five_addresses_wants_one_prefix() {
    for (there, expected) in [(0, (1, 0)), (1, (0, 0)), (2, (0, 1))] {
        let node = node(Mode::Prefixes, 14, ips(5, 0), there, 0);
        assert_eq!(change(&node.plan(0)), expected, "with {there}");
    }
}

#[test]
fn low_is_what_upstream_calls_low_in_secondary_ip_mode() {
    let enis = WarmTarget::Enis;
    for (per_eni, warm, there, pods, low) in [
        (14, enis(1), 0, 0, true),
        (14, enis(0), 0, 0, true),
        (14, ips(1, 0), 3, 0, false),
        (3, enis(1), 3, 1, true),
        (3, enis(0), 3, 1, false),
        (3, enis(0), 3, 3, true),
    ] {
        let node = node(Mode::SecondaryIps, per_eni, warm, there, pods);
        assert_eq!(is_low(&node), low, "{warm:?}, {pods} of {there} taken");
    }
}

#[test]
fn low_is_what_upstream_calls_low_with_prefixes() {
    for (warm, pods, low) in [(1, 0, false), (1, 1, true), (0, 1, false)] {
        let node = node(Mode::Prefixes, 14, WarmTarget::Prefixes(warm), 1, pods);
        assert_eq!(is_low(&node), low, "target {warm}, {pods} pods");
    }
}

#[test]
fn a_node_that_can_run_no_more_pods_is_never_low() {
    let mut secondary = node(Mode::SecondaryIps, 14, ips(5, 0), 3, 0);
    secondary.targets.max_pods = Some(3);
    assert!(!is_low(&secondary));
    let mut prefixes = node(Mode::Prefixes, 14, WarmTarget::Prefixes(2), 1, 0);
    prefixes.targets.max_pods = Some(4);
    assert!(!is_low(&prefixes));
}

/// A primary ENI with two addresses that pods have, one ENI with two free ones, one with one.
fn three_enis(warm: WarmTarget) -> (Node, EniId, EniId) {
    let mut node = node(Mode::SecondaryIps, 14, warm, 2, 2);
    let mut ids = Vec::new();
    for (device, addresses) in [(1, 2), (2, 1)] {
        let ask = Ask::Addresses(addresses);
        let eni = node.new_eni(EniKind::Secondary, DeviceIndex(device), ask);
        ids.push(eni.id.clone());
        node.pool.apply(Event::EniFound(eni), node.now);
    }
    node.pass(61);
    (node, ids[0].clone(), ids[1].clone())
}

#[test]
fn upstreams_vectors_for_the_return_of_enis() {
    for (warm, minimum, expected) in [(3, 1, 0), (1, 5, 0), (2, 4, 2), (0, 2, 1)] {
        let (node, second, third) = three_enis(ips(warm, minimum));
        let returned = returned(&node.plan(0));
        match expected {
            0 => assert_eq!(returned, [], "{warm}, {minimum}"),
            // The least loss first: where one ENI is too many it is the smaller.
            1 => assert!(returned.contains(&second), "{warm}, {minimum}"),
            _ => assert_eq!(returned, [third], "{warm}, {minimum}"),
        }
    }
    let (mut node, _, third) = three_enis(ips(0, 3));
    node.cloud.delete(&third);
    node.pool.apply(Event::Returned { eni: third }, node.now);
    assert_eq!(returned(&node.plan(0)), []);
}

#[test]
fn trunk_and_efa_are_never_returned_and_an_idle_eni_without_addresses_is() {
    for (kind, goes) in [
        (EniKind::Trunk, false),
        (EniKind::Efa, false),
        (EniKind::Secondary, true),
    ] {
        let mut node = node(Mode::SecondaryIps, 14, ips(1, 1), 2, 1);
        let eni = node.new_eni(kind, DeviceIndex(1), Ask::Addresses(0));
        node.pool.apply(Event::EniFound(eni), node.now);
        node.pass(61);
        assert_eq!(!returned(&node.plan(0)).is_empty(), goes, "{kind:?}");
    }
}

#[test]
fn a_trunk_gives_addresses_and_gets_no_more() {
    let mut node = node(Mode::SecondaryIps, 3, ips(5, 0), 3, 0);
    let trunk = node.new_eni(EniKind::Trunk, DeviceIndex(1), Ask::Addresses(1));
    let id = trunk.id.clone();
    node.pool.apply(Event::EniFound(trunk), node.now);
    let asked = node.plan(0).actions;
    assert!(
        matches!(
            &asked[..],
            [Action {
                work: Work::Create { .. },
                ..
            }]
        ),
        "{asked:?}"
    );
    for pod in 0..4 {
        node.allocate(&format!("pod-{pod}")).unwrap();
    }
    assert_eq!(node.pool.eni(&id).unwrap().allocated(), 1);
}

#[test]
fn cooling_addresses_do_not_count_as_available() {
    let mut node = node(Mode::SecondaryIps, 14, ips(2, 0), 4, 2);
    assert_eq!(change(&node.plan(0)), (0, 0));
    node.remove("pod-0");
    node.allocate("pod-2").unwrap();
    let plan = node.plan(0);
    // Upstream counts the cooling one, finds two available and asks for nothing.
    assert_eq!(change(&plan), (1, 0));
    let reason = Reason::BelowTarget {
        free: 1,
        target: 2,
        demand: 0,
    };
    assert_eq!(plan.actions[0].because, reason);
}

#[test]
fn nothing_that_cools_is_unassigned_nor_is_its_eni_or_prefix_given_back() {
    let mut node = node(Mode::Prefixes, 14, ips(1, 1), 3, 33);
    // The third prefix has one pod.
    node.remove("pod-32");
    assert_eq!(change(&node.plan(0)), (0, 0));
    node.pass(30);
    assert_eq!(
        change(&node.plan(0)),
        (0, 0),
        "15 free in all is wanted still"
    );
    for pod in 16..32 {
        node.remove(&format!("pod-{pod}"));
    }
    assert_eq!(change(&node.plan(0)), (0, 0));
    node.pass(30);
    let plan = node.plan(0);
    assert_eq!(change(&plan), (0, 1), "{plan:?}");
}

#[test]
fn the_pool_is_capped_by_the_pods_the_node_can_run_and_says_so() {
    let mut node = Node::new((4, 14), WarmTarget::Enis(1));
    node.targets.max_pods = Some(20);
    node.add_pods(10);
    assert_eq!(node.total(), 20);
    let plan = node.plan(0);
    assert_eq!(plan.held_back, [HeldBack::MaxPods { max_pods: 20 }]);
    assert!(plan.actions.is_empty());
}

#[test]
fn an_address_that_cools_makes_no_room_under_the_cap_for_good() {
    let mut node = Node::new((4, 14), ips(0, 10));
    node.targets.max_pods = Some(10);
    node.add_pods(10);
    for pod in 0..5 {
        node.remove(&format!("pod-{pod}"));
    }
    // Five new pods need not wait for the cooldown of the old ones.
    let plan = node.plan(5);
    assert_eq!(change(&plan), (5, 0));
    node.execute(&plan);
    for pod in 10..15 {
        node.allocate(&format!("pod-{pod}")).unwrap();
    }
    node.rest();
    assert_eq!(node.total(), 10);
}

#[test]
fn pods_that_wait_count_as_demand_and_the_whole_shortfall_is_one_plan() {
    let mut node = Node::new((4, 14), ips(2, 0));
    let plan = node.plan(40);
    assert_eq!(change(&plan), (42, 0));
    let creations = plan.actions.iter().filter(|action| match action.work {
        Work::Create { .. } => true,
        Work::Assign { .. } | Work::Unassign { .. } | Work::Return { .. } => false,
    });
    assert_eq!(creations.count(), 2);
    let devices: BTreeSet<_> = plan
        .actions
        .iter()
        .map(|action| format!("{:?}", action.work))
        .collect();
    assert_eq!(devices.len(), 3);
    node.execute(&plan);
    assert!(node.plan(40).actions.is_empty());
}

#[test]
fn what_is_under_way_is_not_asked_for_again() {
    let mut node = Node::new((4, 14), WarmTarget::Enis(1));
    node.launched_with(Ask::Addresses(14));
    let plan = node.plan(10);
    assert_eq!(change(&plan), (14, 0));
    node.pool.apply(plan.actions[0].work.begun(), node.now);
    assert_eq!(node.plan(10).actions, []);
    // More demand asks for more, at another place, while the first is on its way.
    let more = node.plan(20);
    assert_eq!(change(&more), (14, 0));
    node.pool.apply(more.actions[0].work.begun(), node.now);
    let devices: Vec<_> = node
        .pool
        .creations()
        .map(|(_, begun)| begun.device.0)
        .collect();
    assert_eq!(devices, [1, 2]);
}

#[test]
fn a_full_node_says_that_there_is_no_room() {
    let mut node = Node::new(T, ips(1, 0));
    node.add_pods(9);
    let plan = node.plan(1);
    assert_eq!(plan.actions, []);
    assert_eq!(plan.held_back, [HeldBack::NoRoom { max_enis: 3 }]);
    assert_eq!(plan.wake_at, None);
}

#[test]
fn places_kept_for_the_trunk_and_enis_of_others_are_room_that_is_not_there() {
    let mut node = Node::new(T, ips(1, 0));
    node.facts.reserved_enis = 1;
    let mut stranger = node.new_eni(EniKind::Secondary, DeviceIndex(1), Ask::Addresses(1));
    stranger.exclusion = Some(vpc_ipam::classify::Exclusion::NoManage);
    let id = stranger.id.clone();
    node.pool.apply(Event::EniFound(stranger), node.now);
    let plan = node.plan(4);
    assert_eq!(change(&plan), (3, 0), "the primary ENI alone: {plan:?}");
    assert_eq!(plan.held_back, [HeldBack::NoRoom { max_enis: 3 }]);
    node.execute(&plan);
    for pod in 0..3 {
        let got = node.allocate(&format!("pod-{pod}")).unwrap();
        assert_ne!(got.eni, Some(id.clone()));
    }
    let error = node.allocate("pod-3").unwrap_err();
    assert_eq!((error.total, error.allocated, error.withheld), (4, 3, 1));
}

#[test]
fn a_cordoned_node_gets_nothing_and_keeps_its_enis_but_gives_addresses_back() {
    let (mut node, _, _) = three_enis(ips(0, 0));
    node.facts.provisioning = Provisioning::Cordoned;
    let plan = node.plan(0);
    assert_eq!(returned(&plan), []);
    assert!(plan.held_back.contains(&HeldBack::NodeCordoned), "{plan:?}");
    assert_eq!(change(&plan), (0, 3));
    let plan = node.plan(9);
    assert_eq!(change(&plan), (0, 0));
    assert_eq!(plan.held_back, [HeldBack::NodeCordoned]);
}

#[test]
fn with_provisioning_disabled_or_in_imds_only_mode_ec2_is_asked_for_nothing() {
    for (provisioning, held) in [
        (Provisioning::Disabled, HeldBack::ProvisioningDisabled),
        (Provisioning::ImdsOnly, HeldBack::ImdsOnly),
    ] {
        let (mut node, _, _) = three_enis(ips(0, 0));
        node.facts.provisioning = provisioning;
        assert_eq!(node.plan(0).actions, []);
        let plan = node.plan(9);
        assert_eq!((plan.actions, plan.held_back), (vec![], vec![held]));
    }
}

#[test]
fn an_excess_goes_back_when_it_has_lasted_and_an_eni_when_it_is_old_enough() {
    let mut node = Node::new((4, 14), ips(2, 0));
    node.launched_with(Ask::Addresses(5));
    let plan = node.plan(0);
    let until = node.now + node.targets.return_delay;
    assert_eq!(plan.actions, []);
    assert_eq!(plan.held_back, [HeldBack::ReturnDelay { until }]);
    assert_eq!(plan.wake_at, Some(until));
    node.pool.note_excess(plan.excess_since);
    node.pass(29);
    assert_eq!(node.plan(0).actions, []);
    node.pass(1);
    let plan = node.plan(0);
    assert_eq!(change(&plan), (0, 3));
    node.execute(&plan);
    assert_eq!(node.total(), 2);

    let eni = node.new_eni(EniKind::Secondary, DeviceIndex(1), Ask::Addresses(3));
    let id = eni.id.clone();
    node.pool.apply(Event::EniFound(eni), node.now);
    let old_enough = node.now + node.targets.eni_min_age;
    let plan = node.plan(0);
    let young = HeldBack::TooYoung {
        eni: id.clone(),
        until: old_enough,
    };
    assert_eq!((plan.actions, plan.held_back), (vec![], vec![young]));
    node.pool.note_excess(plan.excess_since);
    node.pass(60);
    // It has lasted too: the ENI goes whole, its addresses are not unassigned first.
    let plan = node.plan(0);
    assert_eq!((returned(&plan), change(&plan)), (vec![id], (0, 0)));
}

#[test]
fn many_unused_enis_go_back_two_at_a_time_with_a_pause() {
    let mut node = Node::new((8, 14), WarmTarget::Enis(0));
    node.add_pods(90);
    assert_eq!(node.pool.enis().count(), 7);
    for pod in 0..90 {
        node.remove(&format!("pod-{pod}"));
    }
    let mut counts = vec![7];
    for _ in 0..30 {
        node.pass(5);
        node.settle();
        let count = node.pool.enis().count();
        if counts.last() != Some(&count) {
            counts.push(count);
        }
    }
    assert_eq!(counts, [7, 5, 3, 1]);
}

#[test]
fn two_nodes_give_back_at_different_times() {
    let when = |seed| {
        let mut node = Node::new((4, 14), ips(2, 0));
        node.pool = node.pool.seeded(seed);
        node.launched_with(Ask::Addresses(5));
        node.plan(0).wake_at.unwrap()
    };
    let times: BTreeSet<_> = (0..20).map(when).collect();
    assert!(times.len() > 10, "{times:?}");
}

#[test]
fn a_node_launched_with_enough_makes_no_call() {
    for (mode, warm, ask) in [
        (Mode::SecondaryIps, ips(2, 5), Ask::Addresses(5)),
        (Mode::SecondaryIps, ips(2, 5), Ask::Prefixes(1)),
        (Mode::SecondaryIps, WarmTarget::Enis(1), Ask::Addresses(14)),
        (Mode::Prefixes, ips(2, 5), Ask::Prefixes(1)),
        (Mode::Prefixes, WarmTarget::Prefixes(1), Ask::Prefixes(1)),
    ] {
        let mut node = Node::in_subnets((4, 14), mode, warm, &["10.0.0.0/16"]);
        node.launched_with(ask);
        node.settle();
        node.allocate("pod-0").unwrap();
        assert_eq!(node.cloud.calls, 0, "{mode:?} {warm:?} {ask:?}");
        assert_eq!(node.free() + 1, ask.addresses());
    }
}

#[test]
fn a_plan_is_linear_in_what_it_is_about_and_names_slots_once() {
    let mut node = node(Mode::SecondaryIps, 14, ips(0, 0), 14, 0);
    let plan = node.plan(0);
    assert_eq!(change(&plan), (0, 14));
    node.execute(&plan);
    assert_eq!(node.slots(SlotKind::Address), [0; 0]);
}

/// Each pod that comes while an ENI is being made is no reason for another ENI.
#[test]
fn pods_that_come_while_an_eni_is_being_made_wait_for_it() {
    let warm = WarmTarget::Ips {
        warm: 1,
        minimum: 0,
    };
    let mut node = Node::new((4, 9), warm);
    node.add_pods(8);
    node.settle();
    assert_eq!(node.per_eni(), [9]);
    node.allocate("ninth").unwrap();
    let begun = node.plan(0);
    let creations = |plan: &Plan| {
        let works = plan.actions.iter().map(|action| &action.work);
        works
            .filter(|work| matches!(work, Work::Create { .. }))
            .count()
    };
    assert_eq!(creations(&begun), 1);
    node.pool.apply(begun.actions[0].work.begun(), node.now);
    let more = node.plan(3);
    assert_eq!(more.actions, [], "the new ENI has room for them");
    assert_eq!(more.held_back, [HeldBack::EniComing { slots: 3 }]);
    let many = node.plan(12);
    assert_eq!(creations(&many), 1, "the new ENI has no room for them all");
    let outcome = node.carry_out(&begun.actions[0].work);
    node.pool.apply(outcome, node.now);
    let then = node.plan(3);
    let asked = then.actions.iter().map(|action| action.work.clone());
    let eni = node.pool.enis().find(|eni| eni.device.0 == 1).unwrap();
    let all_at_once = Work::Assign {
        eni: eni.id.clone(),
        ask: Ask::Addresses(3),
    };
    assert_eq!(asked.collect::<Vec<_>>(), [all_at_once]);
}
