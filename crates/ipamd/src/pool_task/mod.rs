//! The task that owns the pool and its journal. Everybody else sends it requests and waits for
//! the answer; the executor sends it outcomes. Nothing it does waits for EC2.
//!
//! ```text
//!  ADD, DEL ──▶ requests ─┐
//!  executor ──▶ outcomes ─┼─▶ PoolTask ──▶ journal (synced) ──▶ answers
//!  start-up ──▶ learned ──┘      │ after everything that happened:
//!                                ├─ serve the ADDs that wait, in their order
//!                                ├─ plan, begin the actions
//!                                └─ publish readiness and snapshot
//! ```

mod begin;
mod handle;
mod requests;
mod waiting;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use tokio::sync::{mpsc, watch};
use vpc_aws::ec2::Ec2;
use vpc_datapath::eni::EniFacts;
use vpc_ipam::journal::{Record, Replay};
use vpc_ipam::plan::Provisioning;
use vpc_ipam::{
    EniKind, EniState, Event, Facts, HeldBack, NewEni, Plan, Pool, Snapshot, Targets, plan,
};
use vpc_model::{DeviceIndex, MacAddress, Mtu, RouteTableId, Timestamp};

use handle::Request;
pub use handle::{AddRefusal, Grant, PoolHandle, ReleaseRefusal};
use waiting::Waiting;

use crate::clock;
use crate::executor::{Executor, Outcome};
use crate::journal_file::JournalFile;
use crate::readiness::{Readiness, Stage};

/// When to try again what could not be written to the journal.
const UNWRITTEN: Duration = Duration::from_secs(5);

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
}

/// What start-up learned about the node.
#[derive(Debug)]
pub struct Learned<E> {
    /// What to keep.
    pub targets: Targets,
    /// Whether EC2 may be changed.
    pub provisioning: Provisioning,
    /// The ENIs that are attached and wired.
    pub enis: Vec<NewEni>,
    /// Places on the instance that ENIs hold which are not ours to use.
    pub foreign: BTreeSet<DeviceIndex>,
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

/// What others can watch.
#[derive(Debug, Clone)]
pub struct Published {
    /// Whether the node can give a pod an address.
    pub readiness: watch::Receiver<Readiness>,
    /// The pool's counts.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The secondary ENIs whose wiring is to be looked after.
    pub wired: watch::Receiver<Vec<WiredEni>>,
}

/// A secondary ENI in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiredEni {
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
    learned: Option<(Targets, Provisioning, Executor<E>)>,
    held_back: Vec<HeldBack>,
    requests: mpsc::Receiver<Request>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    notices: mpsc::UnboundedReceiver<Notice<E>>,
    readiness: watch::Sender<Readiness>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    wired: watch::Sender<Vec<WiredEni>>,
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
    Time,
    Shutdown,
}

impl<E: Ec2> PoolTask<E> {
    /// A task with what the journal says, and the ends to reach it.
    #[must_use]
    pub fn new(journal: JournalFile, replay: Replay, patience: Patience) -> (Self, Ends<E>) {
        let (handle, requests) = PoolHandle::new(QUEUE);
        let (outcomes_end, outcomes) = mpsc::unbounded_channel();
        let (notices_end, notices) = mpsc::unbounded_channel();
        let pool = Pool::new(replay.ledger);
        let (readiness, readiness_end) = watch::channel(Readiness::Starting(Stage::Metadata));
        let (snapshot, snapshot_end) = watch::channel(Arc::new(Snapshot::of(&pool)));
        let (wired, wired_end) = watch::channel(Vec::new());
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
            learned: None,
            held_back: Vec::new(),
            requests,
            outcomes,
            notices,
            readiness,
            snapshot,
            wired,
        };
        let published = Published {
            readiness: readiness_end,
            snapshot: snapshot_end,
            wired: wired_end,
        };
        let ends = Ends {
            handle,
            outcomes: outcomes_end,
            notices: notices_end,
            published,
        };
        (task, ends)
    }

    /// Runs until `shutdown` completes. ADDs that wait then are told so.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            let deadline = self.catch_up();
            let woken = tokio::select! {
                biased;
                () = &mut shutdown => Woken::Shutdown,
                notice = self.notices.recv() => Woken::Notice(notice),
                outcome = self.outcomes.recv() => Woken::Outcome(outcome),
                request = self.requests.recv() => Woken::Request(request),
                () = sleep_until(deadline) => Woken::Time,
            };
            match woken {
                Woken::Request(Some(request)) => self.handle(request),
                Woken::Outcome(Some(outcome)) => self.outcome(outcome),
                Woken::Notice(Some(notice)) => self.notice(notice),
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
    }

    /// Everything that follows from what is known now. Returns when to look again.
    fn catch_up(&mut self) -> Option<Timestamp> {
        let now = clock::now();
        let cooled = self.pool.advance(now);
        self.serve_waiting(now);
        // Before those whose time is up leave: what they asked for is demand.
        let wake_at = self.replan(now);
        self.refuse_expired(now);
        self.publish();
        self.compact_if_due(now);
        [cooled, wake_at, self.waiting.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn notice(&mut self, notice: Notice<E>) {
        match notice {
            Notice::Stage(stage) => {
                if self.learned.is_none() {
                    self.readiness.send_replace(Readiness::Starting(stage));
                }
            }
            Notice::Learned(learned) => {
                let now = clock::now();
                for eni in learned.enis {
                    tracing::info!(
                        eni = %eni.id, device = eni.device.0, addresses = eni.addresses.len(),
                        kind = ?eni.kind, "ENI is in the pool"
                    );
                    self.pool.apply(Event::EniFound(eni), now);
                }
                for holder in self.pool.ledger().holders() {
                    tracing::warn!(
                        key = %holder.key, address = %holder.address,
                        "an allocated address is on no ENI that instance metadata shows; it stays \
                         allocated"
                    );
                }
                self.pool.note_foreign(learned.foreign);
                self.learned = Some((learned.targets, learned.provisioning, learned.executor));
            }
            Notice::NoLeftovers => {
                for token in std::mem::take(&mut self.left_open) {
                    self.close_creation(token);
                }
            }
        }
    }

    /// Notes that a creation has come to an end.
    fn close_creation(&mut self, token: String) {
        self.open_creations.retain(|(open, _)| *open != token);
        if let Err(error) = self.journal.append(&Record::CreateEniDone { token }) {
            // It will be looked for at the next start and found to have ended.
            tracing::warn!(error = crate::report::chain(&error), "journal");
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        let event = match outcome {
            Outcome::Happened(event) => event,
            Outcome::CreationEnded { token, event } => {
                self.close_creation(token);
                event
            }
        };
        log_event(&event);
        self.pool.apply(event, clock::now());
    }

    fn replan(&mut self, now: Timestamp) -> Option<Timestamp> {
        let (targets, provisioning, _) = self.learned.as_ref()?;
        let demand = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        let facts = Facts {
            demand,
            provisioning: *provisioning,
        };
        let plan = plan(&self.pool, targets, &facts, now);
        self.pool.note_excess(plan.excess_since);
        if plan.held_back != self.held_back {
            for held in &plan.held_back {
                tracing::info!(reason = %held, "held back");
            }
        }
        let Plan {
            actions,
            held_back,
            wake_at,
            excess_since: _,
        } = plan;
        self.held_back = held_back;
        let mut wake_at = wake_at;
        for action in actions {
            if !self.begin(action, now) {
                // The plan counts on it; nothing else would wake us.
                let again = now + UNWRITTEN;
                wake_at = Some(wake_at.map_or(again, |at| at.min(again)));
            }
        }
        wake_at
    }

    /// Ready while there is an address, one is on its way, or pods have them all: a full node is
    /// no reason to take it for broken. Not ready when EC2 gives none.
    fn publish(&self) {
        let snapshot = Snapshot::of(&self.pool);
        if self.learned.is_some() {
            let on_its_way = snapshot.creating > 0 || self.pool.enis().any(|eni| eni.assigning > 0);
            let refused = self.held_back.iter().find(|held| {
                matches!(
                    held,
                    HeldBack::BackOff { .. } | HeldBack::ProvisioningDisabled
                )
            });
            let readiness = if snapshot.free > 0 {
                Readiness::Ready
            } else if let Some(refused) = refused {
                Readiness::NoAddress(refused.to_string())
            } else if snapshot.total == 0 || (on_its_way && !self.readiness.borrow().is_ready()) {
                Readiness::Starting(Stage::Pool)
            } else {
                Readiness::Ready
            };
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
        let wired: Vec<WiredEni> = self
            .pool
            .enis()
            .filter(|eni| eni.kind == EniKind::Secondary && eni.state == EniState::Ready)
            .map(|eni| WiredEni {
                mac: eni.mac,
                primary: eni.primary,
                subnet: eni.subnet_cidr,
                table: eni.table(),
            })
            .collect();
        self.wired.send_if_modified(|current| {
            let changed = *current != wired;
            if changed {
                *current = wired;
            }
            changed
        });
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

async fn sleep_until(deadline: Option<Timestamp>) {
    match deadline {
        // At least a millisecond: a deadline that has just passed must not become a busy loop.
        Some(deadline) => {
            let left = deadline.since(clock::now()).max(Duration::from_millis(1));
            tokio::time::sleep(left).await;
        }
        None => std::future::pending().await,
    }
}

fn log_event(event: &Event) {
    match event {
        Event::CreationFailed { reason, .. } => {
            tracing::warn!(reason, "an ENI could not be created");
        }
        Event::AssignFailed { eni, reason, .. } => {
            tracing::warn!(%eni, reason, "addresses could not be assigned");
        }
        Event::EniFound(_)
        | Event::CreationBegun { .. }
        | Event::Created { .. }
        | Event::AssignBegun { .. }
        | Event::Assigned { .. }
        | Event::AddressesFound { .. }
        | Event::UnassignBegun { .. }
        | Event::Unassigned { .. }
        | Event::UnassignFailed { .. }
        | Event::ReturnBegun { .. }
        | Event::Returned { .. }
        | Event::ReturnFailed { .. } => tracing::debug!(?event, "outcome"),
    }
}
