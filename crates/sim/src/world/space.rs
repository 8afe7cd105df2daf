//! The addresses of one subnet: which are reserved, taken, or part of a prefix.
//!
//! EC2 reserves the first four addresses and the last one. A single address is taken from the
//! lowest free place; a prefix needs a whole aligned /28 in which nothing is reserved or taken.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::Ipv4Prefix;

/// A subnet's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Space {
    cidr: Ipv4Net,
    taken: BTreeSet<Ipv4Addr>,
    prefixes: BTreeSet<Ipv4Prefix>,
}

/// Why an address or prefix cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not lie in the subnet.
    Outside,
    /// EC2 keeps it for itself.
    Reserved,
    /// Somebody has it, or part of it.
    Taken,
    /// None is left.
    Exhausted,
}

impl Space {
    /// Addresses reserved at the beginning of a subnet.
    const RESERVED_FIRST: u32 = 4;

    /// An empty subnet.
    pub(crate) fn new(cidr: Ipv4Net) -> Self {
        Self {
            cidr: cidr.trunc(),
            taken: BTreeSet::new(),
            prefixes: BTreeSet::new(),
        }
    }

    pub(crate) fn cidr(&self) -> Ipv4Net {
        self.cidr
    }

    /// The VPC router's address: the second one.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.cidr.network()) + 1)
    }

    /// Addresses that are neither reserved nor taken nor part of a prefix.
    pub(crate) fn available(&self) -> usize {
        let usable = self.usable();
        let size = usize::try_from(usable.end - usable.start).unwrap_or(usize::MAX);
        size - self.taken.len() - self.prefixes.len() * 16
    }

    /// Takes the lowest free addresses, all or none.
    pub(crate) fn take(&mut self, count: usize) -> Result<Vec<Ipv4Addr>, Refusal> {
        let found: Vec<Ipv4Addr> = self
            .usable()
            .map(Ipv4Addr::from)
            .filter(|address| self.is_free(*address))
            .take(count)
            .collect();
        if found.len() < count {
            return Err(Refusal::Exhausted);
        }
        self.taken.extend(&found);
        Ok(found)
    }

    /// Takes one address.
    pub(crate) fn take_exact(&mut self, address: Ipv4Addr) -> Result<(), Refusal> {
        if !self.cidr.contains(&address) {
            return Err(Refusal::Outside);
        }
        if !self.usable().contains(&u32::from(address)) {
            return Err(Refusal::Reserved);
        }
        if !self.is_free(address) {
            return Err(Refusal::Taken);
        }
        self.taken.insert(address);
        Ok(())
    }

    /// Takes the lowest free prefixes, all or none.
    pub(crate) fn take_prefixes(&mut self, count: usize) -> Result<Vec<Ipv4Prefix>, Refusal> {
        let found: Vec<Ipv4Prefix> = self.free_blocks().take(count).collect();
        if found.len() < count {
            return Err(Refusal::Exhausted);
        }
        self.prefixes.extend(&found);
        Ok(found)
    }

    /// Takes the first address of each block that could be a prefix.
    pub(crate) fn break_blocks(&mut self) -> Vec<Ipv4Addr> {
        let found: Vec<Ipv4Addr> = self
            .free_blocks()
            .filter_map(|block| block.addresses().next())
            .collect();
        self.taken.extend(&found);
        found
    }

    fn free_blocks(&self) -> impl Iterator<Item = Ipv4Prefix> + '_ {
        let first = u32::from(self.cidr.network());
        let last = u32::from(self.cidr.broadcast());
        (first..=last)
            .step_by(16)
            .map(|address| Ipv4Prefix::containing(Ipv4Addr::from(address)))
            .filter(|prefix| self.prefix_problem(*prefix).is_none())
    }

    /// Takes one prefix.
    pub(crate) fn take_exact_prefix(&mut self, prefix: Ipv4Prefix) -> Result<(), Refusal> {
        match self.prefix_problem(prefix) {
            Some(problem) => Err(problem),
            None => {
                self.prefixes.insert(prefix);
                Ok(())
            }
        }
    }

    /// Gives an address back; whether it was taken.
    pub(crate) fn give(&mut self, address: Ipv4Addr) -> bool {
        self.taken.remove(&address)
    }

    /// Gives a prefix back; whether it was taken.
    pub(crate) fn give_prefix(&mut self, prefix: Ipv4Prefix) -> bool {
        self.prefixes.remove(&prefix)
    }

    fn usable(&self) -> std::ops::Range<u32> {
        let first = u32::from(self.cidr.network());
        first + Self::RESERVED_FIRST..u32::from(self.cidr.broadcast())
    }

    fn is_free(&self, address: Ipv4Addr) -> bool {
        !self.taken.contains(&address) && !self.prefixes.contains(&Ipv4Prefix::containing(address))
    }

    fn prefix_problem(&self, prefix: Ipv4Prefix) -> Option<Refusal> {
        if !self.cidr.contains(&Ipv4Net::from(prefix)) {
            return Some(Refusal::Outside);
        }
        let usable = self.usable();
        if prefix
            .addresses()
            .any(|address| !usable.contains(&u32::from(address)))
        {
            return Some(Refusal::Reserved);
        }
        if prefix.addresses().any(|address| !self.is_free(address)) {
            return Some(Refusal::Taken);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(cidr: &str) -> Space {
        Space::new(cidr.parse().unwrap())
    }

    #[test]
    fn the_first_four_addresses_and_the_last_are_never_given() {
        let mut space = space("10.0.0.0/28");
        assert_eq!(space.available(), 11);
        let all = space.take(11).unwrap();
        assert_eq!(all[0], Ipv4Addr::new(10, 0, 0, 4));
        assert_eq!(all[10], Ipv4Addr::new(10, 0, 0, 14));
        assert_eq!(space.take(1), Err(Refusal::Exhausted));
        assert_eq!(
            space.take_exact(Ipv4Addr::new(10, 0, 0, 15)),
            Err(Refusal::Reserved)
        );
        assert_eq!(
            space.take_exact(Ipv4Addr::new(10, 0, 1, 1)),
            Err(Refusal::Outside)
        );
    }

    #[test]
    fn a_request_for_too_many_takes_none() {
        let mut space = space("10.0.0.0/28");
        assert_eq!(space.take(12), Err(Refusal::Exhausted));
        assert_eq!(space.available(), 11);
    }

    #[test]
    fn the_lowest_address_given_back_is_the_next_one_taken() {
        let mut space = space("10.0.0.0/24");
        space.take(5).unwrap();
        assert!(space.give(Ipv4Addr::new(10, 0, 0, 5)));
        assert!(!space.give(Ipv4Addr::new(10, 0, 0, 5)));
        assert_eq!(space.take(1), Ok(vec![Ipv4Addr::new(10, 0, 0, 5)]));
    }

    #[test]
    fn a_prefix_needs_a_block_with_nothing_in_it() {
        let mut space = space("10.0.0.0/26");
        space.take_exact(Ipv4Addr::new(10, 0, 0, 20)).unwrap();
        let found = space.take_prefixes(1).unwrap();
        assert_eq!(found, ["10.0.0.32/28".parse().unwrap()]);
        // The last block holds the reserved last address, the first block the first four.
        assert_eq!(space.take_prefixes(1), Err(Refusal::Exhausted));
        for taken in ["10.0.0.16/28", "10.0.0.32/28"] {
            let refused = space.take_exact_prefix(taken.parse().unwrap());
            assert_eq!(refused, Err(Refusal::Taken));
        }
        assert_eq!(
            space.take_exact_prefix("10.0.0.48/28".parse().unwrap()),
            Err(Refusal::Reserved)
        );
        assert_eq!(
            space.take_exact(Ipv4Addr::new(10, 0, 0, 33)),
            Err(Refusal::Taken)
        );
        assert_eq!(space.available(), 64 - 5 - 1 - 16);
    }
}
