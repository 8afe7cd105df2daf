//! Upstream's rules in the older iptables, which nf_tables knows nothing of and which only its
//! own programs can read and change: `iptables-legacy-save`, `iptables-legacy-restore`.
//!
//! They are run only on a node where that iptables' tables are in use, for otherwise asking would
//! load them. A table is changed at once or not at all.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{TABLES, TRANSLATES, is_own, is_own_rule, sentence};
use crate::error::Error;

const SAVE: &str = "iptables-legacy-save";
const RESTORE: &str = "iptables-legacy-restore";

/// What [`take_over`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// One sentence for each rule and chain that was taken out.
    pub removed: Vec<String>,
    /// Tables that are in use and could have rules of upstream's, but cannot be read, since the
    /// programs are not installed.
    pub unread: Vec<&'static str>,
}

/// Takes upstream's rules and chains out, table by table. To be called when ours are in place.
/// Everybody else's rules stay.
///
/// # Errors
/// A program failed; tables before that one are done.
pub fn take_over() -> Result<Taken, Error> {
    take_over_by(&folders())
}

fn take_over_by(folders: &[PathBuf]) -> Result<Taken, Error> {
    let mut taken = Taken::default();
    for table in tables_in_use() {
        let Some(text) = save(folders, table)? else {
            taken.unread.push(table);
            continue;
        };
        let (script, removed) = removal(table, &text);
        if !removed.is_empty() {
            restore(folders, table, &script)?;
            taken.removed.extend(removed);
        }
    }
    Ok(taken)
}

/// Whether upstream's rule that translates is there. Without the programs, it is not known to be.
pub(super) fn translates() -> Result<bool, Error> {
    if !tables_in_use().contains(&"nat") {
        return Ok(false);
    }
    let text = save(&folders(), "nat")?.unwrap_or_default();
    Ok(text.lines().any(|line| comment(line) == Some(TRANSLATES)))
}

/// The tables in use on the node among those that upstream uses.
fn tables_in_use() -> Vec<&'static str> {
    // Kernels without the older iptables do not have the file.
    let names = std::fs::read_to_string("/proc/thread-self/net/ip_tables_names");
    let names = names.unwrap_or_default();
    TABLES
        .into_iter()
        .filter(|table| names.lines().any(|line| line == *table))
        .collect()
}

/// The script that takes upstream's out of a table, given as it was saved, and what that is.
fn removal(table: &str, saved: &str) -> (String, Vec<String>) {
    let (mut script, mut described) = (format!("*{table}\n"), Vec::new());
    for line in saved.lines() {
        let Some((chain, rest)) = line
            .strip_prefix("-A ")
            .and_then(|rule| rule.split_once(' '))
        else {
            continue;
        };
        let comment = comment(line);
        if !is_own(chain) && is_own_rule(comment) {
            script += &format!("-D {chain} {rest}\n");
            described.push(sentence(table, chain, comment.unwrap_or_default()));
        }
    }
    // Chains can be deleted when nothing jumps to them any more.
    let chain = |line: &'_ str| {
        let name = line.strip_prefix(':')?.split(' ').next()?;
        is_own(name).then(|| name.to_owned())
    };
    let chains: Vec<String> = saved.lines().filter_map(chain).collect();
    for option in ["-F", "-X"] {
        script.extend(chains.iter().map(|chain| format!("{option} {chain}\n")));
    }
    let named = |chain: &String| format!("chain {chain} of table {table}");
    described.extend(chains.iter().map(named));
    script += "COMMIT\n";
    (script, described)
}

/// A rule's comment, which has quotes where it has spaces.
fn comment(rule: &str) -> Option<&str> {
    let (_, rest) = rule.split_once(" --comment ")?;
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split(' ').next(),
    }
}

/// A table as text; nothing where the program is not installed.
fn save(folders: &[PathBuf], table: &'static str) -> Result<Option<String>, Error> {
    let Some(program) = installed(folders, SAVE) else {
        return Ok(None);
    };
    let output = Command::new(program)
        .args(["-t", table])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
        }
        Ok(output) => Err(failed(SAVE, table, said(&output.stderr))),
        Err(error) => Err(failed(SAVE, table, error)),
    }
}

/// Changes a table. Waits a while for others that are changing it.
fn restore(folders: &[PathBuf], table: &'static str, script: &str) -> Result<(), Error> {
    let work = || {
        let program = installed(folders, RESTORE).ok_or(io::ErrorKind::NotFound)?;
        let mut child = Command::new(program)
            .args(["--noflush", "--wait", "10"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // One that ends early says why.
            let _ = input.write_all(script.as_bytes());
        }
        child.wait_with_output()
    };
    match work() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(failed(RESTORE, table, said(&output.stderr))),
        Err(error) => Err(failed(RESTORE, table, error)),
    }
}

/// Where programs are: in the folders of `PATH`, or where distributions put these.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .collect()
}

fn installed(folders: &[PathBuf], program: &str) -> Option<PathBuf> {
    let mut files = folders.iter().map(|folder| folder.join(program));
    files.find(|file| file.is_file())
}

fn said(stderr: &[u8]) -> io::Error {
    io::Error::other(String::from_utf8_lossy(stderr).trim().to_owned())
}

fn failed(program: &'static str, table: &'static str, source: io::Error) -> Error {
    Error::Legacy {
        program,
        table,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::in_new_namespace;

    #[test]
    fn what_is_upstreams_is_taken_out_and_nothing_else() {
        let saved = "# made by a program\n\
            *nat\n\
            :POSTROUTING ACCEPT [12:3]\n\
            :AWS-SNAT-CHAIN-0 - [0:0]\n\
            :MY-AWS-SNAT-CHAIN-0 - [0:0]\n\
            -A POSTROUTING -m comment --comment \"AWS SNAT CHAIN\" -j AWS-SNAT-CHAIN-0\n\
            -A POSTROUTING -m comment --comment \"not AWS SNAT CHAIN\" -j RETURN\n\
            -A POSTROUTING -m comment --comment mine -j MASQUERADE\n\
            -A POSTROUTING -j MASQUERADE\n\
            -A AWS-SNAT-CHAIN-0 -d 10.0.0.0/16 -m comment --comment \"AWS SNAT CHAIN\" -j RETURN\n\
            COMMIT\n";
        let (script, removed) = removal("nat", saved);
        assert_eq!(
            script,
            "*nat\n\
             -D POSTROUTING -m comment --comment \"AWS SNAT CHAIN\" -j AWS-SNAT-CHAIN-0\n\
             -F AWS-SNAT-CHAIN-0\n\
             -X AWS-SNAT-CHAIN-0\n\
             COMMIT\n"
        );
        assert_eq!(
            removed,
            [
                "rule \"AWS SNAT CHAIN\" of chain POSTROUTING of table nat",
                "chain AWS-SNAT-CHAIN-0 of table nat"
            ]
        );
    }

    #[test]
    fn tables_that_are_in_use_and_cannot_be_read_are_named() {
        in_new_namespace(|| {
            assert_eq!(take_over_by(&[]).unwrap(), Taken::default());
            // Reading a table makes it one that is in use.
            assert!(save(&folders(), "nat").unwrap().is_some());
            let taken = take_over_by(&[]).unwrap();
            assert_eq!(taken.unread, ["nat"]);
            assert_eq!(take_over().unwrap(), Taken::default());
        });
    }

    #[test]
    fn what_the_program_says_against_it_is_in_the_error() {
        in_new_namespace(|| {
            let error = restore(&folders(), "nat", "*nat\n-D NO-SUCH-CHAIN\nCOMMIT\n").unwrap_err();
            assert!(
                matches!(error, Error::Legacy { table: "nat", .. }),
                "{error}"
            );
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("line 2"), "{source}");
        });
    }

    #[test]
    fn a_table_without_anything_of_upstreams_gives_nothing_to_do() {
        let (_, removed) = removal("nat", "*nat\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n");
        assert_eq!(removed, [""; 0]);
    }
}
