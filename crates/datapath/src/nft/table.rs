//! An nf_tables table as data.

use super::expression::Expression;
use crate::hash::fnv1a;
use crate::netlink::attributes::Writer;

/// A table of the `ip` family, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) chains: Vec<Chain>,
}

/// A chain and its rules, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    /// Where packets enter it; `None` for a chain others jump to.
    pub(crate) base: Option<Base>,
    pub(crate) rules: Vec<Rule>,
}

/// What makes a chain a base chain. Its policy is always to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) kind: ChainKind,
    pub(crate) hook: Hook,
    pub(crate) priority: i32,
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainKind {
    /// Sees every packet.
    Filter,
    /// Sees the first packet of each connection, and may translate it.
    Nat,
}

/// Where in a packet's way through the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// Before routing.
    Prerouting,
    /// After routing, on the way out.
    Postrouting,
}

/// A rule: what it does, and why, for whoever lists the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) comment: &'static str,
    pub(crate) expressions: Vec<Expression>,
}

/// A fingerprint of a rule, stored with it in the kernel. nft(8) carries it along in nothing it
/// writes, so a rule that has the right one is the rule we wrote: the kernel cannot change a
/// rule in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) u64);

/// What a rule has counted. In a chain that translates, a packet stands for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Packets.
    pub packets: u64,
    /// Bytes of these packets.
    pub bytes: u64,
}

impl ChainKind {
    /// The kernel's name for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
        }
    }
}

impl Hook {
    /// `NF_INET_PRE_ROUTING`, `NF_INET_POST_ROUTING`.
    pub(crate) fn number(self) -> u32 {
        match self {
            Hook::Prerouting => 0,
            Hook::Postrouting => 4,
        }
    }
}

impl Rule {
    /// A rule of these parts.
    pub(crate) fn new(comment: &'static str, parts: &[&[Expression]]) -> Self {
        Self {
            comment,
            expressions: parts.concat(),
        }
    }

    /// Appends the rule's expressions. Its counter begins with what was counted until now.
    pub(crate) fn write_expressions(&self, list: &mut Writer<'_>, until_now: Counted) {
        self.expressions
            .iter()
            .for_each(|expression| expression.write(list, until_now));
    }

    /// The fingerprint of what this rule does and says.
    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        self.write_expressions(&mut Writer(&mut bytes), Counted::default());
        Digest(fnv1a(&[self.comment.as_bytes(), &bytes]))
    }
}
