//! Where the daemon's log lines go: one JSON object a line, to a file, standard output or standard
//! error.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use vpc_model::settings::{Log, LogDestination, LogLevel};

/// The log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log file.
    #[error(
        "cannot open the log file {}; AWS_VPC_K8S_CNI_LOG_FILE can name another, or stdout or stderr",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A second start of the log in one process.
    #[error("the log was started twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts logging. Lines below `log.level` are not written. The file is appended to; its folder is
/// made where it is missing.
///
/// # Errors
/// The file cannot be opened, or logging has been started before.
pub fn start(log: &Log) -> Result<(), LogError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let writer = match &log.destination {
        LogDestination::Stdout => BoxMakeWriter::new(io::stdout),
        LogDestination::Stderr => BoxMakeWriter::new(io::stderr),
        LogDestination::File(path) => BoxMakeWriter::new(Mutex::new(open(path)?)),
    };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(filter(log.level))
        .with_writer(writer)
        .finish()
        .try_init()
        .map_err(LogError::Twice)
}

fn open(path: &Path) -> Result<File, LogError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)
        .and_then(|()| OpenOptions::new().append(true).create(true).open(path))
        .map_err(|source| LogError::Open {
            path: path.to_owned(),
            source,
        })
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Fatal => LevelFilter::ERROR,
    }
}
