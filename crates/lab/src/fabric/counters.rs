//! What the router has dropped, read back from the kernel.

use std::path::Path;

use serde::Deserialize;

use crate::tool::Tools;

use super::{Error, TABLE};

/// How many packets the router has dropped since the lab came up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Their source address was not assigned to the ENI they left.
    pub spoofed: u64,
    /// They were for the internet, and their source has no public address.
    pub no_public_address: u64,
    /// No rule of a security group let them pass.
    pub refused: u64,
}

/// Reads the counters in the router's namespace, whose file is `router`.
///
/// # Errors
/// [`Error::Counters`] and [`Error::CounterFormat`].
pub fn read(tools: &Tools, router: &Path) -> Result<Counters, Error> {
    let arguments = ["list", "counters", "table", "ip", TABLE];
    let text = tools
        .nft_json(router, &arguments)
        .map_err(Error::Counters)?;
    let listing: Listing = serde_json::from_slice(&text).map_err(Error::CounterFormat)?;
    let packets = |name: &str| {
        let objects = listing.nftables.iter();
        let counter = objects.filter_map(|object| object.counter.as_ref());
        counter
            .filter(|one| one.name == name)
            .map(|one| one.packets)
            .sum()
    };
    Ok(Counters {
        spoofed: packets("spoofed"),
        no_public_address: packets("no_public_address"),
        refused: packets("refused"),
    })
}

/// What `nft -j` prints (libnftables-json(5)), as far as it matters.
#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    counter: Option<Counter>,
}

#[derive(Deserialize)]
struct Counter {
    name: String,
    packets: u64,
}
