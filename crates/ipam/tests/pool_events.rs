//! What the pool makes of news: late, repeated, out of order, about what it does not know.

#![allow(clippy::unwrap_used)]

mod executor;

use std::net::Ipv4Addr;
use std::time::Duration;

use executor::{Node, key};
use vpc_ipam::journal::REMEMBERED;
use vpc_ipam::{AddressState, CreationId, EniKind, EniState, Event, Ledger, Pool, WarmTarget};
use vpc_model::{DeviceIndex, EniId};

const NONE: WarmTarget = WarmTarget::Ips {
    warm: 0,
    minimum: 0,
};

fn refused() -> String {
    "InternalError".to_owned()
}

fn addresses(node: &Node, device: u8) -> Vec<Ipv4Addr> {
    node.eni(device)
        .addresses()
        .map(|(address, _)| address)
        .collect()
}

fn assign_fails(node: &mut Node, eni: &EniId) {
    node.apply(Event::AssignBegun {
        eni: eni.clone(),
        count: 1,
    });
    node.apply(Event::AssignFailed {
        eni: eni.clone(),
        asked: 1,
        reason: refused(),
    });
}

/// A new daemon with what the journal says, before it has seen an ENI.
fn restarted(node: &Node) -> Pool {
    Pool::new(node.pool.to_ledger())
}

#[test]
fn refusals_make_the_pause_longer_up_to_two_minutes_and_success_ends_it() {
    let mut node = Node::with_enis((2, 3), NONE, &[1]);
    let eni = node.id(0);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        assign_fails(&mut node, &eni);
        let until = node.pool.back_off().unwrap().until;
        pauses.push(until.since(node.now).as_secs());
        node.now = until;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
    let addresses = node.fresh(1);
    node.apply(Event::AssignBegun {
        eni: eni.clone(),
        count: 1,
    });
    node.apply(Event::Assigned {
        eni: eni.clone(),
        asked: 1,
        addresses,
    });
    assert_eq!(node.pool.back_off(), None);
    assign_fails(&mut node, &eni);
    assert_eq!(node.pool.back_off().unwrap().failures, 1);
}

#[test]
fn calls_of_one_round_that_are_all_refused_count_once() {
    let mut node = Node::with_enis((4, 3), NONE, &[1]);
    let creations = [0, 1, 2].map(CreationId);
    for (creation, device) in creations.into_iter().zip(1..) {
        node.apply(Event::CreationBegun {
            creation,
            device: DeviceIndex(device),
            addresses: 3,
        });
    }
    for creation in creations {
        node.apply(Event::CreationFailed {
            creation,
            reason: refused(),
        });
    }
    assert_eq!(node.pool.back_off().unwrap().failures, 1);
}

#[test]
fn fewer_addresses_than_asked_for_are_taken_and_followed_by_a_pause() {
    let mut node = Node::with_enis(
        (1, 9),
        WarmTarget::Ips {
            warm: 5,
            minimum: 0,
        },
        &[0],
    );
    let eni = node.id(0);
    for (given, failures) in [(2, 1), (0, 2), (0, 3)] {
        let plan = node.plan(0);
        assert_eq!(plan.actions.len(), 1, "{plan:?}");
        let asked = 5 - node.eni(0).len();
        node.apply(Event::AssignBegun {
            eni: eni.clone(),
            count: asked,
        });
        let addresses = node.fresh(given);
        node.apply(Event::Assigned {
            eni: eni.clone(),
            asked,
            addresses,
        });
        let back_off = node.pool.back_off().unwrap().clone();
        assert_eq!(back_off.failures, failures);
        assert_eq!(
            back_off.reason,
            format!("it gave {given} of the {asked} addresses asked for")
        );
        assert!(node.plan(0).actions.is_empty());
        node.now = back_off.until;
    }
}

#[test]
fn news_of_what_the_pool_does_not_know_changes_nothing() {
    let mut node = Node::with_enis((2, 3), NONE, &[2]);
    let before = format!("{:?}", node.pool);
    let eni: EniId = "eni-unknown".parse().unwrap();
    let stray = node.fresh(1);
    let creation = CreationId(7);
    for event in [
        Event::CreationFailed {
            creation,
            reason: refused(),
        },
        Event::AssignBegun {
            eni: eni.clone(),
            count: 1,
        },
        Event::Assigned {
            eni: eni.clone(),
            asked: 1,
            addresses: stray.clone(),
        },
        Event::AssignFailed {
            eni: eni.clone(),
            asked: 1,
            reason: refused(),
        },
        Event::AddressesFound {
            eni: eni.clone(),
            addresses: stray.clone(),
        },
        Event::UnassignBegun {
            eni: eni.clone(),
            addresses: stray.clone(),
        },
        Event::Unassigned {
            eni: eni.clone(),
            addresses: stray.clone(),
        },
        Event::UnassignFailed {
            eni: eni.clone(),
            addresses: stray,
            reason: refused(),
        },
        Event::ReturnBegun { eni: eni.clone() },
        Event::ReturnFailed {
            eni: eni.clone(),
            reason: refused(),
        },
        Event::Returned { eni },
    ] {
        node.apply(event.clone());
        assert_eq!(format!("{:?}", node.pool), before, "{event:?}");
    }
}

#[test]
fn only_free_addresses_are_given_back() {
    let mut node = Node::with_enis((1, 3), NONE, &[3]);
    let held = node.allocate("a").unwrap().address;
    let resting = node.allocate("b").unwrap().address;
    node.remove("b");
    let eni = node.id(0);
    let all = addresses(&node, 0);
    node.apply(Event::UnassignBegun {
        eni: eni.clone(),
        addresses: all.clone(),
    });
    assert_eq!(node.eni(0).unassigning(), 1);
    node.apply(Event::Unassigned {
        eni,
        addresses: all,
    });
    assert_eq!(addresses(&node, 0), [held, resting]);
}

#[test]
fn what_was_given_back_is_not_ours_again_only_because_it_is_seen() {
    let mut node = Node::with_enis((1, 3), NONE, &[2]);
    let (eni, all) = (node.id(0), addresses(&node, 0));
    let gone = vec![all[1]];
    node.apply(Event::UnassignBegun {
        eni: eni.clone(),
        addresses: gone.clone(),
    });
    node.apply(Event::Unassigned {
        eni: eni.clone(),
        addresses: gone.clone(),
    });
    // A description from before.
    node.apply(Event::AddressesFound {
        eni: eni.clone(),
        addresses: all.clone(),
    });
    assert_eq!(addresses(&node, 0), all[..1]);
    // EC2's own word is another matter.
    node.apply(Event::Assigned {
        eni: eni.clone(),
        asked: 1,
        addresses: gone.clone(),
    });
    assert_eq!(addresses(&node, 0), all);

    node.apply(Event::UnassignBegun {
        eni: eni.clone(),
        addresses: gone.clone(),
    });
    node.apply(Event::Unassigned {
        eni: eni.clone(),
        addresses: gone,
    });
    node.pass(REMEMBERED.as_secs());
    node.apply(Event::AddressesFound {
        eni,
        addresses: all.clone(),
    });
    assert_eq!(
        addresses(&node, 0),
        all,
        "after that time what is seen is there"
    );
}

#[test]
fn what_was_being_given_back_is_not_ours_after_a_restart() {
    let mut node = Node::with_enis((2, 3), NONE, &[2, 1]);
    let (eni, all) = (node.id(0), addresses(&node, 0));
    let returned = node.id(1);
    node.apply(Event::UnassignBegun {
        eni,
        addresses: vec![all[1]],
    });
    node.apply(Event::ReturnBegun {
        eni: returned.clone(),
    });
    let mut pool = restarted(&node);
    for eni in node.pool.enis() {
        pool.apply(Event::EniFound(node.as_found(eni)), node.now);
    }
    assert_eq!(pool.eni(&returned), None);
    assert_eq!(pool.enis().map(vpc_ipam::Eni::len).sum::<u32>(), 1);
}

#[test]
fn an_answer_to_assign_that_overtakes_the_one_to_unassign_is_believed() {
    let mut node = Node::with_enis((2, 2), NONE, &[2, 0]);
    let (from, to) = (node.id(0), node.id(1));
    let moved = vec![addresses(&node, 0)[1]];
    node.apply(Event::UnassignBegun {
        eni: from.clone(),
        addresses: moved.clone(),
    });
    node.apply(Event::AssignBegun {
        eni: to.clone(),
        count: 1,
    });
    node.apply(Event::Assigned {
        eni: to,
        asked: 1,
        addresses: moved.clone(),
    });
    node.apply(Event::Unassigned {
        eni: from,
        addresses: moved.clone(),
    });
    assert_eq!(addresses(&node, 1), moved);
    assert_eq!(node.eni(0).len(), 1);
}

#[test]
fn an_address_that_another_eni_is_given_keeps_resting() {
    let mut node = Node::with_enis((2, 2), NONE, &[1, 0]);
    let resting = node.allocate("a").unwrap().address;
    node.remove("a");
    let eni = node.id(1);
    node.apply(Event::Assigned {
        eni,
        asked: 1,
        addresses: vec![resting],
    });
    let until = node.now + Duration::from_secs(30);
    assert_eq!(
        node.eni(1).state_of(resting),
        Some(&AddressState::Cooling { until })
    );
}

#[test]
fn a_pods_address_stays_where_it_is_whatever_is_said() {
    let mut node = Node::with_enis((2, 2), NONE, &[1, 0]);
    let held = node.allocate("a").unwrap();
    let eni = node.id(1);
    node.apply(Event::Assigned {
        eni: eni.clone(),
        asked: 1,
        addresses: vec![held.address],
    });
    node.apply(Event::AddressesFound {
        eni,
        addresses: vec![held.address],
    });
    assert_eq!(node.allocate("a").unwrap().eni, held.eni);
    assert!(node.eni(1).is_empty());
}

#[test]
fn an_eni_that_is_gone_leaves_its_pods_and_cooldowns_to_the_ledger() {
    let mut node = Node::with_enis((2, 3), NONE, &[3]);
    let held = node.allocate("a").unwrap();
    let resting = node.allocate("b").unwrap().address;
    node.remove("b");
    let found = node.as_found(node.eni(0));
    let eni = node.id(0);
    node.apply(Event::Returned { eni });
    assert_eq!(node.pool.allocated(), 1);
    let again = node.allocate("a").unwrap();
    assert_eq!(
        (again.address, again.table, again.eni),
        (held.address, held.table, None)
    );
    assert_eq!(node.pool.ledger().cooling().next().unwrap().0, resting);
    node.apply(Event::EniFound(found));
    assert!(node.pool.ledger().is_empty());
    assert_eq!(node.allocate("a").unwrap().eni, held.eni);
    assert_eq!(node.eni(0).cooling(), 1);
}

#[test]
fn a_cooldown_in_the_ledger_ends_with_its_time() {
    let mut ledger = Ledger::default();
    let node = Node::new((1, 1), NONE);
    ledger.cool(
        Ipv4Addr::new(10, 0, 0, 9),
        node.now + Duration::from_secs(5),
    );
    let mut pool = Pool::new(ledger);
    pool.advance(node.now + Duration::from_secs(4));
    assert_eq!(pool.ledger().cooling().count(), 1);
    pool.advance(node.now + Duration::from_secs(5));
    assert_eq!(pool.ledger().cooling().count(), 0);
}

#[test]
fn an_eni_seen_where_one_is_being_made_waits_until_it_is_made() {
    let mut node = Node::with_enis((2, 2), NONE, &[0]);
    let (creation, device) = (CreationId(0), DeviceIndex(1));
    node.apply(Event::CreationBegun {
        creation,
        device,
        addresses: 2,
    });
    let eni = node.new_eni(EniKind::Secondary, device, 2);
    node.apply(Event::EniFound(eni.clone()));
    assert!(node.allocate("a").is_err(), "it is not wired yet");
    node.apply(Event::Created { creation, eni });
    assert!(node.allocate("a").is_ok());
}

#[test]
fn an_eni_that_could_not_be_given_back_is_in_use_again() {
    let mut node = Node::with_enis((2, 2), NONE, &[0, 2]);
    let eni = node.id(1);
    node.apply(Event::ReturnBegun { eni: eni.clone() });
    assert_eq!(node.eni(1).state, EniState::Returning);
    node.apply(Event::ReturnFailed {
        eni,
        reason: refused(),
    });
    assert_eq!(node.eni(1).state, EniState::Ready);
    assert_eq!(node.pool.not_taken().unwrap().reason, "InternalError");
    assert_eq!(restarted(&node).ledger().returned().count(), 0);
}

#[test]
fn a_release_before_its_eni_is_known_rests_all_the_same() {
    let mut node = Node::with_enis((1, 1), NONE, &[1]);
    let held = node.allocate("a").unwrap();
    let found = node.as_found(node.eni(0));
    node.pool = restarted(&node);
    let released =
        vpc_ipam::release(&mut node.pool, &key("a"), node.now, node.targets.cooldown).unwrap();
    assert_eq!((released.address, released.eni), (held.address, None));
    node.apply(Event::EniFound(found));
    assert!(node.allocate("b").is_err());
    node.pass(30);
    assert!(node.allocate("b").is_ok());
}
