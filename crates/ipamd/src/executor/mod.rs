//! Carries actions out, each on a task of its own, and says what came of them. It makes no
//! decisions: an action names its ENI, its subnet and its counts.

mod slots;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use vpc_aws::ec2::{AddressCount, Ec2, EniQuery, NetworkInterface};
use vpc_ipam::subnets::{Candidate, SubnetInfo};
use vpc_ipam::{Ask, CreationId, EniKind, Event, NewEni as PoolEni, Work};
use vpc_model::{DeviceIndex, EniId, NetworkCard, RouteTableId, SecurityGroupId};

use crate::eni_life::{self, Cloud, GivenBack, NewEni};
use crate::learn::{SubnetQuery, describe_subnets};
use crate::refusal;
use crate::report::chain;

/// What the pool task hears from the executor.
#[derive(Debug)]
pub enum Outcome {
    /// Something happened to the pool.
    Happened(Event),
    /// The creation with this client token has come to an end.
    CreationEnded {
        /// The token.
        token: String,
        /// What it came to.
        event: Event,
    },
    /// The subnets of the node's zone, or why EC2 does not say.
    Subnets(Result<Vec<SubnetInfo>, String>),
}

/// What the executor has to know about an ENI to act on it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its network card.
    pub card: NetworkCard,
    /// Its device index.
    pub device: DeviceIndex,
}

/// Carries out actions against EC2 and the kernel.
#[derive(Debug)]
pub struct Executor<E> {
    cloud: Cloud<E>,
    security_groups: Vec<SecurityGroupId>,
    outcomes: Outcomes,
}

type Outcomes = mpsc::UnboundedSender<Outcome>;

impl<E: Ec2> Executor<E> {
    /// An executor whose outcomes go to `outcomes`.
    #[must_use]
    pub fn new(cloud: Cloud<E>, outcomes: mpsc::UnboundedSender<Outcome>) -> Self {
        let security_groups = cloud.node.security_groups.clone();
        Self {
            cloud,
            security_groups,
            outcomes,
        }
    }

    /// ENIs that are created from now on get these security groups; where there are none, the
    /// primary ENI's.
    pub fn use_security_groups(&mut self, groups: &[SecurityGroupId]) {
        self.security_groups = if groups.is_empty() {
            self.cloud.node.security_groups.clone()
        } else {
            groups.to_vec()
        };
    }

    /// EC2, for those who look after what is there.
    #[must_use]
    pub fn ec2(&self) -> Arc<E> {
        Arc::clone(&self.cloud.ec2)
    }

    /// The client token for a creation: EC2 answers a repeated request with the same token with
    /// the ENI it made the first time. Unique per creation, also across restarts.
    #[must_use]
    pub fn token(&self, work: &Work, now: vpc_model::Timestamp) -> Option<String> {
        match work {
            Work::Create { creation, .. } => Some(format!(
                "{}-{}-{}",
                self.cloud.node.instance,
                now.as_millis(),
                creation.0
            )),
            Work::Assign { .. } | Work::Unassign { .. } | Work::Return { .. } => None,
        }
    }

    /// Begins an action; what comes of it arrives as an outcome. `place` says where the action's
    /// ENI is, `token` is that of a creation.
    pub fn start(&self, work: Work, place: Option<Place>, token: Option<String>) {
        let cloud = self.cloud.clone();
        let outcomes = self.outcomes.clone();
        let security_groups = self.security_groups.clone();
        tokio::spawn(async move {
            let outcome = match work {
                Work::Create {
                    creation,
                    card,
                    device,
                    subnet,
                    ask,
                } => {
                    let token = token.unwrap_or_default();
                    let new = NewEni {
                        card,
                        device,
                        subnet,
                        security_groups,
                        count: count(ask),
                        client_token: token.clone(),
                    };
                    let event = create(&cloud, creation, new).await;
                    Outcome::CreationEnded { token, event }
                }
                Work::Assign { eni, ask } => {
                    Outcome::Happened(slots::assign(&cloud, eni, ask, &outcomes).await)
                }
                Work::Unassign { eni, slots } => {
                    Outcome::Happened(slots::unassign(&cloud, eni, slots, &outcomes).await)
                }
                Work::Return { eni } => Outcome::Happened(give_back(&cloud, eni, place).await),
            };
            // The pool task ends last; if it is gone, so is the daemon.
            let _ = outcomes.send(outcome);
        });
    }

    /// Asks EC2 for the subnets of the node's zone; the answer arrives as an outcome.
    pub fn look_up_subnets(&self, query: SubnetQuery) {
        let cloud = self.cloud.clone();
        let outcomes = self.outcomes.clone();
        tokio::spawn(async move {
            let answer = describe_subnets(&*cloud.ec2, &query).await;
            let answer = answer.map_err(|error| chain(&error));
            let _ = outcomes.send(Outcome::Subnets(answer));
        });
    }
}

fn count(ask: Ask) -> AddressCount {
    match ask {
        Ask::Addresses(0) | Ask::Prefixes(0) => AddressCount::None,
        Ask::Addresses(count) => AddressCount::Ips(count),
        Ask::Prefixes(count) => AddressCount::Prefixes(count),
    }
}

async fn create<E: Ec2>(cloud: &Cloud<E>, creation: CreationId, new: NewEni) -> Event {
    let Candidate { id: subnet, cidr } = new.subnet.clone();
    match eni_life::create(cloud, &new).await {
        Ok(ready) => Event::Created {
            creation,
            eni: PoolEni {
                id: ready.id,
                kind: EniKind::Secondary,
                exclusion: None,
                mac: ready.mac,
                card: new.card,
                device: new.device,
                subnet,
                subnet_cidr: cidr,
                primary: ready.primary,
                slots: ready.slots,
                attached_at: None,
            },
        },
        Err(error) => {
            if let Some(leftover) = error.leftover.clone() {
                tokio::spawn(delete_later(cloud.clone(), leftover));
            }
            Event::CreationFailed {
                creation,
                refusal: refusal::of_create(&error),
                reason: format!("{} in {subnet}", chain(&error)),
            }
        }
    }
}

async fn give_back<E: Ec2>(cloud: &Cloud<E>, eni: EniId, place: Option<Place>) -> Event {
    let table = place.map(|place| RouteTableId::for_eni(place.card, place.device));
    match eni_life::give_back(cloud, &eni, table).await {
        Ok(GivenBack::Deleted) => Event::Returned { eni },
        Ok(GivenBack::Leftover(error)) => {
            tracing::warn!(%eni, error = chain(&error), "a detached ENI is not deleted yet");
            tokio::spawn(delete_later(cloud.clone(), eni.clone()));
            Event::Returned { eni }
        }
        Err(error) => {
            let reason = chain(&error);
            tracing::warn!(%eni, reason, "an ENI could not be given back");
            Event::ReturnFailed { eni, reason }
        }
    }
}

/// Tries on to delete an ENI that the node has no use for; what is still there then is deleted by
/// the next start of the daemon.
async fn delete_later<E: Ec2>(cloud: Cloud<E>, eni: EniId) {
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        match eni_life::delete(&cloud, &eni).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%eni, error = chain(&error), "leftover ENI"),
        }
    }
}

async fn describe<E: Ec2>(cloud: &Cloud<E>, eni: &EniId) -> Option<NetworkInterface> {
    let query = EniQuery::Ids(vec![eni.clone()]);
    match cloud.ec2.describe_network_interfaces(query).await {
        Ok(found) => found.into_iter().next(),
        Err(error) => {
            tracing::warn!(%eni, error = chain(&error), "an ENI could not be described");
            None
        }
    }
}
