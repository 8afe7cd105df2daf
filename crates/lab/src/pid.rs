//! Which process a number means: process ids are used again, a start time tells them apart.

use std::fs;
use std::io;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// A process, for as long as it lives and never another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (proc(5), `/proc/[pid]/stat` field 22).
    pub started: u64,
}

impl ProcessId {
    /// The calling process.
    ///
    /// # Errors
    /// `/proc` is not there or not readable.
    pub fn own() -> io::Result<ProcessId> {
        ProcessId::of(std::process::id())
    }

    /// The process that has the number `pid` now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: u32) -> io::Result<ProcessId> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let started = start_time(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(ProcessId { pid, started })
    }

    /// Whether it still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        start_time(&stat) == Some(self.started) && !is_zombie(&stat)
    }

    /// Sends `signal`, if it is still alive.
    ///
    /// # Errors
    /// The kernel's reason, when it is alive and cannot be signalled.
    pub fn signal(self, signal: Signal) -> io::Result<()> {
        let number = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(number) = number.filter(|_| self.is_alive()) else {
            return Ok(());
        };
        match rustix::process::kill_process(number, signal) {
            // It ended in between.
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => other.map_err(io::Error::from),
        }
    }
}

/// Field 22. The second field, the program's name in parentheses, may hold anything, so counting
/// starts behind the last parenthesis.
fn start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// Field 3.
fn is_zombie(stat: &str) -> bool {
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().next());
    matches!(state, Some("Z" | "X"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_start_time_is_read_behind_a_name_with_spaces_and_parentheses() {
        let numbers: Vec<String> = (4..60).map(|field| field.to_string()).collect();
        let stat = format!("7 (a) b (c) S {}", numbers.join(" "));
        assert_eq!(start_time(&stat), Some(22));
    }

    #[test]
    fn a_process_with_the_same_number_and_another_start_is_another_process() {
        let own = ProcessId::own().unwrap();
        assert!(own.is_alive());
        let earlier = ProcessId {
            started: own.started - 1,
            ..own
        };
        assert!(!earlier.is_alive());
        // Would end the test if it were sent.
        earlier.signal(Signal::KILL).unwrap();
    }

    #[test]
    fn a_process_that_ended_is_not_alive_even_before_its_parent_looked() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        assert!(id.is_alive());
        id.signal(Signal::KILL).unwrap();
        while id.is_alive() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
