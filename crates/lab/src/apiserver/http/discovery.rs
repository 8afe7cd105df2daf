//! What the server says about itself: health, version, groups and kinds.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::kinds::Kind;
use super::super::shared::Shared;
use super::{json as answer_json, plain};

/// The release whose behaviour is stood in for.
const VERSION: (&str, &str) = ("1", "33");

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Whether everybody may read the path.
pub(super) fn is_public(path: &str) -> bool {
    matches!(path, "/version" | "/healthz" | "/livez" | "/readyz")
}

/// Answers a request for no objects.
pub(super) fn answer(shared: &Shared, path: &str) -> Response<Body> {
    let kinds = &shared.options.kinds;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let found = match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => return plain(StatusCode::OK, "ok"),
        ["version"] => Some(version()),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        ["apis"] => Some(groups(kinds)),
        ["apis", name] => group(kinds, name),
        ["api", version] => resources(kinds, "", version),
        ["apis", group, version] => resources(kinds, group, version),
        _ => None,
    };
    match found {
        Some(found) => answer_json(StatusCode::OK, &found),
        None => plain(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

fn version() -> Value {
    let (major, minor) = VERSION;
    json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{major}.{minor}.0-standin"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    })
}

fn groups(kinds: &[Kind]) -> Value {
    let names: BTreeSet<&str> = kinds.iter().map(|kind| kind.group).collect();
    let named = names.into_iter().filter(|name| !name.is_empty());
    let groups: Vec<Value> = named.filter_map(|name| group(kinds, name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group(kinds: &[Kind], name: &str) -> Option<Value> {
    let versions: BTreeSet<&str> = kinds
        .iter()
        .filter(|kind| kind.group == name)
        .map(|kind| kind.version)
        .collect();
    let versions: Vec<Value> = versions
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    let preferred = versions.first()?;
    Some(json!({
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": versions,
        "preferredVersion": preferred,
    }))
}

fn resources(kinds: &[Kind], group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    let own = |kind: &&Kind| kind.group == group && kind.version == version;
    for kind in kinds.iter().filter(own) {
        resources.push(json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": VERBS,
            "shortNames": kind.short,
        }));
        if kind.status {
            resources.push(part(kind, "status", kind.kind, &["get", "patch", "update"]));
        }
        if kind.kind == "Pod" {
            resources.push(part(kind, "binding", "Binding", &["create"]));
        }
    }
    let named = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let list = json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": named,
        "resources": resources,
    });
    Some(list).filter(|list| list["resources"] != json!([]))
}

fn part(kind: &Kind, name: &str, what: &str, verbs: &[&str]) -> Value {
    json!({
        "name": format!("{}/{name}", kind.plural),
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": what,
        "verbs": verbs,
    })
}
