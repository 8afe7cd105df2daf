//! A server that tells each caller which address it sees, and its client, over TCP and UDP.
//!
//! This is how address translation is measured: what the other end sees is the truth.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use super::Error;
use super::namespace::within;

/// The port every server listens on, TCP and UDP.
pub const PORT: u16 = 7777;

/// How long a client waits for a connection and for an answer.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Which protocol to ask over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// A connection, one line back.
    Tcp,
    /// One datagram each way.
    Udp,
}

/// A running server in one namespace; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    callers: Arc<Mutex<Vec<Ipv4Addr>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Server {
    /// Listens on [`PORT`] on every address of the namespace.
    ///
    /// # Errors
    /// [`Error::Enter`] and [`Error::Socket`].
    pub async fn start(netns: &Path) -> Result<Server, Error> {
        let (listener, socket) = within(netns, open).await??;
        let failed = |source| Error::socket("hand the sockets to the runtime", source);
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let socket = tokio::net::UdpSocket::from_std(socket).map_err(failed)?;
        let callers = Arc::new(Mutex::new(Vec::new()));
        let tasks = [
            tokio::spawn(answer_connections(listener, Arc::clone(&callers))),
            tokio::spawn(answer_datagrams(socket, Arc::clone(&callers))),
        ];
        Ok(Server { callers, tasks })
    }

    /// Every source address that has reached this server so far, in order of arrival.
    #[must_use]
    pub fn callers(&self) -> Vec<Ipv4Addr> {
        self.callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Asks the server at `to` from inside `netns`: the address it sees.
///
/// # Errors
/// [`Error::NoAnswer`] when none came in [`PATIENCE`], [`Error::Strange`] when it is no address.
pub async fn ask(netns: &Path, protocol: Protocol, to: Ipv4Addr) -> Result<Ipv4Addr, Error> {
    ask_patiently(netns, protocol, to, PATIENCE).await
}

/// [`ask`] with another patience: a short one where silence is what is expected.
///
/// # Errors
/// As [`ask`].
pub async fn ask_patiently(
    netns: &Path,
    protocol: Protocol,
    to: Ipv4Addr,
    patience: Duration,
) -> Result<Ipv4Addr, Error> {
    let to = SocketAddrV4::new(to, PORT);
    within(netns, move || match protocol {
        Protocol::Tcp => {
            over_tcp(to, patience).map_err(|source| Error::no_answer("TCP", to, source))
        }
        Protocol::Udp => {
            over_udp(to, patience).map_err(|source| Error::no_answer("UDP", to, source))
        }
    })
    .await?
    .and_then(|answer| parse(to, &answer))
}

fn over_tcp(to: SocketAddrV4, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::V4(to), patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn over_udp(to: SocketAddrV4, patience: Duration) -> io::Result<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(patience))?;
    // Connected: an answer from any other address is not ours, as for most real clients.
    socket.connect(to)?;
    socket.send(b"whoami")?;
    let mut buffer = [0_u8; 64];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn parse(to: SocketAddrV4, answer: &str) -> Result<Ipv4Addr, Error> {
    answer.trim().parse().map_err(|_| Error::Strange {
        to,
        answer: answer.chars().take(60).collect(),
        expected: "an address",
    })
}

fn open() -> Result<(TcpListener, UdpSocket), Error> {
    let any = (Ipv4Addr::UNSPECIFIED, PORT);
    let listener =
        TcpListener::bind(any).map_err(|source| Error::socket("listen on TCP", source))?;
    let socket = UdpSocket::bind(any).map_err(|source| Error::socket("listen on UDP", source))?;
    let failed = |source| Error::socket("make the sockets non-blocking", source);
    listener.set_nonblocking(true).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok((listener, socket))
}

async fn answer_connections(listener: tokio::net::TcpListener, callers: Arc<Mutex<Vec<Ipv4Addr>>>) {
    loop {
        // A connection that died before it was accepted is its client's business.
        let Ok((mut stream, peer)) = listener.accept().await else {
            continue;
        };
        let SocketAddr::V4(peer) = peer else { continue };
        note(&callers, *peer.ip());
        let line = format!("{}\n", peer.ip());
        let _ = stream.write_all(line.as_bytes()).await;
    }
}

async fn answer_datagrams(socket: tokio::net::UdpSocket, callers: Arc<Mutex<Vec<Ipv4Addr>>>) {
    let mut buffer = [0_u8; 2048];
    loop {
        let Ok((_, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let SocketAddr::V4(from) = peer else { continue };
        note(&callers, *from.ip());
        let _ = socket.send_to(from.ip().to_string().as_bytes(), peer).await;
    }
}

fn note(callers: &Mutex<Vec<Ipv4Addr>>, caller: Ipv4Addr) {
    callers
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(caller);
}
