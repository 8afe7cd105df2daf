//! The task that owns the pool and its journal. Everybody else sends it requests and waits for
//! the answer; the executor sends it outcomes. Nothing it does waits for EC2.
//!
//! ```text
//!  ADD, DEL ──▶ requests ──┐
//!  reconcile ─▶ requests ──┤
//!  executor ──▶ outcomes ──┼─▶ PoolTask ──▶ journal (synced) ──▶ answers
//!  start-up ──▶ learned ───┘      │ after everything that happened:
//!                                 ├─ serve the ADDs that wait, in their order
//!                                 ├─ plan, begin the actions
//!                                 └─ publish readiness and snapshot
//! ```

mod begin;
mod cluster;
mod discovery;
mod handle;
mod happened;
mod observe;
mod planning;
mod publishing;
mod recent;
mod requests;
mod tallying;
mod telling;
mod waiting;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use vpc_aws::ec2::Ec2;
use vpc_ipam::journal::Replay;
use vpc_ipam::plan::Provisioning;
use vpc_ipam::timeline::Timelines;
use vpc_ipam::{HeldBack, Ledger, Mode, NewEni, Pool, Snapshot, Targets};
use vpc_kube_api::ClusterView;
use vpc_model::{PodKey, Timestamp};

pub use cluster::Follows;
pub use discovery::Discovery;
use handle::Request;
pub use handle::{
    AddRefusal, Grant, Look, Planned, PlannedAction, PoolHandle, Reconciled, ReleaseRefusal,
};
pub use publishing::{Published, WiredEni};
use recent::Recently;
use waiting::Waiting;

use crate::clock;
use crate::cluster::Teller;
use crate::executor::{Executor, Outcome};
use crate::journal_file::JournalFile;
use crate::learn::Foreigners;
use crate::metrics::Tally;
use crate::readiness::{Readiness, Stage};

/// The least time between two compactions of the journal.
const COMPACTION_PAUSE: Duration = Duration::from_secs(60);

/// Requests that may queue before their senders wait.
const QUEUE: usize = 1024;

/// What the task is told before it knows anything about the node.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long a released address rests.
    pub cooldown: Duration,
    /// How long an ADD may wait for an address.
    pub add_wait: Duration,
    /// How long no ADD may have asked for an address before GC may free it.
    pub gc_min_age: Duration,
}

/// What start-up learned about the node.
#[derive(Debug)]
pub struct Learned<E> {
    /// Which kind of slot the pool asks for.
    pub mode: Mode,
    /// What to keep.
    pub targets: Targets,
    /// Which of Kubernetes' words count.
    pub follows: Follows,
    /// Whether EC2 may be changed.
    pub provisioning: Provisioning,
    /// Where new ENIs go.
    pub discovery: Discovery,
    /// The ENIs that are attached, and wired where that is ours to do.
    pub enis: Vec<NewEni>,
    /// Attached ENIs that cannot be in the pool.
    pub foreign: Foreigners,
    /// Who carries actions out.
    pub executor: Executor<E>,
}

/// How start-up speaks to the task.
#[derive(Debug)]
pub enum Notice<E> {
    /// Start-up has come to this stage.
    Stage(Stage),
    /// Start-up is done.
    Learned(Box<Learned<E>>),
    /// What earlier daemons left unfinished in EC2 has been deleted.
    NoLeftovers,
}

/// What was learned about the node, as far as it is needed again and again.
#[derive(Debug)]
struct Node<E> {
    targets: Targets,
    follows: Follows,
    provisioning: Provisioning,
    discovery: Discovery,
    executor: Executor<E>,
}

/// The task and its inputs.
#[derive(Debug)]
pub struct PoolTask<E> {
    pool: Pool,
    journal: JournalFile,
    open_creations: Vec<(String, Timestamp)>,
    /// Creations that an earlier daemon began and did not end.
    left_open: Vec<String>,
    compact_after: Timestamp,
    patience: Patience,
    waiting: Waiting,
    /// When an ADD last asked again for what it had got.
    asked_again: BTreeMap<PodKey, Timestamp>,
    learned: Option<Node<E>>,
    cluster: watch::Receiver<ClusterView>,
    /// What was taken in of it.
    view: ClusterView,
    teller: Teller,
    foreign: Foreigners,
    held_back: Vec<HeldBack>,
    recent: Recently,
    timelines: Timelines,
    tally: Arc<Tally>,
    requests: mpsc::Receiver<Request>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    notices: mpsc::UnboundedReceiver<Notice<E>>,
    readiness: watch::Sender<Readiness>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    wired: watch::Sender<Vec<WiredEni>>,
    allocations: watch::Sender<u64>,
    look: Arc<Notify>,
}

/// The ends through which a [`PoolTask`] is reached.
#[derive(Debug)]
pub struct Ends<E> {
    /// For requests.
    pub handle: PoolHandle,
    /// For the executor.
    pub outcomes: mpsc::UnboundedSender<Outcome>,
    /// For start-up.
    pub notices: mpsc::UnboundedSender<Notice<E>>,
    /// To watch.
    pub published: Published,
}

/// What woke the task.
enum Woken<E> {
    Request(Option<Request>),
    Outcome(Option<Outcome>),
    Notice(Option<Notice<E>>),
    Cluster,
    Time,
    Shutdown,
}

impl<E: Ec2> PoolTask<E> {
    /// A task with what the journal says, what Kubernetes will say, and the ends to reach it.
    #[must_use]
    pub fn new(
        journal: JournalFile,
        replay: Replay,
        patience: Patience,
        (cluster, teller): (watch::Receiver<ClusterView>, Teller),
    ) -> (Self, Ends<E>) {
        let (handle, requests) = PoolHandle::new(QUEUE);
        let (outcomes_end, outcomes) = mpsc::unbounded_channel();
        let (notices_end, notices) = mpsc::unbounded_channel();
        // Nodes that EC2 refused together must not ask again together.
        let pool = Pool::new(replay.ledger).seeded(clock::chance());
        let (readiness, readiness_end) = watch::channel(Readiness::Starting(Stage::Metadata));
        let (snapshot, snapshot_end) = watch::channel(Arc::new(Snapshot::of(&pool)));
        let (wired, wired_end) = watch::channel(Vec::new());
        let (allocations, allocations_end) = watch::channel(0);
        let look = Arc::new(Notify::new());
        let task = Self {
            pool,
            journal,
            left_open: replay
                .open_creations
                .iter()
                .map(|(token, _)| token.clone())
                .collect(),
            open_creations: replay.open_creations,
            compact_after: Timestamp::ZERO,
            patience,
            waiting: Waiting::default(),
            asked_again: BTreeMap::new(),
            learned: None,
            cluster,
            view: ClusterView::default(),
            teller,
            foreign: Foreigners::new(),
            held_back: Vec::new(),
            recent: Recently::default(),
            timelines: Timelines::default(),
            tally: Arc::clone(handle.tally()),
            requests,
            outcomes,
            notices,
            readiness,
            snapshot,
            wired,
            allocations,
            look: Arc::clone(&look),
        };
        let published = Published {
            readiness: readiness_end,
            snapshot: snapshot_end,
            wired: wired_end,
            allocations: allocations_end,
            look,
        };
        let ends = Ends {
            handle,
            outcomes: outcomes_end,
            notices: notices_end,
            published,
        };
        (task, ends)
    }

    /// Runs until `shutdown` completes. ADDs that wait then are told so. Returns who holds what in
    /// the end, and how much had happened to the allocations until then.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> (Ledger, u64) {
        tokio::pin!(shutdown);
        loop {
            let deadline = self.catch_up();
            let woken = tokio::select! {
                biased;
                () = &mut shutdown => Woken::Shutdown,
                notice = self.notices.recv() => Woken::Notice(notice),
                outcome = self.outcomes.recv() => Woken::Outcome(outcome),
                () = changed(&mut self.cluster) => Woken::Cluster,
                request = self.requests.recv() => Woken::Request(request),
                () = sleep_until(deadline) => Woken::Time,
            };
            match woken {
                Woken::Request(Some(request)) => self.handle(request),
                Woken::Outcome(Some(outcome)) => self.outcome(outcome),
                Woken::Notice(Some(notice)) => self.notice(notice),
                Woken::Cluster => self.cluster_changed(),
                Woken::Time => {}
                // A closed channel means that the rest of the daemon is gone.
                Woken::Shutdown
                | Woken::Request(None)
                | Woken::Outcome(None)
                | Woken::Notice(None) => break,
            }
        }
        for waiter in self.waiting.drain() {
            let _ = waiter.reply.send(Err(AddRefusal::Stopping));
        }
        self.allocations_now()
    }

    /// Who holds what, and how much has happened to the allocations until now.
    fn allocations_now(&self) -> (Ledger, u64) {
        (self.pool.to_ledger(), *self.allocations.borrow())
    }

    fn count_allocation(&self) {
        self.allocations.send_modify(|count| *count += 1);
    }

    /// Everything that follows from what is known now. Returns when to look again.
    fn catch_up(&mut self) -> Option<Instant> {
        let now = clock::now();
        let cooled = self.pool.advance(now);
        self.serve_waiting(now);
        // Before those whose time is up leave: what they asked for is demand.
        let wake_at = self.replan(now);
        self.refuse_expired(now);
        self.publish();
        self.tally_journal();
        self.compact_if_due(now);
        let by_the_clock = [cooled, wake_at].into_iter().flatten().min();
        let by_the_clock = by_the_clock.map(|at| Instant::now() + at.since(now));
        [by_the_clock, self.waiting.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn compact_if_due(&mut self, now: Timestamp) {
        let cooling = usize::try_from(self.snapshot.borrow().cooling).unwrap_or(usize::MAX);
        let alive = self.pool.allocated() + cooling + self.open_creations.len();
        if now < self.compact_after || !self.journal.wants_compaction(alive) {
            return;
        }
        // Not again at once, whatever comes of it.
        self.compact_after = now + COMPACTION_PAUSE;
        match self
            .journal
            .compact(&self.pool.to_ledger(), &self.open_creations)
        {
            Ok(()) => tracing::info!("the journal was compacted"),
            Err(error) => {
                tracing::warn!(
                    error = crate::report::chain(&error),
                    "journal not compacted"
                );
            }
        }
    }
}

/// Ends when there is news; never where none will come.
async fn changed(cluster: &mut watch::Receiver<ClusterView>) {
    if cluster.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        // At least a millisecond: a deadline that has just passed must not become a busy loop.
        Some(deadline) => {
            let least = Instant::now() + Duration::from_millis(1);
            tokio::time::sleep_until(deadline.max(least)).await;
        }
        None => std::future::pending().await,
    }
}
