//! What start-up learned and what became of actions, taken into the pool.

use vpc_aws::ec2::Ec2;
use vpc_ipam::journal::Record;
use vpc_ipam::{Event, Refusal};

use super::cluster::go_by;
use super::{Learned, Node, Notice, PoolTask};
use crate::clock;
use crate::executor::Outcome;
use crate::readiness::Readiness;
use crate::report::chain;

impl<E: Ec2> PoolTask<E> {
    pub(super) fn notice(&mut self, notice: Notice<E>) {
        match notice {
            Notice::Stage(stage) => {
                if self.learned.is_none() {
                    self.readiness.send_replace(Readiness::Starting(stage));
                }
            }
            Notice::Learned(learned) => self.learn(*learned),
            Notice::NoLeftovers => {
                for token in std::mem::take(&mut self.left_open) {
                    self.close_creation(token);
                }
            }
        }
    }

    fn learn(&mut self, learned: Learned<E>) {
        self.pool.set_mode(learned.mode);
        self.foreign = learned.foreign;
        for eni in learned.enis {
            self.take_in(eni);
        }
        self.place_foreign();
        for holder in self.pool.ledger().holders() {
            tracing::warn!(
                key = %holder.key, address = %holder.address,
                "an allocated address is on no ENI that instance metadata shows; it stays allocated"
            );
        }
        let mut node = Node {
            targets: learned.targets,
            follows: learned.follows,
            provisioning: learned.provisioning,
            discovery: learned.discovery,
            executor: learned.executor,
        };
        // What Kubernetes has said meanwhile counts from the first plan on.
        self.view = self.cluster.borrow_and_update().clone();
        go_by(&self.view, &mut node);
        self.learned = Some(node);
    }

    /// Notes that a creation has come to an end.
    fn close_creation(&mut self, token: String) {
        self.open_creations.retain(|(open, _)| *open != token);
        if let Err(error) = self.journal.append(&Record::CreateEniDone { token }) {
            // It will be looked for at the next start and found to have ended.
            tracing::warn!(error = chain(&error), "journal");
        }
    }

    pub(super) fn outcome(&mut self, outcome: Outcome) {
        let now = clock::now();
        let event = match outcome {
            Outcome::Happened(event) => event,
            Outcome::CreationEnded { token, event } => {
                self.close_creation(token);
                event
            }
            Outcome::Subnets(answer) => {
                let Some(node) = &mut self.learned else {
                    return;
                };
                for event in node.discovery.answered(answer, &self.pool, now) {
                    tracing::info!(?event, "subnets");
                    self.recent.note(&event, now);
                    self.pool.apply(event, now);
                }
                return;
            }
        };
        log_event(&event);
        self.tally_outcome(&event);
        if let Some(record) = Record::of_event(&event, &self.pool, now)
            && let Err(error) = self.journal.append(&record)
        {
            // The pool knows; what was written before EC2 was asked tells a restart most of it.
            tracing::warn!(error = chain(&error), "journal");
        }
        if is_a_surprise(&event) {
            self.look.notify_one();
        }
        self.recent.note(&event, now);
        self.pool.apply(event, now);
    }
}

/// Whether EC2's refusal shows that the node's ENIs are not what the pool takes them for.
fn is_a_surprise(event: &Event) -> bool {
    let (Event::CreationFailed { refusal, .. } | Event::AssignFailed { refusal, .. }) = event
    else {
        return false;
    };
    match refusal {
        Refusal::EniFull | Refusal::TooManyEnis | Refusal::PlaceTaken | Refusal::NoSuchEni => true,
        Refusal::SubnetFull | Refusal::NoBlock | Refusal::Other => false,
    }
}

fn log_event(event: &Event) {
    if let Event::CreationFailed { reason, .. } = event {
        tracing::warn!(reason, "an ENI could not be created");
    } else if let Event::AssignFailed { eni, reason, .. } = event {
        tracing::warn!(%eni, reason, "slots could not be assigned");
    } else {
        tracing::debug!(?event, "outcome");
    }
}
