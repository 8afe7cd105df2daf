//! A look behind the scenes for tests and people; not part of AWS.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::Sim;
use crate::calls::Calls;
use crate::fault::Fault;

pub(crate) fn router(sim: Sim) -> Router {
    Router::new()
        .route("/_sim/world", get(world))
        .route("/_sim/calls", get(calls))
        .route(
            "/_sim/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .with_state(sim)
}

async fn world(State(sim): State<Sim>) -> Json<Value> {
    Json(sim.with(|world, _| world.dump()))
}

async fn calls(State(sim): State<Sim>) -> Json<Calls> {
    Json(sim.calls())
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
