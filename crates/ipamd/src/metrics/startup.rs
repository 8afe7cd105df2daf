//! How long the start took.

use std::time::Instant;

use tokio::sync::watch;

use super::Tally;
use crate::readiness::{Readiness, Stage};

/// Notes when the node is known and when it can first serve a pod, then is done.
pub async fn time_the_start(
    mut readiness: watch::Receiver<Readiness>,
    started: Instant,
    tally: &Tally,
) {
    let known = |readiness: &Readiness| match readiness {
        Readiness::Starting(stage) => *stage == Stage::Pool,
        Readiness::Ready | Readiness::NoAddress(_) => true,
    };
    if readiness.wait_for(known).await.is_err() {
        return;
    }
    tally.node_init.observe(started.elapsed());
    if readiness.wait_for(Readiness::is_ready).await.is_ok() {
        tally.startup.observe(started.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_that_is_known_and_has_no_address_has_not_started_yet() {
        let (say, readiness) = watch::channel(Readiness::Starting(Stage::Metadata));
        let tally = Tally::default();
        let count =
            |histogram: &super::super::tally::Histogram| -> u64 { histogram.counts().iter().sum() };
        let timing = time_the_start(readiness, Instant::now(), &tally);
        tokio::pin!(timing);
        for (now, known) in [
            (Readiness::Starting(Stage::Enis), 0),
            (Readiness::NoAddress("dry".to_owned()), 1),
        ] {
            say.send_replace(now);
            tokio::select! {
                biased;
                () = &mut timing => panic!("ended early"),
                () = std::future::ready(()) => {}
            }
            assert_eq!(count(&tally.node_init), known);
            assert_eq!(count(&tally.startup), 0);
        }
        say.send_replace(Readiness::Ready);
        timing.await;
        assert_eq!(count(&tally.startup), 1);
    }
}
