//! Generated histories: a node of random shape with random targets lives through ADDs, DELs, EC2
//! calls that come back late, in another order, in part or not at all, restarts, and metadata that
//! lies. After every step what must never happen is looked for.
//!
//! `VPC_HISTORIES=n` runs more of them; `VPC_HISTORY_SEED=n` runs one again and
//! shows all of it.

// The two variables steer the tests, not what is tested.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod executor;

#[path = "histories/chance.rs"]
mod chance;
#[path = "histories/checks.rs"]
mod checks;
#[path = "histories/cloud.rs"]
mod cloud;
#[path = "histories/reference.rs"]
mod reference;
#[path = "histories/rest.rs"]
mod rest;
#[path = "histories/restart.rs"]
mod restart;
#[path = "histories/steps.rs"]
mod steps;
#[path = "histories/world.rs"]
mod world;

use world::{Checked, World};

const STEPS: u32 = 300;

/// Says which history it was when something panics in the middle of one.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the history was VPC_HISTORY_SEED={}", self.0);
        }
    }
}

fn live(world: &mut World) -> Checked {
    world.catch_up()?;
    for step in 0..STEPS {
        world.step()?;
        if step % 50 == 0 {
            world.journal_says_what_the_pool_says()?;
        }
    }
    world.come_to_rest()
}

/// Lines of what happened that are shown of a history that failed.
const FEW: usize = 40;

fn run(seed: u64, shown: usize) {
    let _seed = Seed(seed);
    let mut world = World::new(seed);
    if let Err(problem) = live(&mut world) {
        let skipped = world.log.len().saturating_sub(shown);
        for line in &world.log[skipped..] {
            eprintln!("{line}");
        }
        panic!("{problem}");
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

#[test]
fn whatever_happens_no_address_is_given_twice_taken_away_or_leaked() {
    if let Some(seed) = number("VPC_HISTORY_SEED") {
        return run(seed, usize::MAX);
    }
    for seed in 0..number("VPC_HISTORIES").unwrap_or(300) {
        run(seed, FEW);
    }
}
