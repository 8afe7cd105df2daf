//! What is counted while the daemon runs. Labels are enums, so that no caller can make more series
//! than are listed here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A set of label values that never grows.
pub trait Label: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// As it stands in the exposition.
    fn text(self) -> &'static str;

    /// Its place in [`Label::ALL`].
    fn index(self) -> usize;
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

labels! {
    /// How an ADD ended.
    AddOutcome {
        /// The pod has an address.
        Ok = "ok",
        /// There was no address in time.
        NoAddress = "no_address",
        /// The daemon was not that far yet.
        NotReady = "not_ready",
        /// The journal could not be written.
        Journal = "journal",
        /// The daemon was stopping.
        Stopping = "stopping",
        /// The request could not be served by any daemon of this version.
        BadRequest = "bad_request",
    }
}

labels! {
    /// How a DEL ended.
    DelOutcome {
        /// The address rests.
        Ok = "ok",
        /// The sandbox held none.
        UnknownPod = "unknown_pod",
        /// The journal could not be written.
        Journal = "journal",
        /// The daemon was stopping.
        Stopping = "stopping",
        /// The request could not be served by any daemon of this version.
        BadRequest = "bad_request",
    }
}

labels! {
    /// Why the plugin releases an address.
    DelReason {
        /// The pod is gone.
        PodDeleted = "PodDeleted",
        /// Its network could not be set up.
        SetupFailed = "SetupNSFailed",
        /// It was queued while the daemon was away.
        Queued = "Queued",
        /// Any other text.
        Other = "other",
    }
}

labels! {
    /// How waiting for an address ended.
    WaitOutcome {
        /// With an address.
        Ok = "ok",
        /// Without.
        Refused = "refused",
    }
}

labels! {
    /// What went wrong in the pool's work; upstream's words.
    IpamdError {
        /// An ENI could not be created.
        AllocEni = "increaseIPPoolAllocENI",
        /// Slots could not be assigned.
        AllocAddresses = "increaseIPPoolAllocIPAddressesFailed",
        /// Slots could not be unassigned.
        Unassign = "decreaseIPPool",
        /// An ENI could not be given back.
        FreeEni = "decreaseIPPoolFreeENIFailed",
        /// Instance metadata could not be read for a comparison.
        GetEnis = "reconcileFailedGetENIs",
        /// An ENI that appeared could not be wired.
        EniReconcileAdd = "eniReconcileAdd",
    }
}

labels! {
    /// What a comparison with metadata and EC2 changed in the pool; upstream's words.
    Reconciled {
        /// An ENI that was not known was taken in.
        EniAdd = "eniReconcileAdd",
        /// An ENI that somebody took away was forgotten.
        EniDel = "eniReconcileDel",
        /// Slots that were not known were taken in.
        PoolAdd = "eniDataStorePoolReconcileAdd",
        /// Slots that somebody took away were forgotten.
        PoolDel = "eniIPPoolReconcileDel",
    }
}

labels! {
    /// Whether something could be done.
    Success {
        /// It was.
        Yes = "success",
        /// It was not.
        No = "error",
    }
}

labels! {
    /// Whose kernel state was put right.
    Repaired {
        /// The node's rules, sysctls and nftables table.
        Host = "host",
        /// An ENI's link, addresses and routes.
        Eni = "eni",
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes the value of a count that is kept elsewhere.
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the buckets for durations, in seconds.
pub const BOUNDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Durations in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// Notes a duration.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = BOUNDS.iter().position(|bound| seconds <= *bound);
        let bucket = place.map_or(&self.beyond, |place| &self.buckets[place]);
        bucket.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The buckets' counts, each for itself; the last is that of what is beyond all bounds.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let all = self.buckets.iter().chain([&self.beyond]);
        all.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// All durations added up, in seconds.
    #[must_use]
    pub fn sum(&self) -> f64 {
        Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64()
    }
}

/// One of each for every value of a label.
#[derive(Debug)]
pub struct Per<L, T> {
    cells: Vec<T>,
    label: std::marker::PhantomData<fn(L)>,
}

impl<L: Label, T: Default> Default for Per<L, T> {
    fn default() -> Self {
        Self {
            cells: L::ALL.iter().map(|_| T::default()).collect(),
            label: std::marker::PhantomData,
        }
    }
}

impl<L: Label, T> Per<L, T> {
    /// That of a value.
    #[must_use]
    pub fn of(&self, label: L) -> &T {
        &self.cells[label.index()]
    }

    /// All values with theirs.
    pub fn iter(&self) -> impl Iterator<Item = (L, &T)> {
        L::ALL.iter().copied().zip(&self.cells)
    }
}

/// Everything that is counted. Shared by all parts of the daemon.
#[derive(Debug, Default)]
pub struct Tally {
    /// ADDs that were asked for.
    pub add_requests: Counter,
    /// ADDs that found no address in time.
    pub no_address: Counter,
    /// How long ADDs took in the daemon.
    pub adds: Per<AddOutcome, Histogram>,
    /// DELs that were asked for.
    pub del_requests: Per<DelReason, Counter>,
    /// How long DELs took in the daemon.
    pub dels: Per<DelOutcome, Histogram>,
    /// How long ADDs that found the pool empty waited.
    pub waits: Per<WaitOutcome, Histogram>,
    /// What went wrong.
    pub errors: Per<IpamdError, Counter>,
    /// What comparisons changed.
    pub reconciled: Per<Reconciled, Counter>,
    /// ENIs that vanished with pods' addresses on them.
    pub force_removed_enis: Counter,
    /// Addresses of pods that vanished from their ENI.
    pub force_removed_ips: Counter,
    /// Rounds in which the node's rules and nftables table were checked.
    pub host_checks: Per<Success, Counter>,
    /// Kernel state that was put right.
    pub repairs: Per<Repaired, Counter>,
    /// How long it took until pods could be served.
    pub startup: Histogram,
    /// How long it took until the node was known and wired.
    pub node_init: Histogram,
    /// Times the journal was synced to the disk.
    pub journal_syncs: Counter,
    /// The journal's size in bytes.
    pub journal_bytes: Counter,
    /// Log lines that were left out, because they repeated what was written.
    pub log_repeats: Counter,
}

impl Tally {
    /// A round over the node's kernel state ended, with so many things put right, or failed.
    pub fn host_checked(&self, put_right: Result<usize, ()>) {
        let success = match put_right {
            Ok(_) => Success::Yes,
            Err(()) => Success::No,
        };
        self.host_checks.of(success).one();
        let count = put_right.unwrap_or(0) as u64;
        self.repairs.of(Repaired::Host).add(count);
    }

    /// The same for an ENI's.
    pub fn eni_checked(&self, put_right: usize) {
        self.repairs.of(Repaired::Eni).add(put_right as u64);
    }
}

impl DelReason {
    /// The reason that a plugin's text names.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let known = Self::ALL.iter().find(|reason| reason.text() == text);
        known.copied().unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(1));
        histogram.observe(Duration::from_micros(1_001));
        histogram.observe(Duration::from_secs(31));
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[BOUNDS.len()]), (1, 1, 1));
        assert_eq!(counts.iter().sum::<u64>(), 3);
        assert!((histogram.sum() - 31.002_001).abs() < 1e-9);
    }

    #[test]
    fn a_reason_that_no_plugin_of_ours_gives_makes_no_series_of_its_own() {
        assert_eq!(DelReason::of("PodDeleted"), DelReason::PodDeleted);
        assert_eq!(DelReason::of("because I can"), DelReason::Other);
        assert_eq!(DelReason::of(""), DelReason::Other);
    }

    #[test]
    fn each_label_value_has_a_cell_of_its_own() {
        let errors: Per<IpamdError, Counter> = Per::default();
        errors.of(IpamdError::FreeEni).one();
        let hit: Vec<_> = errors.iter().filter(|(_, count)| count.get() > 0).collect();
        assert_eq!(hit.len(), 1);
        assert_eq!(hit[0].0, IpamdError::FreeEni);
    }
}
