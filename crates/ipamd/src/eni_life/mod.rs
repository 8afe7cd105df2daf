//! The life of an ENI as calls: how one comes to be on the node, and how it goes back to the VPC.
//! Nothing here decides whether; that is `vpc_ipam::plan`'s business.
//!
//! ```text
//! create ─▶ attach ─▶ delete-on-termination ─▶ link appears ─▶ wired        (create.rs)
//! unwired ─▶ detach ─▶ no longer in use ─▶ delete                           (give_back.rs)
//! ```
//!
//! Every stage has a bound. What fails after the ENI exists takes it away again, so that no ENI
//! is left behind that nobody uses; where even that fails, the error carries the ENI's id.

mod create;
mod give_back;

pub use create::{Cause, CreateError, NewEni, ReadyEni, Stage, create};
pub use give_back::{GiveBackError, GivenBack, delete, give_back};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vpc_model::{EniId, InstanceId, MacAddress, Mtu, SecurityGroupId};

/// What every ENI of this node has in common.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// This instance.
    pub instance: InstanceId,
    /// The primary ENI's security groups, which further ENIs get too.
    pub security_groups: Vec<SecurityGroupId>,
    /// Tags to put on every ENI we create.
    pub tags: BTreeMap<String, String>,
    /// The MTU of the ENIs.
    pub mtu: Mtu,
}

impl NodeFacts {
    /// The description of ENIs we create (upstream's form, which its sweep looks for).
    #[must_use]
    pub fn description(&self) -> String {
        format!("aws-K8S-{}", self.instance)
    }
}

/// The cloud and the node, as the stages need them.
#[derive(Debug)]
pub struct Cloud<E> {
    /// EC2.
    pub ec2: Arc<E>,
    /// What the node's ENIs have in common.
    pub node: Arc<NodeFacts>,
}

impl<E> Clone for Cloud<E> {
    fn clone(&self) -> Self {
        Self {
            ec2: Arc::clone(&self.ec2),
            node: Arc::clone(&self.node),
        }
    }
}

/// How long EC2 may take from the attach call to the link being there. Attaching takes seconds,
/// rarely half a minute.
const LINK_DEADLINE: Duration = Duration::from_secs(60);

/// How long EC2's descriptions are given to show what was done; they take up to a second or two.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);

/// Attempts at a call that fails for a reason that passes, with [`pause`] between them.
pub(crate) const ATTEMPTS: u32 = 8;

/// The pause before attempt `attempt` (from 1): doubling from 250 ms to 8 s, and a part of it
/// that depends on the ENI, so that the nodes of a fleet do not move in step.
pub(crate) fn pause(attempt: u32, eni: &EniId) -> Duration {
    let base = 250u64.saturating_mul(1 << attempt.min(5));
    let spread = eni.as_str().bytes().fold(u64::from(attempt), |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    Duration::from_millis(base + spread % (base / 4).max(1))
}

/// The datapath's calls wait for the kernel; they run beside the daemon's one thread. A panic
/// there is a panic here.
async fn blocking<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        // The runtime is going away, and this task with it.
        Err(_) => std::future::pending().await,
    }
}

/// EC2 does not know the thing.
fn is_not_found(error: &vpc_aws::Error) -> bool {
    matches!(error.kind, vpc_aws::ErrorKind::NotFound)
}

/// EC2 has not finished with the thing: it is attached, or being attached or detached.
fn is_busy(error: &vpc_aws::Error) -> bool {
    matches!(
        error.kind,
        vpc_aws::ErrorKind::InUse | vpc_aws::ErrorKind::WrongState
    )
}

/// Waits for the link with that MAC, on the kernel's notification.
async fn wait_for_link(mac: MacAddress) -> Result<(), vpc_datapath::Error> {
    blocking(move || vpc_datapath::links::wait_for_mac(mac, LINK_DEADLINE))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ_between_enis() {
        let eni: EniId = "eni-1".parse().unwrap();
        let other: EniId = "eni-2".parse().unwrap();
        assert!(pause(1, &eni) < pause(4, &eni));
        assert!(pause(30, &eni) <= Duration::from_secs(10));
        assert_ne!(pause(3, &eni), pause(3, &other));
    }
}
