//! What is done and what happens, in words, for logs and people.

use std::fmt;

use crate::plan::Work;
use crate::pool::{Event, Slots};

/// `10.0.1.5, 10.0.1.16/28`.
impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.addresses.iter().map(ToString::to_string);
        let prefixes = self.prefixes.iter().map(ToString::to_string);
        let all: Vec<String> = addresses.chain(prefixes).collect();
        if all.is_empty() {
            return write!(f, "no slots");
        }
        write!(f, "{}", all.join(", "))
    }
}

/// An order: `assign 3 addresses to eni-1`.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Create {
                creation: _,
                card,
                device,
                subnet,
                ask,
            } => write!(
                f,
                "create an ENI in {} with {ask}, for device {} of card {}",
                subnet.id, device.0, card.0
            ),
            Work::Assign { eni, ask } => write!(f, "assign {ask} to {eni}"),
            Work::Unassign { eni, slots } => write!(f, "unassign {slots} from {eni}"),
            Work::Return { eni } => write!(f, "detach and delete {eni}"),
        }
    }
}

impl Event {
    /// What came of something, or what others did: what, and why. Nothing for beginnings, of which
    /// the plan has said more.
    #[must_use]
    pub fn words(&self) -> Option<(String, String)> {
        let seen = "it is there, and was not known".to_owned();
        let gone = "EC2 no longer shows it, and it was not ipamd that took it away".to_owned();
        let done = "EC2 did what it was asked".to_owned();
        Some(match self {
            Event::EniFound(eni) => (format!("{} found with {}", eni.id, eni.slots), seen),
            Event::Created { eni, .. } => (format!("{} is there with {}", eni.id, eni.slots), done),
            Event::CreationFailed { reason, .. } => {
                ("no ENI could be created".to_owned(), reason.clone())
            }
            Event::Assigned { eni, slots, .. } => (format!("{eni} has {slots} more"), done),
            Event::AssignFailed {
                eni, ask, reason, ..
            } => (format!("{eni} did not get {ask}"), reason.clone()),
            Event::SlotsFound { eni, slots } => (format!("{eni} has {slots} too"), seen),
            Event::SlotsLost { eni, slots } => (format!("{eni} has lost {slots}"), gone),
            Event::Unassigned { eni, slots } => (format!("{slots} of {eni} are given back"), done),
            Event::UnassignFailed { eni, slots, reason } => {
                (format!("{eni} still has {slots}"), reason.clone())
            }
            Event::Returned { eni } => (format!("{eni} is given back"), done),
            Event::ReturnFailed { eni, reason } => {
                (format!("{eni} is still there"), reason.clone())
            }
            Event::EniLost { eni } => (format!("{eni} is lost"), gone),
            Event::Reclassified { eni, exclusion, .. } => {
                let because = match exclusion {
                    Some(exclusion) => exclusion.to_string(),
                    None => "nothing speaks against it any more".to_owned(),
                };
                (format!("{eni} is looked at anew"), because)
            }
            Event::CreationBegun { .. }
            | Event::CreationAttaching { .. }
            | Event::AssignBegun { .. }
            | Event::UnassignBegun { .. }
            | Event::ReturnBegun { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Ask;

    #[test]
    fn one_is_one_and_nothing_is_said_of_beginnings() {
        assert_eq!(Ask::Addresses(1).to_string(), "1 address");
        assert_eq!(Ask::Prefixes(2).to_string(), "2 prefixes");
        let work = Work::Assign {
            eni: "eni-1".parse().unwrap(),
            ask: Ask::Addresses(3),
        };
        assert_eq!(work.to_string(), "assign 3 addresses to eni-1");
        assert_eq!(work.begun().words(), None);
    }

    #[test]
    fn what_others_did_is_told_from_what_we_did() {
        let lost = Event::EniLost {
            eni: "eni-1".parse().unwrap(),
        };
        let (what, because) = lost.words().unwrap();
        assert_eq!(what, "eni-1 is lost");
        assert!(because.contains("not ipamd"), "{because}");
    }
}
