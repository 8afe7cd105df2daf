//! The EC2 client: the wire forms on the service's transport.

use bytes::Bytes;
use url::form_urlencoded;

use super::wire::{API_VERSION, ErrorResponse, Request, Response};
use crate::budget::{Budget, Call};
use crate::endpoint::Api;
use crate::error::{DecodeError, Error, ErrorKind};
use crate::retry::Repeat;
use crate::service::{ClientConfig, ErrorDocument, Job, Service};
use crate::transport::TrustError;

/// A client of the EC2 API. Clones share connections, credentials and budget.
#[derive(Debug, Clone)]
pub struct Client {
    service: Service,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// Certificate authorities that cannot be loaded, for an `https` endpoint.
    pub fn new(config: ClientConfig) -> Result<Self, TrustError> {
        Service::new(Api::Ec2, config).map(|service| Self { service })
    }

    /// The budget, for its counts.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        self.service.budget()
    }

    /// Makes one call, repeating it after failures that repetition can help: throttling and
    /// refused connections always, lost answers and EC2's own failures only if `repeat` says that
    /// twice does no harm. Credentials that EC2 refuses are replaced once, a clock that is wrong is
    /// corrected once. Every try waits for its turn in the budget; nothing is begun after the
    /// deadline.
    ///
    /// # Errors
    /// The last try's failure; [`ErrorKind::OverBudget`] if there was no try.
    pub async fn call<R: Request>(
        &self,
        request: &R,
        repeat: Repeat,
    ) -> Result<R::Response, Error> {
        let params = request.to_params();
        let job = Job {
            call: Call::of(R::ACTION, &params),
            body: Bytes::from(form::<R>(&params)),
            repeat,
            read: |text| {
                let response = R::Response::from_xml(text);
                response.map_err(|error| DecodeError::of_document(error, text))
            },
            read_error,
        };
        self.service.call(&job).await
    }

    /// An error of a call to this client's endpoint.
    pub(super) fn error(&self, action: &str, kind: ErrorKind) -> Error {
        self.service.error(action, kind)
    }
}

fn form<R: Request>(params: &[(String, String)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", R::ACTION)
        .append_pair("Version", API_VERSION);
    form.extend_pairs(params).finish()
}

fn read_error(text: &str) -> Result<ErrorDocument, DecodeError> {
    let document = ErrorResponse::from_xml(text);
    let document = document.map_err(|error| DecodeError::of_document(error, text))?;
    let error = document.errors.error.into_iter().next().unwrap_or_default();
    Ok(ErrorDocument {
        code: error.code.unwrap_or_default(),
        message: error.message.unwrap_or_default(),
        request_id: document.request_id.unwrap_or_default(),
    })
}
