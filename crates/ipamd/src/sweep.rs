//! ENIs that nodes of the cluster left behind: created and never attached, or detached and never
//! deleted, by a node that is gone. One node looks for them, for all: the one that holds the Lease.

use std::sync::Arc;
use std::time::Duration;

use vpc_aws::ec2::{Ec2, EniQuery, NetworkInterface};
use vpc_ipam::classify::INSTANCE_TAG;
use vpc_kube_api::Election;
use vpc_model::{InstanceId, Timestamp, VpcId};

use crate::clock;
use crate::report::chain;

/// The tag that says when an ENI was created (upstream's).
pub const CREATED_TAG: &str = "node.k8s.amazonaws.com/createdAt";

/// What the descriptions of ENIs begin with that a node's daemon created (upstream's).
const DESCRIPTION: &str = "aws-K8S-";

/// How often the holder of the Lease looks (upstream's nodes all do).
const INTERVAL: Duration = Duration::from_secs(3600);

/// How long after its creation an ENI may be without an attachment (upstream's).
const YOUNG: Duration = Duration::from_secs(300);

/// The Lease: where it is, and how long it is held without being renewed.
pub const LEASE: (&str, &str) = ("kube-system", "aws-node-eni-sweep");

/// See [`LEASE`].
pub const LEASE_DURATION: Duration = Duration::from_secs(2 * 3600);

/// What becomes of an ENI that is attached to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was left behind.
    Delete,
    /// It may be about to be attached.
    TooYoung,
    /// When it was created is not known: it is tagged, and looked at the next time.
    TagFirst,
    /// It is attached, or no node's daemon created it.
    NotOurs,
}

/// What becomes of an ENI.
#[must_use]
pub fn verdict(eni: &NetworkInterface, now: Timestamp) -> Verdict {
    let ours = eni.description.starts_with(DESCRIPTION) && eni.tags.contains_key(INSTANCE_TAG);
    if !ours || eni.attachment.is_some() {
        return Verdict::NotOurs;
    }
    let created = eni.tags.get(CREATED_TAG).and_then(|text| read(text));
    match created {
        None => Verdict::TagFirst,
        // Also one that a clock ahead of ours says is of the future.
        Some(created) if now < created + YOUNG => Verdict::TooYoung,
        Some(_) => Verdict::Delete,
    }
}

fn read(text: &str) -> Option<Timestamp> {
    let millis = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    u64::try_from(millis).ok().map(Timestamp::from_millis)
}

/// Looks for ENIs that were left behind.
#[derive(Debug)]
pub struct Sweep<E> {
    /// EC2.
    pub ec2: Arc<E>,
    /// Where to look.
    pub vpc: VpcId,
    /// Only ENIs with this cluster's tag; any of the VPC where the cluster's name is not known.
    pub cluster: Option<String>,
    /// This node.
    pub instance: InstanceId,
    /// Whether it is this node that looks.
    pub election: Election,
}

impl<E: Ec2> Sweep<E> {
    /// Looks every hour, for good, if this node holds the Lease then.
    pub async fn run(&self) {
        let mut refused = false;
        // Nodes that start together do not ask for the Lease together.
        let seed = self.instance.as_str().bytes();
        let spread = seed.fold(0u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        tokio::time::sleep(Duration::from_millis(spread % 300_000)).await;
        loop {
            match self.election.hold().await {
                Ok(true) => self.once().await,
                Ok(false) => tracing::debug!("another node looks for ENIs that were left behind"),
                Err(error) => {
                    // As long as it lasts, one line.
                    if !refused {
                        tracing::warn!(
                            error = chain(&error),
                            namespace = LEASE.0,
                            lease = LEASE.1,
                            "nobody looks for ENIs that nodes left behind; allow get, create and \
                             update of leases"
                        );
                    }
                    refused = true;
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Looks once.
    pub async fn once(&self) {
        let tag = self.cluster.clone();
        let query = EniQuery::Unattached {
            vpc: self.vpc.clone(),
            tag_key: INSTANCE_TAG.to_owned(),
            tag: tag.map(|name| ("cluster.k8s.amazonaws.com/name".to_owned(), name)),
        };
        let found = match self.ec2.describe_network_interfaces(query).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(error = chain(&error), "ENIs that were left behind");
                return;
            }
        };
        for eni in found {
            match verdict(&eni, clock::now()) {
                Verdict::Delete => match self.ec2.delete_network_interface(eni.id.clone()).await {
                    Ok(()) => {
                        tracing::info!(eni = %eni.id, of = eni.description, "a leaked ENI is gone");
                    }
                    Err(error) => {
                        tracing::warn!(eni = %eni.id, error = chain(&error), "a leaked ENI");
                    }
                },
                Verdict::TagFirst => {
                    let tags = [(CREATED_TAG.to_owned(), clock::now().to_string())];
                    let call = self.ec2.create_tags(vec![eni.id.to_string()], tags.into());
                    if let Err(error) = call.await {
                        tracing::warn!(eni = %eni.id, error = chain(&error), "its tag");
                    }
                }
                Verdict::TooYoung | Verdict::NotOurs => {}
            }
        }
    }
}
