//! What others can watch of the pool.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use tokio::sync::{Notify, watch};
use vpc_aws::ec2::Ec2;
use vpc_datapath::eni::EniFacts;
use vpc_ipam::classify::Exclusion;
use vpc_ipam::{EniState, HeldBack, Snapshot};
use vpc_model::{EniId, MacAddress, Mtu, RouteTableId};

use super::PoolTask;
use crate::learn::is_ours_to_wire;
use crate::readiness::{Readiness, Stage};

/// What others can watch.
#[derive(Debug, Clone)]
pub struct Published {
    /// Whether the node can give a pod an address.
    pub readiness: watch::Receiver<Readiness>,
    /// The pool's counts.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The ENIs whose wiring is to be looked after.
    pub wired: watch::Receiver<Vec<WiredEni>>,
    /// Counts what happens to the allocations.
    pub allocations: watch::Receiver<u64>,
    /// Told when EC2's answers show that the node's ENIs are not as the pool knows them.
    pub look: Arc<Notify>,
}

/// An ENI whose kernel side is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiredEni {
    /// Its id.
    pub id: EniId,
    /// Whether it could not be wired so far.
    pub is_missing: bool,
    mac: MacAddress,
    primary: Ipv4Addr,
    subnet: Ipv4Net,
    table: RouteTableId,
}

impl WiredEni {
    /// What its wiring has to be.
    #[must_use]
    pub fn wiring(&self, mtu: Mtu) -> EniFacts {
        EniFacts {
            mac: self.mac,
            primary_ip: self.primary,
            subnet: self.subnet,
            table: self.table,
            mtu,
        }
    }
}

impl<E: Ec2> PoolTask<E> {
    pub(super) fn publish(&self) {
        let snapshot = Snapshot::of(&self.pool);
        if self.learned.is_some() {
            let readiness = self.judge(&snapshot);
            self.readiness.send_if_modified(|current| {
                let changed = *current != readiness;
                if changed {
                    tracing::info!(from = %current, to = %readiness, "readiness");
                    *current = readiness;
                }
                changed
            });
        }
        self.snapshot.send_if_modified(|current| {
            let changed = **current != snapshot;
            if changed {
                *current = Arc::new(snapshot);
            }
            changed
        });
        let wired = self.to_keep_wired();
        self.wired.send_if_modified(|current| {
            let changed = *current != wired;
            if changed {
                *current = wired;
            }
            changed
        });
    }

    /// Ready while there is an address, one is on its way, or pods have them all: a full node is
    /// no reason to take it for broken. Not ready when EC2 gives none, or may not be asked.
    fn judge(&self, snapshot: &Snapshot) -> Readiness {
        let refused = self.held_back.iter().find(|held| {
            matches!(
                held,
                HeldBack::BackOff { .. }
                    | HeldBack::ProvisioningDisabled
                    | HeldBack::ImdsOnly
                    | HeldBack::NoSubnet
            )
        });
        let on_its_way = snapshot.coming > 0;
        if snapshot.free > 0 {
            Readiness::Ready
        } else if let Some(refused) = refused {
            Readiness::NoAddress(refused.to_string())
        } else if snapshot.total == 0 || (on_its_way && !self.readiness.borrow().is_ready()) {
            Readiness::Starting(Stage::Pool)
        } else {
            Readiness::Ready
        }
    }

    fn to_keep_wired(&self) -> Vec<WiredEni> {
        self.pool
            .enis()
            .filter(|eni| eni.state == EniState::Ready)
            .filter(|eni| is_ours_to_wire(eni.kind, eni.exclusion.as_ref()))
            .map(|eni| WiredEni {
                id: eni.id.clone(),
                is_missing: eni.exclusion == Some(Exclusion::NotWired),
                mac: eni.mac,
                primary: eni.primary,
                subnet: eni.subnet_cidr,
                table: eni.table(),
            })
            .collect()
    }
}
