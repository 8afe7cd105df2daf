//! The server's answers over HTTP.

mod discovery;
mod objects;
mod parameters;
mod route;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::faults;
use super::kinds::Kind;
use super::refusal::Refusal;
use super::shared::Shared;
use parameters::Parameters;
use route::{Place, Route};

/// How large a body may be, in bytes: what the real server takes.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// One request about objects.
struct Call<'a> {
    shared: &'a Arc<Shared>,
    place: Place,
    parts: &'a Parts,
    parameters: Parameters,
    body: Bytes,
}

/// Answers one request.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let answered = match route(shared, &parts) {
        Ok(Some(place)) => objects(shared, place, &parts, body).await,
        Ok(None) => Ok(discovery::answer(shared, parts.uri.path())),
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| refused(&refusal))
}

/// Which objects are meant, if any, once it is clear that the caller may ask.
fn route(shared: &Arc<Shared>, parts: &Parts) -> Result<Option<Place>, Refusal> {
    let route = route::read(&shared.options.kinds, parts.uri.path());
    let parameters = Parameters::read(parts.uri.query());
    let place = match &route {
        Route::Objects(place) => Some(place),
        Route::Other => None,
    };
    let refusal = shared.arrived(faults::Request {
        verb: place.map_or("", |place| verb(parts, place, &parameters)),
        resource: place.map(Place::resource).unwrap_or_default(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        user_agent: header(parts, &USER_AGENT).to_owned(),
    });
    authenticate(shared, parts)?;
    match (refusal, route) {
        (Some(refusal), _) => Err(refusal),
        (None, Route::Objects(place)) => Ok(Some(place)),
        (None, Route::Other) => Ok(None),
    }
}

async fn objects(
    shared: &Arc<Shared>,
    place: Place,
    parts: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    let body = body.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Refusal::too_large(BODY_LIMIT)
        } else {
            Refusal::bad_request(format!("cannot read the body: {error}"))
        }
    })?;
    let call = Call {
        shared,
        place,
        parts,
        parameters: Parameters::read(parts.uri.query()),
        body: body.to_bytes(),
    };
    objects::answer(&call)
}

/// The verb, as RBAC and audit logs call it.
fn verb(parts: &Parts, place: &Place, parameters: &Parameters) -> &'static str {
    let single = place.name.is_some();
    match parts.method {
        Method::GET if single => "get",
        Method::GET if parameters.is_set("watch") => "watch",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if single => "delete",
        Method::DELETE => "deletecollection",
        _ => "",
    }
}

/// Health and version are for everybody, everything else for who bears the token.
fn authenticate(shared: &Shared, parts: &Parts) -> Result<(), Refusal> {
    let Some(token) = &shared.options.token else {
        return Ok(());
    };
    let open = discovery::is_public(parts.uri.path());
    let borne = header(parts, &AUTHORIZATION).strip_prefix("Bearer ");
    if open || borne == Some(token.as_str()) {
        Ok(())
    } else {
        Err(Refusal::unauthorized())
    }
}

fn header<'a>(parts: &'a Parts, name: &HeaderName) -> &'a str {
    let value = parts.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn json(code: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = code;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let code = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(code, &refusal.status());
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn plain(code: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Reads a body that is an object.
fn object(kind: &Kind, parts: &Parts, body: &[u8]) -> Result<Value, Refusal> {
    let content_type = header(parts, &CONTENT_TYPE);
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    if !content_type.is_empty() && content_type != "application/json" {
        return Err(Refusal::unsupported_media_type(&["application/json"]));
    }
    serde_json::from_slice(body).map_err(|error| {
        Refusal::bad_request(format!("cannot read the body as {}: {error}", kind.kind))
    })
}
