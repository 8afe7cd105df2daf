//! Which subnets new ENIs go to: the node's own, those that are tagged for pods (subnet discovery),
//! or the one that the node's ENIConfig names (custom networking). EC2 is asked when an ENI is about
//! to be created and not before: a node that needs none asks nothing.

use std::time::Duration;

use vpc_ipam::classify::Exclusion;
use vpc_ipam::subnets::{self, Candidate, SubnetInfo};
use vpc_ipam::{Event, Pool};
use vpc_model::{SubnetId, Timestamp};

use crate::learn::SubnetQuery;

/// How long an answer counts: tags change seldom, the counts of free addresses all the time.
const FRESH: Duration = Duration::from_secs(60);

/// What decides.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    /// The node's own subnet.
    Own,
    /// The subnets' tags.
    Tags(SubnetQuery),
    /// An ENIConfig; nothing while none is known that names a subnet.
    EniConfig(SubnetQuery, Option<SubnetId>),
}

/// The subnets for new ENIs.
#[derive(Debug)]
pub struct Discovery {
    candidates: Vec<Candidate>,
    choice: Choice,
    /// When EC2 last answered.
    answered: Option<Timestamp>,
    asking: bool,
}

impl Discovery {
    /// New ENIs go to the node's subnet; with a query, to the subnets that EC2 names, once it was
    /// asked.
    #[must_use]
    pub fn new(node: Candidate, query: Option<SubnetQuery>) -> Self {
        Self {
            candidates: vec![node],
            choice: query.map_or(Choice::Own, Choice::Tags),
            answered: None,
            asking: false,
        }
    }

    /// New ENIs go where the node's ENIConfig says; nowhere until one is known.
    #[must_use]
    pub fn by_eni_config(query: SubnetQuery) -> Self {
        Self {
            candidates: Vec::new(),
            choice: Choice::EniConfig(query, None),
            answered: None,
            asking: false,
        }
    }

    /// The ENIConfig names this subnet now, or there is none. Means nothing where no ENIConfig
    /// decides.
    pub fn name(&mut self, subnet: Option<SubnetId>) {
        if let Choice::EniConfig(_, named) = &mut self.choice
            && *named != subnet
        {
            *named = subnet;
            self.candidates.clear();
            self.answered = None;
        }
    }

    /// What EC2 is to be asked, if anything.
    fn query(&self) -> Option<&SubnetQuery> {
        match &self.choice {
            Choice::Tags(query) | Choice::EniConfig(query, Some(_)) => Some(query),
            Choice::Own | Choice::EniConfig(_, None) => None,
        }
    }

    /// The subnets as far as they are known, the best first.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Whether EC2 has to be asked before an ENI is created, or was and has not answered.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.query().is_some() && self.answered.is_none_or(|at| now >= at + FRESH || now < at)
    }

    /// When an answer stops counting.
    #[must_use]
    pub fn fresh_until(&self) -> Option<Timestamp> {
        self.query()?;
        self.answered.map(|at| at + FRESH)
    }

    /// The question to put to EC2, if it is not being put already.
    pub fn ask(&mut self) -> Option<SubnetQuery> {
        let query = self.query().filter(|_| !self.asking)?.clone();
        self.asking = true;
        Some(query)
    }

    /// Takes EC2's answer. Where it refuses, the node's subnet is used (fail open). Returns what
    /// changes for the ENIs of the pool: those in subnets that are not for pods are excluded, and
    /// those whose subnet is again, are not.
    pub fn answered(
        &mut self,
        answer: Result<Vec<SubnetInfo>, String>,
        pool: &Pool,
        now: Timestamp,
    ) -> Vec<Event> {
        self.asking = false;
        self.answered = Some(now);
        let query = match &self.choice {
            Choice::Own | Choice::EniConfig(_, None) => return Vec::new(),
            Choice::Tags(query) => query,
            Choice::EniConfig(query, Some(named)) => {
                match named_subnet(answer, query, named) {
                    Ok(found) => self.candidates = vec![found],
                    Err(error) => tracing::warn!(error, subnet = %named, "the ENIConfig's subnet"),
                }
                return Vec::new();
            }
        };
        let subnets = match answer {
            Ok(subnets) => subnets,
            Err(error) => {
                tracing::warn!(
                    error, subnet = %query.node.id,
                    "EC2 does not say which subnets are for pods; new ENIs go to the node's own"
                );
                self.candidates = vec![query.node.clone()];
                return Vec::new();
            }
        };
        let cluster = query.cluster.as_deref();
        self.candidates = subnets::candidates(&subnets, &query.node.id, cluster);
        tracing::info!(candidates = ?self.candidates, "subnets for new ENIs");
        let exclusion_in = |id| {
            let info = subnets.iter().find(|info| info.id == id)?;
            subnets::exclusion(info, cluster)
        };
        pool.enis()
            .filter(|eni| {
                let by_subnet = |exclusion: &Exclusion| exclusion.is_about_the_subnet();
                eni.exclusion.as_ref().is_none_or(by_subnet)
            })
            .filter_map(|eni| {
                let exclusion = exclusion_in(eni.subnet.clone());
                (exclusion != eni.exclusion).then(|| Event::Reclassified {
                    eni: eni.id.clone(),
                    kind: eni.kind,
                    exclusion,
                })
            })
            .collect()
    }
}

fn named_subnet(
    answer: Result<Vec<SubnetInfo>, String>,
    query: &SubnetQuery,
    named: &SubnetId,
) -> Result<Candidate, String> {
    let found = answer?.into_iter().find(|subnet| subnet.id == *named);
    let found = found.map(|SubnetInfo { id, cidr, .. }| Candidate { id, cidr });
    found.ok_or_else(|| {
        format!(
            "there is no such subnet in {} of {}; the ENIConfig must name one of the node's zone",
            query.zone, query.vpc
        )
    })
}

#[cfg(test)]
mod tests {
    use vpc_ipam::subnets::ROLE_TAG;

    use super::*;

    fn candidate(number: u8) -> Candidate {
        Candidate {
            id: format!("subnet-{number}").parse().unwrap(),
            cidr: format!("10.0.{number}.0/24").parse().unwrap(),
        }
    }

    fn query() -> SubnetQuery {
        SubnetQuery {
            vpc: "vpc-1".parse().unwrap(),
            zone: "us-west-2a".to_owned(),
            node: candidate(1),
            cluster: None,
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn info(number: u8, available: u32, role: Option<&str>) -> SubnetInfo {
        let Candidate { id, cidr } = candidate(number);
        let tags = role.map(|role| (ROLE_TAG.to_owned(), role.to_owned()));
        SubnetInfo {
            id,
            cidr,
            available,
            tags: tags.into_iter().collect(),
        }
    }

    #[test]
    fn without_discovery_nothing_is_ever_asked() {
        let mut discovery = Discovery::new(candidate(1), None);
        assert!(!discovery.is_stale(at(1_000)));
        assert_eq!(discovery.ask(), None);
        assert_eq!(discovery.candidates(), [candidate(1)]);
    }

    #[test]
    fn ec2_is_asked_once_at_a_time_and_its_answer_counts_for_a_minute() {
        let mut discovery = Discovery::new(candidate(1), Some(query()));
        assert!(discovery.is_stale(at(0)));
        assert!(discovery.ask().is_some());
        assert_eq!(discovery.ask(), None);
        let subnets = vec![info(1, 5, None), info(2, 200, Some("1"))];
        let pool = Pool::default();
        assert_eq!(discovery.answered(Ok(subnets), &pool, at(10)), []);
        assert_eq!(discovery.candidates(), [candidate(2), candidate(1)]);
        assert!(!discovery.is_stale(at(69)));
        assert!(discovery.is_stale(at(70)));
        assert!(discovery.is_stale(at(9)), "a clock that was set back");
    }

    #[test]
    fn where_ec2_refuses_the_nodes_subnet_is_used() {
        let mut discovery = Discovery::new(candidate(1), Some(query()));
        let pool = Pool::default();
        let subnets = vec![info(2, 200, Some("1"))];
        let _ = discovery.answered(Ok(subnets), &pool, at(10));
        assert_eq!(discovery.candidates(), [candidate(2)]);
        let _ = discovery.answered(Err("denied".to_owned()), &pool, at(80));
        assert_eq!(discovery.candidates(), [candidate(1)]);
        assert!(!discovery.is_stale(at(90)), "not asked again at once");
    }

    #[test]
    fn an_eni_config_decides_alone_and_nothing_is_asked_before_there_is_one() {
        let mut discovery = Discovery::by_eni_config(query());
        assert!(!discovery.is_stale(at(0)));
        assert_eq!(discovery.candidates(), []);
        discovery.name(Some(candidate(3).id));
        assert!(discovery.is_stale(at(0)));
        assert!(discovery.ask().is_some());
        let pool = Pool::default();
        let subnets = vec![
            info(1, 5, None),
            info(2, 200, Some("1")),
            info(3, 1, Some("0")),
        ];
        let _ = discovery.answered(Ok(subnets.clone()), &pool, at(10));
        assert_eq!(discovery.candidates(), [candidate(3)]);
        // What is known stays known while EC2 does not answer.
        let _ = discovery.answered(Err("away".to_owned()), &pool, at(80));
        assert_eq!(discovery.candidates(), [candidate(3)]);
        discovery.name(Some(candidate(9).id));
        let _ = discovery.answered(Ok(subnets), &pool, at(90));
        assert_eq!(discovery.candidates(), [], "a subnet of another zone");
        discovery.name(None);
        assert!(!discovery.is_stale(at(1_000)));
    }
}
