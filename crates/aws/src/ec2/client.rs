//! The EC2 client: encode, sign, send, decode, repeat where that is safe.

use std::time::{Duration, Instant, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http_body_util::Full;
use url::form_urlencoded;

use super::Endpoint;
use super::wire::{API_VERSION, ErrorResponse, Request, Response};
use crate::credentials::CredentialSource;
use crate::error::{Answer, DecodeError, Error, ErrorKind, TransportError};
use crate::retry::{Repeat, RetryPolicy};
use crate::transport::{Deadlines, Reply, Transport, Trust, TrustError};

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Everything the client needs to know.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Where requests go.
    pub endpoint: Endpoint,
    /// The region that signatures are for.
    pub region: String,
    /// What requests are signed with.
    pub credentials: CredentialSource,
    /// Whose certificates are accepted; not used for plain HTTP.
    pub trust: Trust,
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// How long one try of a call may take. EC2 takes up to ten seconds on a bad day.
    pub timeout: Duration,
}

impl ClientConfig {
    /// The usual configuration: the system's certificates, 15 s per try, five tries.
    #[must_use]
    pub fn new(endpoint: Endpoint, region: &str, credentials: CredentialSource) -> Self {
        Self {
            endpoint,
            region: region.to_owned(),
            credentials,
            trust: Trust::System,
            retry: RetryPolicy::EC2,
            timeout: Duration::from_secs(15),
        }
    }
}

/// A client of the EC2 API. Clones share connections and credentials.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    endpoint: Endpoint,
    region: String,
    credentials: CredentialSource,
    retry: RetryPolicy,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// Certificate authorities that cannot be loaded, for an `https` endpoint.
    pub fn new(config: ClientConfig) -> Result<Self, TrustError> {
        let trust = if config.endpoint.is_https() {
            config.trust
        } else {
            Trust::Nobody
        };
        let deadlines = Deadlines {
            connect: config.timeout.min(Duration::from_secs(5)),
            exchange: config.timeout,
        };
        Ok(Self {
            transport: Transport::new(&trust, deadlines)?,
            endpoint: config.endpoint,
            region: config.region,
            credentials: config.credentials,
            retry: config.retry,
        })
    }

    /// Makes one call, repeating it after failures that repetition can help: throttling and
    /// refused connections always, lost answers and EC2's own failures only if `repeat` says that
    /// twice does no harm. Credentials that EC2 refuses are renewed once.
    ///
    /// # Errors
    /// The last try's failure.
    pub async fn call<R: Request>(
        &self,
        request: &R,
        repeat: Repeat,
    ) -> Result<R::Response, Error> {
        let body = Bytes::from(form(request));
        let mut renewed = false;
        let mut attempt = 1;
        loop {
            let start = Instant::now();
            let error = match self.attempt::<R>(body.clone()).await {
                Ok(response) => {
                    tracing::debug!(action = R::ACTION, attempt, elapsed = ?start.elapsed(), "done");
                    return Ok(response);
                }
                Err(error) => error,
            };
            if matches!(error.kind, ErrorKind::NotAuthenticated) && !renewed {
                renewed = true;
                self.credentials.forget().await;
                continue;
            }
            let wait = self.retry.next(attempt, &error, repeat);
            tracing::debug!(action = R::ACTION, attempt, ?wait, %error, "failed");
            let Some(wait) = wait else { return Err(error) };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt<R: Request>(&self, body: Bytes) -> Result<R::Response, Error> {
        let fail = |kind| self.error(R::ACTION, kind);
        let broken = |error| fail(ErrorKind::Transport(error));
        let now = SystemTime::now();
        let credentials = self.credentials.current(now).await;
        let credentials = credentials.map_err(|e| fail(ErrorKind::Credentials(Box::new(e))))?;
        let request = self.signed(body, &credentials.into(), now);
        let request = request.map_err(|e| broken(TransportError::Request(e)))?;
        let reply = self.transport.send(request).await.map_err(broken)?;
        self.decode::<R>(&reply)
    }

    /// An error of a call to this client's endpoint.
    pub(super) fn error(&self, action: &str, kind: ErrorKind) -> Error {
        Error::new(action, self.endpoint.as_str(), kind)
    }

    fn signed(
        &self,
        body: Bytes,
        identity: &Identity,
        now: SystemTime,
    ) -> Result<http::Request<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let host = self.endpoint.authority();
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(&self.region)
            .name("ec2")
            .time(now)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [
            (CONTENT_TYPE.as_str(), FORM),
            (HOST.as_str(), host.as_str()),
        ];
        let signable = SignableRequest::new(
            "POST",
            self.endpoint.as_str(),
            headers.into_iter(),
            SignableBody::Bytes(&body),
        )?;
        let (instructions, _signature) = sign(signable, &params)?.into_parts();
        let mut request = http::Request::post(self.endpoint.as_str())
            .header(CONTENT_TYPE, FORM)
            .header(HOST, host)
            .header(USER_AGENT, crate::transport::USER_AGENT)
            .body(Full::new(body))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    fn decode<R: Request>(&self, reply: &Reply) -> Result<R::Response, Error> {
        let garbled = |error, text: &str| {
            let error = self.error(R::ACTION, ErrorKind::Decode(error));
            error.with_answer(answer(reply, None, text))
        };
        let text = match std::str::from_utf8(&reply.body) {
            Ok(text) => text,
            Err(error) => return Err(garbled(DecodeError::NotText(error), "")),
        };
        if reply.status.is_success() {
            return R::Response::from_xml(text)
                .map_err(|error| garbled(DecodeError::Xml(Box::new(error)), text));
        }
        match ErrorResponse::from_xml(text) {
            Ok(document) => {
                let answer = answer(reply, Some(document), text);
                Err(Error::from_answer(
                    R::ACTION,
                    self.endpoint.as_str(),
                    answer,
                ))
            }
            // Load balancers and proxies fail with pages of their own; their status tells enough.
            Err(_) if reply.status.is_server_error() || reply.status.as_u16() == 429 => {
                let answer = answer(reply, None, text);
                Err(Error::from_answer(
                    R::ACTION,
                    self.endpoint.as_str(),
                    answer,
                ))
            }
            Err(error) => Err(garbled(DecodeError::Xml(Box::new(error)), text)),
        }
    }
}

fn form<R: Request>(request: &R) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", R::ACTION)
        .append_pair("Version", API_VERSION);
    form.extend_pairs(request.to_params()).finish()
}

/// What the service said, from the error document, else from the page's beginning.
fn answer(reply: &Reply, document: Option<ErrorResponse>, text: &str) -> Answer {
    let request_id = document
        .as_ref()
        .and_then(|document| document.request_id.clone());
    let error = document.and_then(|document| document.errors.error.into_iter().next());
    let (code, message) = match error {
        Some(error) => (
            error.code.unwrap_or_default(),
            error.message.unwrap_or_default(),
        ),
        None => (String::new(), text.to_owned()),
    };
    Answer {
        status: reply.status.as_u16(),
        code,
        message: message.trim().chars().take(400).collect(),
        request_id: request_id.unwrap_or_default(),
    }
}
