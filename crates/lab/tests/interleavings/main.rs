//! Verbs in every order, with plugin and daemon killed in between: whatever a runtime does and
//! whoever dies, a sandbox ends wired or cleanly absent, and after GC no address is leaked or
//! shared.
//!
//! Each history is drawn from a seed, which a failure names together with all its steps. Plugins
//! are killed at a system call, so that they stop anywhere: before ipamd is asked, with the answer
//! unread, in the middle of the kernel's batches, before the result is out.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod dice;
mod history;
mod sandbox;

use common::pool::{config_with, up};
use dice::Dice;
use history::History;

/// How many histories there are.
const HISTORIES: u64 = 200;

/// What the first one is drawn from; the others follow.
const SEED: u64 = 0x5eed_0006;

#[tokio::test]
async fn whatever_order_and_whoever_dies_every_sandbox_ends_wired_or_cleanly_absent() {
    let mut config = config_with(
        "order",
        &[
            ("IP_COOLDOWN_PERIOD", "1"),
            // Judged only where no ADD is under way.
            ("VPC_CNI_GC_MIN_AGE", "0"),
            ("WARM_IP_TARGET", "30"),
        ],
    );
    config.instance_type = Some("m5.4xlarge".parse().expect("a type"));
    let demo = up(config).await;
    let mut killed = 0;
    for number in 0..HISTORIES {
        let mut history = History::new(&demo, number, Dice::new(SEED + number));
        history.run().await;
        killed += history.killed();
    }
    assert!(
        killed > 100,
        "only {killed} plugins and daemons were killed"
    );
    demo.down().await.expect("a clean end");
}
