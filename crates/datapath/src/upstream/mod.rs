//! Taking a node over from upstream's daemon, which keeps its translation in iptables, and giving
//! it back.
//!
//! Its rules and ours translate alike, and a connection is translated once, so that both can be
//! there together: ours are set first, then its are taken out, and at no moment is there neither.
//! Connections that are translated stay so, whoever translated them. The way back is the same.
//!
//! What is upstream's is told by the names of its chains and the comments of its rules. Iptables
//! over nf_tables is read and changed by netlink, in one transaction. The older iptables has no
//! netlink: where its tables are in use, its own programs are run ([`legacy`]).
//!
//! Upstream's nf_tables table has the name of ours, and is replaced by it.

pub mod legacy;

use std::collections::BTreeSet;

use rustix::io::Errno;

use crate::desired::nat;
use crate::error::Error;
use crate::nft::{ForeignRule, Nft, Removal};

/// The tables it has rules in.
const TABLES: [&str; 2] = ["nat", "mangle"];
/// What the names of its own chains begin with.
const CHAINS: [&str; 2] = ["AWS-SNAT-CHAIN-", "AWS-CONNMARK-CHAIN-"];
/// The comment of the rule that translates.
const TRANSLATES: &str = "AWS, SNAT";
/// The comments of its rules.
const COMMENTS: [&str; 7] = [
    "AWS SNAT CHAIN",
    "AWS SNAT CHAIN EXCLUSION",
    TRANSLATES,
    "AWS, primary ENI",
    "AWS, outbound connections",
    "AWS, CONNMARK",
    "AWS CONNMARK CHAIN",
];
/// How often rules are looked up again that somebody else took away meanwhile.
const ATTEMPTS: u32 = 5;

/// Takes upstream's rules and chains out of the tables of iptables over nf_tables, in one
/// transaction, and says which. To be called when ours are in place. The tables themselves stay,
/// as do everybody else's rules.
///
/// # Errors
/// nf_tables cannot be read, or the kernel refuses; then nothing was taken out.
pub fn take_over() -> Result<Vec<String>, Error> {
    let mut nft = Nft::open()?;
    let mut attempt = 1;
    loop {
        let removals = look(&mut nft)?;
        let described = describe(&removals);
        if described.is_empty() {
            return Ok(described);
        }
        match nft.take_out(&removals, "take upstream's rules out of iptables' tables") {
            Ok(()) => return Ok(described),
            Err(Error::Refused { source, .. }) if source.is(Errno::NOENT) && attempt < ATTEMPTS => {
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Takes our table away when upstream's daemon has set its rules again, and says what was taken.
/// What upstream keeps in the table of the same name stays, as does the rule for marked
/// connections, which it needs, too. Our daemon must have ended: it would put all back.
///
/// # Errors
/// [`Error::NobodyTranslates`] when our table translates and no rule of upstream's does, nor
/// would anything after; otherwise the operation that failed.
pub fn give_back() -> Result<Vec<String>, Error> {
    /// Upstream's nf_tables variant has these two, and one jumps to the other.
    const SHARED: [&str; 2] = [nat::PREROUTING, nat::SNAT_MARK];
    let mut nft = Nft::open()?;
    let all: BTreeSet<String> = nft.chains_of(nat::TABLE)?.into_iter().collect();
    if all.contains(nat::POSTROUTING) && !translates(&mut nft)? {
        return Err(Error::NobodyTranslates);
    }
    let kept: BTreeSet<String> = nft.chains_of_others(nat::TABLE)?;
    let shared_is_ours = SHARED.iter().all(|chain| !kept.contains(*chain));
    let ours: Vec<String> = all
        .iter()
        .filter(|chain| !kept.contains(*chain))
        .filter(|chain| shared_is_ours || !SHARED.contains(&chain.as_str()))
        .cloned()
        .collect();
    if ours.len() == all.len() {
        nft.ensure(nat::TABLE, None)?;
    } else if !ours.is_empty() {
        let removal = Removal {
            table: nat::TABLE,
            rules: Vec::new(),
            chains: ours.clone(),
        };
        nft.take_out(&[removal], "take our chains out of upstream's table")?;
    }
    let named = |chain: String| format!("chain {chain} of table {}", nat::TABLE);
    Ok(ours.into_iter().map(named).collect())
}

/// Whether upstream's rule that translates is there, in either kind of iptables.
fn translates(nft: &mut Nft) -> Result<bool, Error> {
    let by = |rule: &ForeignRule| rule.comment.as_deref() == Some(TRANSLATES);
    Ok(nft.rules_of("nat")?.iter().any(by) || legacy::translates()?)
}

fn look(nft: &mut Nft) -> Result<Vec<Removal>, Error> {
    let mut removals = Vec::new();
    for table in TABLES {
        let mut chains = nft.chains_of(table)?;
        chains.retain(|chain| is_own(chain));
        let mut rules = nft.rules_of(table)?;
        rules.retain(|rule| !is_own(&rule.chain) && is_own_rule(rule.comment.as_deref()));
        removals.push(Removal {
            table,
            rules,
            chains,
        });
    }
    Ok(removals)
}

/// Whether a chain is upstream's.
fn is_own(chain: &str) -> bool {
    CHAINS.iter().any(|begin| chain.starts_with(begin))
}

/// Whether a rule with this comment is upstream's.
fn is_own_rule(comment: Option<&str>) -> bool {
    comment.is_some_and(|comment| COMMENTS.contains(&comment))
}

fn describe(removals: &[Removal]) -> Vec<String> {
    let mut described = Vec::new();
    for removal in removals {
        let table = removal.table;
        described.extend(removal.rules.iter().map(|rule| {
            let comment = rule.comment.as_deref().unwrap_or_default();
            sentence(table, &rule.chain, comment)
        }));
        let chains = removal.chains.iter();
        described.extend(chains.map(|chain| format!("chain {chain} of table {table}")));
    }
    described
}

fn sentence(table: &str, chain: &str, comment: &str) -> String {
    format!("rule \"{comment}\" of chain {chain} of table {table}")
}
