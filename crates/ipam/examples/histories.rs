//! Runs generated histories: `histories [SEEDS [STEPS [FIRST]]]`. A history that breaks a rule
//! panics with its seed.

// The modules are the tests'; this uses a part of them.
#![allow(clippy::unwrap_used, dead_code, unused_imports)]

#[path = "../tests/pool/executor/mod.rs"]
mod executor;
#[path = "../tests/pool/history/mod.rs"]
mod history;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse().unwrap());
    let seeds: u64 = numbers.next().unwrap_or(100);
    let steps = numbers.next().unwrap_or(10_000);
    let first = numbers.next().unwrap_or(0);
    for seed in first..first + seeds {
        let mut history = history::History::new(seed);
        history.run(u32::try_from(steps).unwrap());
        history.rest();
    }
    println!("{seeds} histories from seed {first}, {steps} steps each: nothing broken");
}
