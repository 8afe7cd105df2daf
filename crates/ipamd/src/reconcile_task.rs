//! Looks now and then whether the node is as the pool takes it to be, and at once when EC2's
//! answers show that it is not.
//!
//! ```text
//!  metadata ─▶ compare ─┬─ agrees, or more than known: done
//!                       └─ ENIs that appeared, anything that vanished
//!                             └─▶ EC2 ─▶ compare ─▶ wire what is new ─▶ into the pool
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use vpc_aws::ec2::{Ec2, NetworkInterface};
use vpc_aws::imds::{Imds, ImdsEni};
use vpc_ipam::classify::Exclusion;
use vpc_ipam::reconcile::{Observed, Seen, Source};
use vpc_model::settings::Provisioning;
use vpc_model::{EniId, Mtu};

use crate::clock;
use crate::learn::{self, Attached, Described, Sorted};
use crate::metrics::tally::IpamdError;
use crate::pool_task::PoolHandle;
use crate::report::chain;

/// How long what EC2's answers showed is left to settle before it is looked into: metadata and
/// EC2's descriptions lag.
const SETTLE: Duration = Duration::from_secs(1);

/// What the comparison needs.
#[derive(Debug)]
pub struct Reconciler<'a, E, I> {
    /// EC2.
    pub ec2: Arc<E>,
    /// Instance metadata.
    pub imds: &'a I,
    /// The pool task.
    pub pool: PoolHandle,
    /// What decides what an ENI is to us.
    pub attached: Attached,
    /// The MTU of the ENIs.
    pub mtu: Mtu,
    /// How often to look.
    pub interval: Duration,
}

impl<E: Ec2, I: Imds> Reconciler<'_, E, I> {
    /// Looks every `interval`, give or take a tenth, and when told to, for good.
    pub async fn run(&self, look: &Notify) {
        let mut round = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.pause(round)) => {}
                () = look.notified() => tokio::time::sleep(SETTLE).await,
            }
            round += 1;
            self.once().await;
        }
    }

    /// Differs between nodes, so that a fleet that started together does not ask in step.
    fn pause(&self, round: u32) -> Duration {
        let spread = self.attached.rules.instance.as_str().bytes();
        let part = spread.fold(round, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u32::from(byte))
        }) % 200;
        // 900 to 1099 thousandths.
        self.interval * (900 + part) / 1000
    }

    /// Compares once.
    pub async fn once(&self) {
        let at = clock::now();
        let shown = match self.imds.enis().await {
            Ok(shown) => shown,
            Err(error) => {
                let tally = self.pool.tally();
                tally.errors.of(IpamdError::GetEnis).one();
                tracing::warn!(
                    error = chain(&error),
                    "instance metadata; nothing was compared"
                );
                return;
            }
        };
        let source = match self.attached.provisioning {
            Provisioning::Enabled | Provisioning::Disabled => Source::Metadata,
            Provisioning::ImdsOnly => Source::MetadataOnly,
        };
        let observed = Observed {
            source,
            at,
            about: None,
            enis: shown.iter().map(seen_in_metadata).collect(),
        };
        let found = self.pool.reconcile(observed).await;
        for id in &found.to_wire {
            self.take_in(&shown, id, None, &[]).await;
        }
        if !found.ask_ec2.is_empty() {
            self.ask_ec2(&shown, found.ask_ec2).await;
        }
    }

    async fn ask_ec2(&self, shown: &[ImdsEni], about: BTreeSet<EniId>) {
        let at = clock::now();
        let described = match self.attached.describe(&*self.ec2).await {
            Ok(described) => described,
            Err(error) => {
                tracing::warn!(error = chain(&error), "EC2; what differs is left as it is");
                return;
            }
        };
        let enis = about
            .iter()
            .filter_map(|id| self.seen_by_ec2(described.enis.get(id)?, shown, &described));
        let observed = Observed {
            source: Source::Ec2,
            at,
            enis: enis.collect(),
            about: Some(about),
        };
        let found = self.pool.reconcile(observed).await;
        for id in &found.to_wire {
            let eni = described.enis.get(id);
            self.take_in(shown, id, eni, &described.subnets).await;
        }
    }

    /// An ENI that is new comes to the pool, as EC2 describes it if it was asked.
    async fn take_in(
        &self,
        shown: &[ImdsEni],
        id: &EniId,
        described: Option<&NetworkInterface>,
        subnets: &[vpc_ipam::subnets::SubnetInfo],
    ) {
        // EC2 knows ENIs before the instance does; the next look finds them.
        let Some(shown) = shown.iter().find(|shown| shown.id == *id) else {
            return;
        };
        match self.attached.sort(shown, described, subnets) {
            Sorted::Pool(mut eni) => {
                if learn::is_ours_to_wire(eni.kind, eni.exclusion.as_ref())
                    && !learn::wire(&eni, self.mtu).await
                {
                    let tally = self.pool.tally();
                    tally.errors.of(IpamdError::EniReconcileAdd).one();
                    eni.exclusion = Some(Exclusion::NotWired);
                }
                self.pool.take_in(*eni).await;
            }
            Sorted::Foreign(foreign) => self.pool.foreign(id.clone(), foreign).await,
            Sorted::OtherCard => {}
        }
    }

    fn seen_by_ec2(
        &self,
        eni: &NetworkInterface,
        shown: &[ImdsEni],
        described: &Described,
    ) -> Option<Seen> {
        let attachment = eni.attachment.as_ref()?;
        let shown = shown.iter().find(|shown| shown.id == eni.id);
        Some(Seen {
            id: eni.id.clone(),
            card: attachment.card,
            device: match shown {
                // The primary ENI is at device 0, whatever EC2 says (SageMaker HyperPod).
                Some(shown) if shown.mac == self.attached.primary_mac => shown.device,
                _ => attachment.device,
            },
            slots: learn::slots_of(eni),
            class: shown.map(|shown| self.attached.class(shown, Some(eni), &described.subnets)),
        })
    }
}

fn seen_in_metadata(shown: &ImdsEni) -> Seen {
    Seen {
        id: shown.id.clone(),
        card: shown.card,
        device: shown.device,
        slots: learn::slots(shown),
        class: None,
    }
}
