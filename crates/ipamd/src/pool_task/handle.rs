//! How the rest of the daemon speaks to the pool task.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use vpc_ipam::plan::Balance;
use vpc_ipam::reconcile::Observed;
use vpc_ipam::status::{Held, Recent, Status};
use vpc_ipam::timeline::{Timeline, Whose};
use vpc_ipam::{Ledger, NewEni, Pool};
use vpc_model::{DeviceIndex, EniId, NetworkCard, PodKey, PodName, RouteTableId, Timestamp};

use crate::learn::Foreign;
use crate::metrics::Tally;

/// An address a pod holds, and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The pod's address.
    pub address: Ipv4Addr,
    /// The ENI that owns it; nothing right after a restart, before the ENIs are known.
    pub eni: Option<EniId>,
    /// The ENI's device index.
    pub device: DeviceIndex,
    /// The ENI's network card.
    pub card: NetworkCard,
    /// The ENI's route table.
    pub table: RouteTableId,
}

/// Why a pod got no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddRefusal {
    /// There was none within the time an ADD may wait; the pool's reason.
    #[error("{0}")]
    NoAddress(String),
    /// The daemon is not that far yet.
    #[error("{0}")]
    NotReady(String),
    /// The allocation could not be recorded, so it was not made.
    #[error("the journal of allocations cannot be written: {0}; nothing was allocated")]
    Journal(String),
    /// The daemon is stopping.
    #[error("ipamd is stopping; the runtime will ask again when it is back")]
    Stopping,
}

/// Why an address was not released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseRefusal {
    /// The key holds none.
    #[error("the sandbox holds no address")]
    UnknownPod,
    /// An ADD has asked for it a moment ago: the sandbox is being set up.
    #[error("an ADD has asked for it a moment ago")]
    AskedFor,
    /// The release could not be recorded, so it was not made.
    #[error("the journal of allocations cannot be written: {0}; nothing was released")]
    Journal(String),
    /// The daemon is stopping.
    #[error("ipamd is stopping")]
    Stopping,
}

/// Work that must not run while an allocation is made. It is short: everybody waits for it.
pub(crate) struct Undisturbed(pub(crate) Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Undisturbed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Undisturbed")
    }
}

/// What can be asked of the pool task.
#[derive(Debug)]
pub(crate) enum Request {
    /// An address for a sandbox.
    Allocate {
        key: PodKey,
        pod: PodName,
        reply: oneshot::Sender<Result<Grant, AddRefusal>>,
    },
    /// A sandbox's address back. With `as_of`, only if it was allocated before that moment.
    Release {
        key: PodKey,
        as_of: Option<Timestamp>,
        reply: oneshot::Sender<Result<Grant, ReleaseRefusal>>,
    },
    /// The address back of a sandbox that is gone.
    Collect {
        key: PodKey,
        reply: oneshot::Sender<Result<Grant, ReleaseRefusal>>,
    },
    /// Work about an address, to be done if nobody holds it.
    WhileUnheld {
        address: Ipv4Addr,
        work: Undisturbed,
        reply: oneshot::Sender<()>,
    },
    /// What was observed, to be compared with the pool.
    Reconcile {
        observed: Observed,
        reply: oneshot::Sender<Reconciled>,
    },
    /// Who holds what, and how much has happened to the allocations until now.
    Allocations {
        reply: oneshot::Sender<(Ledger, u64)>,
    },
    /// What the node holds, and why.
    Status { reply: oneshot::Sender<Status> },
    /// What the node holds, address by address, and why.
    Look { reply: oneshot::Sender<Look> },
    /// What would be done now, and what would not.
    Plan { reply: oneshot::Sender<Planned> },
    /// What was done and what happened lately.
    Events { reply: oneshot::Sender<Vec<Recent>> },
    /// What happened to these sandboxes.
    Timelines {
        whose: Whose,
        reply: oneshot::Sender<Vec<Timeline>>,
    },
    /// An attached ENI, wired where that is ours to do.
    TakeIn { eni: Box<NewEni> },
    /// An attached ENI that cannot be in the pool.
    Foreign { eni: EniId, foreign: Foreign },
    /// An ENI that could not be wired before is wired.
    Wired { eni: EniId },
}

/// What a comparison leaves to do outside the pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// EC2 is to be asked about these.
    pub ask_ec2: BTreeSet<EniId>,
    /// These are to be wired and taken in.
    pub to_wire: Vec<EniId>,
}

/// What would be done now, and what would not. What was to be done has been begun: an action
/// stands here only if it could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// When this was so.
    pub at: Timestamp,
    /// What is wanted and what is there; nothing before the node is known.
    pub balance: Option<Balance>,
    /// What is still to be begun.
    pub actions: Vec<PlannedAction>,
    /// What is not done, and why.
    pub held_back: Vec<Held>,
    /// When the plan may say something else although nothing happened.
    pub wake_at: Option<Timestamp>,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedAction {
    /// What.
    pub what: String,
    /// Why.
    pub because: String,
}

/// The pool at one moment, for those who look at it.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// What it holds, counted, and why.
    pub status: Status,
    /// The same, address by address.
    pub pool: Pool,
}

/// The way to the pool task. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PoolHandle {
    requests: mpsc::Sender<Request>,
    tally: Arc<Tally>,
}

impl PoolHandle {
    /// A handle, and the end the task listens on. At most `depth` requests queue; more wait for
    /// their turn outside.
    pub(crate) fn new(depth: usize) -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(depth);
        let tally = Arc::default();
        (Self { requests, tally }, receiver)
    }

    /// What is counted, for those who count and those who show it.
    #[must_use]
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// An address for a sandbox: the one it has, or a free one, now or within the time an ADD may
    /// wait.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn allocate(&self, key: PodKey, pod: PodName) -> Result<Grant, AddRefusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self
            .requests
            .send(Request::Allocate { key, pod, reply })
            .await;
        sent.map_err(|_| AddRefusal::Stopping)?;
        answer.await.unwrap_or(Err(AddRefusal::Stopping))
    }

    /// Takes a sandbox's address into its cooldown.
    ///
    /// # Errors
    /// The key holds no address, or the release could not be recorded.
    pub async fn release(&self, key: PodKey) -> Result<Grant, ReleaseRefusal> {
        self.send_release(key, None).await
    }

    /// As [`PoolHandle::release`], for a release that was asked for at `as_of` while the daemon was
    /// away: an allocation made since then stays.
    ///
    /// # Errors
    /// As [`PoolHandle::release`].
    pub async fn release_as_of(
        &self,
        key: PodKey,
        as_of: Timestamp,
    ) -> Result<Grant, ReleaseRefusal> {
        self.send_release(key, Some(as_of)).await
    }

    /// As [`PoolHandle::release`], for a sandbox that is nowhere any more: what an ADD has asked
    /// for lately stays.
    ///
    /// # Errors
    /// As [`PoolHandle::release`].
    pub async fn collect(&self, key: PodKey) -> Result<Grant, ReleaseRefusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(Request::Collect { key, reply }).await;
        sent.map_err(|_| ReleaseRefusal::Stopping)?;
        answer.await.unwrap_or(Err(ReleaseRefusal::Stopping))
    }

    /// Does `work`, which must be short, if nobody holds `address`, and lets nobody get it
    /// meanwhile.
    pub(crate) async fn while_unheld(&self, address: Ipv4Addr, work: Box<dyn FnOnce() + Send>) {
        let (reply, answer) = oneshot::channel();
        let work = Undisturbed(work);
        let request = Request::WhileUnheld {
            address,
            work,
            reply,
        };
        // If the task is gone, so is the pool.
        if self.requests.send(request).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// What the node holds, and why; nothing when the daemon is stopping.
    pub async fn status(&self) -> Option<Status> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Status { reply }).await.ok()?;
        answer.await.ok()
    }

    /// What the node holds, address by address, and why; nothing when the daemon is stopping.
    pub async fn look(&self) -> Option<Look> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Look { reply }).await.ok()?;
        answer.await.ok()
    }

    /// What would be done now, and what would not; nothing when the daemon is stopping.
    pub async fn planned(&self) -> Option<Planned> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Plan { reply }).await.ok()?;
        answer.await.ok()
    }

    /// What was done and what happened lately, the oldest first; nothing when the daemon is
    /// stopping.
    pub async fn events(&self) -> Option<Vec<Recent>> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Events { reply }).await.ok()?;
        answer.await.ok()
    }

    /// What happened to these sandboxes, the latest first; nothing when the daemon is stopping.
    pub async fn timelines(&self, whose: Whose) -> Option<Vec<Timeline>> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Timelines { whose, reply };
        self.requests.send(request).await.ok()?;
        answer.await.ok()
    }

    async fn send_release(
        &self,
        key: PodKey,
        as_of: Option<Timestamp>,
    ) -> Result<Grant, ReleaseRefusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self
            .requests
            .send(Request::Release { key, as_of, reply })
            .await;
        sent.map_err(|_| ReleaseRefusal::Stopping)?;
        answer.await.unwrap_or(Err(ReleaseRefusal::Stopping))
    }

    /// Compares what was observed with the pool; what follows for the pool is done, the rest is
    /// said. Nothing is to be done when the daemon is stopping.
    pub async fn reconcile(&self, observed: Observed) -> Reconciled {
        let (reply, answer) = oneshot::channel();
        if self
            .requests
            .send(Request::Reconcile { observed, reply })
            .await
            .is_err()
        {
            return Reconciled::default();
        }
        answer.await.unwrap_or_default()
    }

    /// Who holds what, and how much has happened to the allocations until now; nothing when the
    /// daemon is stopping.
    pub async fn allocations(&self) -> Option<(Ledger, u64)> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request::Allocations { reply })
            .await
            .ok()?;
        answer.await.ok()
    }

    /// An attached ENI comes to the pool.
    pub async fn take_in(&self, eni: NewEni) {
        // If the task is gone, so is the pool.
        let eni = Box::new(eni);
        let _ = self.requests.send(Request::TakeIn { eni }).await;
    }

    /// An attached ENI cannot be in the pool.
    pub async fn foreign(&self, eni: EniId, foreign: Foreign) {
        let _ = self.requests.send(Request::Foreign { eni, foreign }).await;
    }

    /// An ENI that could not be wired before is wired.
    pub async fn wired(&self, eni: EniId) {
        let _ = self.requests.send(Request::Wired { eni }).await;
    }
}
