//! Whether the daemon can serve, asked and answered over the gRPC health protocol.
//!
//! The protocol knows no reasons. Ours travels beside the answer in a header that other clients
//! ignore, so that CNI STATUS can say why.

use std::path::Path;
use std::time::Duration;

use crate::client::{self, CallError, Method};
use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse};
use crate::status::percent_decode;

/// The names under which the daemon's health can be asked for: the server as a whole, and the one
/// upstream's probes use.
pub const SERVICES: [&str; 2] = ["", "grpc.health.v1.aws-node"];

/// Header of a health answer that carries the reason, percent-encoded.
pub(crate) const REASON_HEADER: &str = "vpc-cni-reason";

const CHECK: Method<HealthCheckRequest, HealthCheckResponse> =
    Method::new("/grpc.health.v1.Health/Check");

/// Whether the daemon can serve ADD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// It can.
    Serving,
    /// It answers, but cannot.
    NotServing {
        /// Why, as text for an operator; empty when the daemon (upstream's, say) gives none.
        reason: String,
    },
}

/// Asks the daemon behind `socket` whether it can serve.
///
/// # Errors
/// No answer within `deadline`; see [`CallError`].
pub fn check(socket: &Path, deadline: Duration) -> Result<Health, CallError> {
    client::block_on(check_async(socket, deadline))
}

/// [`check`] for callers that run in a tokio runtime.
///
/// # Errors
/// As [`check`].
pub async fn check_async(socket: &Path, deadline: Duration) -> Result<Health, CallError> {
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let answer = client::exchange(socket, CHECK, &request, deadline).await?;
    Ok(match answer.message.status() {
        ServingStatus::Serving => Health::Serving,
        ServingStatus::Unknown | ServingStatus::NotServing | ServingStatus::ServiceUnknown => {
            let reason = answer.headers.get(REASON_HEADER);
            Health::NotServing {
                reason: reason
                    .map(|text| percent_decode(text.as_bytes()))
                    .unwrap_or_default(),
            }
        }
    })
}
