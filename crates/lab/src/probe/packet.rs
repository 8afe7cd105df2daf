//! The few packet forms the probes write by hand: ICMP echo (RFC 792) and UDP in IPv4 with a
//! source address of one's choice (RFC 791, RFC 768).

use std::net::{Ipv4Addr, SocketAddrV4};

/// Bytes of an IPv4 header without options.
pub(super) const IPV4_HEADER: usize = 20;

/// Bytes of an ICMP echo header.
pub(super) const ICMP_HEADER: usize = 8;

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const UDP: u8 = 17;
const DONT_FRAGMENT: u16 = 0x4000;

/// An ICMP echo request with `length` bytes of payload.
pub(super) fn echo_request(id: u16, sequence: u16, length: usize) -> Vec<u8> {
    let mut packet = vec![ECHO_REQUEST, 0, 0, 0];
    packet.extend(id.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.resize(ICMP_HEADER + length, 0xa5);
    let sum = checksum(&packet);
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Who sent this IPv4 packet, if it is the reply to the echo request with this id and sequence.
pub(super) fn echo_reply_from(packet: &[u8], id: u16, sequence: u16) -> Option<Ipv4Addr> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let icmp = packet.get(header..header + ICMP_HEADER)?;
    let ours = icmp[0] == ECHO_REPLY
        && icmp[4..6] == id.to_be_bytes()
        && icmp[6..8] == sequence.to_be_bytes();
    ours.then(|| Ipv4Addr::from(source))
}

/// A whole IPv4 packet with one UDP datagram, saying it comes from `source`.
pub(super) fn datagram(source: SocketAddrV4, destination: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let udp_length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let total = u16::try_from(IPV4_HEADER)
        .unwrap_or_default()
        .saturating_add(udp_length);
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(DONT_FRAGMENT.to_be_bytes());
    packet.extend([64, UDP, 0, 0]);
    packet.extend(source.ip().octets());
    packet.extend(destination.ip().octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(source.port().to_be_bytes());
    packet.extend(destination.port().to_be_bytes());
    packet.extend(udp_length.to_be_bytes());
    // A zero checksum means "none" in UDP over IPv4.
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_packet_with_its_checksum_in_place_is_zero() {
        assert_eq!(checksum(&echo_request(7, 9, 33)), 0);
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 5), 4000);
        let to = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 6), 7);
        assert_eq!(checksum(&datagram(from, to, b"hello")[..IPV4_HEADER]), 0);
    }

    #[test]
    fn a_reply_is_known_by_its_id_and_sequence() {
        let mut packet = datagram(
            SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 6), 0),
            SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 5), 0),
            b"",
        );
        packet.truncate(IPV4_HEADER);
        let mut reply = echo_request(7, 9, 0);
        reply[0] = ECHO_REPLY;
        packet.extend(reply);
        assert_eq!(
            echo_reply_from(&packet, 7, 9),
            Some(Ipv4Addr::new(10, 0, 2, 6))
        );
        assert_eq!(echo_reply_from(&packet, 7, 8), None);
        assert_eq!(echo_reply_from(&packet[..24], 7, 9), None);
    }
}
