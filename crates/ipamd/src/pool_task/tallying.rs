//! What the pool task counts of its own work, for the metrics.

use std::net::Ipv4Addr;

use tokio::time::Instant;
use vpc_aws::ec2::Ec2;
use vpc_ipam::{AddressState, Eni, Event, NewEni};

use super::PoolTask;
use crate::metrics::tally::{IpamdError, Reconciled, WaitOutcome};

impl<E: Ec2> PoolTask<E> {
    pub(super) fn tally_journal(&self) {
        self.tally.journal_syncs.set(self.journal.syncs());
        self.tally.journal_bytes.set(self.journal.length());
    }

    pub(super) fn tally_wait(&self, since: Instant, outcome: WaitOutcome) {
        self.tally.waits.of(outcome).observe(since.elapsed());
    }

    /// What came of an action.
    pub(super) fn tally_outcome(&self, event: &Event) {
        if event.refusal().is_none() {
            return;
        }
        let error = if matches!(event, Event::CreationFailed { .. }) {
            IpamdError::AllocEni
        } else if matches!(event, Event::AssignFailed { .. }) {
            IpamdError::AllocAddresses
        } else if matches!(event, Event::UnassignFailed { .. }) {
            IpamdError::Unassign
        } else {
            IpamdError::FreeEni
        };
        self.tally.errors.of(error).one();
    }

    /// What a comparison is about to change in the pool.
    pub(super) fn tally_difference(&self, event: &Event) {
        let count = |what| self.tally.reconciled.of(what).one();
        if let Event::SlotsFound { .. } = event {
            count(Reconciled::PoolAdd);
        } else if let Event::SlotsLost { eni, slots } = event {
            count(Reconciled::PoolDel);
            let lost = |address: &Ipv4Addr| {
                let single = slots.addresses.contains(address);
                single
                    || slots
                        .prefixes
                        .iter()
                        .any(|prefix| prefix.contains(*address))
            };
            let held = self.pool.eni(eni).map(|eni| held(eni, lost));
            self.tally.force_removed_ips.add(held.unwrap_or(0));
        } else if let Event::EniLost { eni } = event {
            count(Reconciled::EniDel);
            let held = self.pool.eni(eni).map_or(0, |eni| held(eni, |_| true));
            self.tally.force_removed_ips.add(held);
            self.tally.force_removed_enis.add(u64::from(held > 0));
        }
    }

    /// An ENI that is about to be taken in. Those of the start are no difference to anything.
    pub(super) fn tally_found(&self, eni: &NewEni) {
        if self.learned.is_some() && self.pool.eni(&eni.id).is_none() {
            self.tally.reconciled.of(Reconciled::EniAdd).one();
        }
    }
}

/// How many of these addresses pods have.
fn held(eni: &Eni, these: impl Fn(&Ipv4Addr) -> bool) -> u64 {
    let allocated = eni
        .addresses()
        .filter(|(address, state)| matches!(state, AddressState::Allocated(_)) && these(address));
    allocated.count() as u64
}
