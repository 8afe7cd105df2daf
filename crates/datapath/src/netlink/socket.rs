//! One synchronous netlink socket: batches out, answers in.
//!
//! The kernel works on a message inside `send`, so everything it has to say about a batch lies in
//! the socket's queue when `send` returns, and nothing here ever waits, except for notifications.
//! A batch is not a transaction: a message that fails does not stop those behind it.

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use netlink_sys::SocketAddr;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout};

use super::attributes::{self, number, short};
use crate::error::{Error, Refusal};

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`: answer also when all went well.
const ACK: u16 = 0x4;
/// `NLM_F_ECHO`: send a copy of the notification to the sender, too.
pub(crate) const ECHO: u16 = 0x8;
/// `NLM_F_DUMP`: list all.
const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`, for messages that make something.
pub(crate) const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`: refuse when it is there already.
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`: make it when it is not there.
pub(crate) const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: behind those that are there.
pub(crate) const APPEND: u16 = 0x800;
/// `NLM_F_DUMP_INTR`: the list changed while it was written.
const INTERRUPTED: u16 = 0x10;
/// `NLM_F_CAPPED`: an error carries only the header of the message it is about.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: an error carries attributes.
const EXPLAINED: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`: the attribute with the kernel's sentence.
const ATTR_MESSAGE: u16 = 1;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `struct nlmsghdr`: length, kind, flags, sequence number, port.
const HEADER: usize = 16;
/// The kernel fills list answers up to this size (iproute2 uses the same).
const INBOX: usize = 32 * 1024;
/// The room for notifications that wait to be read.
const QUEUE: usize = 1 << 20;
/// How often a list that changed under the reader is read again.
const DUMP_ATTEMPTS: u32 = 20;

/// Which part of the kernel a socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `NETLINK_ROUTE`: links, addresses, routes, rules, neighbours.
    Route,
    /// `NETLINK_NETFILTER`: nf_tables.
    Netfilter,
}

/// Messages to be sent together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    starts: Vec<usize>,
    bracketed: bool,
}

/// One answer that is not an acknowledgement.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The message type.
    pub(crate) kind: u16,
    /// What follows the header.
    pub(crate) payload: Vec<u8>,
}

/// What came of waiting for notifications.
#[derive(Debug)]
pub(crate) enum Heard {
    /// These came.
    Messages(Vec<Reply>),
    /// Some came that the kernel had to drop since we were slow: look for yourself.
    Lost,
    /// None came in the time given.
    Nothing,
}

/// What the kernel said to a batch.
#[derive(Debug)]
pub(crate) struct Answers {
    /// One for each message, in order.
    pub(crate) results: Vec<Result<(), Refusal>>,
    /// Everything else, in the order it came, with the place of the message it answers.
    pub(crate) replies: Vec<(usize, Reply)>,
}

/// A list as the kernel gave it.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The entries.
    pub(crate) entries: Vec<Reply>,
    /// In how many pieces the list came. Between two pieces the kernel lets go of its locks.
    pub(crate) pieces: usize,
}

/// A netlink socket of the namespace in which it was opened, wherever its user moves to.
pub(crate) struct Socket {
    raw: netlink_sys::Socket,
    next: u32,
    inbox: Vec<u8>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

/// One message in a received buffer.
struct Frame<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl From<Frame<'_>> for Reply {
    fn from(frame: Frame<'_>) -> Self {
        Self {
            kind: frame.kind,
            payload: frame.payload.to_vec(),
        }
    }
}

impl Batch {
    /// A batch whose first and last messages are brackets around a transaction (nf_tables): they
    /// are not answered, except that a transaction that fails as a whole is refused at its first.
    pub(crate) fn bracketed() -> Self {
        Self {
            bracketed: true,
            ..Self::default()
        }
    }

    /// Adds a message whose payload `write` appends.
    pub(crate) fn push(&mut self, kind: u16, flags: u16, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.starts.push(start);
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        write(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The payload of message `place`, for tests of the encoders.
    #[cfg(test)]
    pub(crate) fn message(&self, place: usize) -> &[u8] {
        let end = self
            .starts
            .get(place + 1)
            .copied()
            .unwrap_or(self.bytes.len());
        &self.bytes[self.starts[place]..end]
    }

    fn number_from(&mut self, first: u32) {
        for (start, sequence) in self.starts.iter().zip(first..) {
            self.bytes[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
        }
    }

    fn ask_for_acknowledgement(&mut self, place: usize) {
        if let Some(start) = self.starts.get(place) {
            let flags = short(&self.bytes, start + 6).unwrap_or(REQUEST) | ACK;
            self.bytes[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
        }
    }
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open(family: Family) -> Result<Self, Error> {
        let (number, name) = match family {
            Family::Route => (netlink_sys::protocols::NETLINK_ROUTE, "route"),
            Family::Netfilter => (netlink_sys::protocols::NETLINK_NETFILTER, "netfilter"),
        };
        let raw = netlink_sys::Socket::new(number).map_err(|source| Error::OpenSocket {
            family: name,
            source,
        })?;
        // Comforts that older kernels lack: sentences in errors, short errors, filtered lists.
        let _ = raw.set_ext_ack(true);
        let _ = raw.set_cap_ack(true);
        let _ = raw.set_netlink_get_strict_chk(true);
        Ok(Self {
            raw,
            next: 1,
            inbox: Vec::with_capacity(INBOX),
        })
    }

    /// Sends a batch and collects what the kernel says about each message. Only the last one is
    /// acknowledged: one that fails says so by itself, and answers keep the order.
    pub(crate) fn exchange(
        &mut self,
        mut batch: Batch,
        doing: &dyn Display,
    ) -> Result<Answers, Error> {
        let mut answers = Answers {
            results: vec![Ok(()); batch.len()],
            replies: Vec::new(),
        };
        let Some(last) = batch.len().checked_sub(1 + usize::from(batch.bracketed)) else {
            return Ok(answers);
        };
        let first = self.take_numbers(batch.len());
        batch.number_from(first);
        batch.ask_for_acknowledgement(last);
        self.send(&batch.bytes, doing)?;
        let mut ended = false;
        while !ended {
            self.receive(RecvFlags::DONTWAIT, doing)?;
            for frame in frames(&self.inbox) {
                let place = frame.sequence.wrapping_sub(first) as usize;
                let Some(result) = answers.results.get_mut(place) else {
                    continue;
                };
                if frame.kind == NLMSG_ERROR {
                    *result = acknowledgement(&frame);
                    ended |= place == last || (batch.bracketed && place == 0);
                } else if frame.kind != NLMSG_DONE {
                    answers.replies.push((place, Reply::from(frame)));
                }
            }
        }
        Ok(answers)
    }

    /// Lists objects, again where the list changed while it was read.
    pub(crate) fn dump(
        &mut self,
        kind: u16,
        payload: &[u8],
        doing: &dyn Display,
    ) -> Result<Listing, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(listing) = self.dump_once(kind, payload, doing)? {
                return Ok(listing);
            }
        }
        Err(Error::Unstable {
            doing: doing.to_string(),
            attempts: DUMP_ATTEMPTS,
        })
    }

    fn dump_once(
        &mut self,
        kind: u16,
        payload: &[u8],
        doing: &dyn Display,
    ) -> Result<Option<Listing>, Error> {
        let mut batch = Batch::default();
        batch.push(kind, DUMP, |bytes| bytes.extend_from_slice(payload));
        let sequence = self.take_numbers(1);
        batch.number_from(sequence);
        self.send(&batch.bytes, doing)?;
        let mut listing = Listing {
            entries: Vec::new(),
            pieces: 0,
        };
        let (mut ended, mut interrupted) = (false, false);
        while !ended {
            self.receive(RecvFlags::DONTWAIT, doing)?;
            listing.pieces += 1;
            for frame in frames(&self.inbox) {
                if frame.sequence != sequence {
                    continue;
                }
                interrupted |= frame.flags & INTERRUPTED != 0;
                if frame.kind == NLMSG_DONE || frame.kind == NLMSG_ERROR {
                    acknowledgement(&frame).map_err(|source| Error::Refused {
                        doing: doing.to_string(),
                        source,
                    })?;
                    ended = true;
                } else {
                    listing.entries.push(Reply::from(frame));
                }
            }
        }
        Ok((!interrupted).then_some(listing))
    }

    /// Subscribes to groups of notifications.
    pub(crate) fn join(&mut self, groups: &[u32], doing: &dyn Display) -> Result<(), Error> {
        let failed = |source| Error::Receive {
            doing: doing.to_string(),
            source,
        };
        self.raw.bind_auto().map_err(failed)?;
        // What does not fit is lost, and then everything has to be looked at. Only root may have
        // more than the system's limit.
        let _ = set_socket_recv_buffer_size_force(&self.raw, QUEUE);
        groups
            .iter()
            .try_for_each(|group| self.raw.add_membership(*group).map_err(failed))
    }

    /// The notifications that are there already, without waiting.
    pub(crate) fn heard(&mut self, doing: &dyn Display) -> Result<Heard, Error> {
        self.hear(RecvFlags::DONTWAIT, doing)
    }

    /// Waits for notifications, up to `limit`.
    pub(crate) fn wait(&mut self, limit: Duration, doing: &dyn Display) -> Result<Heard, Error> {
        // A timeout of zero would mean "for ever".
        let limit = limit.max(Duration::from_millis(1));
        set_socket_timeout(&self.raw, Timeout::Recv, Some(limit)).map_err(|errno| {
            Error::Receive {
                doing: doing.to_string(),
                source: errno.into(),
            }
        })?;
        self.hear(RecvFlags::empty(), doing)
    }

    fn hear(&mut self, flags: RecvFlags, doing: &dyn Display) -> Result<Heard, Error> {
        let is =
            |source: &io::Error, errno: Errno| source.raw_os_error() == Some(errno.raw_os_error());
        match self.receive(flags, doing) {
            Ok(()) => Ok(Heard::Messages(
                frames(&self.inbox).map(Reply::from).collect(),
            )),
            Err(Error::Receive { source, .. }) if is(&source, Errno::AGAIN) => Ok(Heard::Nothing),
            Err(Error::Receive { source, .. }) if is(&source, Errno::NOBUFS) => Ok(Heard::Lost),
            Err(error) => Err(error),
        }
    }

    fn take_numbers(&mut self, count: usize) -> u32 {
        let first = self.next;
        self.next = self
            .next
            .wrapping_add(u32::try_from(count).unwrap_or(u32::MAX));
        first
    }

    fn send(&self, bytes: &[u8], doing: &dyn Display) -> Result<(), Error> {
        let kernel = SocketAddr::new(0, 0);
        self.raw
            .send_to(bytes, &kernel, 0)
            .map(|_| ())
            .map_err(|source| Error::Send {
                doing: doing.to_string(),
                source,
            })
    }

    /// Reads one datagram of the kernel's into the inbox; others' are dropped.
    fn receive(&mut self, flags: RecvFlags, doing: &dyn Display) -> Result<(), Error> {
        let failed = |source| Error::Receive {
            doing: doing.to_string(),
            source,
        };
        let bits = (flags | RecvFlags::TRUNC).bits().cast_signed();
        loop {
            self.inbox.clear();
            match self.raw.recv_from(&mut self.inbox, bits) {
                Ok((length, _)) if length > self.inbox.len() => {
                    let what = format!("{length} bytes at once, more than fit");
                    return Err(Error::Decode {
                        doing: doing.to_string(),
                        what,
                    });
                }
                Ok((_, sender)) if sender.port_number() == 0 => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn frames(bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = number(rest, 0)? as usize;
        let payload = rest.get(HEADER..length)?;
        let frame = Frame {
            kind: short(rest, 4)?,
            flags: short(rest, 6)?,
            sequence: number(rest, 8)?,
            payload,
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(frame)
    })
}

/// Reads the error number (negative or 0) that `NLMSG_ERROR` and `NLMSG_DONE` begin with, and the
/// kernel's sentence where there is one.
fn acknowledgement(frame: &Frame<'_>) -> Result<(), Refusal> {
    let errno = number(frame.payload, 0).map_or(0, u32::cast_signed);
    if errno == 0 || (frame.kind == NLMSG_DONE && errno > 0) {
        return Ok(());
    }
    Err(Refusal {
        errno: errno.wrapping_neg(),
        text: explanation(frame),
    })
}

fn explanation(frame: &Frame<'_>) -> Option<String> {
    if frame.flags & EXPLAINED == 0 {
        return None;
    }
    let behind_number = frame.payload.get(4..)?;
    let list = match frame.kind {
        NLMSG_DONE => behind_number,
        _ if frame.flags & CAPPED != 0 => behind_number.get(HEADER..)?,
        _ => behind_number.get((number(behind_number, 0)? as usize).next_multiple_of(4)..)?,
    };
    let (_, value) = attributes::read(list).find(|(kind, _)| *kind == ATTR_MESSAGE)?;
    attributes::text(value).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_batch_are_aligned_and_numbered_in_order() {
        let mut batch = Batch::default();
        batch.push(16, CREATE, |bytes| bytes.push(1));
        batch.push(20, 0, |bytes| bytes.extend_from_slice(&[2; 4]));
        batch.number_from(7);
        batch.ask_for_acknowledgement(1);
        let found: Vec<_> = frames(&batch.bytes)
            .map(|f| (f.kind, f.flags, f.sequence, f.payload.len()))
            .collect();
        assert_eq!(
            found,
            [(16, CREATE | REQUEST, 7, 1), (20, REQUEST | ACK, 8, 4)]
        );
    }

    #[test]
    fn the_kernels_sentence_is_read_from_short_and_from_long_errors() {
        let mut sentence = Vec::new();
        attributes::Writer(&mut sentence).text(ATTR_MESSAGE, "no such thing");
        let about = |length: u32, flags| {
            let mut payload = (-2i32).to_ne_bytes().to_vec();
            payload.extend_from_slice(&length.to_ne_bytes());
            payload.extend_from_slice(&[0; 12]);
            if flags & CAPPED == 0 {
                payload.extend_from_slice(&[9; 8]);
            }
            payload.extend_from_slice(&sentence);
            payload
        };
        for flags in [EXPLAINED, EXPLAINED | CAPPED] {
            let payload = about(24, flags);
            let frame = Frame {
                kind: NLMSG_ERROR,
                flags,
                sequence: 1,
                payload: &payload,
            };
            let refusal = acknowledgement(&frame).unwrap_err();
            assert_eq!(refusal.errno, 2);
            assert_eq!(refusal.text.as_deref(), Some("no such thing"));
        }
    }

    #[test]
    fn a_refusal_by_the_real_kernel_carries_number_and_sentence() {
        let mut socket = Socket::open(Family::Route).unwrap();
        let mut batch = Batch::default();
        // RTM_GETLINK of an index that cannot exist.
        batch.push(18, 0, |bytes| {
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&i32::MAX.to_ne_bytes());
            bytes.extend_from_slice(&[0; 8]);
        });
        let answers = socket.exchange(batch, &"ask for a link").unwrap();
        let refusal = answers.results[0].clone().unwrap_err();
        assert!(refusal.is(Errno::NODEV), "{refusal}");
    }

    #[test]
    fn lists_of_the_real_kernel_are_read_to_their_end() {
        let mut socket = Socket::open(Family::Route).unwrap();
        let listing = socket.dump(18, &[0; 16], &"list links").unwrap();
        assert!(
            !listing.entries.is_empty(),
            "there is always a loopback link"
        );
    }
}
