//! What the pool makes of what metadata and EC2 show.

use std::collections::BTreeSet;

use crate::executor::{Node, key};
use vpc_ipam::allocate::held;
use vpc_ipam::classify::{Class, Exclusion, Ours};
use vpc_ipam::journal::REMEMBERED;
use vpc_ipam::reconcile::{Finding, Observed, Reconciliation, Seen, Source, reconcile};
use vpc_ipam::{Ask, EniKind, Event, Mode, Slots, WarmTarget};
use vpc_model::{DeviceIndex, NetworkCard};

const WARM: WarmTarget = WarmTarget::Ips {
    warm: 2,
    minimum: 0,
};

/// A node with 20 pods on two ENIs, minutes after the last change.
fn node() -> Node {
    let mut node = Node::in_subnets((4, 14), Mode::SecondaryIps, WARM, &["10.0.0.0/16"]);
    node.add_pods(20);
    node.pass(300);
    node
}

fn observe(node: &Node, source: Source) -> Observed {
    let enis = node.cloud.enis.iter().map(|(id, eni)| Seen {
        id: id.clone(),
        card: NetworkCard(0),
        device: eni.device,
        slots: node.cloud_slots(id),
        class: None,
    });
    Observed {
        source,
        at: node.now,
        about: None,
        enis: enis.collect(),
    }
}

fn apply(node: &mut Node, result: &Reconciliation) {
    for event in &result.events {
        node.pool.apply(event.clone(), node.now);
    }
    node.pool.check().unwrap();
}

#[test]
fn where_pool_and_world_agree_nothing_follows() {
    let node = node();
    for source in [Source::Metadata, Source::MetadataOnly, Source::Ec2] {
        assert_eq!(
            reconcile(&node.pool, &observe(&node, source)),
            Reconciliation::default()
        );
    }
}

#[test]
fn an_address_that_metadata_does_not_show_is_asked_about_and_stays() {
    let mut node = node();
    let primary = node.primary();
    let address = node.address_of("pod-0").unwrap();
    node.cloud
        .drop_slots(&primary, &Slots::of_addresses(vec![address]));
    let result = reconcile(&node.pool, &observe(&node, Source::Metadata));
    assert_eq!(result.events, []);
    assert_eq!(result.ask_ec2, BTreeSet::from([primary.clone()]));
    let only = reconcile(&node.pool, &observe(&node, Source::MetadataOnly));
    assert_eq!((only.events, only.ask_ec2), (vec![], BTreeSet::new()));
    assert_eq!(only.findings, result.findings);
}

#[test]
fn when_ec2_says_so_the_address_leaves_the_pool_and_its_pod_keeps_it_on_record() {
    let mut node = node();
    let primary = node.primary();
    let address = node.address_of("pod-0").unwrap();
    node.cloud
        .drop_slots(&primary, &Slots::of_addresses(vec![address]));
    let result = reconcile(&node.pool, &observe(&node, Source::Ec2));
    let [Finding::SlotsVanished { pods, .. }] = &result.findings[..] else {
        panic!("{result:?}");
    };
    assert_eq!(*pods, [key("pod-0")]);
    apply(&mut node, &result);
    assert!(node.pool.owner(address).is_none());
    assert_eq!(held(&node.pool, &key("pod-0")).unwrap().address, address);
    // Released, it rests, and is never handed out: EC2 may have given it to another node.
    node.remove("pod-0");
    node.pass(31);
    for pod in 20..23 {
        if let Ok(got) = node.allocate(&format!("pod-{pod}")) {
            assert_ne!(got.address, address);
        }
    }
}

#[test]
fn an_eni_that_is_gone_takes_no_allocation_with_it_and_gives_it_back_when_it_returns() {
    let mut node = node();
    let second = node
        .pool
        .enis()
        .find(|eni| eni.device.0 == 1)
        .unwrap()
        .clone();
    let pods = second.allocated();
    assert!(pods > 0);
    let before = node.cloud.clone();
    node.cloud.take_away(&second.id);
    let asked = reconcile(&node.pool, &observe(&node, Source::Metadata));
    assert_eq!((asked.events.len(), asked.ask_ec2.len()), (0, 1));
    let result = reconcile(&node.pool, &observe(&node, Source::Ec2));
    let eni = second.id.clone();
    assert_eq!(result.findings, [Finding::EniVanished { eni, pods }]);
    apply(&mut node, &result);
    assert_eq!(node.pool.allocated(), 20);
    assert_eq!(
        node.pool.ledger().holders().len(),
        usize::try_from(pods).unwrap()
    );

    // Whoever shows it a moment later may be showing what was.
    node.cloud = before;
    let early = reconcile(&node.pool, &observe(&node, Source::Metadata));
    assert_eq!(early.findings, []);
    node.pass(REMEMBERED.as_secs());
    let result = reconcile(&node.pool, &observe(&node, Source::Ec2));
    assert_eq!(result.to_wire.as_slice(), std::slice::from_ref(&second.id));
    let found = vpc_ipam::NewEni {
        id: second.id.clone(),
        kind: second.kind,
        exclusion: None,
        mac: second.mac,
        card: second.card,
        device: second.device,
        subnet: second.subnet.clone(),
        subnet_cidr: second.subnet_cidr,
        primary: second.primary,
        slots: node.cloud_slots(&second.id),
        attached_at: None,
    };
    node.pool.apply(Event::EniFound(found), node.now);
    assert_eq!(node.pool.eni(&second.id).unwrap().allocated(), pods);
    assert_eq!(node.pool.ledger().holders().len(), 0);
}

#[test]
fn addresses_that_somebody_assigned_are_taken_in() {
    let mut node = node();
    let second = node
        .pool
        .enis()
        .find(|eni| eni.device.0 == 1)
        .unwrap()
        .id
        .clone();
    let slots = node.cloud.assign(&second, Ask::Addresses(2)).unwrap();
    let result = reconcile(&node.pool, &observe(&node, Source::Metadata));
    let eni = second.clone();
    assert_eq!(result.findings, [Finding::SlotsAppeared { eni, slots }]);
    let before = node.free();
    apply(&mut node, &result);
    assert_eq!(node.free(), before + 2);
}

#[test]
fn an_eni_that_somebody_attached_is_asked_about_first() {
    let mut node = node();
    let extra = node
        .new_eni(EniKind::Secondary, DeviceIndex(9), Ask::Addresses(1))
        .id;
    let asked = reconcile(&node.pool, &observe(&node, Source::Metadata));
    assert_eq!(asked.ask_ec2, BTreeSet::from([extra.clone()]));
    assert_eq!(asked.to_wire, []);
    for source in [Source::MetadataOnly, Source::Ec2] {
        let result = reconcile(&node.pool, &observe(&node, source));
        assert_eq!(result.to_wire.as_slice(), std::slice::from_ref(&extra));
    }
}

#[test]
fn what_was_given_back_a_moment_ago_may_still_be_seen_and_does_not_come_back() {
    let mut node = node();
    for pod in 0..20 {
        node.remove(&format!("pod-{pod}"));
    }
    let stale = observe(&node, Source::Metadata);
    node.rest();
    assert!(node.total() < 20);
    let stale = Observed {
        at: node.now,
        ..stale
    };
    // `rest` ends minutes after the last return; so look as if right after it.
    let mut early = node.pool.clone();
    let second = early
        .enis()
        .find(|eni| eni.device.0 == 0)
        .unwrap()
        .id
        .clone();
    let given = early.eni(&second).unwrap().singles().next().unwrap().0;
    let slots = Slots::of_addresses(vec![given]);
    let (eni, now) = (second.clone(), node.now);
    early.apply(
        Event::UnassignBegun {
            eni: eni.clone(),
            slots: slots.clone(),
        },
        now,
    );
    early.apply(Event::Unassigned { eni, slots }, now);
    assert_eq!(
        reconcile(&early, &observe(&node, Source::Metadata)).findings,
        []
    );
    assert!(!reconcile(&node.pool, &stale).findings.is_empty());
}

#[test]
fn an_eni_that_is_being_created_is_no_stranger() {
    let mut node = node();
    let plan = node.plan(30);
    let work = plan.actions.last().unwrap().work.clone();
    assert!(matches!(work, vpc_ipam::Work::Create { .. }), "{work:?}");
    node.pool.apply(work.begun(), node.now);
    let outcome = node.carry_out(&work);
    assert_eq!(
        reconcile(&node.pool, &observe(&node, Source::Metadata)).findings,
        []
    );
    node.pool.apply(outcome, node.now);
    assert_eq!(
        reconcile(&node.pool, &observe(&node, Source::Metadata)).findings,
        []
    );
}

#[test]
fn a_tag_against_management_takes_an_eni_out_of_our_hands_with_its_pods_alive() {
    let mut node = node();
    let second = node
        .pool
        .enis()
        .find(|eni| eni.device.0 == 1)
        .unwrap()
        .id
        .clone();
    let mut observed = observe(&node, Source::Ec2);
    for seen in &mut observed.enis {
        seen.class = Some(Class {
            kind: if seen.id == second {
                EniKind::Secondary
            } else {
                EniKind::Primary
            },
            verdict: if seen.id == second {
                Err(Exclusion::NoManage)
            } else {
                Ok(Ours::Primary)
            },
        });
    }
    let result = reconcile(&node.pool, &observed);
    assert_eq!(
        result.findings,
        [Finding::Reclassified {
            eni: second.clone()
        }]
    );
    apply(&mut node, &result);
    let pods = node.pool.eni(&second).unwrap().allocated();
    assert!(pods > 0);
    let got = node.add("new").unwrap();
    assert_ne!(got.eni, Some(second.clone()));
    for pod in 0..20 {
        node.remove(&format!("pod-{pod}"));
    }
    node.rest();
    assert!(
        node.pool.eni(&second).is_some(),
        "it is not ours to give back"
    );
}

#[test]
fn enis_of_other_network_cards_are_passed_over() {
    let node = node();
    let mut observed = observe(&node, Source::Ec2);
    let mut other = observed.enis[0].clone();
    other.id = "eni-ffff".parse().unwrap();
    other.card = NetworkCard(1);
    observed.enis.push(other);
    assert_eq!(reconcile(&node.pool, &observed).findings, []);
}
