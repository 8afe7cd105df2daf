//! A look behind the scenes for tests and people; not part of AWS.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use vpc_model::{EniId, InstanceId, SubnetId, Timestamp};

use super::dispatch;
use crate::Sim;
use crate::calls::{Call, Calls};
use crate::error::ApiError;
use crate::fault::Fault;
use crate::world::{Occupation, RateLimits};

pub(crate) fn router(sim: Sim) -> Router {
    Router::new()
        .route("/_sim/world", get(world))
        .route("/_sim/actions", get(actions))
        .route("/_sim/calls", get(calls))
        .route("/_sim/calls/log", get(call_log))
        .route(
            "/_sim/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .route("/_sim/metadata/freeze", post(freeze))
        .route("/_sim/metadata/hide", post(hide))
        .route(
            "/_sim/limits",
            get(limits).put(set_limits).delete(no_limits),
        )
        .route("/_sim/subnets/occupy", post(occupy))
        .route("/_sim/subnets/vacate", post(vacate))
        .with_state(sim)
}

/// No instance's metadata service, or only this one's not, learns anything for a while.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Freeze {
    instance: Option<InstanceId>,
    millis: u64,
}

async fn freeze(State(sim): State<Sim>, Json(order): Json<Freeze>) -> Result<StatusCode, Refused> {
    sim.with(|world, now| {
        let until = now + Duration::from_millis(order.millis);
        match &order.instance {
            Some(instance) => world.freeze_metadata(instance, until),
            None => {
                world.freeze_all_metadata(until);
                Ok(())
            }
        }
    })
    .map_err(Refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Metadata leaves out this ENI for a while.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hide {
    eni: EniId,
    millis: u64,
}

async fn hide(State(sim): State<Sim>, Json(order): Json<Hide>) -> Result<StatusCode, Refused> {
    sim.with(|world, now| {
        let until = now + Duration::from_millis(order.millis);
        world.hide_from_metadata(&order.eni, until)
    })
    .map_err(Refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody else takes free addresses of a subnet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Occupy {
    subnet: SubnetId,
    #[serde(flatten)]
    occupation: Occupation,
}

async fn occupy(State(sim): State<Sim>, Json(order): Json<Occupy>) -> Result<Json<Value>, Refused> {
    let taken = sim
        .with(|world, _| world.occupy(&order.subnet, order.occupation))
        .map_err(Refused)?;
    Ok(Json(json!({ "addresses": taken })))
}

/// Somebody else's addresses of a subnet are free again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vacate {
    subnet: SubnetId,
}

async fn vacate(State(sim): State<Sim>, Json(order): Json<Vacate>) -> Result<Json<Value>, Refused> {
    let given = sim
        .with(|world, _| world.vacate(&order.subnet))
        .map_err(Refused)?;
    Ok(Json(json!({ "addresses": given })))
}

/// The rate limits in force; `null` if there are none.
async fn limits(State(sim): State<Sim>) -> Json<Option<RateLimits>> {
    Json(sim.with(|world, _| world.config().rate_limits.clone()))
}

/// Limits calls from now on: `{}` for AWS's defaults.
async fn set_limits(State(sim): State<Sim>, Json(limits): Json<RateLimits>) -> StatusCode {
    sim.with(|world, _| world.set_rate_limits(Some(limits)));
    StatusCode::NO_CONTENT
}

async fn no_limits(State(sim): State<Sim>) -> StatusCode {
    sim.with(|world, _| world.set_rate_limits(None));
    StatusCode::NO_CONTENT
}

struct Refused(ApiError);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(error) = self;
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = json!({ "code": error.code, "message": error.message });
        (status, Json(body)).into_response()
    }
}

async fn world(State(sim): State<Sim>) -> Json<Value> {
    Json(sim.with(|world, _| world.dump()))
}

/// The EC2 actions that are served.
async fn actions() -> Json<Vec<&'static str>> {
    Json(dispatch::actions().collect())
}

async fn calls(State(sim): State<Sim>) -> Json<Calls> {
    Json(sim.calls())
}

async fn call_log(State(sim): State<Sim>) -> Json<Vec<Call>> {
    Json(sim.calls_since(Timestamp::ZERO))
}

async fn faults(State(sim): State<Sim>) -> Json<Value> {
    Json(sim.with_state(|state, _| json!(state.faults.rules())))
}

async fn add_fault(State(sim): State<Sim>, Json(fault): Json<Fault>) -> (StatusCode, Json<Value>) {
    let id = sim.add_fault(fault);
    (StatusCode::CREATED, Json(json!({ "id": id })))
}

async fn clear_faults(State(sim): State<Sim>) -> StatusCode {
    sim.clear_faults();
    StatusCode::NO_CONTENT
}
