//! A small HTTP server for pages that are read only: a bounded number of connections, each one
//! request and a bounded time, so that nobody can hold the daemon up.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use vpc_model::settings::BindAddress;
use vpc_rpc::server::Identity;

use crate::report::chain;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 16;

/// How long one connection may take, from its acceptance to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pauses between two tries to open the port, the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The path, without the query.
    pub path: String,
    /// Whether the caller is a browser.
    pub wants_html: bool,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body's type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    /// What was asked for.
    #[must_use]
    pub fn found(content_type: &'static str, body: String) -> Self {
        Self {
            status: StatusCode::OK,
            content_type,
            body,
        }
    }

    /// There is no such thing; where there is something.
    #[must_use]
    pub fn missing(text: &str) -> Self {
        Self::plain(StatusCode::NOT_FOUND, text)
    }

    /// It cannot be answered now.
    #[must_use]
    pub fn unavailable(text: &str) -> Self {
        Self::plain(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// A line of text.
    #[must_use]
    pub fn plain(status: StatusCode, text: &str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{text}\n"),
        }
    }
}

/// What a server shows.
pub trait Page: Send + Sync + 'static {
    /// The answer to a GET.
    fn answer(&self, question: Question) -> impl Future<Output = Answer> + Send;
}

/// An open port.
#[derive(Debug)]
pub struct Port(Listener);

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, Identity, PathBuf),
}

/// A port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct OpenError {
    address: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Port {
    /// Opens a port. A unix socket can be opened by its owner alone.
    ///
    /// # Errors
    /// Somebody else has it, or there is no such address here.
    pub async fn open(address: &BindAddress) -> Result<Self, OpenError> {
        let opened = match address {
            BindAddress::Tcp(tcp) => match TcpListener::bind(tcp).await {
                Ok(listener) => Ok(Listener::Tcp(listener)),
                Err(error) => Err(error.into()),
            },
            BindAddress::Unix(path) => match vpc_rpc::server::listen(path) {
                Ok((listener, file)) => Ok(Listener::Unix(listener, file, path.clone())),
                Err(error) => Err(error.into()),
            },
        };
        opened.map(Self).map_err(|source| OpenError {
            address: match address {
                BindAddress::Tcp(tcp) => tcp.to_string(),
                BindAddress::Unix(path) => path.display().to_string(),
            },
            source,
        })
    }

    /// The address, of a port that has one.
    #[must_use]
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        match &self.0 {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(..) => None,
        }
    }

    /// Whether only programs on this machine reach it by TCP. A browser is one of them, and a page
    /// from anywhere can make it ask.
    fn is_loopback(&self) -> bool {
        self.address().is_some_and(|own| own.ip().is_loopback())
    }

    /// Answers until `until` completes.
    pub async fn serve<P: Page>(self, page: Arc<P>, until: impl Future<Output = ()>) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let local_names_only = self.is_loopback();
        let accepting = async {
            loop {
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                    return;
                };
                let page = Arc::clone(&page);
                let accepted = match &self.0 {
                    Listener::Tcp(tcp) => tcp.accept().await.map(|(stream, _)| {
                        tokio::spawn(async move {
                            converse(stream, page, local_names_only).await;
                            drop(permit);
                        });
                    }),
                    Listener::Unix(unix, ..) => unix.accept().await.map(|(stream, _)| {
                        tokio::spawn(async move {
                            converse(stream, page, false).await;
                            drop(permit);
                        });
                    }),
                };
                if let Err(error) = accepted {
                    // No more files can be opened, perhaps: the next try must not come at once.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSES.0).await;
                }
            }
        };
        tokio::select! {
            () = accepting => {}
            () = until => {}
        }
        if let Listener::Unix(_, file, path) = &self.0 {
            file.remove(path);
        }
    }
}

/// Opens a port and answers until `until` completes. Nothing depends on these pages, so a port that
/// cannot be opened is tried again, later and later.
pub async fn serve<P: Page>(
    what: &'static str,
    address: &BindAddress,
    page: P,
    until: impl Future<Output = ()>,
) {
    tokio::pin!(until);
    let mut pause = PAUSES.0;
    let port = loop {
        let error = match Port::open(address).await {
            Ok(port) => break port,
            Err(error) => error,
        };
        tracing::warn!(what, error = chain(&error), again_in = ?pause, "not served");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = &mut until => return,
        }
        pause = (pause * 2).min(PAUSES.1);
    };
    tracing::info!(what, ?address, "served");
    port.serve(Arc::new(page), until).await;
}

async fn converse<P: Page>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    page: Arc<P>,
    local_names_only: bool,
) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let page = Arc::clone(&page);
        async move {
            let answer = answer(&*page, &request, local_names_only).await;
            Ok::<_, Infallible>(response(answer))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever is too slow or hangs up is no news.
    let _ = tokio::time::timeout(PATIENCE, connection).await;
}

async fn answer<P: Page, B: Sync>(
    page: &P,
    request: &Request<B>,
    local_names_only: bool,
) -> Answer {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Answer::plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered");
    }
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if local_names_only && !header(HOST).is_none_or(is_local) {
        let text = "ask by an address or as localhost: a page from elsewhere must not read this";
        return Answer::plain(StatusCode::FORBIDDEN, text);
    }
    let question = Question {
        path: request.uri().path().to_owned(),
        wants_html: header(ACCEPT).is_some_and(|accepted| accepted.contains("text/html")),
    };
    page.answer(question).await
}

/// Whether a browser that asks for this host was told to by a person or by a page of ours: a name
/// that somebody else's DNS makes point here is neither.
fn is_local(host: &str) -> bool {
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => bare,
        _ => host,
    };
    let bare = bare.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok()
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Echo;

    impl Page for Echo {
        async fn answer(&self, question: Question) -> Answer {
            let body = format!("{} {}", question.path, question.wants_html);
            Answer::found("text/plain", body)
        }
    }

    async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn over_tcp(request: &str) -> String {
        let address = BindAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let port = Port::open(&address).await.unwrap();
        let own = port.address().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(port.serve(Arc::new(Echo), async move {
            let _ = stopped.await;
        }));
        let mut stream = tokio::net::TcpStream::connect(own).await.unwrap();
        let answer = ask(&mut stream, request).await;
        stop.send(()).unwrap();
        serving.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_browser_is_told_from_a_program_and_the_query_is_left_out() {
        let html = "GET /a?b HTTP/1.1\r\nHost: localhost:1\r\nAccept: text/html,*/*\r\n\r\n";
        assert!(over_tcp(html).await.ends_with("\r\n\r\n/a true"));
        let plain = "GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n";
        assert!(over_tcp(plain).await.ends_with("\r\n\r\n/a false"));
    }

    #[tokio::test]
    async fn nothing_can_be_changed_and_foreign_names_are_refused_on_loopback() {
        let post = over_tcp("POST /a HTTP/1.1\r\nHost: [::1]:5\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
        let foreign = over_tcp("GET / HTTP/1.1\r\nHost: evil.example:61679\r\n\r\n").await;
        assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
    }

    #[tokio::test]
    async fn a_unix_socket_is_the_owners_alone_and_goes_away_in_the_end() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("introspection.sock");
        let port = Port::open(&BindAddress::Unix(path.clone())).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(port.serve(Arc::new(Echo), async move {
            let _ = stopped.await;
        }));
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let answer = ask(&mut stream, "GET /x HTTP/1.1\r\nHost: node\r\n\r\n").await;
        assert!(answer.ends_with("/x false"), "{answer}");
        stop.send(()).unwrap();
        serving.await.unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_port_that_somebody_has_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = listener.local_addr().unwrap();
        let error = Port::open(&BindAddress::Tcp(taken)).await.unwrap_err();
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
}
