//! The handle that ties world, faults and counts to a clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use tokio::sync::watch;
use vpc_model::Timestamp;

use crate::calls::{Call, CallLog, Calls};
use crate::fault::{Fault, Faults};
use crate::http::{self, IdentifyBy};
use crate::world::{FabricView, World};

/// A world that is being served. Clones are the same world.
#[derive(Clone, Debug)]
pub struct Sim {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    /// The revision that the network has followed to; nothing where no network follows.
    followed: watch::Sender<Option<u64>>,
}

/// How long an answer waits for the network at most.
const NETWORK_PATIENCE: Duration = Duration::from_secs(2);

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
    pub(crate) log: CallLog,
    /// Requests so far, for their ids.
    pub(crate) requests: u64,
}

impl Sim {
    /// Serves a world. Nothing happens by itself before [`Sim::run`] is polled.
    #[must_use]
    pub fn new(world: World) -> Self {
        let changes = watch::Sender::new(world.revision());
        let faults = Faults::new(world.config().seed);
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    world,
                    faults,
                    calls: Calls::default(),
                    log: CallLog::default(),
                    requests: 0,
                }),
                changes,
                followed: watch::Sender::new(None),
            }),
        }
    }

    /// Looks at or changes the world. The closure gets it as of now, and the wall-clock time.
    /// It must not call the handle again: the world is locked.
    pub fn with<R>(&self, f: impl FnOnce(&mut World, Timestamp) -> R) -> R {
        self.with_state(|state, now| f(&mut state.world, now))
    }

    pub(crate) fn with_state<R>(&self, f: impl FnOnce(&mut State, Timestamp) -> R) -> R {
        let mut state = self.lock();
        let now = wall_clock();
        state.world.advance(now);
        let result = f(&mut state, now);
        let revision = state.world.revision();
        // While the lock is held, so that revisions are published in their order.
        self.shared
            .changes
            .send_if_modified(|seen| std::mem::replace(seen, revision) != revision);
        result
    }

    /// The fabric as of now.
    #[must_use]
    pub fn fabric(&self) -> FabricView {
        self.with(|world, _| world.fabric())
    }

    /// Tells of changes to the world: its revision, after each call or due delay that changed it.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// The network now is as the world was at this revision. Once this was told, an EC2 call that
    /// changes the world is answered when the network has followed, so that packets of a new
    /// address are not lost.
    pub fn followed(&self, revision: u64) {
        self.shared.followed.send_replace(Some(revision));
    }

    /// Waits until the network, if there is one, has followed to a revision; not for ever.
    pub(crate) async fn until_followed(&self, revision: u64) {
        let mut followed = self.shared.followed.subscribe();
        let there = followed.wait_for(|at| at.is_none_or(|at| at >= revision));
        let _ = tokio::time::timeout(NETWORK_PATIENCE, there).await;
    }

    /// Advances the world whenever a delay falls due. Never returns; may be dropped at any time.
    pub async fn run(&self) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let due = self.with(|world, now| world.next_event().map(|at| at.since(now)));
            let changed = async {
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            match due {
                None => changed.await,
                Some(wait) => tokio::select! {
                    () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
                    () = changed => {}
                },
            }
        }
    }

    /// Makes calls go wrong from now on; returns the rule's number.
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.with_state(|state, _| state.faults.add(fault))
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.with_state(|state, _| state.faults.clear());
    }

    /// The EC2 calls so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.with_state(|state, _| state.calls.clone())
    }

    /// The EC2 calls since a moment, one by one, first to last; only the latest are remembered.
    #[must_use]
    pub fn calls_since(&self, at: Timestamp) -> Vec<Call> {
        self.with_state(|state, _| state.log.since(at))
    }

    /// Serves the EC2 Query protocol at `/`, and what [`Sim::admin_router`] serves.
    pub fn ec2_router(&self) -> Router {
        http::ec2::router(self.clone()).merge(self.admin_router())
    }

    /// Serves IMDSv2. With [`IdentifyBy::PeerAddress`] the router needs
    /// `into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn imds_router(&self, who: IdentifyBy) -> Router {
        http::imds::router(self.clone(), who)
    }

    /// Serves `/_sim/world`, `/_sim/actions`, `/_sim/calls` and `/_sim/calls/log` (GET), `/_sim/faults` (GET, POST,
    /// DELETE), `/_sim/limits` (GET, PUT, DELETE), `/_sim/metadata/freeze` and
    /// `/_sim/metadata/hide` (POST), `/_sim/subnets/occupy` and `/_sim/subnets/vacate` (POST). For
    /// tests and people; not part of AWS.
    pub fn admin_router(&self) -> Router {
        http::admin::router(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A closure that panicked left a world that is still well-formed: its rules check before
        // they change anything.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
