//! What was observed, against what the pool believes.

use std::collections::BTreeSet;

use vpc_aws::ec2::Ec2;
use vpc_ipam::classify::Exclusion;
use vpc_ipam::journal::Record;
use vpc_ipam::reconcile::{Observed, Source, reconcile};
use vpc_ipam::{Event, NewEni};
use vpc_model::{DeviceIndex, EniId};

use super::PoolTask;
use super::handle::Reconciled;
use crate::clock;
use crate::learn::Foreign;
use crate::report::chain;

impl<E: Ec2> PoolTask<E> {
    /// Compares; does what follows for the pool, says what is left to do.
    pub(super) fn reconcile(&mut self, mut observed: Observed) -> Reconciled {
        let now = clock::now();
        if observed.about.is_none() {
            self.forget_vanished_foreigners(&observed);
        }
        // What EC2 has settled not to be the pool's is no news.
        let foreign = &self.foreign;
        observed
            .enis
            .retain(|seen| foreign.get(&seen.id).is_none_or(|known| !known.settled));
        let found = reconcile(&self.pool, &observed);
        for finding in &found.findings {
            match observed.source {
                Source::Metadata => tracing::info!(%finding, "instance metadata differs"),
                Source::MetadataOnly | Source::Ec2 => {
                    tracing::warn!(%finding, "the node is not as it was known");
                }
            }
        }
        for event in found.events {
            if self.is_premature(&event) {
                continue;
            }
            if let Some(record) = Record::of_event(&event, &self.pool, now)
                && let Err(error) = self.journal.append(&record)
            {
                // The pool knows; only a restart within two minutes would not.
                tracing::warn!(error = chain(&error), "journal");
            }
            self.tally_difference(&event);
            self.recent.note(&event, now);
            self.pool.apply(event, now);
        }
        Reconciled {
            ask_ec2: found.ask_ec2,
            to_wire: found.to_wire,
        }
    }

    /// An ENI that could not be wired is not used because its tags would allow it.
    fn is_premature(&self, event: &Event) -> bool {
        let Event::Reclassified { eni, exclusion, .. } = event else {
            return false;
        };
        let known = self.pool.eni(eni).and_then(|eni| eni.exclusion.as_ref());
        known == Some(&Exclusion::NotWired) && exclusion.is_none()
    }

    fn forget_vanished_foreigners(&mut self, observed: &Observed) {
        let seen: BTreeSet<&EniId> = observed.enis.iter().map(|seen| &seen.id).collect();
        let before = self.foreign.len();
        self.foreign.retain(|id, _| seen.contains(id));
        if self.foreign.len() != before {
            self.place_foreign();
        }
    }

    /// An attached ENI, wired where that is ours to do, comes to the pool.
    pub(super) fn take_in(&mut self, eni: NewEni) {
        if let Some(why) = &eni.exclusion {
            // What its pods have is known to the pool all the same.
            tracing::info!(eni = %eni.id, device = eni.device.0, %why, "an ENI is not used");
        } else {
            tracing::info!(
                eni = %eni.id, device = eni.device.0, kind = ?eni.kind,
                addresses = eni.slots.addresses.len(), prefixes = eni.slots.prefixes.len(),
                "ENI is in the pool"
            );
        }
        self.foreign.remove(&eni.id);
        self.tally_found(&eni);
        self.pool.apply(Event::EniFound(eni), clock::now());
        self.place_foreign();
    }

    /// An attached ENI cannot be in the pool.
    pub(super) fn note_foreign(&mut self, eni: EniId, foreign: Foreign) {
        if self.foreign.get(&eni) != Some(&foreign) {
            tracing::info!(%eni, why = foreign.why, "an ENI is not used");
        }
        self.foreign.insert(eni, foreign);
        self.place_foreign();
    }

    /// An ENI that could not be wired before is wired.
    pub(super) fn wired_at_last(&mut self, id: EniId) {
        let Some(eni) = self.pool.eni(&id) else {
            return;
        };
        if eni.exclusion == Some(Exclusion::NotWired) {
            tracing::info!(eni = %id, "ENI is wired at last");
            let event = Event::Reclassified {
                kind: eni.kind,
                eni: id,
                exclusion: None,
            };
            self.pool.apply(event, clock::now());
        }
    }

    /// Tells the pool where there are ENIs that are not in it.
    pub(super) fn place_foreign(&mut self) {
        let card = self.pool.card();
        let known: BTreeSet<DeviceIndex> = self
            .pool
            .enis()
            .filter(|eni| eni.card == card)
            .map(|eni| eni.device)
            .collect();
        let foreign = self.foreign.values().map(|foreign| foreign.device);
        let places = foreign.filter(|device| !known.contains(device)).collect();
        self.pool.note_foreign(places);
    }
}
