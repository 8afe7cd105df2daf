//! What must be true whatever the pool thinks: a second book, kept from the answers alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_model::{PodKey, Timestamp};

/// Who has which address, and when addresses were released.
pub(crate) struct Reference {
    pub(crate) live: BTreeMap<PodKey, Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
    released: BTreeMap<Ipv4Addr, Timestamp>,
    cooldown: Duration,
    /// The latest it has been: a cooldown that was over stays over when the clock steps back.
    pub(crate) latest: Timestamp,
}

impl Reference {
    pub(crate) fn new(cooldown: Duration) -> Self {
        let (live, taken, released) = Default::default();
        Self {
            live,
            taken,
            released,
            cooldown,
            latest: Timestamp::ZERO,
        }
    }

    /// Takes note of the time.
    pub(crate) fn look_at_the_clock(&mut self, now: Timestamp) {
        self.latest = self.latest.max(now);
    }

    /// A pod was told that it has this address.
    pub(crate) fn granted(&mut self, key: &PodKey, address: Ipv4Addr) -> Result<(), String> {
        if let Some(before) = self.live.get(key) {
            return match *before == address {
                true => Ok(()),
                false => Err(format!("{key} had {before} and was told {address}")),
            };
        }
        if let Some(why) = self.protects(address) {
            return Err(format!("{address} was handed to {key}: {why}"));
        }
        self.live.insert(key.clone(), address);
        self.taken.insert(address);
        Ok(())
    }

    /// A pod was told that it has given this address back.
    pub(crate) fn released(
        &mut self,
        key: &PodKey,
        address: Ipv4Addr,
        now: Timestamp,
    ) -> Result<(), String> {
        match self.live.remove(key) {
            Some(had) if had == address => {
                self.taken.remove(&address);
                self.released.insert(address, now);
                Ok(())
            }
            had => Err(format!(
                "{key} had {had:?} and was told that it released {address}"
            )),
        }
    }

    /// Why an address must be left alone now; nothing when it need not be.
    pub(crate) fn protects(&self, address: Ipv4Addr) -> Option<String> {
        if self.taken.contains(&address) {
            let key = self.live.iter().find(|(_, held)| **held == address)?.0;
            return Some(format!("{key} has it"));
        }
        let at = *self.released.get(&address)?;
        (at + self.cooldown > self.latest).then(|| format!("it was released at {at} and rests"))
    }
}
