//! What happened to each sandbox lately, moment by moment, for people. Bounded: what is oldest is
//! forgotten first, and nothing depends on it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use vpc_model::{PodKey, PodName, Timestamp};

use crate::status::Recent;

/// How many sandboxes are remembered: more than twice the pods of the largest nodes.
const SANDBOXES: usize = 512;

/// How many moments of each. A runtime that asks again and again adds one after the other.
const MOMENTS: usize = 24;

/// One sandbox's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The sandbox.
    pub key: PodKey,
    /// `namespace/name` of its pod; outside Kubernetes just a `/`.
    pub pod: String,
    /// What happened, the oldest first.
    pub moments: Vec<Recent>,
}

/// Whose timelines are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of all sandboxes that a pod of this name had.
    Pod(PodName),
    /// Those of a container id, or of all that begin so.
    Container(String),
    /// One.
    Sandbox(PodKey),
}

/// Those of a node.
#[derive(Debug, Default)]
pub struct Timelines {
    sandboxes: BTreeMap<PodKey, (PodName, VecDeque<Recent>)>,
    /// In the order in which they came.
    order: VecDeque<PodKey>,
}

impl Timelines {
    /// Remembers that something happened to a sandbox. The pod's name is not always told.
    pub fn note(
        &mut self,
        (key, pod): (&PodKey, Option<&PodName>),
        at: Timestamp,
        what: impl Into<String>,
        because: impl Into<String>,
    ) {
        if !self.sandboxes.contains_key(key) {
            if self.order.len() == SANDBOXES
                && let Some(oldest) = self.order.pop_front()
            {
                self.sandboxes.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        let (name, moments) = self.sandboxes.entry(key.clone()).or_default();
        if let Some(pod) = pod {
            name.clone_from(pod);
        }
        if moments.len() == MOMENTS {
            moments.pop_front();
        }
        moments.push_back(Recent {
            at,
            what: what.into(),
            because: because.into(),
        });
    }

    /// The timelines asked for, the latest sandbox first.
    #[must_use]
    pub fn of(&self, whose: &Whose) -> Vec<Timeline> {
        let wanted = |key: &PodKey, pod: &PodName| match whose {
            Whose::Pod(name) => pod == name,
            Whose::Container(begins) => key.container_id.starts_with(begins.as_str()),
            Whose::Sandbox(sandbox) => key == sandbox,
        };
        let latest_first = self.order.iter().rev();
        latest_first
            .filter_map(|key| self.sandboxes.get_key_value(key))
            .filter(|(key, (pod, _))| wanted(key, pod))
            .map(|(key, (pod, moments))| Timeline {
                key: key.clone(),
                pod: pod.to_string(),
                moments: moments.iter().cloned().collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(container: &str) -> PodKey {
        PodKey {
            network: "aws-cni".to_owned(),
            container_id: container.to_owned(),
            if_name: "eth0".to_owned(),
        }
    }

    fn pod(name: &str) -> PodName {
        PodName {
            namespace: "default".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_pods_sandboxes_are_told_apart_and_the_latest_comes_first() {
        let mut timelines = Timelines::default();
        let web = pod("web");
        for (container, name) in [("aa1", "web"), ("bb1", "other"), ("aa2", "web")] {
            let at = Timestamp::from_millis(5);
            timelines.note((&key(container), Some(&pod(name))), at, "ADD", "asked");
        }
        timelines.note((&key("aa1"), None), Timestamp::ZERO, "DEL", "asked");
        let found = timelines.of(&Whose::Pod(web));
        let containers: Vec<_> = found
            .iter()
            .map(|it| it.key.container_id.as_str())
            .collect();
        assert_eq!(containers, ["aa2", "aa1"]);
        assert_eq!(found[1].pod, "default/web", "a DEL without a name keeps it");
        assert_eq!(found[1].moments.len(), 2);
        assert_eq!(timelines.of(&Whose::Container("aa".to_owned())).len(), 2);
        assert_eq!(timelines.of(&Whose::Sandbox(key("bb1"))).len(), 1);
        assert!(timelines.of(&Whose::Pod(pod("none"))).is_empty());
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let mut timelines = Timelines::default();
        for number in 0..SANDBOXES + 3 {
            let key = key(&format!("c{number}"));
            for _ in 0..MOMENTS + 3 {
                timelines.note((&key, None), Timestamp::ZERO, "ADD", "again");
            }
        }
        assert_eq!(timelines.sandboxes.len(), SANDBOXES);
        assert!(timelines.of(&Whose::Sandbox(key("c2"))).is_empty());
        let last = timelines.of(&Whose::Sandbox(key("c3")));
        assert_eq!(last[0].moments.len(), MOMENTS);
    }
}
