//! The series that every exporter has about its process (proc(5): `/proc/self/stat`, `/proc/stat`).

use std::fs;

use super::catalogue as series;
use super::text::Exposition;

/// What the kernel says about the daemon. What it does not say is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessFacts {
    /// Processor time, in seconds.
    pub cpu: f64,
    /// Memory in use, in bytes.
    pub memory: u64,
    /// When it started, in seconds since 1970.
    pub started: f64,
    /// Open files.
    pub open_files: u64,
}

impl ProcessFacts {
    /// Those of this process.
    #[must_use]
    pub fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let system = fs::read_to_string("/proc/stat").unwrap_or_default();
        let open_files = fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64);
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as u64;
        Self {
            // Looking opens one more.
            open_files: open_files.saturating_sub(1),
            ..Self::parse(&stat, &system, ticks, page)
        }
    }

    fn parse(stat: &str, system: &str, ticks: f64, page: u64) -> Self {
        // The name, in parentheses, may contain anything; behind it come the fields from 3 on.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let field = |number: usize| -> u64 {
            let text = fields.get(number - 3).copied().unwrap_or_default();
            text.parse().unwrap_or_default()
        };
        let boot = system.lines().find_map(|line| line.strip_prefix("btime "));
        let boot: u64 = boot.and_then(|at| at.parse().ok()).unwrap_or_default();
        Self {
            cpu: (field(14) + field(15)) as f64 / ticks,
            memory: field(24) * page,
            started: boot as f64 + field(22) as f64 / ticks,
            open_files: 0,
        }
    }
}

pub(super) fn write(text: &mut Exposition, facts: &ProcessFacts) {
    text.single(&series::CPU, facts.cpu);
    text.single(&series::MEMORY, facts.memory);
    text.single(&series::STARTED, facts.started);
    text.single(&series::OPEN_FILES, facts.open_files);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_fields_are_counted_from_behind_the_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 300 1000 12 99\n";
        let read = ProcessFacts::parse(stat, "cpu 1 2\nbtime 1000\n", 100.0, 4096);
        assert!((read.cpu - 2.0).abs() < 1e-9, "{read:?}");
        assert!((read.started - 1003.0).abs() < 1e-9, "{read:?}");
        assert_eq!(read.memory, 12 * 4096);
    }

    #[test]
    fn this_process_has_memory_and_open_files() {
        let own = ProcessFacts::read();
        assert!(own.memory > 100_000, "{own:?}");
        assert!(own.open_files >= 3, "{own:?}");
        assert!(own.started > 1.6e9, "{own:?}");
    }
}
