//! Running a command in the network of a pod or a node: this process becomes the command.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use vpc_lab::names::{NODES, netns_path};
use vpc_lab::netns;
use vpc_lab::preflight;
use vpc_lab::runtime::pod::Records;
use vpc_lab::state::LabFolder;

use super::report::Failure;

/// Becomes `command` inside the pod's network.
pub(super) fn pod(folder: &LabFolder, pod: &str, command: &[String]) -> Result<ExitCode, Failure> {
    preflight::tools()?;
    folder.read_lab()?;
    let record = Records::in_folder(folder.pods()).read(pod)?;
    let record = record.ok_or_else(|| vpc_lab::runtime::Error::Unknown {
        name: pod.to_owned(),
    })?;
    become_inside(&record.sandbox.netns, command)
}

/// Becomes `command` inside the node's network.
pub(super) fn node(folder: &LabFolder, node: u8, command: &[String]) -> Result<ExitCode, Failure> {
    preflight::tools()?;
    folder.read_lab()?;
    if !(1..=NODES).contains(&node) {
        return Err(Failure::NoNode(node));
    }
    become_inside(&netns_path(&folder.name().node(node)), command)
}

fn become_inside(netns: &Path, command: &[String]) -> Result<ExitCode, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(ExitCode::SUCCESS);
    };
    netns::enter(netns)?;
    // Returns only if it failed.
    let source = Command::new(program).args(arguments).exec();
    Err(Failure::Start {
        program: program.clone(),
        source,
    })
}
