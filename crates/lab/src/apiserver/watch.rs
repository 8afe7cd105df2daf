//! Watches: from one version on, whatever happens to the objects that were asked for.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::events::kept_as;
use super::refusal::Refusal;
use super::selector::Selectors;
use super::shared::{News, Shared};
use super::store::{Change, Store};
use super::view::View;

/// How often a watcher that wants to hear it is told the version, unless something else is told.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// What a watch asks for.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) view: View,
    pub(super) namespace: Option<String>,
    pub(super) selectors: Selectors,
    pub(super) start: Start,
    pub(super) bookmarks: bool,
    pub(super) timeout: Duration,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// With the objects that are there, as if they had just been made.
    Present,
    /// With the objects that are there, and a bookmark that says when those are over.
    PresentThenMark,
    /// After this version.
    After(u64),
}

/// One watch under way.
struct Watch {
    shared: Arc<Shared>,
    news: watch::Receiver<News>,
    query: Query,
    /// Told up to here.
    position: u64,
    /// The last request for bookmarks that was granted.
    marked: u64,
    lines: VecDeque<Bytes>,
    ends: Instant,
    next_bookmark: Instant,
    over: bool,
}

/// The body of the answer: lines of JSON, as they come.
pub(super) fn body(shared: &Arc<Shared>, query: Query) -> Body {
    let news = shared.news();
    let marked = news.borrow().bookmarks;
    let now = Instant::now();
    let mut watch = Watch {
        shared: Arc::clone(shared),
        position: 0,
        marked,
        news,
        lines: VecDeque::new(),
        ends: now + query.timeout,
        next_bookmark: now + BOOKMARKS,
        over: false,
        query,
    };
    watch.begin();
    let lines = futures_util::stream::unfold(watch, |mut watch| async move {
        let line = watch.line().await?;
        Some((Ok::<Bytes, Infallible>(line), watch))
    });
    Body::from_stream(lines)
}

impl Watch {
    fn begin(&mut self) {
        let shared = Arc::clone(&self.shared);
        shared.read(|store| {
            self.position = match self.query.start {
                Start::After(version) => version,
                Start::Present | Start::PresentThenMark => store.revision(),
            };
            match self.query.start {
                Start::After(version) if version < store.oldest() => {
                    self.fail(&Refusal::expired(version, store.oldest()));
                }
                Start::After(_) => {}
                Start::Present => self.tell_present(store),
                Start::PresentThenMark => {
                    self.tell_present(store);
                    let mark = self.query.view.bookmark(self.position, true);
                    self.tell("BOOKMARK", &mark);
                }
            }
        });
    }

    fn tell_present(&mut self, store: &Store) {
        let kind = kept_as(&self.query.view.kind);
        let present = store.all(&kind, self.query.namespace.as_deref());
        for object in present.into_values() {
            if self.query.selectors.matches(&object) {
                let seen = self.query.view.object(&object);
                self.tell("ADDED", &seen);
            }
        }
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            let news = *self.news.borrow_and_update();
            self.catch_up();
            if news.bookmarks > self.marked {
                self.marked = news.bookmarks;
                self.bookmark();
            }
            if !self.lines.is_empty() || self.over {
                continue;
            }
            let wake = self.ends.min(self.next_bookmark);
            let slept = tokio::select! {
                changed = self.news.changed() => { self.over |= changed.is_err(); false }
                () = tokio::time::sleep_until(wake) => true,
            };
            if slept {
                self.bookmark();
                self.over |= wake == self.ends;
            }
        }
    }

    /// Tells what happened since the last time.
    fn catch_up(&mut self) {
        let shared = Arc::clone(&self.shared);
        shared.read(|store| {
            // One that began in the future waits for it.
            if self.position >= store.revision() {
                return;
            }
            let Some(changes) = store.since(self.position) else {
                self.fail(&Refusal::expired(self.position, store.oldest()));
                return;
            };
            for change in changes {
                self.change(change);
            }
            self.position = store.revision();
        });
    }

    /// Tells one change, as it looks from where only matching objects are seen.
    fn change(&mut self, change: &Change) {
        let kind = kept_as(&self.query.view.kind);
        let namespace = self.query.namespace.as_deref();
        let own = change.key.group == kind.group
            && change.key.plural == kind.plural
            && namespace.is_none_or(|namespace| namespace == change.key.namespace);
        if !own {
            return;
        }
        let matching = |object: &Option<Arc<Value>>| {
            let object = object.as_ref();
            object
                .filter(|object| self.query.selectors.matches(object))
                .cloned()
        };
        let (before, after) = (matching(&change.before), matching(&change.after));
        let (what, object) = match (before, after) {
            (None, None) => return,
            (None, Some(after)) => ("ADDED", after),
            (Some(_), Some(after)) => ("MODIFIED", after),
            (Some(before), None) => ("DELETED", before),
        };
        let mut seen = self.query.view.object(&object);
        seen["metadata"]["resourceVersion"] = change.revision.to_string().into();
        self.tell(what, &seen);
    }

    fn bookmark(&mut self) {
        self.next_bookmark = Instant::now() + BOOKMARKS;
        if self.query.bookmarks {
            let mark = self.query.view.bookmark(self.position, false);
            self.tell("BOOKMARK", &mark);
        }
    }

    fn fail(&mut self, refusal: &Refusal) {
        self.tell("ERROR", &refusal.status());
        self.over = true;
    }

    fn tell(&mut self, what: &str, object: &Value) {
        let mut line = json!({"type": what, "object": object}).to_string();
        line.push('\n');
        self.lines.push_back(Bytes::from(line));
    }
}
