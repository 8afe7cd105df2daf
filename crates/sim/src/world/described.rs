//! What descriptions of ENIs show: EC2 answers them from copies, which lag behind its changes (EC2
//! developer guide, "Eventual consistency in the Amazon EC2 API").

use std::collections::{BTreeMap, BTreeSet};

use vpc_model::{EniId, Timestamp};

use super::World;
use super::config::Span;

use super::lookup::{eni_not_found, named, parse_id, required};
use super::state::Eni;
use crate::error::ApiError;

/// How an ENI was before a change that descriptions do not show yet.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// From then on they show it as it is.
    until: Timestamp,
    /// Nothing if it was not there.
    was: Option<Eni>,
}

impl World {
    /// An ENI is about to be changed, made or deleted. Changes that follow before descriptions have
    /// caught up with the first show with it.
    pub(super) fn before_change_of(&mut self, id: &EniId) {
        if self.config.describe_lag == Span::ZERO || self.shown.contains_key(id) {
            return;
        }
        let lag = self.config.describe_lag.sample(&mut self.random);
        let shown = Shown {
            until: self.now + lag,
            was: self.enis.get(id).cloned(),
        };
        self.shown.insert(id.clone(), shown);
    }

    /// Descriptions catch up.
    pub(super) fn catch_up(&mut self) {
        if self.shown.is_empty() {
            return;
        }
        let now = self.now;
        self.shown.retain(|_, shown| shown.until > now);
    }

    /// The ENIs that exist at this moment, attached or not, whatever descriptions show yet.
    pub fn existing_enis(&self) -> impl Iterator<Item = &EniId> {
        self.enis.keys()
    }

    /// The ENIs with these ids, or all of them, as descriptions show them.
    pub(super) fn described_enis<'a>(
        &'a self,
        ids: &'a BTreeSet<EniId>,
    ) -> BTreeMap<&'a EniId, &'a Eni> {
        let mut enis: BTreeMap<&EniId, &Eni> = named(&self.enis, ids).collect();
        let asked = |id: &EniId| ids.is_empty() || ids.contains(id);
        for (id, shown) in self.shown.iter().filter(|(id, _)| asked(id)) {
            match &shown.was {
                Some(was) => enis.insert(id, was),
                None => enis.remove(id),
            };
        }
        enis
    }

    /// The id of an ENI that is to be described.
    pub(super) fn described_eni_id(&self, text: &str) -> Result<EniId, ApiError> {
        let text = required(Some(text), "networkInterfaceId")?;
        let id: EniId = parse_id(text, "InvalidNetworkInterfaceId", "eni")?;
        match self.shown.get(&id) {
            Some(Shown { was: Some(_), .. }) => Ok(id),
            Some(Shown { was: None, .. }) => Err(eni_not_found(id.as_str())),
            None => self.eni(&id).map(|_| id.clone()),
        }
    }
}
