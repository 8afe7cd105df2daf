//! The pool task against a cloud in memory that takes its time: who waits, in which order, and
//! what the journal remembers.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test program uses its own part")]
mod cloud;

use std::time::Duration;

use cloud::{Cloud, pool_eni, start};
use vpc_ipam::WarmTarget;
use vpc_ipamd::pool_task::{AddRefusal, ReleaseRefusal};
use vpc_ipamd::readiness::Readiness;
use vpc_model::{PodKey, PodName, Timestamp};

fn key(name: &str) -> PodKey {
    PodKey {
        network: "aws-cni".to_owned(),
        container_id: name.to_owned(),
        if_name: "eth0".to_owned(),
    }
}

fn warm(addresses: u32) -> WarmTarget {
    WarmTarget::Ips {
        warm: addresses,
        minimum: 0,
    }
}

#[tokio::test]
async fn an_add_waits_for_an_empty_pool_and_is_served_when_the_address_comes() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(0), vec![pool_eni(0, &[])]);
    let pool = daemon.pool.clone();
    let add = tokio::spawn(async move { pool.allocate(key("a"), PodName::default()).await });
    cloud.until_assign_is_asked(1).await;
    assert!(!add.is_finished(), "it waits for EC2");
    cloud.answer_assigns();
    let grant = add.await.unwrap().unwrap();
    assert_eq!(grant.device.0, 0);
}

#[tokio::test]
async fn waiting_adds_are_served_in_the_order_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(0), vec![pool_eni(0, &[])]);
    let mut adds = Vec::new();
    for name in ["first", "second", "third"] {
        let pool = daemon.pool.clone();
        adds.push(tokio::spawn(async move {
            pool.allocate(key(name), PodName::default()).await
        }));
        // Each is in the queue before the next one is sent.
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cloud.until_assign_is_asked(3).await;
    cloud.answer_assigns();
    let mut addresses = Vec::new();
    for add in adds {
        addresses.push(add.await.unwrap().unwrap().address);
    }
    let mut sorted = addresses.clone();
    sorted.sort();
    assert_eq!(
        addresses, sorted,
        "the lowest address goes to whoever came first"
    );
}

#[tokio::test]
async fn an_add_that_ec2_gives_nothing_for_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    cloud.run_dry();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(0), vec![pool_eni(0, &[])]);
    let refusal = daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap_err();
    let AddRefusal::NoAddress(reason) = refusal else {
        panic!("{refusal}")
    };
    assert!(
        reason.contains("InsufficientFreeAddressesInSubnet"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_free_address_is_handed_out_while_ec2_takes_its_time_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(3), vec![pool_eni(0, &[11])]);
    cloud.until_assign_is_asked(2).await;
    let grant = daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    assert_eq!(grant.address.octets()[3], 11);
}

#[tokio::test]
async fn a_repeated_add_gets_the_same_address() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(0), vec![pool_eni(0, &[11, 12])]);
    let first = daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    let again = daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    assert_eq!(first, again);
}

#[tokio::test]
async fn after_a_restart_pods_have_their_addresses_before_the_node_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(0), vec![pool_eni(1, &[11, 12])]);
    let before = daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    daemon.end().await;

    let daemon = start(folder.path(), &cloud);
    let after = daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    assert_eq!((after.address, after.table), (before.address, before.table));
    let unknown = daemon.pool.release(key("b")).await.unwrap_err();
    assert_eq!(unknown, ReleaseRefusal::UnknownPod);
    assert_eq!(
        daemon.pool.release(key("a")).await.unwrap().address,
        before.address
    );

    daemon.learn(&cloud, warm(0), vec![pool_eni(1, &[11, 12])]);
    let other = daemon
        .pool
        .allocate(key("b"), PodName::default())
        .await
        .unwrap();
    assert_ne!(
        other.address, before.address,
        "it rests, also across the restart"
    );
}

#[tokio::test]
async fn an_allocation_that_metadata_does_not_show_stays_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(0), vec![pool_eni(1, &[11])]);
    let before = daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    daemon.end().await;

    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(0), vec![pool_eni(0, &[12])]);
    let after = daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    assert_eq!(after.address, before.address);
    let other = daemon
        .pool
        .allocate(key("b"), PodName::default())
        .await
        .unwrap();
    assert_eq!(other.address.octets()[3], 12);
}

#[tokio::test]
async fn a_late_release_does_not_take_an_address_that_was_allocated_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, warm(0), vec![pool_eni(0, &[11])]);
    daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    let stale = daemon
        .pool
        .release_as_of(key("a"), Timestamp::from_millis(1))
        .await;
    assert_eq!(stale.unwrap_err(), ReleaseRefusal::UnknownPod);
    assert!(daemon.pool.release(key("a")).await.is_ok());
}

#[tokio::test]
async fn a_node_whose_pods_have_all_addresses_is_ready_still() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let mut daemon = start(folder.path(), &cloud);
    daemon.learn(&cloud, WarmTarget::Enis(0), vec![pool_eni(0, &[11])]);
    daemon.until(Readiness::is_ready).await;
    cloud.run_dry();
    daemon
        .pool
        .allocate(key("a"), PodName::default())
        .await
        .unwrap();
    daemon
        .until(|readiness| matches!(readiness, Readiness::NoAddress(_)))
        .await;
}
