//! Policy rules: `RTM_*RULE` messages (`struct fib_rule_hdr` and `FRA_*`, linux/fib_rules.h).

use ipnet::IpNet;
use vpc_model::{Connmark, RouteTableId, RulePriority};

use super::attributes::{self, Writer};
use super::family_of;
use super::socket::{Batch, CREATE, ECHO, EXCLUSIVE};
use crate::state::{Rule, Selector};

pub(crate) const RTM_NEWRULE: u16 = 32;
pub(crate) const RTM_DELRULE: u16 = 33;
pub(crate) const RTM_GETRULE: u16 = 34;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_PROTOCOL: u16 = 21;

/// `FR_ACT_TO_TBL`: look the packet up in a table.
const ACTION_TABLE: u8 = 1;
/// `FR_ACT_UNSPEC`: in a deletion, whatever the rule does.
const ACTION_ANY: u8 = 0;
/// `FIB_RULE_INVERT`: the rule is for all packets but those.
const INVERTED: u32 = 2;
/// What a rule that suppresses nothing says.
const NOT_SUPPRESSED: u32 = u32::MAX;
/// The length of `struct fib_rule_hdr`.
const HEADER: usize = 12;

/// Adds a rule; refused (`EEXIST`) where the same rule is there.
pub(crate) fn add(batch: &mut Batch, rule: &Rule) {
    batch.push(RTM_NEWRULE, CREATE | EXCLUSIVE, |bytes| write(bytes, rule));
}

/// Takes the first rule away that fits; the kernel echoes which that was.
pub(crate) fn delete(batch: &mut Batch, rule: &Rule) {
    batch.push(RTM_DELRULE, ECHO, |bytes| write(bytes, rule));
}

fn write(bytes: &mut Vec<u8>, rule: &Rule) {
    let action = if rule.table.is_some() {
        ACTION_TABLE
    } else {
        ACTION_ANY
    };
    let (family, to, from) = match rule.selector {
        Selector::To(net) => (family_of(net.addr()), net.prefix_len(), 0),
        Selector::From(net) => (family_of(net.addr()), 0, net.prefix_len()),
        Selector::Mark(_) => (super::AF_INET, 0, 0),
    };
    bytes.extend_from_slice(&[family, to, from, 0, 0, 0, 0, action, 0, 0, 0, 0]);
    let mut writer = Writer(bytes);
    match rule.selector {
        Selector::To(net) => writer.address(FRA_DST, net.addr()),
        Selector::From(net) => writer.address(FRA_SRC, net.addr()),
        Selector::Mark(mark) => writer.number(FRA_FWMARK, mark.0).number(FRA_FWMASK, mark.0),
    };
    writer.number(FRA_PRIORITY, rule.priority.0);
    if let Some(table) = rule.table {
        writer.number(FRA_TABLE, table.0);
    }
}

/// The payload that asks for all IPv4 rules.
pub(crate) fn all() -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[0] = super::AF_INET;
    bytes
}

/// Reads a rule: `None` where it has anything our rules never have, so that nobody else's rule
/// is taken for one of ours.
pub(crate) fn decode(payload: &[u8]) -> Option<Rule> {
    let [_, to_length, from_length, tos, table, _, _, action] = *payload.first_chunk()?;
    let inverted = attributes::number(payload, 8)? & INVERTED != 0;
    if action != ACTION_TABLE || tos != 0 || inverted {
        return None;
    }
    let (mut to, mut from, mut mark, mut mask, mut priority) = (None, None, None, None, 0);
    let mut table = u32::from(table);
    for (kind, value) in attributes::read(payload.get(HEADER..)?) {
        match kind {
            FRA_DST => to = Some(IpNet::new(attributes::address(value)?, to_length).ok()?),
            FRA_SRC => from = Some(IpNet::new(attributes::address(value)?, from_length).ok()?),
            FRA_FWMARK => mark = attributes::number(value, 0),
            FRA_FWMASK => mask = attributes::number(value, 0),
            FRA_PRIORITY => priority = attributes::number(value, 0)?,
            FRA_TABLE => table = attributes::number(value, 0)?,
            FRA_SUPPRESS_PREFIXLEN if attributes::number(value, 0)? == NOT_SUPPRESSED => {}
            FRA_PROTOCOL => {}
            _ => return None,
        }
    }
    let selector = match (from, to, mark) {
        (Some(net), None, None) => Selector::From(net),
        (None, Some(net), None) => Selector::To(net),
        (None, None, Some(mark)) if mask == Some(mark) => Selector::Mark(Connmark(mark)),
        _ => return None,
    };
    Some(Rule {
        priority: RulePriority(priority),
        selector,
        table: Some(RouteTableId(table)),
    })
}
