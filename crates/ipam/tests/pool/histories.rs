//! Generated histories, a few of them each time. `examples/histories.rs` runs as many as wanted;
//! a failure names its seed.

use crate::history::History;

fn run(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut history = History::new(seed);
        history.run(400);
        history.rest();
    }
}

#[test]
fn in_generated_histories_nothing_is_broken_and_all_come_to_rest() {
    run(0..60);
}

#[test]
fn in_other_generated_histories_too() {
    run(1000..1060);
}

#[test]
fn a_seed_gives_the_same_history_each_time() {
    let run = || {
        let mut history = History::new(7);
        history.run(300);
        (history.pods, history.node.pool)
    };
    assert_eq!(run(), run());
}
