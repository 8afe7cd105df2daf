//! Requests about objects.

use axum::body::Body;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::super::delete::{self, Deleted};
use super::super::list;
use super::super::object::text;
use super::super::patch::Patch;
use super::super::refusal::Refusal;
use super::super::view::View;
use super::super::watch;
use super::super::write::{self, Part, Target, Written};
use super::route::Piece;
use super::{Call, header, json as answer_json, object};

/// Answers.
pub(super) fn answer(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let place = &call.place;
    let method = &call.parts.method;
    let Some(name) = &place.name else {
        return match *method {
            Method::GET if call.parameters.is_set("watch") => watch(call),
            Method::GET => list(call),
            Method::POST => create(call),
            Method::DELETE => delete_collection(call),
            _ => Err(Refusal::method_not_allowed()),
        };
    };
    let target = Target {
        kind: place.kind,
        namespace: place.namespace.clone().unwrap_or_default(),
        name: name.clone(),
    };
    let part = match place.part {
        None => Part::Main,
        Some(Piece::Status) => Part::Status,
        Some(Piece::Binding) => return bind(call, &target),
    };
    match *method {
        Method::GET => {
            let found = call.shared.read(|store| write::get(store, &target))?;
            Ok(shown(call, StatusCode::OK, &found))
        }
        Method::PUT => {
            let object = object(&place.kind, call.parts, &call.body)?;
            let trial = call.parameters.trial()?;
            let write = |store: &mut _| write::replace(store, &target, part, object);
            Ok(written(call, call.shared.write(trial, write)?))
        }
        Method::PATCH => {
            let content_type = header(call.parts, &CONTENT_TYPE);
            let patch = Patch::parse(&place.kind, content_type, &call.body)?;
            let trial = call.parameters.trial()?;
            let write = |store: &mut _| write::patch(store, &target, part, &patch);
            Ok(written(call, call.shared.write(trial, write)?))
        }
        Method::DELETE if part == Part::Main => delete(call, &target),
        _ => Err(Refusal::method_not_allowed()),
    }
}

fn list(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let kind = &call.place.kind;
    let query = call.parameters.list(kind, call.place.namespace.clone())?;
    let page = call.shared.read(|store| list::list(store, kind, &query))?;
    let objects = page.objects.iter().map(|object| &**object);
    let list = view(call).list(&page.metadata, objects);
    Ok(answer_json(StatusCode::OK, &list))
}

fn watch(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let namespace = call.place.namespace.clone();
    let streaming = call.shared.options.streaming_lists;
    let query = call.parameters.watch(view(call), namespace, streaming)?;
    let mut response = Response::new(watch::body(call.shared, query));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

fn create(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let kind = &call.place.kind;
    let object = object(kind, call.parts, &call.body)?;
    let namespace = match &call.place.namespace {
        Some(namespace) => namespace.clone(),
        None if kind.namespaced => return Err(Refusal::method_not_allowed()),
        None => String::new(),
    };
    let trial = call.parameters.trial()?;
    let made = call.shared.write(trial, |store| {
        write::create(store, kind, &namespace, Part::Main, object)
    })?;
    Ok(shown(call, StatusCode::CREATED, &made))
}

fn bind(call: &Call<'_>, target: &Target) -> Result<Response<Body>, Refusal> {
    if call.parts.method != Method::POST {
        return Err(Refusal::method_not_allowed());
    }
    let binding = object(&target.kind, call.parts, &call.body)?;
    let trial = call.parameters.trial()?;
    call.shared
        .write(trial, |store| write::bind(store, target, &binding))?;
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    });
    Ok(answer_json(StatusCode::CREATED, &status))
}

fn delete(call: &Call<'_>, target: &Target) -> Result<Response<Body>, Refusal> {
    let options = delete_options(call)?;
    let trial = call.parameters.trial()?;
    let deleted = call
        .shared
        .write(trial, |store| delete::delete(store, target, &options))?;
    Ok(match deleted {
        Deleted::Marked(object) => shown(call, StatusCode::OK, &object),
        // Pods are given back, of other objects only which they were.
        Deleted::Gone(object) if target.kind.kind == "Pod" => shown(call, StatusCode::OK, &object),
        Deleted::Gone(object) => {
            let status = json!({
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": {
                    "name": target.name,
                    "group": target.kind.group,
                    "kind": target.kind.plural,
                    "uid": text(&object, "metadata.uid"),
                },
            });
            answer_json(StatusCode::OK, &status)
        }
    })
}

fn delete_collection(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let kind = &call.place.kind;
    let options = delete_options(call)?;
    let query = call.parameters.list(kind, call.place.namespace.clone())?;
    let trial = call.parameters.trial()?;
    let page = call.shared.write(trial, |store| {
        let page = list::list(store, kind, &query)?;
        for object in &page.objects {
            let target = Target {
                kind: *kind,
                namespace: text(object, "metadata.namespace"),
                name: text(object, "metadata.name"),
            };
            delete::delete(store, &target, &options)?;
        }
        Ok(page)
    })?;
    let objects = page.objects.iter().map(|object| &**object);
    let list = view(call).list(&page.metadata, objects);
    Ok(answer_json(StatusCode::OK, &list))
}

fn delete_options(call: &Call<'_>) -> Result<delete::Options, Refusal> {
    delete::Options::parse(&call.body, call.parameters.get("gracePeriodSeconds"))
}

fn written(call: &Call<'_>, written: Written) -> Response<Body> {
    match written {
        Written::Created(object) => shown(call, StatusCode::CREATED, &object),
        Written::Changed(object) => shown(call, StatusCode::OK, &object),
    }
}

fn shown(call: &Call<'_>, code: StatusCode, object: &Value) -> Response<Body> {
    answer_json(code, &view(call).object(object))
}

fn view(call: &Call<'_>) -> View {
    View::accepted(call.place.kind, header(call.parts, &ACCEPT))
}
