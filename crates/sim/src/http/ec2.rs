//! The EC2 Query protocol: a form in, XML out.
//!
//! Requests must be signed, as EC2 demands, but the signature is not verified: any credentials
//! will do.

use std::net::IpAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::get;
use vpc_aws::ec2::wire::{API_VERSION, ErrorResponse};

use super::dispatch::dispatch;
use super::{Peer, form, lost_answer};
use crate::Sim;
use crate::calls::Call;
use crate::error::ApiError;
use crate::fault::Verdict;

type Params = Vec<(String, String)>;

/// A request's id, as EC2 sends it with every answer.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

pub(crate) fn router(sim: Sim) -> Router {
    Router::new()
        .route("/", get(by_query).post(by_form))
        .with_state(sim)
}

async fn by_query(
    State(sim): State<Sim>,
    peer: Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let params = form::parse(query.unwrap_or_default().as_bytes());
    answer(&sim, peer, &headers, params).await
}

async fn by_form(
    State(sim): State<Sim>,
    peer: Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response<Body> {
    let params = form::parse(query.unwrap_or_default().as_bytes()).and_then(|mut params| {
        params.extend(form::parse(&body)?);
        Ok(params)
    });
    answer(&sim, peer, &headers, params).await
}

async fn answer(
    sim: &Sim,
    peer: Peer,
    headers: &HeaderMap,
    params: Result<Params, ApiError>,
) -> Response<Body> {
    let id = sim.with_state(|state, _| {
        state.requests += 1;
        let low = state.requests & 0xffff_ffff_ffff;
        let high = state.world.config().seed & 0xffff_ffff;
        RequestId(format!("{high:08x}-0000-4000-8000-{low:012x}"))
    });
    let (action, params) = match params.and_then(|params| checked(headers, params)) {
        Ok(call) => call,
        Err(error) => return refusal(&error, &id),
    };
    let verdict = sim.with_state(|state, _| state.faults.judge(&action));
    if !verdict.delay.is_zero() {
        tokio::time::sleep(verdict.delay).await;
    }
    let lost = verdict.lose_response;
    let asked = Asked {
        action: &action,
        params: &params,
        caller: peer.0,
    };
    let (result, changed) = carried_out(sim, verdict, &asked, &id);
    if let Some(revision) = changed {
        sim.until_followed(revision).await;
    }
    match result {
        _ if lost => lost_answer(),
        Ok(xml) => document(StatusCode::OK, xml, &id),
        Err(error) => refusal(&error, &id),
    }
}

/// A request that was read.
struct Asked<'a> {
    action: &'a str,
    params: &'a [(String, String)],
    caller: Option<IpAddr>,
}

/// Carries a call out, unless it is to fail, and notes it. Gives the world's new revision besides,
/// if it changed.
fn carried_out(
    sim: &Sim,
    verdict: Verdict,
    asked: &Asked<'_>,
    id: &RequestId,
) -> (Result<String, ApiError>, Option<u64>) {
    let Asked { action, params, .. } = *asked;
    sim.with_state(|state, now| {
        if let Some(span) = verdict.stale_metadata {
            state.world.freeze_all_metadata(now + span);
        }
        let before = state.world.revision();
        let result = match verdict.error {
            Some(error) => Err(error),
            None => dispatch(&mut state.world, (action, params), now, id),
        };
        let code = result.as_ref().err().map(|error| error.code.as_str());
        // A name that is no action would let callers fill the table.
        let known = code != Some("InvalidAction");
        let action = if known { action } else { "InvalidAction" };
        state.calls.count(action, code);
        state.log.push(Call {
            at: now,
            action: action.to_owned(),
            error: code.map(str::to_owned),
            caller: asked.caller,
        });
        match code {
            None => tracing::debug!(action, "EC2 call"),
            Some(code) => tracing::debug!(action, code, "EC2 call refused"),
        }
        let after = state.world.revision();
        (result, (after != before).then_some(after))
    })
}

/// The action of a request that has what every request must have.
fn checked(headers: &HeaderMap, params: Params) -> Result<(String, Params), ApiError> {
    let value = |name: &str| {
        let found = params.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let by_header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 "));
    if !by_header && value("X-Amz-Signature").is_none() {
        return Err(ApiError::with_status(
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
            401,
        ));
    }
    let Some(action) = value("Action").filter(|action| !action.is_empty()) else {
        return Err(ApiError::client(
            "MissingAction",
            "The request is missing an action or a required parameter.",
        ));
    };
    match value("Version") {
        Some(API_VERSION) => {}
        Some(other) => {
            return Err(ApiError::client(
                "NoSuchVersion",
                format!("The requested version ({other}) of service AmazonEC2 does not exist"),
            ));
        }
        None => return Err(ApiError::missing("Version")),
    }
    let action = action.to_owned();
    let signature = |name: &str| name.starts_with("X-Amz-");
    let params = params.into_iter().filter(|(name, _)| !signature(name));
    Ok((action, params.collect()))
}

fn refusal(error: &ApiError, id: &RequestId) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    // A message that XML cannot carry is left out; the code is what counts.
    let xml = ErrorResponse::new(&error.code, &error.message, &id.0)
        .to_xml()
        .or_else(|_| ErrorResponse::new(&error.code, "", &id.0).to_xml())
        .unwrap_or_default();
    document(status, xml, id)
}

fn document(status: StatusCode, xml: String, id: &RequestId) -> Response<Body> {
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = header::HeaderValue::from_static("text/xml;charset=UTF-8");
    headers.insert(header::CONTENT_TYPE, kind);
    if let Ok(value) = header::HeaderValue::from_str(&id.0) {
        headers.insert("x-amzn-requestid", value);
    }
    response
}
