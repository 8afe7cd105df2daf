//! Judging many small observations as one: what was expected, what was seen, what differs.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use futures_util::future::join_all;

use crate::probe::whoami::{self, Protocol};
use crate::probe::{self, icmp};

use super::table::chain;

/// Why a claim does not hold, or could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum Refuted {
    /// A probe found no answer or did not run.
    #[error(transparent)]
    Probe(#[from] probe::Error),
    /// The lab did not come up.
    #[error(transparent)]
    Lab(#[from] crate::Error),
    /// A daemon did not start, serve or stop.
    #[error(transparent)]
    Daemon(#[from] crate::daemon::Error),
    /// A pod could not be added or deleted.
    #[error(transparent)]
    Pod(#[from] crate::runtime::Error),
    /// The fabric could not be read.
    #[error(transparent)]
    Fabric(#[from] crate::fabric::Error),
    /// What was seen contradicts the claim.
    #[error("{0}")]
    Seen(String),
}

/// A contradiction, in words.
pub fn seen(what: impl fmt::Display) -> Refuted {
    Refuted::Seen(what.to_string())
}

/// Counts observations that agree and keeps the others.
#[derive(Debug, Default)]
pub struct Tally {
    agreed: usize,
    against: Vec<String>,
}

/// How many contradictions are printed: the first ones tell the story.
const SHOWN: usize = 3;

impl Tally {
    /// One more observation about `what`.
    pub fn note(&mut self, what: impl fmt::Display, observation: Result<(), Refuted>) {
        match observation {
            Ok(()) => self.agreed += 1,
            Err(error) => self.against.push(format!("{what}: {}", chain(&error))),
        }
    }

    /// One more observation that is simply true or not.
    pub fn expect<T: PartialEq + fmt::Debug>(
        &mut self,
        what: impl fmt::Display,
        is: &T,
        should: &T,
    ) {
        if is == should {
            self.agreed += 1;
        } else {
            self.against
                .push(format!("{what}: {is:?} instead of {should:?}"));
        }
    }

    /// The number of observations when all agree.
    ///
    /// # Errors
    /// The first contradictions, and how many there are; also when nothing was observed at all.
    pub fn all(self) -> Result<usize, Refuted> {
        if self.against.is_empty() && self.agreed > 0 {
            return Ok(self.agreed);
        }
        if self.against.is_empty() {
            return Err(seen("nothing was observed"));
        }
        let total = self.agreed + self.against.len();
        let shown = self
            .against
            .iter()
            .take(SHOWN)
            .cloned()
            .collect::<Vec<_>>()
            .join("; ");
        Err(seen(format_args!(
            "{} of {total} observations differ: {shown}",
            self.against.len()
        )))
    }
}

/// A place packets come from or go to: a pod, a node, an outside host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What to call it.
    pub name: String,
    /// The file of its network namespace.
    pub netns: PathBuf,
    /// The address it is reached at.
    pub address: Ipv4Addr,
}

/// A way between two places, and the source address that must arrive at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Who asks.
    pub from: Place,
    /// Who is asked.
    pub to: Place,
    /// The address that the one asked must see.
    pub seen_as: Ipv4Addr,
}

impl Leg {
    /// A way without address translation: the other end sees who really asks.
    #[must_use]
    pub fn plain(from: &Place, to: &Place) -> Leg {
        Leg::translated(from, to, from.address)
    }

    /// A way on which the source address becomes `seen_as`.
    #[must_use]
    pub fn translated(from: &Place, to: &Place, seen_as: Ipv4Addr) -> Leg {
        Leg {
            from: from.clone(),
            to: to.clone(),
            seen_as,
        }
    }
}

/// Goes every way at once, each by ICMP, TCP and UDP; the number of ways when all of them worked
/// and every other end saw the right source address.
///
/// # Errors
/// The ways that failed.
pub async fn travel(legs: &[Leg]) -> Result<usize, Refuted> {
    let mut tally = Tally::default();
    for (leg, results) in legs.iter().zip(join_all(legs.iter().map(go)).await) {
        for (protocol, result) in results {
            tally.note(
                format_args!("{} to {} by {protocol}", leg.from.name, leg.to.name),
                result,
            );
        }
    }
    tally.all().map(|_| legs.len())
}

async fn go(leg: &Leg) -> [(&'static str, Result<(), Refuted>); 3] {
    let (ping, tcp, udp) = tokio::join!(
        icmp::ping(&leg.from.netns, icmp::Ping::new(leg.to.address)),
        ask(leg, Protocol::Tcp),
        ask(leg, Protocol::Udp),
    );
    let ping = ping.map(|_| ()).map_err(Refuted::from);
    [("ICMP", ping), ("TCP", tcp), ("UDP", udp)]
}

async fn ask(leg: &Leg, protocol: Protocol) -> Result<(), Refuted> {
    let source = whoami::ask(&leg.from.netns, protocol, leg.to.address).await?;
    if source == leg.seen_as {
        return Ok(());
    }
    Err(seen(format_args!(
        "arrived from {source} instead of {}",
        leg.seen_as
    )))
}
