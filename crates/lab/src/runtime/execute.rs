//! Executing a plugin as a runtime does: environment, standard input, exit code and output.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gate::Pass;
use crate::netns;

/// What a plugin is asked to do (CNI specification, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Wire a sandbox.
    Add,
    /// Unwire it.
    Del,
    /// Is it still wired as it was?
    Check,
    /// Could an ADD succeed?
    Status,
    /// Release what belongs to no sandbox any more.
    Gc,
    /// Which versions are spoken?
    Version,
}

impl Verb {
    /// The value of `CNI_COMMAND`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Add => "ADD",
            Verb::Del => "DEL",
            Verb::Check => "CHECK",
            Verb::Status => "STATUS",
            Verb::Gc => "GC",
            Verb::Version => "VERSION",
        }
    }
}

/// The code of an error that may pass by itself: "try again later" (CNI specification, section
/// 5, "Error").
pub const TRY_AGAIN_LATER: u64 = 11;

/// What a plugin did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CniOutput {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output: a result or an error object.
    pub stdout: String,
    /// Its standard error: for people.
    pub stderr: String,
    /// From just before it was started until it had ended.
    pub elapsed: Duration,
}

/// A plugin's error object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{msg} (CNI code {code}){}", details_of(.details))]
pub struct CniFailure {
    /// The code; below 100 they are the specification's.
    pub code: u64,
    /// What happened.
    #[serde(default)]
    pub msg: String,
    /// More of it.
    #[serde(default)]
    pub details: String,
}

/// Why an execution gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It did not start.
    #[error("cannot run the plugin {program}")]
    Run {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The node's namespace.
    #[error("cannot run the plugin {program} in its node")]
    Namespace {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: netns::Error,
    },
    /// It answered with an error.
    #[error("{verb} failed")]
    Failed {
        /// What it was asked.
        verb: &'static str,
        /// Its answer.
        #[source]
        source: CniFailure,
    },
    /// It answered with something the specification does not have.
    #[error(
        "the answer to {verb} is no CNI answer ({end}); standard output {stdout:?}, standard error {stderr:?}"
    )]
    Garbled {
        /// What it was asked.
        verb: &'static str,
        /// `exit code 1`, or that a signal ended it.
        end: String,
        /// What it printed.
        stdout: String,
        /// What it printed for people.
        stderr: String,
    },
}

/// One execution.
#[derive(Debug, Clone)]
pub struct Execution<'a> {
    /// The plugin's program.
    pub program: &'a Path,
    /// The file of the network namespace the runtime lives in: the node's.
    pub netns: &'a Path,
    /// The plugin's whole environment.
    pub environment: &'a BTreeMap<String, String>,
    /// Its standard input.
    pub request: &'a str,
}

impl CniOutput {
    /// The answer to `verb`: what it printed, `null` if nothing, when it succeeded.
    ///
    /// # Errors
    /// [`Error::Failed`] with the plugin's own error, [`Error::Garbled`].
    pub fn result(&self, verb: Verb) -> Result<Value, Error> {
        let verb = verb.as_str();
        let text = self.stdout.trim();
        let answer = if text.is_empty() {
            Some(Value::Null)
        } else {
            serde_json::from_str::<Value>(text).ok()
        };
        match (self.code, answer) {
            (Some(0), Some(answer)) => Ok(answer),
            (Some(_), Some(answer)) if answer["code"].is_u64() => {
                let source = CniFailure::deserialize(answer).map_err(|_| self.garbled(verb))?;
                Err(Error::Failed { verb, source })
            }
            (Some(_) | None, _) => Err(self.garbled(verb)),
        }
    }

    fn garbled(&self, verb: &'static str) -> Error {
        let end = self.code.map(|code| format!("exit code {code}"));
        Error::Garbled {
            verb,
            end: end.unwrap_or_else(|| "ended by a signal".to_owned()),
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
        }
    }
}

impl Error {
    /// Whether a runtime should try again after a while.
    #[must_use]
    pub fn is_try_again_later(&self) -> bool {
        match self {
            Error::Failed { source, .. } => source.code == TRY_AGAIN_LATER,
            Error::Run { .. } | Error::Namespace { .. } | Error::Garbled { .. } => false,
        }
    }
}

impl Execution<'_> {
    /// Starts the plugin in the node's namespace, feeds it and waits for it. The plugin is a
    /// process group of its own: Ctrl-C in a terminal does not stop it half-way.
    ///
    /// # Errors
    /// [`Error::Namespace`] and [`Error::Run`].
    pub fn run(&self, pass: &Pass) -> Result<CniOutput, Error> {
        netns::run_in(self.netns, || self.run_here(pass))
            .map_err(|source| Error::Namespace {
                program: self.program.to_owned(),
                source,
            })?
            .map_err(|source| Error::Run {
                program: self.program.to_owned(),
                source,
            })
    }

    fn run_here(&self, pass: &Pass) -> io::Result<CniOutput> {
        let mut command = Command::new(self.program);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
            .env_clear()
            .envs(self.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn()?;
        let known = pass.know(&child);
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(self.request.as_bytes()) {
                // It does not have to read what it does not need.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                other => other?,
            }
        }
        let output = child.wait_with_output()?;
        let elapsed = start.elapsed();
        drop(known);
        Ok(CniOutput {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            elapsed,
        })
    }
}

fn details_of(details: &str) -> String {
    if details.is_empty() {
        String::new()
    } else {
        format!(": {details}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: Option<i32>, stdout: &str) -> CniOutput {
        CniOutput {
            code,
            stdout: stdout.to_owned(),
            stderr: "words".to_owned(),
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn an_error_object_is_the_plugins_own_error() {
        let text = r#"{"cniVersion":"1.0.0","code":11,"msg":"no address","details":"full"}"#;
        let error = output(Some(1), text).result(Verb::Add).unwrap_err();
        assert!(error.is_try_again_later());
        assert_eq!(
            crate::text::chain(&error),
            "ADD failed: no address (CNI code 11): full"
        );
        let other = output(Some(1), &text.replace("11", "999"));
        assert!(!other.result(Verb::Add).unwrap_err().is_try_again_later());
    }

    #[test]
    fn success_without_output_is_an_answer_and_anything_that_is_not_json_is_none() {
        assert_eq!(
            output(Some(0), " \n").result(Verb::Del).unwrap(),
            Value::Null
        );
        for (code, stdout) in [
            (Some(0), "oops"),
            (Some(2), ""),
            (None, "{}"),
            (Some(1), "{}"),
        ] {
            let error = output(code, stdout).result(Verb::Add).unwrap_err();
            assert!(matches!(error, Error::Garbled { .. }), "{error:?}");
        }
    }
}
