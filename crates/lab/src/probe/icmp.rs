//! Ping without the program: one echo request from inside a namespace, never fragmented.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recv, sendto, socket};

use super::namespace::within;
use super::{Error, packet, portless};

/// One echo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Whom to ask.
    pub to: Ipv4Addr,
    /// The size of the whole IP packet in bytes, headers included; at least 28. It carries the
    /// "don't fragment" bit, so a link with a smaller MTU on the way means silence.
    pub packet_size: usize,
    /// How long to wait for the reply.
    pub patience: Duration,
}

impl Ping {
    /// A small packet, two seconds of patience.
    #[must_use]
    pub fn new(to: Ipv4Addr) -> Ping {
        Ping {
            to,
            packet_size: 84,
            patience: Duration::from_secs(2),
        }
    }

    /// The same with a packet of `size` bytes.
    #[must_use]
    pub fn sized(self, size: usize) -> Ping {
        Ping {
            packet_size: size,
            ..self
        }
    }

    /// The same with this patience.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Ping {
        Ping { patience, ..self }
    }
}

/// Each probe of this process has an id of its own, so that replies never mix.
static NEXT_ID: AtomicU16 = AtomicU16::new(1);

/// Sends one echo request from inside `netns` and gives the time until the reply.
///
/// # Errors
/// [`Error::NoAnswer`] when no reply came in time or the kernel refused to send (no route,
/// packet larger than the MTU); others when the probe could not run.
pub async fn ping(netns: &Path, ping: Ping) -> Result<Duration, Error> {
    within(netns, move || echo(ping)).await?
}

fn echo(ping: Ping) -> Result<Duration, Error> {
    let to = portless(ping.to);
    let silence = |source: io::Error| Error::no_answer("ICMP", to, source);
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))
        .map_err(|source| Error::socket("open a raw ICMP socket", source))?;
    sockopt::set_ip_mtu_discover(&raw, Ipv4PathMtuDiscovery::DO)
        .map_err(|source| Error::socket("forbid fragmentation", source))?;
    let payload = ping
        .packet_size
        .saturating_sub(packet::IPV4_HEADER + packet::ICMP_HEADER);
    let request = packet::echo_request(id, 1, payload);
    let start = Instant::now();
    sendto(
        &raw,
        &request,
        SendFlags::empty(),
        &SocketAddrV4::new(ping.to, 0),
    )
    .map_err(|source| silence(source.into()))?;
    let mut buffer = vec![0_u8; ping.packet_size.max(1500) + 64];
    loop {
        let left = ping.patience.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(silence(io::ErrorKind::TimedOut.into()));
        }
        sockopt::set_socket_timeout(&raw, Timeout::Recv, Some(left))
            .map_err(|source| Error::socket("set the time to wait", source))?;
        match recv(&raw, buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((length, _)) => {
                let sender = packet::echo_reply_from(&buffer[..length], id, 1);
                if sender == Some(ping.to) {
                    return Ok(start.elapsed());
                }
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(source) => return Err(silence(source.into())),
        }
    }
}
