//! The handful of nf_tables expressions our rules are made of.
//!
//! A rule is a little program: load something into a register, mask it, compare it, act. All of
//! ours get by with one register. Kinds and attributes are those of linux/netfilter/nf_tables.h;
//! texts like `iifname` are nft(8)'s.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use vpc_model::{Connmark, LinkName, PortRange};

use super::table::Counted;
use crate::netlink::attributes::{self, Writer};

/// One instruction on the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    /// Puts something of the packet into the register.
    Load(Source),
    /// `register = (register & and) ^ flip`.
    Mask { and: [u8; 4], flip: [u8; 4] },
    /// Ends the rule here unless the register begins with exactly these bytes.
    Equal(Vec<u8>),
    /// Puts the register into a mark.
    Store(Mark),
    /// Puts bytes into the register.
    Constant([u8; 4]),
    /// Counts packets and bytes that came this far.
    Count,
    /// Leaves the chain.
    Return,
    /// Goes on in another chain, and comes back.
    Jump(&'static str),
    /// Puts a port into a register of its own: the first (`Lower`) or last (`Upper`) to be given.
    Port(Bound, u16),
    /// Translates the connection's source to the address in the register, and to a port between
    /// those given, if any were.
    SourceNat(PortChoice, PortLimits),
}

/// What can be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `iifname`: the name of the link the packet came in by, filled up with zeros.
    InputName,
    /// `oifname`.
    OutputName,
    /// `ip daddr`.
    Destination,
    /// `fib daddr type`: what the destination is to this node.
    DestinationType,
    /// `fib daddr . iif type`: the same, asked of the input link's own addresses only.
    DestinationTypeOnInput,
    /// `meta mark` or `ct mark`.
    Mark(Mark),
}

/// The two marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Of the packet.
    Packet,
    /// Of the connection.
    Connection,
}

/// Which end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The lowest.
    Lower,
    /// The highest.
    Upper,
}

/// Whether the ports to choose from were put into their registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortLimits {
    /// They were.
    Given,
    /// They were not: the kernel takes its own.
    Kernels,
}

/// How the kernel picks a translated connection's source port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortChoice {
    /// The one it has, where that is free.
    Keep,
    /// `random`.
    Random,
    /// `fully-random`.
    FullyRandom,
}

const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
/// `RTN_LOCAL`: one of the node's own addresses.
const LOCAL: u32 = 2;
/// `NFT_RETURN` and `NFT_JUMP`, as the kernel compares them: two's complement.
const VERDICT_RETURN: u32 = (-5i32).cast_unsigned();
const VERDICT_JUMP: u32 = (-3i32).cast_unsigned();
/// `IFNAMSIZ`.
const NAME_LENGTH: usize = 16;

/// `iifname "<prefix>*"`.
pub(crate) fn input_begins_with(prefix: &str) -> [Expression; 2] {
    [
        Expression::Load(Source::InputName),
        Expression::Equal(prefix.into()),
    ]
}

/// `iifname "<name>"`.
pub(crate) fn input_is(name: &LinkName) -> [Expression; 2] {
    let mut bytes = name.as_str().as_bytes().to_vec();
    bytes.resize(NAME_LENGTH, 0);
    [
        Expression::Load(Source::InputName),
        Expression::Equal(bytes),
    ]
}

/// `oifname "<prefix>*"`.
pub(crate) fn output_begins_with(prefix: &str) -> [Expression; 2] {
    [
        Expression::Load(Source::OutputName),
        Expression::Equal(prefix.into()),
    ]
}

/// `fib daddr type local`, or with `iif`, as `source` says.
pub(crate) fn is_local(source: Source) -> [Expression; 2] {
    [
        Expression::Load(source),
        Expression::Equal(LOCAL.to_ne_bytes().into()),
    ]
}

/// `ip daddr <net>`.
pub(crate) fn destination_in(net: Ipv4Net) -> [Expression; 3] {
    [
        Expression::Load(Source::Destination),
        Expression::Mask {
            and: net.netmask().octets(),
            flip: [0; 4],
        },
        Expression::Equal(net.network().octets().into()),
    ]
}

/// `ct mark & <mark> == <mark>`.
pub(crate) fn connection_has(mark: Connmark) -> [Expression; 3] {
    [
        Expression::Load(Source::Mark(Mark::Connection)),
        Expression::Mask {
            and: mark.0.to_ne_bytes(),
            flip: [0; 4],
        },
        Expression::Equal(mark.0.to_ne_bytes().into()),
    ]
}

/// `<which> mark set <which> mark | <mark>`: all other bits stay.
pub(crate) fn set_mark(which: Mark, mark: Connmark) -> [Expression; 3] {
    [
        Expression::Load(Source::Mark(which)),
        Expression::Mask {
            and: (!mark.0).to_ne_bytes(),
            flip: mark.0.to_ne_bytes(),
        },
        Expression::Store(which),
    ]
}

/// `<which> mark set <which> mark & ~<mark>`: all other bits stay.
pub(crate) fn clear_mark(which: Mark, mark: Connmark) -> [Expression; 3] {
    [
        Expression::Load(Source::Mark(which)),
        Expression::Mask {
            and: (!mark.0).to_ne_bytes(),
            flip: [0; 4],
        },
        Expression::Store(which),
    ]
}

/// `snat to <address>[:<first>-<last>] [random|fully-random]`. What has no ports has numbers that
/// are chosen alike (ICMP), or is left as it is.
pub(crate) fn source_nat(
    address: Ipv4Addr,
    choice: PortChoice,
    ports: Option<PortRange>,
) -> Vec<Expression> {
    let mut parts = vec![Expression::Constant(address.octets())];
    let Some(ports) = ports else {
        parts.push(Expression::SourceNat(choice, PortLimits::Kernels));
        return parts;
    };
    parts.push(Expression::Port(Bound::Lower, ports.first()));
    parts.push(Expression::Port(Bound::Upper, ports.last()));
    parts.push(Expression::SourceNat(choice, PortLimits::Given));
    parts
}

impl Bound {
    /// A register of its own for each, beside the one that all else is done in.
    fn register(self) -> u32 {
        match self {
            Bound::Lower => 2,
            Bound::Upper => 3,
        }
    }
}

impl Expression {
    /// Appends the expression as an element of a rule's list.
    pub(crate) fn write(&self, list: &mut Writer<'_>, until_now: Counted) {
        list.nest(LIST_ELEMENT, |element| {
            element
                .text(NAME, self.kind())
                .nest(DATA, |data| self.write_data(data, until_now));
        });
    }

    fn kind(&self) -> &'static str {
        match self {
            Expression::Load(
                Source::InputName | Source::OutputName | Source::Mark(Mark::Packet),
            )
            | Expression::Store(Mark::Packet) => "meta",
            Expression::Load(Source::Destination) => "payload",
            Expression::Load(Source::DestinationType | Source::DestinationTypeOnInput) => "fib",
            Expression::Load(Source::Mark(Mark::Connection))
            | Expression::Store(Mark::Connection) => "ct",
            Expression::Mask { .. } => "bitwise",
            Expression::Equal(_) => "cmp",
            Expression::Constant(_)
            | Expression::Port(..)
            | Expression::Return
            | Expression::Jump(_) => "immediate",
            Expression::Count => "counter",
            Expression::SourceNat(..) => "nat",
        }
    }

    fn write_data(&self, data: &mut Writer<'_>, until_now: Counted) {
        match self {
            Expression::Load(source) => source.write(data),
            Expression::Mask { and, flip } => write_mask(data, and, flip),
            Expression::Equal(value) => write_equal(data, value),
            Expression::Store(mark) => mark.write_store(data),
            Expression::Constant(value) => write_constant(data, REGISTER, value),
            Expression::Port(bound, port) => {
                write_constant(data, bound.register(), &port.to_be_bytes());
            }
            Expression::Count => write_counter(data, until_now),
            Expression::Return => write_verdict(data, VERDICT_RETURN, None),
            Expression::Jump(chain) => write_verdict(data, VERDICT_JUMP, Some(chain)),
            Expression::SourceNat(choice, limits) => write_source_nat(data, *choice, *limits),
        }
    }
}

/// `NFTA_LIST_ELEM`, `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
const LIST_ELEMENT: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;
/// `NFTA_COUNTER_BYTES` and `NFTA_COUNTER_PACKETS`.
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;
/// `NFTA_DATA_VALUE` and `NFTA_DATA_VERDICT`.
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;

/// `NFTA_IMMEDIATE_*`.
mod immediate {
    pub(super) const DESTINATION: u16 = 1;
    pub(super) const DATA: u16 = 2;
}

impl Source {
    fn write(self, data: &mut Writer<'_>) {
        /// `NFTA_META_DREG`, `NFTA_META_KEY`; the same numbers as `NFTA_CT_*`.
        const DESTINATION: u16 = 1;
        const KEY: u16 = 2;
        const META_INPUT_NAME: u32 = 6;
        const META_OUTPUT_NAME: u32 = 7;
        data.big_endian(DESTINATION, REGISTER);
        match self {
            Source::InputName => data.big_endian(KEY, META_INPUT_NAME),
            Source::OutputName => data.big_endian(KEY, META_OUTPUT_NAME),
            Source::Mark(mark) => data.big_endian(KEY, mark.key()),
            Source::Destination => write_payload(data),
            Source::DestinationType => write_fib(data, FIB_DESTINATION),
            Source::DestinationTypeOnInput => write_fib(data, FIB_DESTINATION | FIB_INPUT),
        };
    }
}

impl Mark {
    /// `NFT_META_MARK` and `NFT_CT_MARK`.
    fn key(self) -> u32 {
        match self {
            Mark::Packet | Mark::Connection => 3,
        }
    }

    fn write_store(self, data: &mut Writer<'_>) {
        const KEY: u16 = 2;
        // NFTA_META_SREG and NFTA_CT_SREG.
        let source = match self {
            Mark::Packet => 3,
            Mark::Connection => 4,
        };
        data.big_endian(KEY, self.key())
            .big_endian(source, REGISTER);
    }
}

/// `NFTA_FIB_F_DADDR` and `NFTA_FIB_F_IIF`.
const FIB_DESTINATION: u32 = 1 << 1;
const FIB_INPUT: u32 = 1 << 3;

fn write_fib<'a, 'b>(data: &'a mut Writer<'b>, flags: u32) -> &'a mut Writer<'b> {
    const RESULT: u16 = 2;
    const FLAGS: u16 = 3;
    const ADDRESS_TYPE: u32 = 3;
    data.big_endian(RESULT, ADDRESS_TYPE)
        .big_endian(FLAGS, flags)
}

fn write_payload<'a, 'b>(data: &'a mut Writer<'b>) -> &'a mut Writer<'b> {
    const BASE: u16 = 2;
    const OFFSET: u16 = 3;
    const LENGTH: u16 = 4;
    const NETWORK_HEADER: u32 = 1;
    // Where the destination stands in an IPv4 header.
    data.big_endian(BASE, NETWORK_HEADER)
        .big_endian(OFFSET, 16)
        .big_endian(LENGTH, 4)
}

fn write_mask(data: &mut Writer<'_>, and: &[u8; 4], flip: &[u8; 4]) {
    const SOURCE: u16 = 1;
    const DESTINATION: u16 = 2;
    const LENGTH: u16 = 3;
    const AND: u16 = 4;
    const FLIP: u16 = 5;
    data.big_endian(SOURCE, REGISTER)
        .big_endian(DESTINATION, REGISTER)
        .big_endian(LENGTH, 4);
    data.nest(AND, |nest| {
        nest.bytes(DATA_VALUE, and);
    });
    data.nest(FLIP, |nest| {
        nest.bytes(DATA_VALUE, flip);
    });
}

fn write_equal(data: &mut Writer<'_>, value: &[u8]) {
    const SOURCE: u16 = 1;
    const OPERATION: u16 = 2;
    const DATA: u16 = 3;
    const EQUAL: u32 = 0;
    data.big_endian(SOURCE, REGISTER)
        .big_endian(OPERATION, EQUAL);
    data.nest(DATA, |nest| {
        nest.bytes(DATA_VALUE, value);
    });
}

fn write_verdict(data: &mut Writer<'_>, code: u32, chain: Option<&str>) {
    const CODE: u16 = 1;
    const CHAIN: u16 = 2;
    data.big_endian(immediate::DESTINATION, VERDICT_REGISTER);
    data.nest(immediate::DATA, |nest| {
        nest.nest(DATA_VERDICT, |verdict| {
            verdict.big_endian(CODE, code);
            if let Some(chain) = chain {
                verdict.text(CHAIN, chain);
            }
        });
    });
}

fn write_counter(data: &mut Writer<'_>, until_now: Counted) {
    if until_now != Counted::default() {
        data.bytes(COUNTER_BYTES, &until_now.bytes.to_be_bytes())
            .bytes(COUNTER_PACKETS, &until_now.packets.to_be_bytes());
    }
}

/// What the first counter of a list of expressions has counted.
pub(super) fn counted_in(list: &[u8]) -> Option<Counted> {
    let data = data_of(list, "counter").next()?;
    let mut counted = Counted::default();
    for (kind, value) in attributes::read(data) {
        let number = || value.try_into().ok().map(u64::from_be_bytes);
        match kind {
            COUNTER_BYTES => counted.bytes = number()?,
            COUNTER_PACKETS => counted.packets = number()?,
            _ => {}
        }
    }
    Some(counted)
}

/// The comment that iptables-nft keeps in a list of expressions: `-m comment`.
pub(super) fn comment_in(list: &[u8]) -> Option<String> {
    /// `NFTA_MATCH_NAME` and `NFTA_MATCH_INFO`.
    const NAME: u16 = 1;
    const INFO: u16 = 3;
    data_of(list, "match").find_map(|data| {
        let (mut name, mut info) = (None, None);
        for (kind, value) in attributes::read(data) {
            match kind {
                NAME => name = attributes::text(value),
                INFO => info = attributes::text(value),
                _ => {}
            }
        }
        info.filter(|_| name == Some("comment")).map(str::to_owned)
    })
}

/// The data of the expressions of one kind in a list.
fn data_of<'a>(list: &'a [u8], wanted: &'a str) -> impl Iterator<Item = &'a [u8]> {
    attributes::read(list).filter_map(move |(_, element)| {
        let (mut name, mut data) = (None, None);
        for (kind, value) in attributes::read(element) {
            match kind {
                NAME => name = attributes::text(value),
                DATA => data = Some(value),
                _ => {}
            }
        }
        data.filter(|_| name == Some(wanted))
    })
}

fn write_constant(data: &mut Writer<'_>, register: u32, value: &[u8]) {
    data.big_endian(immediate::DESTINATION, register);
    data.nest(immediate::DATA, |nest| {
        nest.bytes(DATA_VALUE, value);
    });
}

fn write_source_nat(data: &mut Writer<'_>, ports: PortChoice, limits: PortLimits) {
    const KIND: u16 = 1;
    const FAMILY: u16 = 2;
    const ADDRESS: u16 = 3;
    const LOWEST_PORT: u16 = 5;
    const HIGHEST_PORT: u16 = 6;
    const FLAGS: u16 = 7;
    const SOURCE: u32 = 0;
    const IPV4: u32 = 2;
    // NF_NAT_RANGE_PROTO_RANDOM and _RANDOM_FULLY.
    let flags = match ports {
        PortChoice::Keep => 0,
        PortChoice::Random => 1 << 2,
        PortChoice::FullyRandom => 1 << 4,
    };
    data.big_endian(KIND, SOURCE)
        .big_endian(FAMILY, IPV4)
        .big_endian(ADDRESS, REGISTER);
    if limits == PortLimits::Given {
        data.big_endian(LOWEST_PORT, Bound::Lower.register())
            .big_endian(HIGHEST_PORT, Bound::Upper.register());
    }
    if flags != 0 {
        data.big_endian(FLAGS, flags);
    }
}
