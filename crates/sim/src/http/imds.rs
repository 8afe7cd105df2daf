//! The instance metadata service, version 2 only: a session token first, then paths.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use vpc_model::{InstanceId, Timestamp};

use super::{IdentifyBy, Peer, lost_answer};
use crate::Sim;
use crate::fault::METADATA;
use crate::world::Random;

const TOKEN_PATH: &str = "/latest/api/token";
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The longest life of a token: six hours.
const MAX_TTL: u64 = 21_600;

#[derive(Clone)]
struct Service {
    sim: Sim,
    who: IdentifyBy,
    tokens: Arc<Mutex<Tokens>>,
}

struct Tokens {
    random: Random,
    valid: BTreeMap<String, (InstanceId, Timestamp)>,
}

pub(crate) fn router(sim: Sim, who: IdentifyBy) -> Router {
    let seed = sim.with(|world, _| world.config().seed);
    let tokens = Tokens {
        random: Random::new(!seed),
        valid: BTreeMap::new(),
    };
    Router::new().fallback(serve).with_state(Service {
        sim,
        who,
        tokens: Arc::new(Mutex::new(tokens)),
    })
}

async fn serve(
    State(service): State<Service>,
    Peer(peer): Peer,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(instance) = service.instance(peer) else {
        return plain(StatusCode::FORBIDDEN, "no instance has this address");
    };
    let verdict = service
        .sim
        .with_state(|state, _| state.faults.judge(METADATA));
    tokio::time::sleep(verdict.delay).await;
    let response = match verdict.error {
        Some(error) => {
            let status = StatusCode::from_u16(error.status);
            plain(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "")
        }
        None => service.answer(instance, (&method, uri.path()), &headers),
    };
    if verdict.lose_response {
        return lost_answer();
    }
    response
}

impl Service {
    fn answer(
        &self,
        instance: InstanceId,
        (method, path): (&Method, &str),
        headers: &HeaderMap,
    ) -> Response {
        if path == TOKEN_PATH {
            return match *method {
                Method::PUT => self.token(instance, headers),
                _ => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
            };
        }
        if method != Method::GET && method != Method::HEAD {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "");
        }
        if !self.may_read(&instance, headers) {
            return plain(StatusCode::UNAUTHORIZED, "");
        }
        match self.sim.with(|world, now| world.imds(&instance, path, now)) {
            Some(text) => plain(StatusCode::OK, text),
            None => plain(StatusCode::NOT_FOUND, ""),
        }
    }

    fn instance(&self, peer: Option<IpAddr>) -> Option<InstanceId> {
        match &self.who {
            IdentifyBy::Instance(id) => Some(id.clone()),
            IdentifyBy::PeerAddress => match peer? {
                IpAddr::V4(address) => self.sim.with(|world, _| world.instance_at(address)),
                IpAddr::V6(_) => None,
            },
        }
    }

    /// Issues a token. A request that came through a proxy gets none.
    fn token(&self, instance: InstanceId, headers: &HeaderMap) -> Response {
        if headers.contains_key(FORWARDED) {
            return plain(StatusCode::FORBIDDEN, "");
        }
        let ttl = headers
            .get(TTL)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse::<u64>().ok())
            .filter(|ttl| (1..=MAX_TTL).contains(ttl));
        let Some(ttl) = ttl else {
            return plain(StatusCode::BAD_REQUEST, "");
        };
        let now = self.sim.with(|_, now| now);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.valid.retain(|_, (_, until)| *until > now);
        let words: Vec<String> = (0..3)
            .map(|_| format!("{:016x}", tokens.random.next()))
            .collect();
        let token = format!("AQAE{}==", words.concat());
        let until = now + Duration::from_secs(ttl);
        tokens.valid.insert(token.clone(), (instance, until));
        let mut response = plain(StatusCode::OK, token);
        response.headers_mut().insert(TTL, HeaderValue::from(ttl));
        response
    }

    /// Whether the request carries a token that was issued to this instance and is still valid.
    fn may_read(&self, instance: &InstanceId, headers: &HeaderMap) -> bool {
        let now = self.sim.with(|_, now| now);
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let token = headers.get(TOKEN).and_then(|value| value.to_str().ok());
        let found = token.and_then(|token| tokens.valid.get(token));
        found.is_some_and(|(owner, until)| owner == instance && *until > now)
    }
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        (header::SERVER, HeaderValue::from_static("EC2ws")),
    ];
    (status, headers, text.into()).into_response()
}
