//! What the kernel counts: translated connections, and what connection tracking could not take.

use vpc_datapath::counters::{self, Counters};

use super::catalogue as series;
use super::text::Exposition;
use crate::report::chain;

/// The kernel's counters; nothing where they cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelFacts(pub Option<Counters>);

impl KernelFacts {
    /// Reads them.
    pub async fn read() -> Self {
        let read = tokio::task::spawn_blocking(counters::read).await;
        match read {
            Ok(Ok(counters)) => Self(Some(counters)),
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "the kernel's counters");
                Self(None)
            }
            // The runtime is going away.
            Err(_) => Self(None),
        }
    }
}

pub(super) fn write(text: &mut Exposition, KernelFacts(facts): &KernelFacts) {
    let translated = facts.and_then(|counters| counters.translated);
    let conntrack = facts.map(|counters| counters.conntrack);
    let mut sample = |series, value: Option<u64>| {
        let mut family = text.family(series);
        if let Some(value) = value {
            family.sample(&[], value);
        }
    };
    sample(
        &series::TRANSLATED,
        translated.map(|counted| counted.packets),
    );
    sample(&series::CONNTRACK, conntrack.map(|of| of.entries));
    sample(&series::CONNTRACK_LIMIT, conntrack.and_then(|of| of.limit));
    sample(
        &series::CONNTRACK_INSERT_FAILED,
        conntrack.map(|of| of.insert_failed),
    );
    let mut family = text.family(&series::CONNTRACK_DROPPED);
    if let Some(conntrack) = conntrack {
        family.sample(&["new"], conntrack.dropped);
        family.sample(&["old"], conntrack.early_dropped);
    }
}
