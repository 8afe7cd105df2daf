//! nf_tables over netlink: no nft(8), no iptables, no xtables lock.
//!
//! We own one table and replace it whole, in one transaction: at no moment is a packet without
//! its rules. A table that is right is left alone: [`Nft::ensure`] reads it back and compares
//! fingerprints first. Counters of rules that stay go on from where they were.

pub(crate) mod expression;
mod messages;
pub(crate) mod table;

use std::collections::BTreeSet;

use rustix::io::Errno;

use crate::error::{Error, Refusal};
use crate::netlink::socket::{Batch, Family, Reply, Socket};
use messages::Observed;
pub(crate) use messages::{ForeignRule, Removal};
pub use table::Counted;
use table::Table;

/// Whether a notification is about this table of the `ip` family, or something in it.
pub(crate) fn is_of_table(message: &Reply, name: &str) -> bool {
    messages::is_of_table(message, name)
}

/// A handle on the `ip` tables of one network namespace. Keep it where it is used often: the
/// kernel waits for all packets in flight (some 12 ms) when one that changed something is closed.
pub(crate) struct Nft {
    socket: Socket,
}

/// What [`Nft::ensure`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The table was as wanted, and was not touched.
    AsWanted,
    /// It was missing.
    Missing,
    /// It differed.
    Different,
    /// It was there and is not wanted.
    Unwanted,
}

impl Nft {
    /// Opens a handle on the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open(Family::Netfilter)?,
        })
    }

    /// Sees to it that the table called `name` is `wanted`, or is not there when `None` is.
    pub(crate) fn ensure(&mut self, name: &str, wanted: Option<&Table>) -> Result<Found, Error> {
        let observed = self.observe(name)?;
        let found = match (&observed, wanted) {
            (None, None) => Found::AsWanted,
            (None, Some(_)) => Found::Missing,
            (Some(_), None) => Found::Unwanted,
            (Some(observed), Some(wanted)) if observed.is(wanted) => Found::AsWanted,
            (Some(_), Some(_)) => Found::Different,
        };
        match (found, wanted) {
            (Found::AsWanted, _) => {}
            (Found::Missing | Found::Different | Found::Unwanted, Some(table)) => {
                let doing = format!("write nf_tables table ip {name}");
                let counted = observed.as_ref().map(Observed::counted).unwrap_or_default();
                self.commit(messages::replacement(table, &counted), &doing)?;
            }
            (Found::Missing | Found::Different | Found::Unwanted, None) => {
                let doing = format!("delete nf_tables table ip {name}");
                self.commit(messages::removal(name), &doing)?;
            }
        }
        Ok(found)
    }

    /// What the table's rules with these comments have counted; nothing where there is no table.
    pub(crate) fn counted(&mut self, name: &str) -> Result<Vec<(String, Counted)>, Error> {
        let mut observed = Observed::default();
        for rule in self.list_rules(name)? {
            observed.take_rule(name, &rule.payload);
        }
        Ok(observed.counted())
    }

    /// The rules of somebody else's table; none where there is no such table.
    pub(crate) fn rules_of(&mut self, table: &str) -> Result<Vec<ForeignRule>, Error> {
        let rules = self.list_rules(table)?;
        let rules = rules.iter();
        Ok(rules
            .filter_map(|rule| messages::foreign_rule(table, &rule.payload))
            .collect())
    }

    /// Lists the rules of a table; none where there is no such table. Some may be of others.
    fn list_rules(&mut self, table: &str) -> Result<Vec<Reply>, Error> {
        let doing = format!("list the rules of nf_tables table ip {table}");
        let (kind, payload) = messages::all_rules(table);
        match self.socket.dump(kind, &payload, &doing) {
            Ok(listing) => Ok(listing.entries),
            Err(Error::Refused { source, .. }) if source.is(Errno::NOENT) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The chains of somebody else's table.
    pub(crate) fn chains_of(&mut self, table: &str) -> Result<Vec<String>, Error> {
        let (kind, payload) = messages::all_chains();
        let listing = self.socket.dump(kind, &payload, &"list nf_tables chains")?;
        Ok(listing
            .entries
            .iter()
            .filter_map(|entry| messages::foreign_chain(table, &entry.payload))
            .collect())
    }

    /// The chains of one of our tables that have rules of somebody else.
    pub(crate) fn chains_of_others(&mut self, name: &str) -> Result<BTreeSet<String>, Error> {
        let observed = self.observe(name)?;
        Ok(observed.map(|table| table.not_ours()).unwrap_or_default())
    }

    /// Takes rules and chains out of others' tables, all or nothing.
    pub(crate) fn take_out(&mut self, removals: &[Removal], doing: &str) -> Result<(), Error> {
        self.commit(messages::foreign_removal(removals), doing)
    }

    /// Reads a table back.
    fn observe(&mut self, name: &str) -> Result<Option<Observed>, Error> {
        let doing = format!("read nf_tables table ip {name}");
        let mut batch = Batch::default();
        messages::ask_for_table(&mut batch, name);
        let answers = self.socket.exchange(batch, &doing)?;
        match answers.results.into_iter().next() {
            Some(Err(refused)) if refused.is(Errno::NOENT) => return Ok(None),
            Some(Err(source)) => return Err(Error::Refused { doing, source }),
            Some(Ok(())) | None => {}
        }
        let mut observed = Observed::default();
        for (_, reply) in &answers.replies {
            observed.take_table(&reply.payload);
        }
        let (kind, payload) = messages::all_chains();
        for reply in self.socket.dump(kind, &payload, &doing)?.entries {
            observed.take_chain(name, &reply.payload);
        }
        let (kind, payload) = messages::all_rules(name);
        for reply in self.socket.dump(kind, &payload, &doing)?.entries {
            observed.take_rule(name, &reply.payload);
        }
        Ok(Some(observed))
    }

    /// Sends a transaction. The first refusal is the reason; nothing has changed then.
    fn commit(&mut self, batch: Batch, doing: &str) -> Result<(), Error> {
        let answers = self.socket.exchange(batch, &doing)?;
        let refused: Option<Refusal> = answers.results.into_iter().find_map(Result::err);
        match refused {
            None => Ok(()),
            Some(source) => Err(Error::Refused {
                doing: doing.to_owned(),
                source,
            }),
        }
    }
}
