//! A released address rests before the next pod gets it.

use std::time::Instant;

use crate::demo::check::{Refuted, seen};
use crate::demo::stage::{COOLDOWN, Demo};
use crate::demo::table::Verdict;

/// A node whose every address is in use.
const FULL: usize = 1;

/// On a full node one pod is deleted and another asked for at once: the only free address is the
/// one in cooldown, so the new pod waits for it, and then gets it.
pub async fn passes_before_an_address_is_given_out_again(demo: &Demo) -> Vec<Verdict> {
    let claim = format!(
        "a released address rests {} s, then is used again",
        COOLDOWN.as_secs()
    );
    vec![Verdict::of(&claim, rests(demo).await)]
}

async fn rests(demo: &Demo) -> Result<String, Refuted> {
    let pods = demo.pods(FULL)?;
    let leaver = pods
        .first()
        .ok_or_else(|| seen("there is no pod to delete"))?;
    let start = Instant::now();
    demo.del_pod(leaver).await?;
    let comer = demo.add_pod(FULL, format!("n{FULL}-next")).await?;
    // Released after `start`, so a shorter wait can only be a cooldown cut short.
    let waited = start.elapsed();
    if comer.address != leaver.address {
        let message = format!("{} was free besides {}", comer.address, leaver.address);
        return Err(seen(message));
    }
    if waited < COOLDOWN {
        return Err(seen(format_args!(
            "{} was given out after {waited:.1?}",
            comer.address
        )));
    }
    Ok(format!(
        "{}, the only one free, came after {:.1} s",
        comer.address,
        waited.as_secs_f64()
    ))
}
