//! Runtimes and signals.

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::report::{Failure, system};

/// A runtime on the calling thread.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(system("start a runtime"))
}

/// Waits for Ctrl-C, `kill` or the end of the terminal.
pub(super) async fn interrupted() -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(system("listen for signals"));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
