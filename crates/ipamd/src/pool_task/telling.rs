//! What happens to a sandbox is remembered as its timeline.

use vpc_aws::ec2::Ec2;
use vpc_ipam::Allocation;
use vpc_ipam::status::Recent;
use vpc_ipam::timeline::{Timeline, Whose};
use vpc_model::{PodKey, PodName, Timestamp};

use super::handle::{AddRefusal, Grant};
use super::{PoolTask, clock};

/// What the first moment of an ADD is called.
const ASKED: &str = "ADD asked";
/// What the moment is called from which on it waits.
const WAITS: &str = "waits";

impl<E: Ec2> PoolTask<E> {
    pub(super) fn tell_asked(&mut self, key: &PodKey, pod: &PodName, now: Timestamp) {
        let because = "the plugin wants an address for the sandbox";
        self.timelines.note((key, Some(pod)), now, ASKED, because);
    }

    pub(super) fn tell_waiting(&mut self, key: &PodKey, now: Timestamp, why: &str) {
        self.timelines.note((key, None), now, WAITS, why);
    }

    pub(super) fn tell_granted(&mut self, key: &PodKey, grant: &Grant) {
        let what = format!("{} allocated", grant.address);
        let because = match &grant.eni {
            Some(eni) => format!("it is free on {eni} (device {})", grant.device.0),
            None => "the journal knows that the sandbox has it".to_owned(),
        };
        self.timelines
            .note((key, None), clock::now(), what, because);
    }

    pub(super) fn tell_refused(&mut self, key: &PodKey, refusal: &AddRefusal) {
        let (at, because) = (clock::now(), refusal.to_string());
        self.timelines.note((key, None), at, "ADD refused", because);
    }

    pub(super) fn tell_released(
        &mut self,
        released: &Allocation,
        now: Timestamp,
        until: Timestamp,
    ) {
        let who = (&released.key, Some(&released.pod));
        let what = format!("{} released", released.address);
        let because = format!("the sandbox is deleted; nobody gets the address before {until}");
        self.timelines.note(who, now, what, because);
    }

    /// The timelines asked for. What the pool did and met while a sandbox waited is part of its
    /// timeline: it is what the sandbox waited for.
    pub(super) fn timelines_of(&self, whose: &Whose) -> Vec<Timeline> {
        let mut timelines = self.timelines.of(whose);
        let events = self.recent.latest(usize::MAX);
        for timeline in &mut timelines {
            timeline.moments = with_what_it_waited_for(&timeline.moments, &events);
        }
        timelines
    }
}

fn with_what_it_waited_for(moments: &[Recent], events: &[Recent]) -> Vec<Recent> {
    let mut merged = Vec::new();
    for (place, moment) in moments.iter().enumerate() {
        merged.push(moment.clone());
        if moment.what == WAITS {
            let until = moments.get(place + 1).map(|next| next.at);
            let during = events.iter().filter(|event| {
                event.at >= moment.at && until.is_none_or(|until| event.at <= until)
            });
            merged.extend(during.cloned());
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: u64, what: &str) -> Recent {
        Recent {
            at: Timestamp::from_millis(at),
            what: what.to_owned(),
            because: String::new(),
        }
    }

    #[test]
    fn what_happens_while_it_waits_is_part_of_it_and_nothing_else_is() {
        let moments = [moment(2, ASKED), moment(2, WAITS), moment(8, "allocated")];
        let events = [moment(1, "before"), moment(5, "assign"), moment(9, "after")];
        let merged = with_what_it_waited_for(&moments, &events);
        let what: Vec<_> = merged.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(what, [ASKED, WAITS, "assign", "allocated"]);
    }
}
