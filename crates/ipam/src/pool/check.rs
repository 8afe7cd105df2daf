//! What must always be so in a pool, whatever happened.

use std::collections::BTreeSet;

use super::address::AddressState;
use super::{Pool, ranks};

impl Pool {
    /// What must always be so; one sentence for each thing that is not. For tests.
    ///
    /// # Errors
    /// The broken invariants.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut broken = self.check_addresses();
        broken.extend(self.check_order());
        if !self.ledger.is_consistent() {
            broken.push("the ledger's indexes do not agree".to_owned());
        }
        for holder in self.ledger.holders() {
            if self.holders.get(&holder.key).is_some() {
                broken.push(format!(
                    "{} is both on an ENI and in the ledger",
                    holder.key
                ));
            }
        }
        let owned: usize = self.enis().map(|eni| eni.singles().count()).sum();
        if owned != self.owners.len() {
            let indexed = self.owners.len();
            broken.push(format!("{owned} single addresses, {indexed} in the index"));
        }
        let prefixes: usize = self.enis().map(|eni| eni.prefixes().count()).sum();
        if prefixes != self.prefix_owners.len() {
            let indexed = self.prefix_owners.len();
            broken.push(format!("{prefixes} prefixes, {indexed} in the index"));
        }
        if broken.is_empty() {
            Ok(())
        } else {
            Err(broken)
        }
    }

    fn check_addresses(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut allocated = 0;
        let mut cooling = BTreeSet::new();
        for eni in self.enis() {
            let inside = eni.broken();
            broken.extend(inside.into_iter().map(|what| format!("{}: {what}", eni.id)));
            for (address, state) in eni.addresses() {
                if self.owner(address).map(|owner| &owner.id) != Some(&eni.id) {
                    broken.push(format!("{address} of {} is not in the index", eni.id));
                }
                if self.ledger.holder_of(address).is_some() {
                    broken.push(format!("{address} is both on {} and in the ledger", eni.id));
                }
                match state {
                    AddressState::Allocated(tenant) => {
                        let key = &tenant.key;
                        allocated += 1;
                        if self.holders.get(key) != Some(&(eni.id.clone(), address)) {
                            broken.push(format!("{key} holds {address} and is not in the index"));
                        }
                    }
                    AddressState::Cooling { until } => {
                        cooling.insert((*until, address));
                    }
                    AddressState::Free { .. } | AddressState::Unassigning => {}
                }
            }
        }
        if allocated != self.holders.len() {
            let indexed = self.holders.len();
            broken.push(format!("{allocated} allocated, {indexed} in the index"));
        }
        if cooling != self.cooling {
            broken.push("the index of cooling addresses is wrong".to_owned());
        }
        broken
    }

    fn check_order(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut singles = BTreeSet::new();
        let mut prefixes = BTreeSet::new();
        for eni in self.enis() {
            let [single, prefix] = ranks(eni);
            singles.extend(single.map(|(full, since)| (full, since, eni.id.clone())));
            prefixes.extend(prefix.map(|(full, since)| (full, since, eni.id.clone())));
        }
        if singles != self.single_givers || prefixes != self.prefix_givers {
            broken.push("the order in which ENIs give addresses is wrong".to_owned());
        }
        let mut places = BTreeSet::new();
        let enis = self.enis().map(|eni| (eni.card, eni.device));
        let creations = self
            .creations
            .values()
            .map(|creation| (self.card, creation.device));
        for (card, device) in enis.chain(creations) {
            if !places.insert((card, device)) {
                broken.push(format!("two ENIs at device {device} of card {card}"));
            }
        }
        broken
    }
}
