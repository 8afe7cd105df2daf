//! Removing objects: at once, gracefully, or when nobody holds them any more.

use std::sync::Arc;

use serde_json::{Value, json};

use super::clock;
use super::kinds::{ALL, Kind};
use super::object::{is_ending, is_held, metadata, text};
use super::refusal::Refusal;
use super::store::Store;
use super::write::{Target, get};

/// How a client wants an object to go.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// Seconds that a pod's programs have to end; as the pod says if absent.
    pub(super) grace: Option<i64>,
    /// Only this object, not another of the same name.
    pub(super) uid: Option<String>,
    /// Only in this version.
    pub(super) version: Option<String>,
}

/// What became of the object.
#[derive(Debug)]
pub(super) enum Deleted {
    /// It is gone; this is its last state.
    Gone(Arc<Value>),
    /// It is marked, and goes when somebody agrees.
    Marked(Arc<Value>),
}

impl Options {
    /// Reads the body of a request, and its parameter `gracePeriodSeconds`.
    pub(super) fn parse(body: &[u8], grace: Option<&str>) -> Result<Options, Refusal> {
        let body: Value = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body)
                .map_err(|error| Refusal::bad_request(format!("cannot read the body: {error}")))?
        };
        let given = |path: &str| Some(text(&body, path)).filter(|text| !text.is_empty());
        let grace = given("gracePeriodSeconds").or_else(|| grace.map(str::to_owned));
        let grace = grace.map(|grace| grace.parse()).transpose();
        Ok(Options {
            grace: grace.map_err(|_| Refusal::bad_request("gracePeriodSeconds is no number"))?,
            uid: given("preconditions.uid"),
            version: given("preconditions.resourceVersion"),
        })
    }
}

/// Removes an object, or marks it.
pub(super) fn delete(
    store: &mut Store,
    target: &Target,
    options: &Options,
) -> Result<Deleted, Refusal> {
    let current = get(store, target)?;
    let conditions = [("uid", &options.uid), ("resourceVersion", &options.version)];
    for (field, wanted) in conditions {
        let held = text(&current["metadata"], field);
        if let Some(wanted) = wanted.as_ref().filter(|wanted| **wanted != held) {
            let why = format!(
                "Precondition failed: {field} in precondition: {wanted}, in object meta: {held}"
            );
            return Err(Refusal::conflict(&target.kind, &target.name, &why));
        }
    }
    let grace = grace(&target.kind, &current, options);
    if grace == 0 && !is_held(&current) {
        if target.kind.kind == "Namespace" {
            empty(store, &target.name);
        }
        let last = store.remove(&target.key());
        return last
            .map(Deleted::Gone)
            .ok_or_else(|| Refusal::not_found(&target.kind, &target.name));
    }
    if is_ending(&current) {
        return Ok(Deleted::Marked(current));
    }
    let mut marked = Value::clone(&current);
    let fields = metadata(&mut marked);
    fields.insert("deletionTimestamp".to_owned(), clock::now().into());
    fields.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
    Ok(Deleted::Marked(store.commit(target.key(), marked)))
}

/// Seconds until the object may go by itself: only pods that a kubelet looks after have any.
fn grace(kind: &Kind, object: &Value, options: &Options) -> i64 {
    let phase = text(object, "status.phase");
    let ended = phase == "Succeeded" || phase == "Failed";
    if kind.kind != "Pod" || ended || text(object, "spec.nodeName").is_empty() {
        return 0;
    }
    let own = || object["spec"]["terminationGracePeriodSeconds"].as_i64();
    options.grace.or_else(own).unwrap_or(30).max(0)
}

/// Removes what is in a namespace, as its controller does.
fn empty(store: &mut Store, namespace: &str) {
    for kind in ALL.iter().filter(|kind| kind.namespaced) {
        let keys: Vec<_> = store.all(kind, Some(namespace)).into_keys().collect();
        for key in keys {
            store.remove(&key);
        }
    }
}
