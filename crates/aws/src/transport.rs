//! One HTTP exchange: request out, whole answer in, with a deadline. Knows nothing of AWS.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::TransportError;
use crate::proxy::Proxy;

/// The longest answer that is read. A page of 1000 full ENIs is about 15 MB.
const MAX_ANSWER: usize = 64 << 20;

/// An idle connection is closed after this long: at rest, nothing is held open.
const IDLE: Duration = Duration::from_secs(20);

/// How this program introduces itself.
pub(crate) const USER_AGENT: &str = concat!("vpc-cni/", env!("CARGO_PKG_VERSION"));

/// Whose certificates are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those of the certificate authorities that the system trusts (`SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` are honoured).
    System,
    /// Only those of the certificate authorities in this PEM file (`AWS_CA_BUNDLE`).
    Bundle(PathBuf),
    /// None: the connection is plain HTTP.
    Nobody,
}

impl Trust {
    /// The authorities of the file that `AWS_CA_BUNDLE` names, else the system's. `vars` looks a
    /// variable up; empty counts as unset.
    #[must_use]
    pub fn from_vars(vars: impl Fn(&str) -> Option<String>) -> Self {
        let bundle = vars("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
        bundle.map_or(Trust::System, |path| Trust::Bundle(path.into()))
    }
}

/// Certificate authorities that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The system has no usable certificates.
    #[error("no certificate authorities found: install the package ca-certificates")]
    System(#[source] std::io::Error),
    /// The bundle cannot be read.
    #[error("cannot read the certificate authorities in {}", path.display())]
    Bundle {
        /// The file that `AWS_CA_BUNDLE` names.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The bundle has no certificate in it.
    #[error("there is no certificate in {}", path.display())]
    EmptyBundle {
        /// The file that `AWS_CA_BUNDLE` names.
        path: PathBuf,
    },
    /// TLS itself cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// A connection pool and its deadlines.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    connections: Connections,
    timeout: Duration,
}

/// How connections are made. A transport has one destination, so one way does.
#[derive(Debug, Clone)]
enum Connections {
    Direct(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    Tunnelled(Client<HttpsConnector<Tunnel<HttpConnector>>, Full<Bytes>>),
}

/// Where a transport leads, and over what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route<'a> {
    /// The address of all requests.
    pub(crate) destination: &'a str,
    /// Whose certificates are accepted.
    pub(crate) trust: &'a Trust,
    /// What may be in between.
    pub(crate) proxy: &'a Proxy,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// The TCP connection.
    pub(crate) connect: Duration,
    /// The whole exchange.
    pub(crate) exchange: Duration,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Transport {
    pub(crate) fn new(route: Route<'_>, deadlines: Deadlines) -> Result<Self, TrustError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(deadlines.connect));
        let tls = tls(route.trust)?.https_or_http().enable_http1();
        let destination = route.destination.parse().ok();
        let proxy = destination.and_then(|destination| route.proxy.intercept(&destination));
        let connections = match proxy {
            None => Connections::Direct(pool().build(tls.wrap_connector(tcp))),
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                if let Some(password) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(password.clone());
                }
                Connections::Tunnelled(pool().build(tls.wrap_connector(tunnel)))
            }
        };
        Ok(Self {
            connections,
            timeout: deadlines.exchange,
        })
    }

    /// Sends a request and reads the answer to its end, within the transport's own deadline and
    /// `left`. A pooled connection that turns out to be closed before anything was sent is
    /// replaced silently.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        left: Duration,
    ) -> Result<Reply, TransportError> {
        let timeout = self.timeout.min(left);
        match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(TransportError::Timeout(timeout)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, TransportError> {
        let answer = match &self.connections {
            Connections::Direct(client) => client.request(request).await,
            Connections::Tunnelled(client) => client.request(request).await,
        };
        let answer = answer.map_err(|error| {
            if is_tls(&error) {
                TransportError::Tls(error)
            } else if error.is_connect() {
                TransportError::Connect(error)
            } else {
                TransportError::Exchange(error)
            }
        })?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(TransportError::Body)?;
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }
}

fn pool() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(4);
    builder
}

/// Whether TLS itself failed while connecting, not the network below it.
fn is_tls(error: &hyper_util::client::legacy::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An I/O error hides what it carries: its source is that of its content.
        let content = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        cause = match content {
            Some(content) => Some(content),
            None => error.source(),
        };
    }
    false
}

type Schemes = HttpsConnectorBuilder<hyper_rustls::builderstates::WantsSchemes>;

fn tls(trust: &Trust) -> Result<Schemes, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = match trust {
        Trust::System => {
            return HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(provider)
                .map_err(TrustError::System);
        }
        Trust::Bundle(path) => bundle(path)?,
        Trust::Nobody => RootCertStore::empty(),
    };
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config))
}

/// The certificates of a PEM file.
pub(crate) fn bundle(path: &Path) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let read = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<CertificateDer<'_>>, _>>);
    let path = || path.to_owned();
    let certificates = read.map_err(|source| TrustError::Bundle {
        path: path(),
        source,
    })?;
    let (accepted, _ignored) = roots.add_parsable_certificates(certificates);
    if accepted == 0 {
        Err(TrustError::EmptyBundle { path: path() })
    } else {
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_a_certificate_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.pem");
        let error = bundle(&path).unwrap_err();
        assert!(matches!(error, TrustError::Bundle { .. }), "{error}");
        std::fs::write(&path, "no certificate\n").unwrap();
        let error = bundle(&path).unwrap_err();
        assert!(error.to_string().contains("bundle.pem"), "{error}");
        assert!(matches!(error, TrustError::EmptyBundle { .. }), "{error}");
    }
}
