//! What will happen in the world by itself, and when: links appear, attachments begin and end,
//! instances begin and end, metadata catches up.
//!
//! Moments are noted where they come to be and looked up when time passes, so that a large world
//! need not be searched for what is due. A note says where to look, not what happened: one that has
//! been overtaken (the ENI is deleted, the metadata frozen) finds nothing.

use std::collections::BTreeSet;

use vpc_model::{EniId, InstanceId, Timestamp};

use super::World;

/// Where something will happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Eni(EniId),
    Instance(InstanceId),
}

/// The moments to come, the next one first.
#[derive(Debug, Clone, Default)]
pub(super) struct Agenda(BTreeSet<(Timestamp, Subject)>);

impl Agenda {
    fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Subject)> {
        let due = self.0.first().is_some_and(|(at, _)| *at <= now);
        due.then(|| self.0.pop_first()).flatten()
    }
}

impl World {
    /// Notes a moment; one that is not to come needs no note.
    pub(super) fn note(&mut self, at: Timestamp, subject: Subject) {
        if at > self.now {
            self.agenda.0.insert((at, subject));
        }
    }

    /// Lets time pass up to `now`: links appear, attachments begin and end, metadata catches up.
    /// A moment in the past changes nothing.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.catch_up();
        while let Some((at, subject)) = self.agenda.pop_due(self.now) {
            if self.is_moment(at, &subject) {
                self.revision += 1;
            }
            match subject {
                Subject::Eni(id) => self.end_attachment(&id),
                Subject::Instance(id) => {
                    self.end_if_over(&id);
                    self.learn(&id);
                }
            }
        }
    }

    /// When something will next happen by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Timestamp> {
        let mut notes = self.agenda.0.iter();
        let next = notes.find(|(at, subject)| {
            let learns = |id| {
                let instance = self.instances.get(id)?;
                instance.metadata.next_event()
            };
            self.is_moment(*at, subject)
                || matches!(subject, Subject::Instance(id) if learns(id) == Some(*at))
        });
        next.map(|(at, _)| *at)
    }

    /// Whether EC2's view of something changes then.
    fn is_moment(&self, at: Timestamp, subject: &Subject) -> bool {
        match subject {
            Subject::Eni(id) => {
                let eni = self.enis.get(id);
                let attachment = eni.and_then(|eni| eni.attachment.as_ref());
                attachment.is_some_and(|it| it.moments().any(|moment| moment == at))
            }
            Subject::Instance(id) => {
                let instance = self.instances.get(id);
                instance.is_some_and(|it| it.moments().any(|moment| moment == at))
            }
        }
    }

    /// Lets an instance's metadata learn what is due.
    pub(super) fn learn(&mut self, id: &InstanceId) {
        let now = self.now;
        if let Some(instance) = self.instances.get_mut(id)
            && instance.metadata.advance(now)
        {
            self.revision += 1;
        }
    }
}
