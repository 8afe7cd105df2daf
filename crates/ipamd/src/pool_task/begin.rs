//! How an action begins: what must be known of it after a crash is written, it is marked in the
//! pool, and the executor has it.

use vpc_aws::ec2::Ec2;
use vpc_ipam::journal::Record;
use vpc_ipam::{Action, Work};
use vpc_model::Timestamp;

use super::PoolTask;
use crate::executor::Place;
use crate::report::chain;

impl<E: Ec2> PoolTask<E> {
    /// Begins an action; says whether it did. What cannot be written down is not begun.
    pub(super) fn begin(&mut self, action: Action, now: Timestamp) -> bool {
        let Some(node) = &self.learned else {
            return false;
        };
        let token = node.executor.token(&action.work, now);
        if let Some(record) = intent(&action.work, token.as_deref(), now)
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
        let (what, because) = (action.work.to_string(), action.because.to_string());
        self.recent.push(now, what, because);
        self.pool.apply(action.work.begun(), now);
        if let Some(node) = &self.learned {
            node.executor.start(action.work, place, token);
        }
        true
    }
}

/// What must be in the journal before EC2 is asked: an ENI may come to exist, slots may come to be
/// somebody else's while instance metadata still shows them as ours.
fn intent(work: &Work, token: Option<&str>, now: Timestamp) -> Option<Record> {
    match token {
        Some(token) => Some(Record::CreateEni {
            token: token.to_owned(),
            at: now,
        }),
        None => Record::of_intent(work, now),
    }
}
