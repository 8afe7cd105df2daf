//! The daemon dies and comes back: what was in flight may or may not happen, and what instance
//! metadata then shows may be old.

use std::collections::BTreeMap;
use std::time::Duration;

use vpc_ipam::journal::{self, HEADER};
use vpc_ipam::{Event, Ledger, NewEni, Pool};

use crate::world::{Call, Checked, World};

/// How old what metadata shows can be.
pub(crate) const LAG: Duration = Duration::from_secs(30);

impl World {
    pub(crate) fn restart(&mut self) -> Checked {
        self.say("restart");
        for call in std::mem::take(&mut self.calls) {
            if let Call::Sent { work, .. } = call
                && self.chance.one_in(2)
            {
                self.effect(work);
            }
        }
        self.waiting.clear();
        self.journal_says_what_the_pool_says()?;
        if self.chance.one_in(3) {
            let text: String = journal::compact(&self.pool.to_ledger(), &self.open)
                .iter()
                .map(journal::encode)
                .collect();
            self.journal = format!("{HEADER}{text}").into_bytes();
            self.journal_says_what_the_pool_says()?;
        }
        let whole = self.journal.len();
        if self.chance.one_in(3) {
            // The record that was being written when the power failed.
            self.journal.extend(b"0badc0de {\"do\":\"allo");
        }
        let replay = journal::replay(&self.journal).map_err(|error| error.to_string())?;
        if replay.valid != whole {
            return Err(format!(
                "{} of {whole} bytes of the journal are valid",
                replay.valid
            ));
        }
        self.journal.truncate(whole);
        self.open = replay.open_creations;
        self.pool = Pool::new(replay.ledger);
        // What is known is served before the ENIs are.
        let live: Vec<_> = self.reference.live.keys().cloned().collect();
        if let Some(key) = self.chance.pick(&live).cloned() {
            match self.chance.one_in(2) {
                true => drop(self.attempt(&key)?),
                false => self.delete(&key)?,
            }
        }
        let mut shown = Vec::new();
        let ids: Vec<_> = self.cloud.enis.keys().cloned().collect();
        for id in ids {
            shown.extend(self.metadata(&id));
        }
        if self.chance.one_in(self.trouble.metadata_lies) {
            let now = self.now;
            let recent = self
                .cloud
                .deleted
                .iter()
                .filter(|(_, at)| now.since(*at) < LAG);
            let ghosts: Vec<_> = recent.map(|(eni, _)| eni.clone()).collect();
            self.lied_to |= !ghosts.is_empty();
            shown.extend(ghosts);
        }
        for eni in shown {
            self.say(&format!(
                "metadata shows {} with {:?}",
                eni.id, eni.addresses
            ));
            self.pool.apply(Event::EniFound(eni), self.now);
        }
        Ok(())
    }

    /// What instance metadata shows of an ENI.
    fn metadata(&mut self, id: &vpc_model::EniId) -> Option<NewEni> {
        let truth = self.cloud.describe(id)?;
        let mut shown = truth.clone();
        if !self.chance.one_in(self.trouble.metadata_lies) {
            return Some(truth);
        }
        self.lied_to = true;
        let found_later = self.chance.one_in(2);
        let missing = match self.chance.between(0, 2) {
            0 => {
                let former = self.cloud.enis[id].former.iter();
                let recent = former.filter(|(_, at)| self.now.since(**at) < LAG);
                shown.addresses.extend(recent.map(|(address, _)| address));
                shown.addresses.sort();
                shown.addresses.dedup();
                let most = usize::try_from(self.targets.per_eni).unwrap();
                shown.addresses.truncate(most.max(truth.addresses.len()));
                false
            }
            1 => {
                shown.addresses.truncate(truth.addresses.len() / 2);
                false
            }
            // Only ENIs that were attached later are ever missing.
            _ => id.as_str() != "eni-0001",
        };
        if found_later {
            self.news(vec![Event::EniFound(truth)], None);
        }
        (!missing).then_some(shown)
    }

    /// What a daemon that starts now would know is what this one knows.
    pub(crate) fn journal_says_what_the_pool_says(&self) -> Checked {
        let replay = journal::replay(&self.journal).map_err(|error| error.to_string())?;
        let alive = |ledger: &Ledger| {
            let holders: BTreeMap<_, _> = ledger
                .holders()
                .map(|held| (held.key.clone(), held.address))
                .collect();
            let cooling: BTreeMap<_, _> = ledger
                .cooling()
                .filter(|(_, until)| *until > self.reference.latest)
                .collect();
            (holders, cooling)
        };
        let (journal, pool) = (alive(&replay.ledger), alive(&self.pool.to_ledger()));
        if journal != pool {
            return Err(format!("the journal says {journal:?}, the pool {pool:?}"));
        }
        Ok(())
    }
}
