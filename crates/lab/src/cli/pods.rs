//! Pods of a lab that another process holds. Everything needed is in the lab's folder.

use std::process::ExitCode;
use std::sync::Arc;

use vpc_lab::gate::Gate;
use vpc_lab::names::NODES;
use vpc_lab::node_runtime;
use vpc_lab::preflight;
use vpc_lab::runtime::pod::Records;
use vpc_lab::runtime::{self, Runtime};
use vpc_lab::state::LabFolder;

use super::report::Failure;
use super::wait;

/// Makes a pod. Ctrl-C ends the waiting between tries, never a plugin half-way.
pub(super) fn add(folder: &LabFolder, pod: &str, node: u8) -> Result<ExitCode, Failure> {
    let pod = pod.to_owned();
    let made = interruptible(folder, node, move |runtime| runtime.add_pod(&pod))?;
    let tries = match made.attempts {
        1 => String::new(),
        attempts => format!(", {attempts} tries"),
    };
    println!(
        "{} on node{}: {} ({:.1} ms in the plugin{tries})",
        made.name(),
        made.node,
        made.address,
        made.add_time.as_secs_f64() * 1000.0,
    );
    Ok(ExitCode::SUCCESS)
}

/// Removes a pod, also a half-made one.
pub(super) fn del(folder: &LabFolder, pod: &str) -> Result<ExitCode, Failure> {
    folder.read_lab()?;
    let record = Records::in_folder(folder.pods()).read(pod)?;
    let record = record.ok_or_else(|| runtime::Error::Unknown {
        name: pod.to_owned(),
    })?;
    let sandbox = record.sandbox;
    let took = interruptible(folder, record.node, move |runtime| {
        runtime.del_pod(&sandbox)
    })?;
    println!(
        "{pod} removed ({:.1} ms in the plugin)",
        took.as_secs_f64() * 1000.0
    );
    Ok(ExitCode::SUCCESS)
}

/// Prints the pods.
pub(super) fn list(folder: &LabFolder) -> Result<ExitCode, Failure> {
    folder.read_lab()?;
    println!("{:20} {:6} {:15} namespace", "pod", "node", "address");
    for record in Records::in_folder(folder.pods()).all()? {
        let wired = record.wired.as_ref();
        let address = wired.map_or("(none)".to_owned(), |wired| wired.address.to_string());
        let netns = record.sandbox.netns.file_name().unwrap_or_default();
        println!(
            "{:20} node{:<2} {address:15} {}",
            record.sandbox.name,
            record.node,
            netns.to_string_lossy()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Work on pods of a node; an interruption closes the gate and waits for the work to notice.
fn interruptible<T: Send + 'static>(
    folder: &LabFolder,
    node: u8,
    work: impl FnOnce(&Runtime) -> Result<T, runtime::Error> + Send + 'static,
) -> Result<T, Failure> {
    let tools = preflight::tools()?;
    folder.read_lab()?;
    if !(1..=NODES).contains(&node) {
        return Err(Failure::NoNode(node));
    }
    let gate = Arc::new(Gate::default());
    let runtime = node_runtime(&tools, folder, &gate, node);
    wait::runtime()?.block_on(async move {
        let mut work = tokio::task::spawn_blocking(move || work(&runtime));
        let done = tokio::select! {
            done = &mut work => done,
            interrupted = wait::interrupted() => {
                interrupted?;
                gate.close();
                work.await
            }
        };
        match done {
            Ok(result) => Ok(result?),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(runtime::Error::Abandoned.into()),
            },
        }
    })
}
