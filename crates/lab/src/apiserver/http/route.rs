//! Paths: which objects, or something else.

use super::super::kinds::Kind;

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Objects of a kind.
    Objects(Place),
    /// Discovery, health, or nothing.
    Other,
}

/// Objects of a kind, or one of them, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// Absent for all namespaces, and for kinds without.
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) part: Option<Piece>,
}

/// What can be written of an object apart from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Status,
    Binding,
}

impl Place {
    /// As RBAC calls it: `pods`, `pods/binding`.
    pub(super) fn resource(&self) -> String {
        let plural = self.kind.plural;
        match self.part {
            Some(part) => format!("{plural}/{}", part.name()),
            None => plural.to_owned(),
        }
    }
}

impl Piece {
    fn name(self) -> &'static str {
        match self {
            Piece::Status => "status",
            Piece::Binding => "binding",
        }
    }

    /// The part of that name, if objects of the kind have one.
    fn of(kind: &Kind, name: &str) -> Option<Piece> {
        match name {
            "status" if kind.status => Some(Piece::Status),
            "binding" if kind.kind == "Pod" => Some(Piece::Binding),
            _ => None,
        }
    }
}

/// Reads a path: `/api/v1/…` or `/apis/GROUP/VERSION/…`, then
/// `[namespaces/NAMESPACE/]PLURAL[/NAME[/PART]]`.
pub(super) fn read(kinds: &[Kind], path: &str) -> Route {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Route::Other,
    };
    let kind = |plural: &str, namespaced: bool| {
        let own = |kind: &&Kind| {
            (kind.group, kind.version, kind.plural) == (group, version, plural)
                && (kind.namespaced || !namespaced)
        };
        kinds.iter().find(own).copied()
    };
    let place = match rest {
        // A part of a namespace, unless there are objects of that name in it.
        ["namespaces", namespace, plural, rest @ ..] if kind(plural, true).is_some() => {
            place(kind(plural, true), Some(namespace), rest)
        }
        [plural, rest @ ..] => {
            let kind = kind(plural, false);
            // One object of a kind with namespaces is reached through its namespace.
            let kind = kind.filter(|kind| !kind.namespaced || rest.is_empty());
            place(kind, None, rest)
        }
        [] => None,
    };
    place.map_or(Route::Other, Route::Objects)
}

fn place(kind: Option<Kind>, namespace: Option<&str>, rest: &[&str]) -> Option<Place> {
    let kind = kind?;
    let (name, part) = match rest {
        [] => (None, None),
        [name] => (Some(*name), None),
        [name, part] => (Some(*name), Some(Piece::of(&kind, part)?)),
        _ => return None,
    };
    Some(Place {
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        part,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::kinds::{ALL, CNI_NODE, EVENT_V1, NAMESPACE, POD};
    use super::*;

    fn found(path: &str) -> Option<(Kind, String)> {
        match read(ALL, path) {
            Route::Objects(place) => {
                let text = |part: &Option<String>| part.clone().unwrap_or("-".to_owned());
                let part = place.part.map(|part| part.name().to_owned());
                let parts = [&place.namespace, &place.name, &part].map(text);
                Some((place.kind, parts.join(" ")))
            }
            Route::Other => None,
        }
    }

    #[test]
    fn paths_lead_to_kinds_namespaces_names_and_parts() {
        for (path, kind, rest) in [
            ("/api/v1/pods", POD, "- - -"),
            ("/api/v1/namespaces/a/pods/b/status", POD, "a b status"),
            ("/api/v1/namespaces", NAMESPACE, "- - -"),
            ("/api/v1/namespaces/a/status", NAMESPACE, "- a status"),
            (
                "/apis/events.k8s.io/v1/namespaces/a/events",
                EVENT_V1,
                "a - -",
            ),
            (
                "/apis/vpcresources.k8s.aws/v1alpha1/cninodes/n",
                CNI_NODE,
                "- n -",
            ),
        ] {
            assert_eq!(found(path), Some((kind, rest.to_owned())), "{path}");
        }
    }

    #[test]
    fn other_paths_lead_to_no_objects() {
        for path in [
            "/",
            "/api/v1",
            "/api/v2/pods",
            "/api/v1/pods/a",
            "/api/v1/namespaces/a/nodes",
            "/api/v1/namespaces/a/pods/b/status/c",
            "/apis/vpcresources.k8s.aws/v1/cninodes",
            "/readyz",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
