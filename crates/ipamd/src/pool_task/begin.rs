//! How an action begins: what must be known of it after a crash is written, it is marked in the
//! pool, and the executor has it.

use std::net::Ipv4Addr;

use vpc_aws::ec2::Ec2;
use vpc_ipam::journal::{REMEMBERED, Record};
use vpc_ipam::{Action, Event, Work};
use vpc_model::Timestamp;

use super::PoolTask;
use crate::executor::Place;
use crate::report::chain;

impl<E: Ec2> PoolTask<E> {
    /// Begins an action; says whether it did. What cannot be written down is not begun.
    pub(super) fn begin(&mut self, action: Action, now: Timestamp) -> bool {
        let Some((_, _, executor)) = &self.learned else {
            return false;
        };
        let token = executor.token(&action.work, now);
        if let Some(record) = self.intent(&action.work, token.as_deref(), now)
            && let Err(error) = self.journal.append(&record)
        {
            tracing::error!(action = ?action.work, error = chain(&error), "not begun");
            return false;
        }
        if let Some(token) = &token {
            self.open_creations.push((token.clone(), now));
        }
        tracing::info!(action = ?action.work, because = %action.because, "begin");
        let place = match &action.work {
            Work::Return { eni } => self.pool.eni(eni).map(|eni| Place {
                card: eni.card,
                device: eni.device,
            }),
            Work::Create { .. } | Work::Assign { .. } | Work::Unassign { .. } => None,
        };
        self.pool.apply(begun(&action.work), now);
        if let Some((_, _, executor)) = &self.learned {
            executor.start(action.work, place, token);
        }
        true
    }

    /// What must be in the journal before EC2 is asked: an ENI may come to exist, addresses may
    /// come to be somebody else's while instance metadata still shows them as ours.
    fn intent(&self, work: &Work, token: Option<&str>, now: Timestamp) -> Option<Record> {
        let give_back = |addresses: Vec<Ipv4Addr>| Record::GiveBack {
            addresses,
            until: now + REMEMBERED,
        };
        match work {
            Work::Create { .. } => token.map(|token| Record::CreateEni {
                token: token.to_owned(),
                at: now,
            }),
            Work::Assign { .. } => None,
            Work::Unassign { addresses, .. } => Some(give_back(addresses.clone())),
            Work::Return { eni } => self
                .pool
                .eni(eni)
                .map(|eni| give_back(eni.addresses().map(|(address, _)| address).collect())),
        }
    }
}

fn begun(work: &Work) -> Event {
    match work {
        Work::Create {
            creation,
            device,
            addresses,
        } => Event::CreationBegun {
            creation: *creation,
            device: *device,
            addresses: *addresses,
        },
        Work::Assign { eni, count } => Event::AssignBegun {
            eni: eni.clone(),
            count: *count,
        },
        Work::Unassign { eni, addresses } => Event::UnassignBegun {
            eni: eni.clone(),
            addresses: addresses.clone(),
        },
        Work::Return { eni } => Event::ReturnBegun { eni: eni.clone() },
    }
}
