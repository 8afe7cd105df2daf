//! A lab that stays when the command has ended: a process of its own holds it.
//!
//! `up` starts this program again as `hold` and shows what it says until the lab is up or has
//! failed. The two speak over `hold`'s standard output, a line at a time: `progress …`, then
//! `ready` or `failed …`. Everything else that `hold` says goes to the lab's log.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tracing_subscriber::EnvFilter;
use vpc_lab::files;
use vpc_lab::pid::ProcessId;
use vpc_lab::state::LabFolder;
use vpc_lab::{Lab, LabConfig, preflight};

use super::report::{Failure, system};
use super::{Selection, Settings, wait};

/// Brings a lab up and leaves it to a process in the background.
pub(super) fn up(lab: &Selection, settings: &Settings) -> Result<ExitCode, Failure> {
    preflight::tools()?;
    let folder = LabFolder::of(&lab.state_root, &lab.name);
    wait::runtime()?.block_on(start(lab, settings, &folder))?;
    let record = folder.read_lab()?;
    let option = match lab.name.as_str() {
        "lab" => String::new(),
        name => format!(" --name {name}"),
    };
    println!(
        "Lab {} is up; EC2 API on {}. Try:",
        lab.name, record.ec2_endpoint
    );
    println!("  vpc-lab{option} pod add web --node 1");
    println!("  vpc-lab{option} pod add client --node 2");
    println!("  vpc-lab{option} exec client -- ping -c 3 ADDRESS-OF-WEB");
    println!("  vpc-lab{option} status");
    println!("  vpc-lab{option} down");
    Ok(ExitCode::SUCCESS)
}

/// Brings a lab up, says so, and holds it until told to end.
/// `log` is the file that standard error goes to.
pub(super) fn hold(config: LabConfig, log: &Path) -> Result<ExitCode, Failure> {
    // Out of the terminal's reach: it must not end with it.
    rustix::process::setsid().map_err(|source| system("leave the terminal")(source.into()))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    let outcome = wait::runtime()?.block_on(hold_until_told(config, log));
    match &outcome {
        Ok(()) => {}
        // Whoever started this may be gone already; then the log has it.
        Err(failure) => say(&format!("failed {}", one_line(&failure.to_string()))),
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn hold_until_told(config: LabConfig, log: &Path) -> Result<(), Failure> {
    let kept = LabFolder::of(&config.state_root, &config.name).log();
    let progress = |text: &str| say(&format!("progress {text}"));
    let lab = tokio::select! {
        biased;
        interrupted = wait::interrupted() => {
            interrupted?;
            return Err(Failure::NotUp("interrupted".to_owned()));
        }
        lab = Lab::up(config, progress) => lab?,
    };
    // The open file follows its name into the lab's folder.
    if let Err(error) = fs::rename(log, kept) {
        tracing::warn!(%error, "the log stays where it is");
    }
    tracing::info!("up");
    say("ready");
    wait::interrupted().await?;
    tracing::info!("told to end");
    Ok(lab.down().await?)
}

/// Starts `hold` and relays what it says until it is ready.
async fn start(lab: &Selection, settings: &Settings, folder: &LabFolder) -> Result<(), Failure> {
    files::make_folder(&lab.state_root)?;
    let draft = draft_log(folder);
    let log = File::create(&draft).map_err(system("make the log"))?;
    let program = std::env::current_exe().map_err(system("find this program"))?;
    let mut child = Command::new(program)
        .arg("hold")
        .args(["--name", lab.name.as_str(), "--state-root"])
        .arg(&lab.state_root)
        .args(settings.arguments())
        .arg("--log")
        .arg(&draft)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(system("start the background process"))?;
    let id = child.id().and_then(|pid| ProcessId::of(pid).ok());
    let words = child
        .stdout
        .take()
        .map(|words| BufReader::new(words).lines());
    let relayed = match words {
        Some(words) => relay(words, id).await,
        None => Ok(None),
    };
    let reason = match relayed {
        Ok(None) => return Ok(()),
        Ok(Some(reason)) => reason,
        Err(failure) => failure.to_string(),
    };
    let _ = child.wait().await;
    let said = fs::read_to_string(&draft).unwrap_or_default();
    let _ = fs::remove_file(&draft);
    Err(match (reason.is_empty(), said.trim()) {
        (false, _) => Failure::NotUp(reason),
        (true, "") => Failure::Silent(String::new()),
        (true, said) => Failure::Silent(format!("; its log says: {said}")),
    })
}

/// Shows progress. Gives nothing once the lab is up, and otherwise why it is not: empty if the
/// background process ended without a word. Ctrl-C is passed on.
async fn relay(
    mut words: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    process: Option<ProcessId>,
) -> Result<Option<String>, Failure> {
    let mut told = false;
    loop {
        let line = tokio::select! {
            line = words.next_line() => line.map_err(system("hear the background process"))?,
            interrupted = wait::interrupted(), if !told => {
                interrupted?;
                told = true;
                let signalled = process.map(|process| process.signal(Signal::TERM));
                signalled.unwrap_or(Ok(())).map_err(system("end the background process"))?;
                continue;
            }
        };
        let Some(line) = line else {
            return Ok(Some(String::new()));
        };
        if line == "ready" {
            return Ok(None);
        } else if let Some(text) = line.strip_prefix("progress ") {
            println!("{text}");
        } else if let Some(reason) = line.strip_prefix("failed ") {
            return Ok(Some(reason.to_owned()));
        }
    }
}

/// Where the log is while the lab has no folder yet; another one for each `up`.
fn draft_log(folder: &LabFolder) -> PathBuf {
    folder.draft(&format!("{}.log", std::process::id()))
}

fn say(line: &str) {
    let mut out = io::stdout();
    // Nobody may be listening any more.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" / ")
}
