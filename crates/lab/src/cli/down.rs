//! Taking a lab down from outside.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use vpc_lab::state::LabFolder;
use vpc_lab::{cleanup, leftovers, preflight};

use super::report::Failure;

/// How long the process that holds a lab may take to end: more than its daemons may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Asks the process that holds the lab to end, and removes what is left without it.
pub(super) fn down(folder: &LabFolder) -> Result<ExitCode, Failure> {
    let tools = preflight::tools()?;
    let name = folder.name();
    // What cannot be read does not keep the rest from being removed.
    let owner = folder.owner().ok().flatten();
    let held = owner.filter(|owner| owner.is_alive());
    let root = folder.path().parent().unwrap_or(folder.path());
    if held.is_none() && leftovers(name, root).is_empty() && folder.drafts().is_empty() {
        println!("There is no lab {name}.");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(owner) = held {
        owner
            .signal(Signal::TERM)
            .map_err(super::report::system("end the lab's process"))?;
        let deadline = Instant::now() + PATIENCE;
        while owner.is_alive() && Instant::now() < deadline {
            thread::sleep(INTERVAL);
        }
        if owner.is_alive() {
            let _ = owner.signal(Signal::KILL);
            thread::sleep(INTERVAL);
        }
        if owner.is_alive() {
            return Err(Failure::Stubborn(owner));
        }
    }
    cleanup::wipe(&tools, folder)?;
    for draft in folder.drafts() {
        let _ = std::fs::remove_dir_all(&draft).or_else(|_| std::fs::remove_file(&draft));
    }
    match held {
        Some(_) => println!("Lab {name} is down."),
        None => println!("Lab {name} was dead; what it left is removed."),
    }
    Ok(ExitCode::SUCCESS)
}
