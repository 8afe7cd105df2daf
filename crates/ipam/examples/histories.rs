//! Runs generated histories: `histories [SEEDS [STEPS [FIRST]]]`, on all cores. A history that breaks
//! a rule panics with its seed; `histories 1 STEPS SEED` runs that one again.

// The modules are the tests'; this uses a part of them.
#![allow(clippy::unwrap_used, dead_code, unused_imports)]

#[path = "../tests/pool/executor/mod.rs"]
mod executor;
#[path = "../tests/pool/history/mod.rs"]
mod history;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

type Seen = BTreeMap<&'static str, u64>;

/// Runs the seeds that are next until there is none; gives what was seen in them.
fn work(next: &AtomicU64, end: u64, steps: u32) -> Seen {
    let mut seen = Seen::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return seen;
        }
        let mut history = history::History::new(seed);
        history.run(steps);
        history.rest();
        for (what, count) in history.seen {
            *seen.entry(what).or_default() += count;
        }
    }
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse().unwrap());
    let seeds: u64 = numbers.next().unwrap_or(100);
    let steps: u64 = numbers.next().unwrap_or(10_000);
    let first = numbers.next().unwrap_or(0);
    let next = AtomicU64::new(first);
    let (end, each) = (first + seeds, u32::try_from(steps).unwrap());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let ended: Vec<_> = thread::scope(|scope| {
        let next = &next;
        let running: Vec<_> = (0..threads)
            .map(|_| scope.spawn(move || work(next, end, each)))
            .collect();
        running
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    let mut seen = Seen::new();
    for part in ended {
        // What broke, and in which seed, was said when it panicked.
        let Ok(part) = part else {
            return ExitCode::FAILURE;
        };
        for (what, count) in part {
            *seen.entry(what).or_default() += count;
        }
    }
    for (what, count) in seen {
        println!("{count:>12} {what}");
    }
    println!("{seeds} histories from seed {first}, {steps} steps each: nothing broken");
    ExitCode::SUCCESS
}
