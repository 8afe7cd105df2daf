//! The gRPC health service over the daemon's own view of its health.

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::health::{Health, REASON_HEADER, SERVICES};
use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::health_server::Health as HealthService;
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse};
use crate::status::percent_encode;

/// Answers with the latest value of a watch channel.
#[derive(Debug)]
pub(super) struct Service(pub(super) watch::Receiver<Health>);

#[tonic::async_trait]
impl HealthService for Service {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !SERVICES.contains(&service.as_str()) {
            return Err(Status::not_found(format!(
                "service is {service:?}; known: {SERVICES:?}"
            )));
        }
        let health = self.0.borrow().clone();
        let mut response = Response::new(answer(serving_status(&health)));
        if let Health::NotServing { reason } = health
            && let Ok(reason) = MetadataValue::try_from(percent_encode(&reason))
        {
            response.metadata_mut().insert(REASON_HEADER, reason);
        }
        Ok(response)
    }

    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = SERVICES.contains(&request.into_inner().service.as_str());
        let mut health = self.0.clone();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut said = None;
            loop {
                let now = serving_status(&health.borrow_and_update());
                let now = if known {
                    now
                } else {
                    ServingStatus::ServiceUnknown
                };
                if said != Some(now) && sender.send(Ok(answer(now))).await.is_err() {
                    return;
                }
                said = Some(now);
                tokio::select! {
                    changed = health.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

fn serving_status(health: &Health) -> ServingStatus {
    match health {
        Health::Serving => ServingStatus::Serving,
        Health::NotServing { .. } => ServingStatus::NotServing,
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
