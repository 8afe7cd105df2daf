//! nf_tables messages: transactions that write a table, and what a table looks like read back.

use std::collections::BTreeSet;

use super::expression;
use super::table::{Base, Chain, Counted, Digest, Rule, Table};
use crate::netlink::attributes::{self, Writer};
use crate::netlink::socket::{APPEND, Batch, CREATE, Reply};

/// `NFNL_SUBSYS_NFTABLES`, the upper byte of a message's type.
const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and `_END`, which belong to no subsystem.
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;
/// `NFT_MSG_*`.
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const GET_TABLE: u16 = SUBSYSTEM << 8 | 1;
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const GET_CHAIN: u16 = SUBSYSTEM << 8 | 4;
const DELETE_CHAIN: u16 = SUBSYSTEM << 8 | 5;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const GET_RULE: u16 = SUBSYSTEM << 8 | 7;
const DELETE_RULE: u16 = SUBSYSTEM << 8 | 8;

/// `NFPROTO_IPV4`: the `ip` family.
const FAMILY_IP: u8 = 2;
const FAMILY_NONE: u8 = 0;
/// The length of `struct nfgenmsg`.
const HEADER: usize = 4;

/// `NFTA_TABLE_*`.
const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
/// `NFTA_CHAIN_*`.
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
/// `NFTA_HOOK_*`.
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
/// `NFTA_RULE_*`.
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
/// `NF_ACCEPT`.
const ACCEPT: u32 = 1;

/// Kinds of user data: nft(8)'s comment, and our digest, under a number it does not use.
const USERDATA_COMMENT: u8 = 0;
const USERDATA_DIGEST: u8 = 200;

fn header(bytes: &mut Vec<u8>, family: u8, resource: u16) {
    bytes.extend_from_slice(&[family, 0]);
    bytes.extend_from_slice(&resource.to_be_bytes());
}

fn push(batch: &mut Batch, kind: u16, flags: u16, fill: impl FnOnce(&mut Writer<'_>)) {
    batch.push(kind, flags, |bytes| {
        header(bytes, FAMILY_IP, 0);
        fill(&mut Writer(bytes));
    });
}

fn transaction(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::bracketed();
    batch.push(BEGIN, 0, |bytes| header(bytes, FAMILY_NONE, SUBSYSTEM));
    fill(&mut batch);
    batch.push(END, 0, |bytes| header(bytes, FAMILY_NONE, SUBSYSTEM));
    batch
}

/// The transaction that puts `table` in the place of whatever has its name. It is added first, so
/// that deleting it cannot fail. What was counted until then is counted on.
pub(super) fn replacement(table: &Table, counted: &[(String, Counted)]) -> Batch {
    transaction(|batch| {
        for (kind, flags) in [(NEW_TABLE, CREATE), (DELETE_TABLE, 0), (NEW_TABLE, CREATE)] {
            push(batch, kind, flags, |writer| {
                writer.text(TABLE_NAME, table.name);
            });
        }
        for chain in &table.chains {
            push(batch, NEW_CHAIN, CREATE, |writer| {
                write_chain(writer, table.name, chain);
            });
        }
        for chain in &table.chains {
            for rule in &chain.rules {
                push(batch, NEW_RULE, CREATE | APPEND, |writer| {
                    writer
                        .text(RULE_TABLE, table.name)
                        .text(RULE_CHAIN, chain.name);
                    let until_now = counted
                        .iter()
                        .find(|(comment, _)| comment == rule.comment)
                        .map(|(_, counted)| *counted);
                    writer.nest(RULE_EXPRESSIONS, |list| {
                        rule.write_expressions(list, until_now.unwrap_or_default());
                    });
                    writer.bytes(RULE_USERDATA, &userdata(rule));
                });
            }
        }
    })
}

/// The transaction that deletes a table.
pub(super) fn removal(name: &str) -> Batch {
    transaction(|batch| {
        push(batch, DELETE_TABLE, 0, |writer| {
            writer.text(TABLE_NAME, name);
        });
    })
}

fn write_chain(writer: &mut Writer<'_>, table: &str, chain: &Chain) {
    writer.text(CHAIN_TABLE, table).text(CHAIN_NAME, chain.name);
    if let Some(base) = chain.base {
        writer.nest(CHAIN_HOOK, |hook| {
            hook.big_endian(HOOK_NUMBER, base.hook.number());
            hook.big_endian(HOOK_PRIORITY, base.priority.cast_unsigned());
        });
        writer
            .big_endian(CHAIN_POLICY, ACCEPT)
            .text(CHAIN_TYPE, base.kind.as_str());
    }
}

/// Kind, length, value, as nft(8) does it.
fn userdata(rule: &Rule) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut comment = rule.comment.as_bytes().to_vec();
    comment.push(0);
    let digest = rule.digest().0.to_be_bytes();
    for (kind, value) in [
        (USERDATA_COMMENT, &comment[..]),
        (USERDATA_DIGEST, &digest[..]),
    ] {
        bytes.push(kind);
        bytes.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(value);
    }
    bytes
}

fn digest_in(userdata: &[u8]) -> Option<Digest> {
    let value = userdata_of(userdata, USERDATA_DIGEST)?;
    Some(Digest(u64::from_be_bytes(value.try_into().ok()?)))
}

/// A rule's comment, as nft(8) and newer iptables-nft keep it.
fn comment_in(userdata: &[u8]) -> Option<String> {
    attributes::text(userdata_of(userdata, USERDATA_COMMENT)?).map(str::to_owned)
}

fn userdata_of(userdata: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = userdata;
    loop {
        let (kind, length) = (*rest.first()?, usize::from(*rest.get(1)?));
        let value = rest.get(2..2 + length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(2 + length..)?;
    }
}

/// Whether a message is about this table of the `ip` family, or a chain or rule of it.
pub(super) fn is_of_table(message: &Reply, name: &str) -> bool {
    let about = [
        NEW_TABLE,
        DELETE_TABLE,
        NEW_CHAIN,
        DELETE_CHAIN,
        NEW_RULE,
        DELETE_RULE,
    ];
    // The table's name is the first attribute of each.
    about.contains(&message.kind)
        && message.payload.first() == Some(&FAMILY_IP)
        && attributes::read(message.payload.get(HEADER..).unwrap_or_default())
            .any(|(kind, value)| kind == TABLE_NAME && attributes::text(value) == Some(name))
}

/// A rule of somebody else's table, as far as it tells whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignRule {
    pub(crate) chain: String,
    pub(crate) handle: u64,
    pub(crate) comment: Option<String>,
}

/// Reads a rule of a table; `None` for one of another.
pub(super) fn foreign_rule(table: &str, payload: &[u8]) -> Option<ForeignRule> {
    let (mut of, mut chain, mut handle, mut comment) = (None, None, None, None);
    for (kind, value) in attributes::read(payload.get(HEADER..)?) {
        match kind {
            RULE_TABLE => of = attributes::text(value),
            RULE_CHAIN => chain = attributes::text(value),
            RULE_HANDLE => handle = value.try_into().ok().map(u64::from_be_bytes),
            RULE_EXPRESSIONS => comment = comment.or_else(|| expression::comment_in(value)),
            RULE_USERDATA => comment = comment_in(value).or(comment),
            _ => {}
        }
    }
    (of == Some(table)).then_some(ForeignRule {
        chain: chain?.to_owned(),
        handle: handle?,
        comment,
    })
}

/// Reads a chain of a table: its name; `None` for one of another.
pub(super) fn foreign_chain(table: &str, payload: &[u8]) -> Option<String> {
    let (mut of, mut name) = (None, None);
    for (kind, value) in attributes::read(payload.get(HEADER..)?) {
        match kind {
            CHAIN_TABLE => of = attributes::text(value),
            CHAIN_NAME => name = attributes::text(value),
            _ => {}
        }
    }
    name.filter(|_| of == Some(table)).map(str::to_owned)
}

/// What is to be taken out of somebody else's table: single rules, and whole chains.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    pub(crate) table: &'static str,
    pub(crate) rules: Vec<ForeignRule>,
    pub(crate) chains: Vec<String>,
}

/// The one transaction that takes all of it out: rules first, that no chain is jumped to.
pub(super) fn foreign_removal(removals: &[Removal]) -> Batch {
    transaction(|batch| {
        for removal in removals {
            for rule in &removal.rules {
                push(batch, DELETE_RULE, 0, |writer| {
                    writer
                        .text(RULE_TABLE, removal.table)
                        .text(RULE_CHAIN, &rule.chain)
                        .bytes(RULE_HANDLE, &rule.handle.to_be_bytes());
                });
            }
            for chain in &removal.chains {
                push(batch, DELETE_RULE, 0, |writer| {
                    writer
                        .text(RULE_TABLE, removal.table)
                        .text(RULE_CHAIN, chain);
                });
            }
            for chain in &removal.chains {
                push(batch, DELETE_CHAIN, 0, |writer| {
                    writer
                        .text(CHAIN_TABLE, removal.table)
                        .text(CHAIN_NAME, chain);
                });
            }
        }
    })
}

/// Asks for one table.
pub(super) fn ask_for_table(batch: &mut Batch, name: &str) {
    push(batch, GET_TABLE, 0, |writer| {
        writer.text(TABLE_NAME, name);
    });
}

/// The question for all chains.
pub(super) fn all_chains() -> (u16, Vec<u8>) {
    let mut bytes = Vec::new();
    header(&mut bytes, FAMILY_IP, 0);
    (GET_CHAIN, bytes)
}

/// The question for a table's rules. Old kernels list all.
pub(super) fn all_rules(table: &str) -> (u16, Vec<u8>) {
    let mut bytes = Vec::new();
    header(&mut bytes, FAMILY_IP, 0);
    Writer(&mut bytes).text(RULE_TABLE, table);
    (GET_RULE, bytes)
}

/// A table as it was read back: as much of it as tells whether it is ours.
#[derive(Debug, Default)]
pub(super) struct Observed {
    flags: u32,
    chains: Vec<ObservedChain>,
    rules: Vec<ObservedRule>,
}

/// A rule as it was read back, in its place.
#[derive(Debug, Default)]
struct ObservedRule {
    chain: String,
    /// None on a rule that is not ours.
    digest: Option<Digest>,
    comment: Option<String>,
    counted: Option<Counted>,
}

#[derive(Debug)]
struct ObservedChain {
    name: String,
    base: Option<ObservedBase>,
}

#[derive(Debug, PartialEq, Eq)]
struct ObservedBase {
    kind: String,
    hook: u32,
    priority: i32,
    policy: u32,
}

impl Observed {
    pub(super) fn take_table(&mut self, payload: &[u8]) {
        for (kind, value) in attributes::read(payload.get(HEADER..).unwrap_or_default()) {
            if kind == TABLE_FLAGS {
                self.flags = attributes::big_endian(value).unwrap_or_default();
            }
        }
    }

    pub(super) fn take_chain(&mut self, table: &str, payload: &[u8]) {
        let (mut of, mut name, mut hook, mut chain_kind) = (None, None, None, None);
        let mut policy = ACCEPT;
        for (kind, value) in attributes::read(payload.get(HEADER..).unwrap_or_default()) {
            match kind {
                CHAIN_TABLE => of = attributes::text(value),
                CHAIN_NAME => name = attributes::text(value),
                CHAIN_HOOK => hook = hook_in(value),
                CHAIN_POLICY => policy = attributes::big_endian(value).unwrap_or_default(),
                CHAIN_TYPE => chain_kind = attributes::text(value),
                _ => {}
            }
        }
        let Some(name) = name.filter(|_| of == Some(table)) else {
            return;
        };
        let base = hook.map(|(hook, priority)| {
            let kind = chain_kind.unwrap_or_default().to_owned();
            ObservedBase {
                kind,
                hook,
                priority,
                policy,
            }
        });
        self.chains.push(ObservedChain {
            name: name.to_owned(),
            base,
        });
    }

    pub(super) fn take_rule(&mut self, table: &str, payload: &[u8]) {
        let (mut of, mut rule) = (None, ObservedRule::default());
        for (kind, value) in attributes::read(payload.get(HEADER..).unwrap_or_default()) {
            match kind {
                RULE_TABLE => of = attributes::text(value),
                RULE_CHAIN => rule.chain = attributes::text(value).unwrap_or_default().to_owned(),
                RULE_EXPRESSIONS => rule.counted = expression::counted_in(value),
                RULE_USERDATA => {
                    rule.digest = digest_in(value);
                    rule.comment = comment_in(value);
                }
                _ => {}
            }
        }
        if of == Some(table) {
            self.rules.push(rule);
        }
    }

    /// What the rules with comments that no other has have counted.
    pub(super) fn counted(&self) -> Vec<(String, Counted)> {
        let of = |comment: &str| {
            let same = self
                .rules
                .iter()
                .filter(|rule| rule.comment.as_deref() == Some(comment));
            same.count()
        };
        self.rules
            .iter()
            .filter_map(|rule| Some((rule.comment.clone()?, rule.counted?)))
            .filter(|(comment, _)| of(comment) == 1)
            .collect()
    }

    /// The chains with rules that are not ours.
    pub(super) fn not_ours(&self) -> BTreeSet<String> {
        let foreign = self.rules.iter().filter(|rule| rule.digest.is_none());
        foreign.map(|rule| rule.chain.clone()).collect()
    }

    /// Whether this is `table`: switched on, with its chains and no others, and with its rules
    /// and no others, in order.
    pub(super) fn is(&self, table: &Table) -> bool {
        self.flags == 0
            && self.chains.len() == table.chains.len()
            && table.chains.iter().all(|chain| self.has(chain))
    }

    fn has(&self, chain: &Chain) -> bool {
        let same = |observed: &ObservedChain| {
            observed.name == chain.name && observed.base == chain.base.map(as_observed)
        };
        let observed = self.rules.iter().filter(|rule| rule.chain == chain.name);
        let wanted = chain.rules.iter().map(|rule| Some(rule.digest()));
        self.chains.iter().any(same) && observed.map(|rule| rule.digest).eq(wanted)
    }
}

fn as_observed(base: Base) -> ObservedBase {
    let Base {
        kind,
        hook,
        priority,
    } = base;
    ObservedBase {
        kind: kind.as_str().to_owned(),
        hook: hook.number(),
        priority,
        policy: ACCEPT,
    }
}

fn hook_in(value: &[u8]) -> Option<(u32, i32)> {
    let (mut number, mut priority) = (None, None);
    for (kind, value) in attributes::read(value) {
        match kind {
            HOOK_NUMBER => number = attributes::big_endian(value),
            HOOK_PRIORITY => priority = attributes::big_endian(value).map(u32::cast_signed),
            _ => {}
        }
    }
    Some((number?, priority?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::expression::Expression;
    use crate::nft::table::{ChainKind, Hook};

    #[test]
    fn a_digest_is_found_behind_a_comment() {
        let rule = Rule::new(
            "why it is there",
            &[&[Expression::Count, Expression::Return]],
        );
        assert_eq!(digest_in(&userdata(&rule)), Some(rule.digest()));
    }

    #[test]
    fn user_data_of_others_has_no_digest() {
        for foreign in [
            &[][..],
            &[0, 3, b'a', b'b', 0],
            &[0, 200, 1],
            &[200, 2, 1, 1],
        ] {
            assert_eq!(digest_in(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn a_table_with_a_rule_too_many_or_too_few_is_not_the_wanted_one() {
        let rule = Rule::new("x", &[&[Expression::Return]]);
        let base = Base {
            kind: ChainKind::Nat,
            hook: Hook::Prerouting,
            priority: -90,
        };
        let chain = Chain {
            name: "c",
            base: Some(base),
            rules: vec![rule.clone()],
        };
        let table = Table {
            name: "t",
            chains: vec![chain],
        };
        let observed = |digests: &[Option<Digest>]| Observed {
            flags: 0,
            chains: vec![ObservedChain {
                name: "c".to_owned(),
                base: Some(as_observed(base)),
            }],
            rules: digests
                .iter()
                .map(|digest| ObservedRule {
                    chain: "c".to_owned(),
                    digest: *digest,
                    ..ObservedRule::default()
                })
                .collect(),
        };
        let right = Some(rule.digest());
        assert!(observed(&[right]).is(&table));
        assert!(!observed(&[]).is(&table));
        assert!(!observed(&[right, None]).is(&table));
        assert!(!observed(&[right, right]).is(&table));
        assert!(
            !Observed {
                flags: 1,
                ..observed(&[right])
            }
            .is(&table),
            "switched off"
        );
    }
}
