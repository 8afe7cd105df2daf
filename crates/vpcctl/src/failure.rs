//! What went wrong, for the person at the terminal.

use std::fmt;
use std::process::ExitCode;

use vpc_model::max_pods::MaxPodsError;
use vpc_model::settings::SettingsErrors;

use vpc_rpc::CallError;

use crate::live::remedy;
use crate::pool::RehearsalError;

/// `EX_USAGE`, as ipamd ends with when its settings are wrong.
pub(crate) const USAGE: u8 = 64;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The settings.
    #[error("the settings cannot be:\n{0}")]
    Settings(SettingsErrors),
    /// A name that is no setting's.
    #[error("--set {name} is {value:?}; allowed: no such setting exists{}", Near(.near))]
    NoSuchSetting {
        name: String,
        value: String,
        near: Vec<String>,
    },
    /// The same name twice.
    #[error("--set {name} is given as {first:?} and as {second:?}; allowed: one value")]
    SetTwice {
        name: String,
        first: String,
        second: String,
    },
    /// The instance type.
    #[error(
        "--instance-type is {value:?}; allowed: a type of this version's table{}",
        Near(.near)
    )]
    UnknownType { value: String, near: Vec<String> },
    /// EC2 does not know the type either, or did not say.
    #[error(
        "--instance-type is {value:?}, which is not in this version's table{}; EC2 was asked: {}",
        Near(.near), chain(.source.as_ref())
    )]
    NewType {
        value: String,
        near: Vec<String>,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The type cannot be run so.
    #[error("{instance_type}: {source}")]
    MaxPods {
        instance_type: String,
        source: MaxPodsError,
    },
    /// The simulated cloud did not play along.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
    /// The daemon did not answer.
    #[error("{}; {}", chain(.0), remedy(.0))]
    Daemon(#[from] CallError),
    /// The kernel, or what was found in it.
    #[error("{}", chain(.0))]
    Datapath(#[from] vpc_datapath::Error),
    /// The answer could not be written.
    #[error("cannot write the answer to standard output: {0}")]
    Write(#[from] std::io::Error),
    /// The answer could not be written as JSON.
    #[error("the answer is not the JSON that this version knows: {0}")]
    Json(#[from] serde_json::Error),
}

impl Failure {
    /// 64 for what was wrongly asked, 1 for the rest.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Settings(_)
            | Failure::NoSuchSetting { .. }
            | Failure::SetTwice { .. }
            | Failure::UnknownType { .. }
            | Failure::MaxPods { .. } => ExitCode::from(USAGE),
            Failure::Rehearsal(error) if error.is_usage() => ExitCode::from(USAGE),
            Failure::Rehearsal(_)
            | Failure::NewType { .. }
            | Failure::Daemon(_)
            | Failure::Datapath(_)
            | Failure::Write(_)
            | Failure::Json(_) => ExitCode::FAILURE,
        }
    }
}

/// An error with what led to it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Names that may have been meant.
struct Near<'a>(&'a [String]);

impl fmt::Display for Near<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            [one] => write!(f, ", did you mean {one}?"),
            more => write!(f, ", for example {}", more.join(", ")),
        }
    }
}
