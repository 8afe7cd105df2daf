//! Making, changing and removing objects, each kind by its own rules.

use std::sync::Arc;

use serde_json::{Value, json};

use super::check;
use super::clock;
use super::events::{from_kept, kept_as, to_kept};
use super::kinds::Kind;
use super::object::{Key, carry, is_ending, is_held, map_mut, metadata, put, text};
use super::patch::Patch;
use super::refusal::Refusal;
use super::store::Store;

/// An object of a kind, whether or not it exists.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) kind: Kind,
    /// Empty for kinds without namespaces.
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Which part of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything but the status, where the kind keeps that apart.
    Main,
    /// The status only.
    Status,
    /// Both: what the test's side may do.
    Whole,
}

/// What a write did.
#[derive(Debug)]
pub(super) enum Written {
    /// There is a new object.
    Created(Arc<Value>),
    /// The object is this now.
    Changed(Arc<Value>),
}

impl Target {
    pub(super) fn key(&self) -> Key {
        let kind = kept_as(&self.kind);
        Key {
            group: kind.group,
            plural: kind.plural,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    fn missing(&self) -> Refusal {
        Refusal::not_found(&self.kind, &self.name)
    }

    fn modified(&self) -> Refusal {
        Refusal::modified(&self.kind, &self.name)
    }
}

/// The object, as it is kept.
pub(super) fn get(store: &Store, target: &Target) -> Result<Arc<Value>, Refusal> {
    let found = store.get(&target.key()).cloned();
    found.ok_or_else(|| target.missing())
}

/// Makes an object in a namespace (empty for kinds without).
pub(super) fn create(
    store: &mut Store,
    kind: &Kind,
    namespace: &str,
    part: Part,
    mut object: Value,
) -> Result<Arc<Value>, Refusal> {
    check::identity(kind, &mut object)?;
    check::namespace(kind, namespace, &mut object)?;
    let uid = store.uid();
    let mut name = text(&object, "metadata.name");
    let prefix = text(&object, "metadata.generateName");
    if name.is_empty() && !prefix.is_empty() {
        name = format!("{prefix}{}", suffix(&uid));
    }
    if name.is_empty() {
        let why = "Required value: name or generateName is required";
        let cause = "FieldValueRequired";
        return Err(Refusal::invalid(kind, &name, "metadata.name", cause, why));
    }
    check::name(kind, &name)?;
    check::content(kind, &object)?;
    home(store, kind, namespace)?;
    if !text(&object, "metadata.resourceVersion").is_empty() {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(Refusal::bad_request(message));
    }
    let target = Target {
        kind: *kind,
        namespace: namespace.to_owned(),
        name: name.clone(),
    };
    if store.get(&target.key()).is_some() {
        return Err(Refusal::already_exists(kind, &name));
    }
    let fields = metadata(&mut object);
    fields.insert("name".to_owned(), name.into());
    fields.insert("uid".to_owned(), uid.into());
    fields.insert("creationTimestamp".to_owned(), clock::now().into());
    fields.remove("deletionTimestamp");
    put(fields, "generation", kind.custom.then(|| json!(1)));
    born(kind, part, &mut object);
    Ok(store.commit(target.key(), to_kept(kind, object)))
}

/// Puts an object in the place of one that is there.
pub(super) fn replace(
    store: &mut Store,
    target: &Target,
    part: Part,
    mut object: Value,
) -> Result<Written, Refusal> {
    check::identity(&target.kind, &mut object)?;
    check::namespace(&target.kind, &target.namespace, &mut object)?;
    check::same_name(&target.name, &mut object)?;
    let Some(current) = store.get(&target.key()).cloned() else {
        if !target.kind.replace_creates || part == Part::Status {
            return Err(target.missing());
        }
        metadata(&mut object).remove("resourceVersion");
        let made = create(store, &target.kind, &target.namespace, part, object)?;
        return Ok(Written::Created(made));
    };
    let version = text(&object, "metadata.resourceVersion");
    if target.kind.replace_needs_version && part != Part::Whole && version.is_empty() {
        let why = "Invalid value: 0: must be specified for an update";
        let (kind, name) = (&target.kind, &target.name);
        let (field, cause) = ("metadata.resourceVersion", "FieldValueInvalid");
        return Err(Refusal::invalid(kind, name, field, cause, why));
    }
    update(store, target, part, &current, object).map(Written::Changed)
}

/// Changes an object by a patch.
pub(super) fn patch(
    store: &mut Store,
    target: &Target,
    part: Part,
    patch: &Patch,
) -> Result<Written, Refusal> {
    let Some(current) = store.get(&target.key()).cloned() else {
        return match patch {
            Patch::Apply(object) if part != Part::Status => {
                let mut object = object.clone();
                check::same_name(&target.name, &mut object)?;
                let made = create(store, &target.kind, &target.namespace, part, object)?;
                Ok(Written::Created(made))
            }
            Patch::Apply(_) | Patch::Merge(_) | Patch::Json(_) | Patch::Strategic(_) => {
                Err(target.missing())
            }
        };
    };
    let seen = from_kept(&target.kind, Value::clone(&current));
    let mut object = patch.apply(&target.kind, &seen)?;
    check::identity(&target.kind, &mut object)?;
    check::namespace(&target.kind, &target.namespace, &mut object)?;
    check::same_name(&target.name, &mut object)?;
    update(store, target, part, &current, object).map(Written::Changed)
}

/// Says on which node a pod is to run.
pub(super) fn bind(store: &mut Store, target: &Target, binding: &Value) -> Result<(), Refusal> {
    let current = get(store, target)?;
    let node = text(binding, "target.name");
    if node.is_empty() {
        return Err(Refusal::bad_request(
            "a binding names a node in target.name",
        ));
    }
    let bound = text(&current, "spec.nodeName");
    let why = if is_ending(&current) {
        format!(
            "pod {} is being deleted, cannot be assigned to a host",
            target.name
        )
    } else if bound.is_empty() {
        let mut pod = Value::clone(&current);
        map_mut(&mut pod, "spec").insert("nodeName".to_owned(), node.into());
        let scheduled = json!({
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": null,
            "lastTransitionTime": clock::now(),
        });
        let conditions = map_mut(&mut pod, "status")
            .entry("conditions")
            .or_insert_with(|| json!([]));
        if let Value::Array(conditions) = conditions {
            conditions.retain(|condition| condition["type"] != "PodScheduled");
            conditions.push(scheduled);
        }
        store.commit(target.key(), pod);
        return Ok(());
    } else {
        format!("pod {} is already assigned to node {bound:?}", target.name)
    };
    let mut refusal = Refusal::conflict(&target.kind, &target.name, &why);
    refusal.message = refusal.message.replacen("pods", "pods/binding", 1);
    Err(refusal)
}

/// Writes `object` over `current`, keeping what this part may not change.
fn update(
    store: &mut Store,
    target: &Target,
    part: Part,
    current: &Arc<Value>,
    object: Value,
) -> Result<Arc<Value>, Refusal> {
    let kind = &target.kind;
    let mut object = to_kept(kind, object);
    let said = |field: &str| text(&object, field);
    let version = said("metadata.resourceVersion");
    if !version.is_empty() && version != text(current, "metadata.resourceVersion") {
        return Err(target.modified());
    }
    let uid = said("metadata.uid");
    if !uid.is_empty() && uid != text(current, "metadata.uid") {
        let held = text(current, "metadata.uid");
        let why =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {held}");
        return Err(Refusal::conflict(kind, &target.name, &why));
    }
    let fields = metadata(&mut object);
    for field in [
        "uid",
        "creationTimestamp",
        "generateName",
        "resourceVersion",
        "generation",
    ] {
        carry(fields, &current["metadata"], field);
    }
    if part != Part::Whole {
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            carry(fields, &current["metadata"], field);
        }
    }
    keep_other_part(kind, part, current, &mut object);
    check::content(kind, &object)?;
    if object == **current {
        return Ok(Arc::clone(current));
    }
    if kind.custom && object["spec"] != current["spec"] {
        let generation = current["metadata"]["generation"].as_u64().unwrap_or(1);
        metadata(&mut object).insert("generation".to_owned(), json!(generation + 1));
    }
    let done = is_ending(&object) && is_held(current) && !is_held(&object);
    if done && kind.kind != "Pod" {
        let removed = store.remove(&target.key());
        return removed.ok_or_else(|| target.missing());
    }
    Ok(store.commit(target.key(), object))
}

fn keep_other_part(kind: &Kind, part: Part, current: &Value, object: &mut Value) {
    let Value::Object(fields) = object else {
        return;
    };
    match part {
        Part::Main if kind.status => carry(fields, current, "status"),
        Part::Status => carry(fields, current, "spec"),
        Part::Main | Part::Whole => {}
    }
}

/// What the server adds to a new object.
fn born(kind: &Kind, part: Part, object: &mut Value) {
    let only_main = part == Part::Main;
    let unset = |map: &mut serde_json::Map<String, Value>, key: &str, value: Value| {
        map.entry(key).or_insert(value);
    };
    match kind.kind {
        "Pod" => {
            if only_main {
                put(map_mut(object, "status"), "phase", None);
            }
            unset(map_mut(object, "status"), "phase", json!("Pending"));
            let spec = map_mut(object, "spec");
            unset(spec, "restartPolicy", json!("Always"));
            unset(spec, "terminationGracePeriodSeconds", json!(30));
        }
        "Namespace" => {
            let name = text(object, "metadata.name");
            map_mut(object, "status").insert("phase".to_owned(), json!("Active"));
            let labels = metadata(object).entry("labels").or_insert(json!({}));
            labels["kubernetes.io/metadata.name"] = name.into();
        }
        _ if kind.custom && kind.status && only_main => {
            if let Value::Object(fields) = object {
                fields.remove("status");
            }
        }
        _ => {}
    }
}

/// Checks that the namespace of a new object is there.
fn home(store: &Store, kind: &Kind, namespace: &str) -> Result<(), Refusal> {
    if !kind.namespaced {
        return Ok(());
    }
    let target = Target {
        kind: super::kinds::NAMESPACE,
        namespace: String::new(),
        name: namespace.to_owned(),
    };
    get(store, &target).map(drop)
}

/// Five letters or digits that no other name ends with soon.
fn suffix(uid: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let number = uid.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let base = LETTERS.len() as u64;
    let digit = |place: u32| {
        let index = number / base.pow(place) % base;
        usize::try_from(index)
            .ok()
            .and_then(|index| LETTERS.get(index))
    };
    (0..5)
        .filter_map(digit)
        .map(|byte| char::from(*byte))
        .collect()
}
