//! What the clients of all AWS services share: sign, send, read, and repeat where that is safe.

mod clock;
mod sign;

use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::header::DATE;

use crate::budget::{Budget, Call};
use crate::credentials::{CredentialSource, NoCredentials};
use crate::endpoint::{Api, Endpoint};
use crate::error::{Answer, DecodeError, Error, ErrorKind, TransportError};
use crate::proxy::Proxy;
use crate::retry::{Repeat, RetryPolicy};
use crate::transport::{Deadlines, Reply, Route, Transport, Trust, TrustError};
use clock::{Clock, Signed};

/// No call takes longer, whatever the configuration says; also keeps sums of times in range.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A client of one service of one region. Clones share connections, credentials, budget, and what
/// was learned about the clock.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    api: Api,
    transport: Transport,
    endpoint: Endpoint,
    region: String,
    credentials: CredentialSource,
    retry: RetryPolicy,
    deadline: Duration,
    budget: Budget,
    denied: Option<Denied>,
    clock: Clock,
}

/// How a client talks to its service.
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
    /// The proxy in between, if any; not used for plain HTTP.
    pub proxy: Proxy,
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// How long one try of a call may take. EC2 takes up to ten seconds on a bad day.
    pub timeout: Duration,
    /// How long a call may take with all its tries and all waiting in between.
    pub deadline: Duration,
    /// How often calls may be made. Clients that share it keep to it together.
    pub budget: Budget,
    /// Told each time a permission is missing.
    pub denied: Option<Denied>,
}

/// Hears the IAM action that was missing, such as `ec2:CreateTags`.
#[derive(Clone)]
pub struct Denied(std::sync::Arc<dyn Fn(&str) + Send + Sync>);

impl Denied {
    /// Calls `hear` each time.
    pub fn new(hear: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(hear))
    }

    fn tell(&self, action: &str) {
        (self.0)(action);
    }
}

impl std::fmt::Debug for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Denied")
    }
}

impl ClientConfig {
    /// The usual configuration: the system's certificates, no proxy, 15 s per try, five tries within 60 s, a
    /// budget of its own as large as AWS's.
    #[must_use]
    pub fn new(endpoint: Endpoint, region: &str, credentials: CredentialSource) -> Self {
        Self {
            endpoint,
            region: region.to_owned(),
            credentials,
            trust: Trust::System,
            proxy: Proxy::none(),
            retry: RetryPolicy::EC2,
            timeout: Duration::from_secs(15),
            deadline: Duration::from_secs(60),
            budget: Budget::new(crate::BudgetConfig::WHOLE),
            denied: None,
        }
    }
}

/// One call, ready to be sent.
pub(crate) struct Job<T> {
    /// The action and the bucket it draws on.
    pub(crate) call: Call,
    /// The form.
    pub(crate) body: Bytes,
    /// Whether a repetition does harm.
    pub(crate) repeat: Repeat,
    /// Reads a successful answer's text.
    pub(crate) read: fn(&str) -> Result<T, DecodeError>,
    /// Reads the text of an error answer.
    pub(crate) read_error: fn(&str) -> Result<ErrorDocument, DecodeError>,
}

/// What an error document says; empty where it says nothing.
#[derive(Debug, Default)]
pub(crate) struct ErrorDocument {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) request_id: String,
}

/// What a call has tried so far.
#[derive(Default)]
struct Tries {
    made: u32,
    clock_corrected: bool,
    credentials_replaced: bool,
    signed_with: Option<Credentials>,
}

impl Service {
    /// A client; nothing is sent yet.
    pub(crate) fn new(api: Api, config: ClientConfig) -> Result<Self, TrustError> {
        let trust = if config.endpoint.is_https() {
            config.trust
        } else {
            Trust::Nobody
        };
        let deadlines = Deadlines {
            connect: config.timeout.min(Duration::from_secs(5)),
            exchange: config.timeout,
        };
        let route = Route {
            destination: config.endpoint.as_str(),
            trust: &trust,
            proxy: &config.proxy,
        };
        Ok(Self {
            api,
            transport: Transport::new(route, deadlines)?,
            endpoint: config.endpoint,
            region: config.region,
            credentials: config.credentials,
            retry: config.retry,
            deadline: config.deadline,
            budget: config.budget,
            denied: config.denied,
            clock: Clock::default(),
        })
    }

    /// The budget, for its counts.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// An error of a call to this client's endpoint.
    pub(crate) fn error(&self, action: &str, kind: ErrorKind) -> Error {
        Error::new(action, self.endpoint.as_str(), kind)
    }

    /// Makes one call, repeating it after failures that repetition can help: throttling and
    /// refused connections always, lost answers and AWS's own failures only if that does no harm.
    /// Credentials that AWS refuses are replaced once, a clock that is wrong is corrected once.
    /// Every try waits for its turn in the budget; nothing is begun after the deadline.
    pub(crate) async fn call<T>(&self, job: &Job<T>) -> Result<T, Error> {
        let deadline = Instant::now() + self.deadline.min(LONGEST);
        let action = job.call.action;
        let mut tries = Tries::default();
        let mut failure = None;
        loop {
            let leave = match self.budget.admit(job.call, deadline).await {
                Ok(leave) => leave,
                // Why AWS refused the last try is worth more than that there was no further one.
                Err(over) => {
                    let over = || self.error(action, ErrorKind::OverBudget(over));
                    return Err(failure.unwrap_or_else(over));
                }
            };
            tries.made += 1;
            let result = self.attempt(job, deadline, &mut tries).await;
            let outcome = result.as_ref().map_or_else(|e| e.kind.label(), |_| "ok");
            self.budget.record(&leave, outcome);
            tracing::debug!(action, attempt = tries.made, outcome, "tried");
            let error = match result {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if let (ErrorKind::Unauthorized { action }, Some(denied)) = (&error.kind, &self.denied)
            {
                denied.tell(action);
            }
            let wait = self.wait_before_next(job, &error, &mut tries).await;
            let wait = wait.filter(|wait| Instant::now() + *wait < deadline);
            tracing::debug!(action, attempt = tries.made, ?wait, %error, "failed");
            let Some(wait) = wait else { return Err(error) };
            failure = Some(error);
            tokio::time::sleep(wait).await;
        }
    }

    /// How long to wait before the call is tried again; `None` if that cannot help.
    async fn wait_before_next<T>(
        &self,
        job: &Job<T>,
        error: &Error,
        tries: &mut Tries,
    ) -> Option<Duration> {
        let refused = matches!(
            error.kind,
            ErrorKind::NotAuthenticated | ErrorKind::ExpiredCredentials
        );
        if let ErrorKind::ClockSkew { seconds } = error.kind {
            let first = !std::mem::replace(&mut tries.clock_corrected, true);
            if first {
                tracing::warn!(
                    seconds,
                    "this node's clock is wrong; signing with that of AWS"
                );
                self.clock.correct(seconds);
            }
            return first.then_some(Duration::ZERO);
        }
        if refused && !std::mem::replace(&mut tries.credentials_replaced, true) {
            let used = tries.signed_with.as_ref()?;
            let others = self.credentials.replace(used).await;
            return others.then_some(Duration::ZERO);
        }
        self.retry.next(tries.made, error, job.repeat)
    }

    async fn attempt<T>(
        &self,
        job: &Job<T>,
        deadline: Instant,
        tries: &mut Tries,
    ) -> Result<T, Error> {
        let fail = |kind| self.error(job.call.action, kind);
        let broken = |error| fail(ErrorKind::Transport(error));
        let signed = self.clock.sign_at(SystemTime::now());
        let left = deadline.saturating_duration_since(Instant::now());
        // Others may be waiting for the same provider before us.
        let credentials = tokio::time::timeout(left, self.credentials.current(signed.at())).await;
        let credentials = credentials.unwrap_or_else(|_| Err(NoCredentials::not_within(left)));
        let credentials = credentials.map_err(|error| fail(ErrorKind::Credentials(error)))?;
        tries.signed_with = Some(credentials.clone());
        let request = self.signed(job.body.clone(), credentials, signed.at());
        let request = request.map_err(|e| broken(TransportError::Request(e)))?;
        let left = deadline.saturating_duration_since(Instant::now());
        let reply = self.transport.send(request, left).await.map_err(broken)?;
        self.read(job, &reply, signed)
    }

    fn read<T>(&self, job: &Job<T>, reply: &Reply, signed: Signed) -> Result<T, Error> {
        let action = job.call.action;
        let garbled = |error, text: &str| {
            let answer = answer(reply, None, text);
            let error = self.error(action, ErrorKind::Decode(error));
            error.with_answer(answer)
        };
        let text = match std::str::from_utf8(&reply.body) {
            Ok(text) => text,
            Err(error) => return Err(garbled(DecodeError::NotText(error), "")),
        };
        if reply.status.is_success() {
            return (job.read)(text).map_err(|error| garbled(error, text));
        }
        let document = match (job.read_error)(text) {
            Ok(document) => Some(document),
            // Load balancers and proxies fail with pages of their own; their status tells enough.
            Err(_) if reply.status.is_server_error() || reply.status.as_u16() == 429 => None,
            Err(error) => return Err(garbled(error, text)),
        };
        let answer = answer(reply, document, text);
        let mut kind = ErrorKind::of_answer(&answer, iam_prefix(self.api), action);
        let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
        if let Some(seconds) = date.and_then(|date| signed.skew(&kind, date)) {
            kind = ErrorKind::ClockSkew { seconds };
        }
        Err(self.error(action, kind).with_answer(answer))
    }
}

/// How IAM names an API (service authorization reference).
fn iam_prefix(api: Api) -> &'static str {
    match api {
        Api::Ec2 => "ec2",
        Api::CloudWatch => "cloudwatch",
    }
}

/// What the service said, from the error document, else from the page's beginning.
fn answer(reply: &Reply, document: Option<ErrorDocument>, text: &str) -> Answer {
    let document = document.unwrap_or_else(|| ErrorDocument {
        message: text.to_owned(),
        ..ErrorDocument::default()
    });
    Answer {
        status: reply.status.as_u16(),
        code: document.code,
        message: document.message.trim().chars().take(400).collect(),
        request_id: document.request_id,
    }
}
