//! The programs `ip` and `nft`, fed with scripts.
//!
//! The fabric is built with them and not with this project's own netlink code, because the fabric
//! is what that code is judged by.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::netns;

/// Where the programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    /// iproute2's `ip`.
    pub ip: PathBuf,
    /// nftables' `nft`.
    pub nft: PathBuf,
    /// util-linux's `setpriv`: ends a daemon when the lab that started it is gone. Without it
    /// `vpc-lab down` has to.
    pub setpriv: Option<PathBuf>,
}

/// Why a script did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program did not start or could not be fed.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The namespace to run it in could not be entered.
    #[error("cannot run {program} in its namespace")]
    Namespace {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: netns::Error,
    },
    /// The program refused the script.
    #[error("{program} failed{at}: {reason}")]
    Refused {
        /// The program.
        program: PathBuf,
        /// The line of the script it names, in quotes after ` at `, or nothing.
        at: String,
        /// The program's own words.
        reason: String,
    },
}

impl Tools {
    /// Carries out `lines` with `ip -batch`, inside the namespace named `netns` or, without one,
    /// in this process's own. The first line that fails ends it.
    ///
    /// # Errors
    /// [`Error`]; the lines before the one that failed have taken effect.
    pub fn ip(&self, netns: Option<&str>, lines: &[String]) -> Result<(), Error> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut command = Command::new(&self.ip);
        if let Some(netns) = netns {
            command.args(["-netns", netns]);
        }
        command.args(["-batch", "-"]);
        run(command, &(lines.join("\n") + "\n")).map(|_| ())
    }

    /// Carries out one nftables script as one transaction inside the namespace whose file is
    /// `netns`.
    ///
    /// # Errors
    /// [`Error`]; nothing of the script has taken effect.
    pub fn nft(&self, netns: &Path, script: &str) -> Result<(), Error> {
        self.nft_with(netns, &["-f", "-"], script).map(|_| ())
    }

    /// What `nft -j` prints for `arguments` inside the namespace whose file is `netns`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn nft_json(&self, netns: &Path, arguments: &[&str]) -> Result<Vec<u8>, Error> {
        let arguments: Vec<&str> = std::iter::once("-j")
            .chain(arguments.iter().copied())
            .collect();
        self.nft_with(netns, &arguments, "")
    }

    fn nft_with(&self, netns: &Path, arguments: &[&str], input: &str) -> Result<Vec<u8>, Error> {
        // A process starts in the namespace of the thread that starts it.
        let result = netns::run_in(netns, || {
            let mut command = Command::new(&self.nft);
            command.args(arguments);
            run(command, input)
        });
        result.map_err(|source| Error::Namespace {
            program: self.nft.clone(),
            source,
        })?
    }
}

/// Runs the command with `input` on its standard input; gives its standard output.
fn run(mut command: Command, input: &str) -> Result<Vec<u8>, Error> {
    let program = PathBuf::from(command.get_program());
    let failed = |source| Error::Run {
        program: program.clone(),
        source,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input.as_bytes()) {
            // It stopped reading because it failed; its own words say why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other.map_err(failed)?,
        }
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Refused {
        at: failed_line(&words, input),
        reason: reason(&words, output.status),
        program,
    })
}

/// The line of the script that `ip -batch` names as `Command failed -:3`, as ` at "…"`.
/// The program's own words, or how it ended where it left none.
fn reason(words: &str, status: std::process::ExitStatus) -> String {
    let words: Vec<&str> = words
        .lines()
        .filter(|line| !line.starts_with("Command failed"))
        .collect();
    if words.is_empty() {
        status.to_string()
    } else {
        words.join("; ")
    }
}

fn failed_line(words: &str, input: &str) -> String {
    let number = words
        .lines()
        .find_map(|line| line.strip_prefix("Command failed -:"))
        .and_then(|number| number.trim().parse::<usize>().ok())
        .and_then(|number| number.checked_sub(1));
    number
        .and_then(|index| input.lines().nth(index))
        .map_or_else(String::new, |line| format!(" at {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Tools {
        Tools {
            ip: PathBuf::from("ip"),
            nft: PathBuf::from("nft"),
            setpriv: None,
        }
    }

    #[test]
    fn a_failed_script_names_the_line_and_the_programs_reason() {
        let lines = [
            "link show lo".to_owned(),
            "link set nosuchlink up".to_owned(),
        ];
        let error = tools().ip(None, &lines).unwrap_err().to_string();
        assert!(error.contains("link set nosuchlink up"), "{error}");
        assert!(error.contains("Cannot find device"), "{error}");
    }

    #[test]
    fn an_empty_script_starts_no_program() {
        let tools = Tools {
            ip: PathBuf::from("/nonexistent"),
            ..tools()
        };
        tools.ip(None, &[]).unwrap();
    }

    #[test]
    fn a_namespace_that_is_not_there_is_named() {
        let missing = Path::new("/run/netns/no-such-namespace");
        let error = tools().nft(missing, "list ruleset").unwrap_err();
        assert!(matches!(error, Error::Namespace { .. }), "{error:?}");
    }
}
