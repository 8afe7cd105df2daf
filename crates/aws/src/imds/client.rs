//! The IMDS client: token, GET, repeat, parse. Version 1 is never used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use http_body_util::Full;
use ipnet::Ipv4Net;
use tokio::sync::Mutex;
use url::Url;
use vpc_model::{DeviceIndex, MacAddress, NetworkCard};

use super::token::Token;
use super::{Imds, ImdsEni, InstanceIdentity, parse};
use crate::ec2::EndpointError;
use crate::error::{Answer, DecodeError, Error, ErrorKind, TransportError};
use crate::proxy::Proxy;
use crate::retry::{Repeat, RetryPolicy};
use crate::transport::{Deadlines, Reply, Route, Transport, Trust, TrustError};

/// Where IMDS is on every instance (EC2 user guide, "Access instance metadata").
pub const DEFAULT_ENDPOINT: &str = "http://169.254.169.254";

const ENDPOINT_VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TOKEN_TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");

/// Everything the client needs to know.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Where IMDS is.
    pub endpoint: Url,
    /// How long a token is asked for; 1 s to 6 h.
    pub token_ttl: Duration,
    /// How requests are repeated.
    pub retry: RetryPolicy,
    /// How long one request may take.
    pub timeout: Duration,
}

impl ClientConfig {
    /// The endpoint that `AWS_EC2_METADATA_SERVICE_ENDPOINT` names, else the usual one; tokens for
    /// 6 h; 1 s a request, four tries.
    ///
    /// # Errors
    /// A variable that is not an `http` URL.
    pub fn from_vars(vars: impl Fn(&str) -> Option<String>) -> Result<Self, EndpointError> {
        let value = vars(ENDPOINT_VARIABLE).filter(|value| !value.is_empty());
        let value = value.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        match Url::parse(&value) {
            Ok(endpoint) if endpoint.scheme() == "http" && endpoint.has_host() => Ok(Self {
                endpoint,
                token_ttl: Duration::from_secs(6 * 3600),
                retry: RetryPolicy::IMDS,
                timeout: Duration::from_secs(1),
            }),
            Ok(_) | Err(_) => Err(EndpointError {
                origin: ENDPOINT_VARIABLE.to_owned(),
                value,
            }),
        }
    }
}

/// A client of IMDSv2. Clones share the connection and the token.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    endpoint: String,
    token_ttl: Duration,
    token: Arc<Mutex<Option<Token>>>,
    retry: RetryPolicy,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// Never, as long as the connection is plain HTTP; the type is that of all transports.
    pub fn new(config: &ClientConfig) -> Result<Self, TrustError> {
        let deadlines = Deadlines {
            connect: config.timeout,
            exchange: config.timeout,
        };
        let route = Route {
            destination: config.endpoint.as_str(),
            trust: &Trust::Nobody,
            proxy: &Proxy::none(),
        };
        Ok(Self {
            transport: Transport::new(route, deadlines)?,
            endpoint: config.endpoint.as_str().trim_end_matches('/').to_owned(),
            token_ttl: config.token_ttl,
            token: Arc::default(),
            retry: config.retry,
        })
    }

    /// The text of a leaf or listing below `/latest/meta-data/`; `None` if there is none (404).
    ///
    /// # Errors
    /// IMDS cannot be reached, refuses, or keeps failing.
    pub async fn get(&self, path: &str) -> Result<Option<String>, Error> {
        let path = format!("/latest/meta-data/{path}");
        let mut renewed = false;
        let mut attempt = 1;
        loop {
            let error = match self.try_get(&path).await {
                Ok(text) => return Ok(text),
                Err(error) => error,
            };
            // A token that IMDS no longer knows (it restarted, the instance was hibernated).
            if matches!(error.kind, ErrorKind::NotAuthenticated) && !renewed {
                renewed = true;
                *self.token.lock().await = None;
                continue;
            }
            let Some(wait) = self.retry.next(attempt, &error, Repeat::Harmless) else {
                return Err(error);
            };
            tracing::debug!(path, attempt, ?wait, %error, "IMDS request failed");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn try_get(&self, path: &str) -> Result<Option<String>, Error> {
        let token = self.token().await?;
        let reply = self.send(Method::GET, path, (TOKEN, token)).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let reply = self.success(&Method::GET, path, reply)?;
        match String::from_utf8(reply.body.into()) {
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                let kind = ErrorKind::Decode(DecodeError::NotText(error.utf8_error()));
                Err(self.error(&Method::GET, path, kind))
            }
        }
    }

    /// The token in use, or a new one. The lock is kept while one is fetched, so that parallel
    /// requests share it.
    async fn token(&self) -> Result<HeaderValue, Error> {
        const PATH: &str = "/latest/api/token";
        let mut held = self.token.lock().await;
        if let Some(value) = held.as_ref().and_then(|token| token.valid(Instant::now())) {
            return Ok(value);
        }
        let ttl = HeaderValue::from(self.token_ttl.as_secs());
        let now = Instant::now();
        let reply = self.send(Method::PUT, PATH, (TOKEN_TTL, ttl)).await?;
        let reply = self.success(&Method::PUT, PATH, reply)?;
        let granted = reply
            .headers
            .get(TOKEN_TTL)
            .and_then(|value| value.to_str().ok());
        let granted = granted
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        let value = HeaderValue::from_maybe_shared(reply.body).map_err(|_| {
            let error = DecodeError::Missing {
                field: "session token",
            };
            self.error(&Method::PUT, PATH, ErrorKind::Decode(error))
        })?;
        *held = Some(Token::new(
            value.clone(),
            granted.unwrap_or(self.token_ttl),
            now,
        ));
        Ok(value)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        header: (HeaderName, HeaderValue),
    ) -> Result<Reply, Error> {
        let broken = |error| self.error(&method, path, ErrorKind::Transport(error));
        let request = http::Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.endpoint))
            .header(header.0, header.1)
            .header(USER_AGENT, crate::transport::USER_AGENT)
            .body(Full::<Bytes>::default())
            .map_err(|error| broken(TransportError::Request(Box::new(error))))?;
        let sent = self.transport.send(request, Duration::MAX).await;
        sent.map_err(broken)
    }

    fn success(&self, method: &Method, path: &str, reply: Reply) -> Result<Reply, Error> {
        let kind = match reply.status.as_u16() {
            200..=299 => return Ok(reply),
            401 => ErrorKind::NotAuthenticated,
            404 => ErrorKind::NotFound,
            429 => ErrorKind::Throttled,
            500..=599 => ErrorKind::Server,
            status => ErrorKind::Other {
                code: format!("HTTP {status}"),
            },
        };
        let message = match reply.status {
            StatusCode::FORBIDDEN => "IMDS is switched off for this instance: switch it on",
            _ => "",
        };
        Err(self.error(method, path, kind).with_answer(Answer {
            status: reply.status.as_u16(),
            code: String::new(),
            message: message.to_owned(),
            request_id: String::new(),
        }))
    }

    fn error(&self, method: &Method, path: &str, kind: ErrorKind) -> Error {
        Error::new(&format!("{method} {path}"), &self.endpoint, kind)
    }

    /// A leaf's text through a parser; `None` if there is no such leaf.
    async fn leaf<T>(
        &self,
        path: &str,
        parser: impl FnOnce(&str) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.get(path).await? else {
            return Ok(None);
        };
        parser(&text).map(Some).map_err(|error| {
            let path = format!("/latest/meta-data/{path}");
            self.error(&Method::GET, &path, ErrorKind::Decode(error))
        })
    }

    /// A leaf that every instance has.
    async fn fact<T: std::str::FromStr>(&self, leaf: &'static str) -> Result<T, Error> {
        let found = self.leaf(leaf, |text| parse::one(leaf, text)).await?;
        found.ok_or_else(|| {
            self.error(
                &Method::GET,
                &format!("/latest/meta-data/{leaf}"),
                ErrorKind::NotFound,
            )
        })
    }

    /// One leaf of an ENI.
    async fn of_eni<T>(
        &self,
        mac: MacAddress,
        leaf: &'static str,
        parser: impl FnOnce(&'static str, &str) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, Error> {
        let path = format!("network/interfaces/macs/{mac}/{leaf}");
        self.leaf(&path, |text| parser(leaf, text)).await
    }

    /// An ENI's entry; `None` if a leaf is missing that every complete entry has.
    async fn eni(&self, mac: MacAddress, primary: MacAddress) -> Result<Option<ImdsEni>, Error> {
        let Some(id) = self.of_eni(mac, "interface-id", parse::one).await? else {
            return Ok(None);
        };
        let Some(device) = self.of_eni(mac, "device-number", parse::one).await? else {
            return Ok(None);
        };
        let Some(subnet) = self.of_eni(mac, "subnet-id", parse::one).await? else {
            return Ok(None);
        };
        let card = self.of_eni(mac, "network-card", parse::one).await?;
        let addresses = self.of_eni(mac, "local-ipv4s", parse::lines).await?;
        let prefixes = self.of_eni(mac, "ipv4-prefix", parse::lines).await?;
        let groups = self.of_eni(mac, "security-group-ids", parse::lines).await?;
        Ok(Some(ImdsEni {
            mac,
            id,
            device: DeviceIndex(if mac == primary { 0 } else { device }),
            card: NetworkCard(card.unwrap_or(0)),
            addresses: addresses.unwrap_or_default(),
            prefixes: prefixes.unwrap_or_default(),
            subnet,
            subnet_cidr: self
                .of_eni(mac, "subnet-ipv4-cidr-block", parse::one)
                .await?,
            security_groups: groups.unwrap_or_default(),
        }))
    }
}

impl Imds for Client {
    async fn instance(&self) -> Result<InstanceIdentity, Error> {
        let primary_mac: MacAddress = self.fact("mac").await?;
        let vpc = self.of_eni(primary_mac, "vpc-id", parse::one).await?;
        let vpc = vpc.ok_or_else(|| {
            let path = format!("/latest/meta-data/network/interfaces/macs/{primary_mac}/vpc-id");
            self.error(&Method::GET, &path, ErrorKind::NotFound)
        })?;
        Ok(InstanceIdentity {
            instance_id: self.fact("instance-id").await?,
            instance_type: self.fact("instance-type").await?,
            region: self.fact("placement/region").await?,
            availability_zone: self.fact("placement/availability-zone").await?,
            vpc,
            primary_mac,
            local_ipv4: self.fact("local-ipv4").await?,
        })
    }

    async fn enis(&self) -> Result<Vec<ImdsEni>, Error> {
        let primary: MacAddress = self.fact("mac").await?;
        let macs = self
            .leaf("network/interfaces/macs/", parse::macs)
            .await?
            .unwrap_or_default();
        let mut enis = Vec::with_capacity(macs.len());
        for mac in macs {
            match self.eni(mac, primary).await? {
                Some(eni) => enis.push(eni),
                None => tracing::debug!(%mac, "IMDS shows this ENI in part only, left out"),
            }
        }
        enis.sort_by_key(|eni| (eni.card, eni.device, eni.mac));
        Ok(enis)
    }

    async fn vpc_cidrs(&self) -> Result<Vec<Ipv4Net>, Error> {
        let primary: MacAddress = self.fact("mac").await?;
        let cidrs = self
            .of_eni(primary, "vpc-ipv4-cidr-blocks", parse::lines)
            .await?;
        Ok(cidrs.unwrap_or_default())
    }
}
