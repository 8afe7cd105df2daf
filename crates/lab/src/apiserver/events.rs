//! One store of events with two faces: `v1` and `events.k8s.io/v1` name the same fields
//! differently. Events are kept as those of the core group.

use serde_json::Value;

use super::kinds::{EVENT, EVENT_V1, Kind};

/// Name in the core group → name in `events.k8s.io/v1`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The kind as which objects of `kind` are kept.
pub(super) fn kept_as(kind: &Kind) -> Kind {
    if *kind == EVENT_V1 { EVENT } else { *kind }
}

/// An object as a client of `kind` sent it, as it is kept.
pub(super) fn to_kept(kind: &Kind, object: Value) -> Value {
    if *kind == EVENT_V1 {
        renamed(object, &EVENT, NAMES.map(|(core, own)| (own, core)))
    } else {
        object
    }
}

/// An object as it is kept, as a client of `kind` sees it.
pub(super) fn from_kept(kind: &Kind, object: Value) -> Value {
    if *kind == EVENT_V1 {
        renamed(object, &EVENT_V1, NAMES)
    } else {
        object
    }
}

/// Where a field that a client of `kind` names is in the object as it is kept.
pub(super) fn kept_path(kind: &Kind, path: &str) -> String {
    // Where an event comes from is two fields deep; the selector names the upper one.
    if path == "source" {
        return "source.component".to_owned();
    }
    let (first, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
    let known = NAMES.into_iter().find(|(_, own)| *own == first);
    match known.filter(|_| *kind == EVENT_V1) {
        Some((core, _)) => format!("{core}{rest}"),
        None => path.to_owned(),
    }
}

fn renamed(mut object: Value, kind: &Kind, names: [(&str, &str); 7]) -> Value {
    if let Value::Object(fields) = &mut object {
        for (from, to) in names {
            if let Some(value) = fields.remove(from) {
                fields.insert(to.to_owned(), value);
            }
        }
        if fields.contains_key("apiVersion") {
            fields.insert("apiVersion".to_owned(), kind.api_version().into());
        }
    }
    object
}
