//! What a request wants for an ENI beside its primary address: read, and taken from a subnet.

use std::net::Ipv4Addr;
use std::str::FromStr;

use vpc_model::Ipv4Prefix;

use super::space::{Refusal, Space};
use crate::error::ApiError;

/// What a request wants for an ENI beside its primary address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    Addresses(usize),
    ExactAddresses(Vec<Ipv4Addr>),
    Prefixes(usize),
    ExactPrefixes(Vec<Ipv4Prefix>),
}

/// The four ways to ask, as they stand in a request.
pub(super) struct Asked {
    pub(super) count: Option<i32>,
    pub(super) addresses: Vec<Ipv4Addr>,
    pub(super) prefix_count: Option<i32>,
    pub(super) prefixes: Vec<Ipv4Prefix>,
}

impl Asked {
    /// At most one of the four ways may be used.
    pub(super) fn wanted(self) -> Result<Wanted, ApiError> {
        let mut ways = Vec::new();
        if let Some(count) = self.count {
            ways.push(Wanted::Addresses(number(
                count,
                "SecondaryPrivateIpAddressCount",
            )?));
        }
        if let Some(count) = self.prefix_count {
            ways.push(Wanted::Prefixes(number(count, "Ipv4PrefixCount")?));
        }
        if !self.addresses.is_empty() {
            ways.push(Wanted::ExactAddresses(self.addresses));
        }
        if !self.prefixes.is_empty() {
            ways.push(Wanted::ExactPrefixes(self.prefixes));
        }
        if ways.len() > 1 {
            return Err(ApiError::client(
                "InvalidParameterCombination",
                "Only one of addresses, a count of addresses, prefixes and a count of prefixes \
                 may be specified",
            ));
        }
        Ok(ways.pop().unwrap_or(Wanted::Nothing))
    }
}

impl Wanted {
    /// What it counts against the limit of addresses: a prefix counts as one.
    pub(super) fn slots(&self) -> usize {
        match self {
            Wanted::Nothing => 0,
            Wanted::Addresses(count) | Wanted::Prefixes(count) => *count,
            Wanted::ExactAddresses(addresses) => addresses.len(),
            Wanted::ExactPrefixes(prefixes) => prefixes.len(),
        }
    }

    pub(super) fn has_prefixes(&self) -> bool {
        match self {
            Wanted::Nothing | Wanted::Addresses(_) | Wanted::ExactAddresses(_) => false,
            Wanted::Prefixes(count) => *count > 0,
            Wanted::ExactPrefixes(_) => true,
        }
    }

    /// Takes it from a subnet's addresses, all of it or nothing.
    pub(super) fn take(
        &self,
        space: &mut Space,
    ) -> Result<(Vec<Ipv4Addr>, Vec<Ipv4Prefix>), ApiError> {
        match self {
            Wanted::Nothing => Ok((Vec::new(), Vec::new())),
            Wanted::Addresses(count) => {
                let taken = space.take(*count).map_err(|_| insufficient_addresses())?;
                Ok((taken, Vec::new()))
            }
            Wanted::ExactAddresses(addresses) => {
                for (done, address) in addresses.iter().enumerate() {
                    if let Err(error) = take_exact(space, *address) {
                        for taken in &addresses[..done] {
                            space.give(*taken);
                        }
                        return Err(error);
                    }
                }
                Ok((addresses.clone(), Vec::new()))
            }
            Wanted::Prefixes(count) => {
                let taken = space.take_prefixes(*count);
                Ok((Vec::new(), taken.map_err(|_| insufficient_blocks())?))
            }
            Wanted::ExactPrefixes(prefixes) => {
                for (done, prefix) in prefixes.iter().enumerate() {
                    if let Err(error) = take_exact_prefix(space, *prefix) {
                        for taken in &prefixes[..done] {
                            space.give_prefix(*taken);
                        }
                        return Err(error);
                    }
                }
                Ok((Vec::new(), prefixes.clone()))
            }
        }
    }
}

pub(super) fn take_exact(space: &mut Space, address: Ipv4Addr) -> Result<(), ApiError> {
    space.take_exact(address).map_err(|refusal| match refusal {
        Refusal::Outside => ApiError::invalid(format!(
            "Address {address} does not fall within the subnet's address range"
        )),
        Refusal::Reserved => ApiError::invalid(format!(
            "Address {address} is in subnet's reserved address range"
        )),
        Refusal::Taken | Refusal::Exhausted => ApiError::client(
            "InvalidIPAddress.InUse",
            format!("Address {address} is in use."),
        ),
    })
}

fn take_exact_prefix(space: &mut Space, prefix: Ipv4Prefix) -> Result<(), ApiError> {
    space
        .take_exact_prefix(prefix)
        .map_err(|refusal| match refusal {
            Refusal::Outside => ApiError::invalid(format!(
                "Prefix {prefix} does not fall within the subnet's address range"
            )),
            Refusal::Reserved | Refusal::Taken | Refusal::Exhausted => insufficient_blocks(),
        })
}

pub(super) fn insufficient_addresses() -> ApiError {
    ApiError::client(
        "InsufficientFreeAddressesInSubnet",
        "The specified subnet does not have enough free addresses to satisfy the request.",
    )
}

fn insufficient_blocks() -> ApiError {
    ApiError::client(
        "InsufficientCidrBlocks",
        "The specified subnet does not have enough free cidr blocks to satisfy the request.",
    )
}

pub(super) fn address_limit() -> ApiError {
    ApiError::client(
        "PrivateIpAddressLimitExceeded",
        "Number of private addresses will exceed limit.",
    )
}

/// A count, at least 1.
pub(super) fn number(count: i32, parameter: &str) -> Result<usize, ApiError> {
    match usize::try_from(count) {
        Ok(count) if count > 0 => Ok(count),
        Ok(_) | Err(_) => Err(ApiError::invalid(format!(
            "Value ({count}) for parameter {parameter} is invalid. It must be at least 1."
        ))),
    }
}

/// The values of a list, each of which must be readable.
pub(super) fn parse_all<'a, T: FromStr>(
    texts: impl IntoIterator<Item = &'a str>,
    parameter: &str,
) -> Result<Vec<T>, ApiError> {
    texts
        .into_iter()
        .map(|text| {
            text.parse().map_err(|_| {
                ApiError::invalid(format!(
                    "Value ({text}) for parameter {parameter} is invalid."
                ))
            })
        })
        .collect()
}
