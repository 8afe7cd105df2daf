//! The IPv6 addresses of a subnet: which are taken, and which come next.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::random::Random;
use super::wanted_v6::Wanted;
use crate::error::ApiError;

/// The length of the prefixes that ENIs get (EC2 user guide, "Prefix delegation").
pub(crate) const PREFIX_LENGTH: u8 = 80;
/// A subnet's own length.
pub(crate) const SUBNET_LENGTH: u8 = 64;
/// The addresses at the beginning that EC2 keeps; it keeps the last one, too (VPC user guide,
/// "Subnet CIDR blocks").
const RESERVED: u128 = 4;
/// Prefixes in a subnet.
const PREFIXES: u64 = 1 << (PREFIX_LENGTH - SUBNET_LENGTH);

/// The IPv6 network of a subnet.
#[derive(Debug, Clone)]
pub(crate) struct SpaceV6 {
    cidr: Ipv6Net,
    addresses: BTreeSet<Ipv6Addr>,
    prefixes: BTreeSet<Ipv6Net>,
}

/// What was taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct TakenV6 {
    pub(crate) addresses: Vec<Ipv6Addr>,
    pub(crate) prefixes: Vec<Ipv6Net>,
}

impl SpaceV6 {
    pub(crate) fn new(cidr: Ipv6Net) -> Self {
        Self {
            cidr,
            addresses: BTreeSet::new(),
            prefixes: BTreeSet::new(),
        }
    }

    pub(crate) fn cidr(&self) -> Ipv6Net {
        self.cidr
    }

    /// Takes what is wanted, all or nothing. EC2 chooses at random where it may choose.
    pub(crate) fn take(
        &mut self,
        wanted: &Wanted,
        random: &mut Random,
    ) -> Result<TakenV6, ApiError> {
        let mut taken = TakenV6::default();
        let mut take = || -> Result<(), ApiError> {
            match wanted {
                Wanted::Nothing => {}
                Wanted::Addresses(count) => {
                    for _ in 0..*count {
                        taken.addresses.push(self.next_address(random));
                    }
                }
                Wanted::ExactAddresses(addresses) => {
                    for address in addresses {
                        self.take_address(*address)?;
                        taken.addresses.push(*address);
                    }
                }
                Wanted::Prefixes(count) => {
                    for _ in 0..*count {
                        taken.prefixes.push(self.next_prefix(random)?);
                    }
                }
                Wanted::ExactPrefixes(prefixes) => {
                    for prefix in prefixes {
                        self.take_prefix(*prefix)?;
                        taken.prefixes.push(*prefix);
                    }
                }
            }
            Ok(())
        };
        let done = take();
        if let Err(error) = done {
            self.give(&taken.addresses, &taken.prefixes);
            return Err(error);
        }
        Ok(taken)
    }

    /// Gives addresses and prefixes back.
    pub(crate) fn give(&mut self, addresses: &[Ipv6Addr], prefixes: &[Ipv6Net]) {
        for address in addresses {
            self.addresses.remove(address);
        }
        for prefix in prefixes {
            self.prefixes.remove(prefix);
        }
    }

    /// One of 2^64 cannot be missed for long.
    fn next_address(&mut self, random: &mut Random) -> Ipv6Addr {
        loop {
            let address = self.at(random.next().into());
            if self.is_usable(address) && !self.is_taken(address) {
                self.addresses.insert(address);
                return address;
            }
        }
    }

    fn next_prefix(&mut self, random: &mut Random) -> Result<Ipv6Net, ApiError> {
        let first = random.below(PREFIXES);
        for step in 0..PREFIXES {
            let number = (first + step) % PREFIXES;
            let prefix = self.prefix(self.at(u128::from(number) << (128 - PREFIX_LENGTH)))?;
            if self.is_free(prefix) {
                self.prefixes.insert(prefix);
                return Ok(prefix);
            }
        }
        Err(insufficient_blocks())
    }

    fn take_address(&mut self, address: Ipv6Addr) -> Result<(), ApiError> {
        if !self.cidr.contains(&address) || !self.is_usable(address) {
            return Err(ApiError::invalid(format!(
                "Address {address} does not fall within the subnet's address range"
            )));
        }
        if self.is_taken(address) {
            return Err(ApiError::client(
                "InvalidIPAddress.InUse",
                format!("Address {address} is in use."),
            ));
        }
        self.addresses.insert(address);
        Ok(())
    }

    fn take_prefix(&mut self, prefix: Ipv6Net) -> Result<(), ApiError> {
        if prefix.prefix_len() != PREFIX_LENGTH
            || prefix.trunc() != prefix
            || !self.cidr.contains(&prefix)
        {
            return Err(ApiError::invalid(format!(
                "Prefix {prefix} does not fall within the subnet's address range"
            )));
        }
        if !self.is_free(prefix) {
            return Err(insufficient_blocks());
        }
        self.prefixes.insert(prefix);
        Ok(())
    }

    fn at(&self, offset: u128) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(self.cidr.network()) | offset)
    }

    fn prefix(&self, address: Ipv6Addr) -> Result<Ipv6Net, ApiError> {
        Ipv6Net::new(address, PREFIX_LENGTH).map_err(|_| insufficient_blocks())
    }

    fn is_usable(&self, address: Ipv6Addr) -> bool {
        let offset = u128::from(address) - u128::from(self.cidr.network());
        offset >= RESERVED && address != self.cidr.broadcast()
    }

    fn is_taken(&self, address: Ipv6Addr) -> bool {
        let in_a_prefix = self
            .prefix(address)
            .is_ok_and(|prefix| self.prefixes.contains(&prefix.trunc()));
        in_a_prefix || self.addresses.contains(&address)
    }

    /// Whether nothing of a prefix is taken, and it has none of the addresses that EC2 keeps.
    fn is_free(&self, prefix: Ipv6Net) -> bool {
        let (first, last) = (prefix.network(), prefix.broadcast());
        self.is_usable(first)
            && self.is_usable(last)
            && !self.prefixes.contains(&prefix)
            && self.addresses.range(first..=last).next().is_none()
    }
}

fn insufficient_blocks() -> ApiError {
    ApiError::client(
        "InsufficientCidrBlocks",
        "The specified subnet does not have enough free cidr blocks to satisfy the request.",
    )
}
