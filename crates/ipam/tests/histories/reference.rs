//! What must be true whatever the pool thinks: a second book, kept from the answers alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_model::{PodKey, Timestamp};

/// Who has which address, and when addresses were released.
pub struct Reference {
    pub live: BTreeMap<PodKey, Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
    released: BTreeMap<Ipv4Addr, Timestamp>,
    cooldown: Duration,
}

impl Reference {
    pub fn new(cooldown: Duration) -> Self {
        let (live, taken, released) = Default::default();
        Self { live, taken, released, cooldown }
    }

    /// A pod was told that it has this address.
    pub fn granted(
        &mut self,
        key: &PodKey,
        address: Ipv4Addr,
        now: Timestamp,
    ) -> Result<(), String> {
        if let Some(before) = self.live.get(key) {
            return match *before == address {
                true => Ok(()),
                false => Err(format!("{key} had {before} and was told {address}")),
            };
        }
        if let Some(why) = self.protects(address, now) {
            return Err(format!("{address} was handed to {key}: {why}"));
        }
        self.live.insert(key.clone(), address);
        self.taken.insert(address);
        Ok(())
    }

    /// A pod was told that it has given this address back.
    pub fn released(
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
            had => Err(format!("{key} had {had:?} and was told that it released {address}")),
        }
    }

    /// Why an address must be left alone now; nothing when it need not be.
    pub fn protects(&self, address: Ipv4Addr, now: Timestamp) -> Option<String> {
        if self.taken.contains(&address) {
            let key = self.live.iter().find(|(_, held)| **held == address)?.0;
            return Some(format!("{key} has it"));
        }
        let at = *self.released.get(&address)?;
        (at + self.cooldown > now).then(|| format!("it was released at {at} and rests"))
    }
}
