//! A steady exchange of datagrams between two places, to see whether an event interrupts it.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Error;
use super::namespace::within;
use super::whoami::PORT;

/// The pause between two questions.
const INTERVAL: Duration = Duration::from_millis(10);

/// How long one answer may take. Longer means lost: the path is a few links on one machine.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    exchange: Mutex<Exchange>,
}

/// Questions to a [`super::whoami::Server`], one every ten milliseconds, over one connected socket
/// (so that connection tracking, addresses and routes of a long-lived flow are what is tested).
#[derive(Debug)]
pub struct Stream {
    shared: Arc<Shared>,
}

/// What became of a stream's questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exchange {
    /// How many were asked and settled: answered, or given up.
    pub asked: u32,
    /// How many of them were answered.
    pub answered: u32,
}

impl Exchange {
    /// Questions without an answer.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.asked.saturating_sub(self.answered)
    }
}

impl std::ops::Add for Exchange {
    type Output = Exchange;

    fn add(self, other: Exchange) -> Exchange {
        Exchange {
            asked: self.asked + other.asked,
            answered: self.answered + other.answered,
        }
    }
}

impl Stream {
    /// Starts asking the server at `to` from inside `netns`.
    ///
    /// # Errors
    /// [`Error::Enter`] and [`Error::Socket`].
    pub async fn start(netns: &Path, to: Ipv4Addr) -> Result<Stream, Error> {
        let shared = Arc::new(Shared::default());
        let socket = within(netns, move || connect(SocketAddrV4::new(to, PORT))).await??;
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || exchange(&socket, &theirs));
        Ok(Stream { shared })
    }

    /// What has been exchanged so far; a question still on its way is not in it yet.
    #[must_use]
    pub fn so_far(&self) -> Exchange {
        *self
            .shared
            .exchange
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the stream has settled `questions` more of them, one way or the other.
    pub async fn settle(&self, questions: u32) {
        let goal = self.so_far().asked + questions;
        while self.so_far().asked < goal {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn connect(to: SocketAddrV4) -> Result<UdpSocket, Error> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .map_err(|source| Error::socket("open a UDP socket", source))?;
    socket
        .set_read_timeout(Some(PATIENCE))
        .map_err(|source| Error::socket("set the time to wait", source))?;
    socket
        .connect(to)
        .map_err(|source| Error::socket("connect a UDP socket", source))?;
    Ok(socket)
}

/// Asks until told to stop.
fn exchange(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0_u8; 64];
    while !shared.stop.load(Ordering::Acquire) {
        let answered = socket
            .send(b"whoami")
            .and_then(|_| socket.recv(&mut buffer))
            .is_ok();
        let so_far = Exchange {
            asked: 1,
            answered: u32::from(answered),
        };
        let mut total = shared
            .exchange
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *total = *total + so_far;
        drop(total);
        std::thread::sleep(INTERVAL);
    }
}
