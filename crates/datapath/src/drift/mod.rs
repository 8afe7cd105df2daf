//! Word from the kernel that something of the node's network was changed, by whomever.
//!
//! A change is not judged here: [`Heard`] says where to look again, [`crate::host`],
//! [`crate::eni`] and [`crate::pod`] compare and repair. Our own changes are heard, too; looking
//! finds nothing to do then. What goes on all day is told apart: pods that come and go are no
//! reason to look at the node, nor are other programs' nf_tables.

mod message;

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vpc_model::LinkName;

use crate::error::Error;
use crate::netlink::socket::{self, Family, Socket};

const DOING: &str = "listen to changes of the network";

/// Where something was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// In what the node or an ENI needs.
    pub node: bool,
    /// A rule or the route of a pod with this address was taken away.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// A pod's host veth was taken out of service.
    pub links: BTreeSet<LinkName>,
    /// Notifications were lost: it may have been anywhere.
    pub lost: bool,
}

impl Heard {
    /// Whether nothing that matters was heard.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Both.
    pub fn merge(&mut self, other: Self) {
        self.node |= other.node;
        self.lost |= other.lost;
        self.addresses.extend(other.addresses);
        self.links.extend(other.links);
    }
}

/// A subscription to the changes of one network namespace.
pub struct Watch {
    route: Socket,
    nft: Socket,
}

impl Watch {
    /// Subscribes to the calling thread's network namespace. Whatever changes from then on is
    /// heard.
    ///
    /// # Errors
    /// The kernel lacks netlink or nf_tables, or refuses the subscription.
    pub fn open() -> Result<Self, Error> {
        let mut route = Socket::open(Family::Route)?;
        route.join(&message::ROUTE_GROUPS, &DOING)?;
        let mut nft = Socket::open(Family::Netfilter)?;
        nft.join(&[message::NFT_GROUP], &DOING)?;
        Ok(Self { route, nft })
    }

    /// Waits until something matters, or `limit` is over (then [`Heard::is_empty`]).
    ///
    /// # Errors
    /// The kernel's word cannot be read.
    pub fn wait(&mut self, limit: Duration) -> Result<Heard, Error> {
        let timeout = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let mut sockets = [
            PollFd::new(&self.route, PollFlags::IN),
            PollFd::new(&self.nft, PollFlags::IN),
        ];
        match poll(&mut sockets, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(Error::Receive {
                    doing: DOING.to_owned(),
                    source: io::Error::from(errno),
                });
            }
        }
        let mut heard = Heard::default();
        drain(&mut self.route, &mut heard, message::of_route)?;
        drain(&mut self.nft, &mut heard, message::of_nft)?;
        Ok(heard)
    }
}

fn drain(
    socket: &mut Socket,
    heard: &mut Heard,
    take: fn(&mut Heard, &socket::Reply),
) -> Result<(), Error> {
    loop {
        match socket.heard(&DOING) {
            Ok(socket::Heard::Messages(messages)) => {
                messages.iter().for_each(|message| take(heard, message));
            }
            Ok(socket::Heard::Nothing) => return Ok(()),
            // Too much, or too large, to be read: look at all of it.
            Ok(socket::Heard::Lost) | Err(Error::Decode { .. }) => heard.lost = true,
            Err(error) => return Err(error),
        }
    }
}
