//! Who may still start something: the order between running work and taking the lab down.
//!
//! Pods are made on threads of their own. Whoever takes the lab down closes the gate, so that no
//! namespace appears behind its back, ends the plugins that still run, and waits for the threads
//! to leave.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The lab is being taken down, or the work was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Closed;

/// Lets work in until it is closed.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

/// The right to work; given back when dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
}

/// A child process of some work, known to the gate while this lives.
#[derive(Debug)]
pub struct Known<'a> {
    gate: &'a Gate,
    pid: u32,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    inside: usize,
    children: BTreeMap<u32, OwnedFd>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Work comes and goes.
    #[default]
    Open,
    /// Work that is inside finishes its present step.
    Closed,
    /// And its child processes are killed.
    Killing,
}

impl Gate {
    /// Asks to begin some work.
    ///
    /// # Errors
    /// [`Closed`].
    pub fn enter(self: &Arc<Gate>) -> Result<Pass, Closed> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(Closed);
        }
        state.inside += 1;
        Ok(Pass {
            gate: Arc::clone(self),
        })
    }

    /// Lets nobody in any more and ends every [`Pass::pause`]. Child processes go on.
    pub fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closed;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Closes, kills the child processes of what is inside, present and to come, and waits until
    /// everything has left, at most for `patience`. Gives how much work is still inside.
    pub fn clear(&self, patience: Duration) -> usize {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        state.phase = Phase::Killing;
        for child in state.children.values() {
            // One that ended by itself is what was wanted.
            let _ = pidfd_send_signal(child, Signal::KILL);
        }
        self.changed.notify_all();
        while state.inside > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
        state.inside
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Waits for `duration`.
    ///
    /// # Errors
    /// [`Closed`], as soon as the gate is.
    pub fn pause(&self, duration: Duration) -> Result<(), Closed> {
        let deadline = Instant::now() + duration;
        let mut state = self.gate.lock();
        loop {
            if state.phase != Phase::Open {
                return Err(Closed);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            state = self
                .gate
                .changed
                .wait_timeout(state, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
    }

    /// Makes `child` known to the gate until the result is dropped, which must be after the child
    /// was waited for. A child the kernel has no handle for is not known; it ends by itself.
    pub fn know<'a>(&'a self, child: &Child) -> Option<Known<'a>> {
        let pid = child.id();
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        let handle = pidfd_open(raw, PidfdFlags::empty()).ok()?;
        let mut state = self.gate.lock();
        if state.phase == Phase::Killing {
            let _ = pidfd_send_signal(&handle, Signal::KILL);
        }
        state.children.insert(pid, handle);
        Some(Known {
            gate: &self.gate,
            pid,
        })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.lock().inside -= 1;
        self.gate.changed.notify_all();
    }
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        self.gate.lock().children.remove(&self.pid);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn clearing_kills_children_ends_pauses_and_waits_for_the_work() {
        let gate = Arc::new(Gate::default());
        let pass = gate.enter().unwrap();
        let work = thread::spawn(move || {
            let mut child = Command::new("sleep").arg("600").spawn().unwrap();
            let known = pass.know(&child).unwrap();
            let status = child.wait().unwrap();
            drop(known);
            (status.signal(), pass.pause(LONG))
        });
        while gate.lock().children.is_empty() {
            thread::yield_now();
        }
        assert_eq!(gate.clear(LONG), 0);
        assert_eq!(work.join().unwrap(), (Some(9), Err(Closed)));
        assert_eq!(gate.enter().unwrap_err(), Closed);
    }

    #[test]
    fn a_child_that_starts_while_the_gate_is_being_cleared_is_killed_too() {
        let gate = Arc::new(Gate::default());
        let pass = gate.enter().unwrap();
        assert_eq!(gate.clear(Duration::ZERO), 1);
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let known = pass.know(&child);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(known);
    }

    #[test]
    fn closing_lets_a_child_finish() {
        let gate = Arc::new(Gate::default());
        let pass = gate.enter().unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        let known = pass.know(&child);
        gate.close();
        assert!(child.wait().unwrap().success());
        drop(known);
        assert_eq!(pass.pause(LONG), Err(Closed));
    }
}
