//! A sender that lies about its address, as a compromised pod with raw sockets could.

use std::net::SocketAddrV4;
use std::path::Path;

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};

use super::namespace::within;
use super::{Error, packet};

/// One UDP datagram with a source address of one's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoofed {
    /// Who it says it comes from.
    pub source: SocketAddrV4,
    /// Where it goes.
    pub destination: SocketAddrV4,
    /// What it carries; at most 1,400 bytes, so that it fits any link.
    pub payload: Vec<u8>,
}

/// Sends the datagram from inside `netns` through a raw socket.
///
/// # Errors
/// [`Error::Socket`] when the kernel of the sender's own namespace refused.
pub async fn send(netns: &Path, spoofed: Spoofed) -> Result<(), Error> {
    within(netns, move || {
        // IPPROTO_RAW: the kernel sends the IP header it is given (raw(7)).
        let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW))
            .map_err(|source| Error::socket("open a raw IP socket", source))?;
        let bytes = packet::datagram(spoofed.source, spoofed.destination, &spoofed.payload);
        sendto(&raw, &bytes, SendFlags::empty(), &spoofed.destination)
            .map_err(|source| Error::socket("send the spoofed datagram", source))?;
        Ok(())
    })
    .await?
}
