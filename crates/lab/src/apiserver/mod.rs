//! A small stand-in for a Kubernetes API server, with behaviour: objects of a few kinds are
//! listed, watched, made, changed and removed by the API's own rules, over plain HTTP.
//!
//! What is kept is what clients build on: versions that only grow, conflicts, `410 Gone` for
//! history that is forgotten, the two faces of status, graceful deletion, finalizers, selectors,
//! pages, bookmarks, `Status` objects for every refusal. What is left out: admission and defaults
//! beyond a few, field management, protobuf, roles. Nothing here knows the lab; a test starts a
//! server of its own on loopback:
//!
//! ```text
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let api = ApiServer::serve(listener, Options::default())?;
//! api.put(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}))?;
//! ```

mod check;
mod clock;
mod connections;
mod delete;
mod events;
mod faults;
mod http;
pub mod kinds;
mod list;
mod object;
mod patch;
mod refusal;
mod selector;
mod shared;
mod store;
mod strategic;
mod view;
mod watch;
mod write;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

pub use faults::{Fault, Request};
pub use kinds::Kind;
pub use refusal::Refusal;

use object::text;
use shared::Shared;
use write::{Part, Target, Written};

/// What a server is like.
#[derive(Debug, Clone)]
pub struct Options {
    /// The kinds it knows; a kind that is not among them answers as one that is not installed.
    pub kinds: Vec<Kind>,
    /// The token that clients have to bear; without one everybody may come.
    pub token: Option<String>,
    /// Whether a watch may begin with the objects that are there (`sendInitialEvents`), as servers
    /// since 1.32 allow and older ones refuse.
    pub streaming_lists: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            kinds: kinds::ALL.to_vec(),
            token: None,
            streaming_lists: true,
        }
    }
}

/// A server that runs, from the test's side. Dropping it ends it and every connection.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    // Ends with this.
    _task: JoinSet<()>,
}

impl ApiServer {
    /// Serves on `listener` until the result is dropped. To be called inside a runtime.
    ///
    /// # Errors
    /// The socket could not be handed to the runtime.
    pub fn serve(listener: TcpListener, options: Options) -> io::Result<ApiServer> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let shared = Arc::new(Shared::new(options));
        let mut task = JoinSet::new();
        task.spawn(connections::serve(listener, Arc::clone(&shared)));
        Ok(ApiServer {
            shared,
            address,
            _task: task,
        })
    }

    /// Where clients find it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes an object, or puts it in the place of the one of its name, status and all.
    ///
    /// # Errors
    /// The object is not one the server takes.
    pub fn put(&self, object: Value) -> Result<Value, Refusal> {
        let (version, kind) = (text(&object, "apiVersion"), text(&object, "kind"));
        let Some(kind) = Kind::named(&self.shared.options.kinds, &version, &kind) else {
            let message = format!("there is no kind {kind:?} in {version:?} here");
            return Err(Refusal::bad_request(message));
        };
        let namespace = match text(&object, "metadata.namespace") {
            none if none.is_empty() && kind.namespaced => "default".to_owned(),
            namespace => namespace,
        };
        let target = Target {
            kind,
            namespace,
            name: text(&object, "metadata.name"),
        };
        self.shared.write(false, |store| {
            let there = store.get(&target.key()).is_some();
            if there && !target.name.is_empty() {
                return write::replace(store, &target, Part::Whole, object).map(content);
            }
            let namespace = &target.namespace;
            let made = write::create(store, &kind, namespace, Part::Whole, object)?;
            Ok(Value::clone(&made))
        })
    }

    /// Changes an object by a merge patch (RFC 7396), status and all. `name` is `NAMESPACE/NAME`
    /// for kinds with namespaces; without a namespace it is in `default`.
    ///
    /// # Errors
    /// There is no such object, or it is not one the server takes after the change.
    pub fn patch(&self, kind: &Kind, name: &str, patch: Value) -> Result<Value, Refusal> {
        let target = target(kind, name);
        let patch = patch::Patch::Merge(patch);
        self.shared.write(false, |store| {
            write::patch(store, &target, Part::Whole, &patch).map(content)
        })
    }

    /// Removes an object at once: no grace, whoever still holds it. Gives its last state.
    ///
    /// # Errors
    /// There is no such object.
    pub fn delete(&self, kind: &Kind, name: &str) -> Result<Value, Refusal> {
        let target = target(kind, name);
        let removed = self
            .shared
            .write(false, |store| store.remove(&target.key()));
        let removed = removed.map(|last| Value::clone(&last));
        removed.ok_or_else(|| Refusal::not_found(kind, &target.name))
    }

    /// An object as it is now.
    #[must_use]
    pub fn get(&self, kind: &Kind, name: &str) -> Option<Value> {
        let target = target(kind, name);
        let found = self.shared.read(|store| store.get(&target.key()).cloned());
        found.map(|object| view::View::of(*kind).object(&object))
    }

    /// The objects of a kind in all namespaces, by namespace and name.
    #[must_use]
    pub fn list(&self, kind: &Kind) -> Vec<Value> {
        let found = self
            .shared
            .read(|store| store.all(&events::kept_as(kind), None));
        let seen = found
            .values()
            .map(|object| view::View::of(*kind).object(object));
        seen.collect()
    }

    /// Tells every watch that wants to hear it the version it has come to, now instead of within
    /// a minute.
    pub fn bookmark(&self) {
        self.shared.bookmark();
    }

    /// Ends every connection, in the middle of answers. New ones are served.
    pub fn cut(&self) {
        self.shared.change_line(|line| line.cuts += 1);
    }

    /// Ends every connection, and every new one as soon as it comes, until [`ApiServer::come_back`].
    pub fn go_away(&self) {
        self.shared.change_line(|line| {
            line.cuts += 1;
            line.away = true;
        });
    }

    /// Serves again.
    pub fn come_back(&self) {
        self.shared.change_line(|line| line.away = false);
    }

    /// Forgets every change: whoever asks to go on from a version given out before is told that
    /// it is gone (410). Watches under way go on.
    pub fn forget_history(&self) {
        self.shared.write(false, store::Store::forget);
    }

    /// Refuses some requests from now on.
    pub fn refuse(&self, fault: Fault) {
        self.shared.add_fault(fault);
    }

    /// Refuses nothing any more.
    pub fn heal(&self) {
        self.shared.clear_faults();
    }

    /// The last requests, first to last.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests()
    }
}

fn target(kind: &Kind, name: &str) -> Target {
    let (namespace, name) = match name.split_once('/') {
        Some(split) => split,
        None if kind.namespaced => ("default", name),
        None => ("", name),
    };
    Target {
        kind: *kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn content(written: Written) -> Value {
    match written {
        Written::Created(object) | Written::Changed(object) => Value::clone(&object),
    }
}
