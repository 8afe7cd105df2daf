//! What is counted: translated connections, and what connection tracking could not take.

use crate::desired::nat;
use crate::error::Error;
use crate::netlink::attributes;
use crate::netlink::socket::{Family, Socket};
use crate::nft::Nft;
use crate::sysctl;

pub use crate::nft::Counted;

/// The node's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were translated to the node's address, counted since the table was first
    /// made; nothing while nothing is translated.
    pub translated: Option<Counted>,
    /// Connection tracking's.
    pub conntrack: Conntrack,
}

/// Connection tracking of the node's network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conntrack {
    /// Connections it knows now.
    pub entries: u64,
    /// The most it may know; nothing where the kernel does not say.
    pub limit: Option<u64>,
    /// Connections that could not be entered, since another has the same addresses and ports:
    /// the source ports of a translation ran out, or two packets raced. Their packets are lost.
    pub insert_failed: u64,
    /// Packets of new connections that were dropped since the limit was reached.
    pub dropped: u64,
    /// Connections that were given up for new ones since the limit was near.
    pub early_dropped: u64,
}

/// Reads the counters of the calling thread's network namespace.
///
/// # Errors
/// The operation that failed.
pub fn read() -> Result<Counters, Error> {
    let counted = Nft::open()?.counted(nat::TABLE)?;
    let translated = counted
        .into_iter()
        .find(|(comment, _)| comment == nat::TRANSLATED);
    Ok(Counters {
        translated: translated.map(|(_, counted)| counted),
        conntrack: conntrack()?,
    })
}

fn conntrack() -> Result<Conntrack, Error> {
    /// `NFNL_SUBSYS_CTNETLINK` and `IPCTNL_MSG_CT_GET_STATS_CPU`.
    const GET_STATISTICS: u16 = 1 << 8 | 4;
    /// The length of `struct nfgenmsg`.
    const HEADER: usize = 4;
    /// `CTA_STATS_INSERT_FAILED`, `_DROP` and `_EARLY_DROP`.
    const INSERT_FAILED: u16 = 9;
    const DROP: u16 = 10;
    const EARLY_DROP: u16 = 11;
    let mut socket = Socket::open(Family::Netfilter)?;
    let doing = "read the statistics of connection tracking";
    let listing = socket.dump(GET_STATISTICS, &[0; HEADER], &doing)?;
    let mut sum = Conntrack {
        entries: number("net/netfilter/nf_conntrack_count")?.unwrap_or_default(),
        limit: number("net/netfilter/nf_conntrack_max")?,
        ..Conntrack::default()
    };
    // One message for each processor.
    for entry in &listing.entries {
        for (kind, value) in attributes::read(entry.payload.get(HEADER..).unwrap_or_default()) {
            let count = u64::from(attributes::big_endian(value).unwrap_or_default());
            match kind {
                INSERT_FAILED => sum.insert_failed += count,
                DROP => sum.dropped += count,
                EARLY_DROP => sum.early_dropped += count,
                _ => {}
            }
        }
    }
    Ok(sum)
}

fn number(sysctl: &str) -> Result<Option<u64>, Error> {
    Ok(sysctl::read(sysctl)?.and_then(|text| text.parse().ok()))
}
