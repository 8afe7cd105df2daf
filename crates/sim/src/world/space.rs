//! The addresses of one subnet: which are reserved, taken, or part of a prefix.
//!
//! EC2 reserves the first four addresses and the last one. A single address is taken from the
//! lowest free place; a prefix needs a whole aligned /28 in which nothing is reserved or taken.
//!
//! Customers reserve ranges too (CIDR reservations). EC2 chooses nothing from such a range by
//! itself, except prefixes from a range that is reserved for prefixes, which it chooses first. The
//! page "Subnet CIDR reservations" (Amazon VPC user guide) does not say whether an exact address
//! may lie in a range for prefixes; here it may.

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
    reservations: Vec<(Ipv4Net, ReservedFor)>,
    /// No usable address below is free and unreserved: where a search may begin.
    searched: u32,
}

/// What a range is reserved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReservedFor {
    /// Prefixes that EC2 chooses.
    Prefixes,
    /// Addresses and prefixes that the customer names.
    Explicit,
}

impl ReservedFor {
    /// EC2's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ReservedFor::Prefixes => "prefix",
            ReservedFor::Explicit => "explicit",
        }
    }
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
            reservations: Vec::new(),
            searched: 0,
        }
    }

    /// Reserves a range; what is taken from it stays taken.
    pub(crate) fn reserve(&mut self, range: Ipv4Net, reserved_for: ReservedFor) {
        self.reservations.push((range, reserved_for));
    }

    /// Ends a reservation.
    pub(crate) fn release_range(&mut self, range: Ipv4Net) {
        self.searched = 0;
        self.reservations.retain(|(other, _)| *other != range);
    }

    pub(crate) fn cidr(&self) -> Ipv4Net {
        self.cidr
    }

    /// The VPC router's address: the second one.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.cidr.network()) + 1)
    }

    /// Addresses that are neither reserved by EC2 or for prefixes, nor taken, nor part of a prefix.
    pub(crate) fn available(&self) -> usize {
        let kept = |reserved_for| reserved_for == ReservedFor::Prefixes;
        if !self.reservations.iter().any(|(_, r)| kept(*r)) {
            let usable = self.usable();
            let size = usize::try_from(usable.end - usable.start).unwrap_or(usize::MAX);
            return size - self.taken.len() - self.prefixes.len() * 16;
        }
        self.free(|address| !self.reservation(address).is_some_and(kept))
            .count()
    }

    /// Addresses that EC2 chooses from by itself.
    pub(crate) fn choosable(&self) -> usize {
        self.free(|address| self.reservation(address).is_none())
            .count()
    }

    /// Free addresses that pass a test, lowest first.
    fn free(&self, test: impl Fn(Ipv4Addr) -> bool) -> impl Iterator<Item = Ipv4Addr> {
        self.usable()
            .map(Ipv4Addr::from)
            .filter(move |address| test(*address) && self.is_free(*address))
    }

    /// What the range around an address is reserved for.
    fn reservation(&self, address: Ipv4Addr) -> Option<ReservedFor> {
        let around = |(range, _): &&(Ipv4Net, ReservedFor)| range.contains(&address);
        self.reservations
            .iter()
            .find(around)
            .map(|(_, reserved_for)| *reserved_for)
    }

    /// Takes the lowest free addresses, all or none.
    pub(crate) fn take(&mut self, count: usize) -> Result<Vec<Ipv4Addr>, Refusal> {
        let usable = self.usable();
        let found: Vec<Ipv4Addr> = (usable.start.max(self.searched)..usable.end)
            .map(Ipv4Addr::from)
            .filter(|address| self.is_free(*address) && self.reservation(*address).is_none())
            .take(count)
            .collect();
        if found.len() < count {
            return Err(Refusal::Exhausted);
        }
        if let Some(last) = found.last() {
            self.searched = u32::from(*last) + 1;
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

    /// Takes the lowest free prefixes, those in ranges for them first, all or none.
    pub(crate) fn take_prefixes(&mut self, count: usize) -> Result<Vec<Ipv4Prefix>, Refusal> {
        let found: Vec<Ipv4Prefix> = self
            .free_blocks(Some(ReservedFor::Prefixes))
            .chain(self.free_blocks(None))
            .take(count)
            .collect();
        if found.len() < count {
            return Err(Refusal::Exhausted);
        }
        self.prefixes.extend(&found);
        Ok(found)
    }

    /// Takes the first address of each block that could be a prefix and is not reserved.
    pub(crate) fn break_blocks(&mut self) -> Vec<Ipv4Addr> {
        let found: Vec<Ipv4Addr> = self
            .free_blocks(None)
            .filter_map(|block| block.addresses().next())
            .collect();
        self.taken.extend(&found);
        found
    }

    /// Blocks that could be a prefix, all of whose addresses are reserved for this, or for nothing.
    fn free_blocks(&self, of: Option<ReservedFor>) -> impl Iterator<Item = Ipv4Prefix> + '_ {
        let first = u32::from(self.cidr.network());
        let last = u32::from(self.cidr.broadcast());
        (first..=last)
            .step_by(16)
            .map(|address| Ipv4Prefix::containing(Ipv4Addr::from(address)))
            .filter(|prefix| self.prefix_problem(*prefix).is_none())
            .filter(move |prefix| prefix.addresses().all(|a| self.reservation(a) == of))
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
        self.searched = self.searched.min(u32::from(address));
        self.taken.remove(&address)
    }

    /// Gives a prefix back; whether it was taken.
    pub(crate) fn give_prefix(&mut self, prefix: Ipv4Prefix) -> bool {
        let first = prefix.addresses().next().map_or(0, u32::from);
        self.searched = self.searched.min(first);
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

    #[test]
    fn a_range_for_prefixes_gives_them_first_and_single_addresses_never() {
        let mut space = space("10.0.0.0/25");
        let range = "10.0.0.64/27".parse().unwrap();
        space.reserve(range, ReservedFor::Prefixes);
        assert_eq!((space.available(), space.choosable()), (91, 91));
        let found = space.take_prefixes(3).unwrap();
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.0.0.64/28", "10.0.0.80/28", "10.0.0.16/28"]);
        let all = space.take(75).unwrap();
        assert!(!all.iter().any(|address| Ipv4Net::contains(&range, address)));
        assert_eq!(space.take(1), Err(Refusal::Exhausted));
        space.give_prefix(found[0]);
        assert_eq!(space.available(), 0);
        space.release_range(range);
        assert_eq!(space.available(), 16);
    }

    #[test]
    fn from_a_range_for_explicit_use_nothing_is_chosen() {
        let mut space = space("10.0.0.0/26");
        let range = "10.0.0.16/28".parse().unwrap();
        space.reserve(range, ReservedFor::Explicit);
        assert_eq!((space.available(), space.choosable()), (59, 43));
        let found = space.take_prefixes(1).unwrap();
        assert_eq!(found, ["10.0.0.32/28".parse().unwrap()]);
        assert_eq!(space.take_prefixes(1), Err(Refusal::Exhausted));
        let exact = Ipv4Addr::new(10, 0, 0, 16);
        assert_eq!(space.take_exact(exact), Ok(()));
        assert!(space.break_blocks().is_empty());
    }
}
