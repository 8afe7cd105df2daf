//! What the connections and the test's side have in common.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::faults::{Fault, Request};
use super::refusal::Refusal;
use super::store::Store;
use super::{Options, clock, write};

/// How many requests are remembered.
const REQUESTS: usize = 10_000;

/// The server without its sockets.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    state: Mutex<State>,
    news: watch::Sender<News>,
    line: watch::Sender<Line>,
}

#[derive(Debug)]
struct State {
    store: Store,
    faults: Vec<Fault>,
    requests: VecDeque<Request>,
}

/// What watches wait for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct News {
    /// The version of the last change.
    pub(super) revision: u64,
    /// How often bookmarks were asked for.
    pub(super) bookmarks: u64,
}

/// What the connections are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// How often all of them were cut.
    pub(super) cuts: u64,
    /// New ones are closed at once.
    pub(super) away: bool,
}

impl Shared {
    pub(super) fn new(options: Options) -> Shared {
        let mut store = Store::new(clock::seed());
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let object = serde_json::json!({"metadata": {"name": name}});
            let kind = super::kinds::NAMESPACE;
            // Nothing is there yet that could be in the way.
            let _ = write::create(&mut store, &kind, "", write::Part::Main, object);
        }
        let state = State {
            store,
            faults: Vec::new(),
            requests: VecDeque::new(),
        };
        Shared {
            options,
            state: Mutex::new(state),
            news: watch::Sender::default(),
            line: watch::Sender::default(),
        }
    }

    /// Looks at the objects.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.lock().store)
    }

    /// Changes the objects, or on trial a copy of them, and wakes the watches.
    pub(super) fn write<T>(&self, trial: bool, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut state = self.lock();
        if trial {
            return change(&mut state.store.clone());
        }
        let result = change(&mut state.store);
        let revision = state.store.revision();
        drop(state);
        self.news.send_modify(|news| news.revision = revision);
        result
    }

    pub(super) fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    pub(super) fn line(&self) -> watch::Receiver<Line> {
        self.line.subscribe()
    }

    pub(super) fn bookmark(&self) {
        self.news.send_modify(|news| news.bookmarks += 1);
    }

    pub(super) fn change_line(&self, change: impl FnOnce(&mut Line)) {
        self.line.send_modify(change);
    }

    pub(super) fn add_fault(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    pub(super) fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Remembers a request. Gives what it is to be refused with, if so.
    pub(super) fn arrived(&self, request: Request) -> Option<Refusal> {
        let mut state = self.lock();
        let due = |fault: &mut Fault| fault.meets(&request);
        let refusal = state.faults.iter_mut().find_map(due);
        state.faults.retain(|fault| !fault.is_spent());
        state.requests.push_back(request);
        while state.requests.len() > REQUESTS {
            state.requests.pop_front();
        }
        refusal
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.lock().requests.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
