//! Carries actions out, each on a task of its own, and says what came of them. It makes no
//! decisions: an action names its ENI and its counts.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use tokio::sync::mpsc;
use vpc_aws::ec2::{AddressCount, Ec2, EniQuery, NetworkInterface};
use vpc_ipam::{EniKind, Event, NewEni as PoolEni, Work};
use vpc_model::{DeviceIndex, EniId, NetworkCard, RouteTableId};

use crate::eni_life::{self, Cloud, GivenBack, NewEni};
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
    subnet_cidr: Ipv4Net,
    outcomes: mpsc::UnboundedSender<Outcome>,
}

impl<E: Ec2> Executor<E> {
    /// An executor whose outcomes go to `outcomes`. New ENIs go to the node's subnet, whose
    /// network is `subnet_cidr`.
    #[must_use]
    pub fn new(
        cloud: Cloud<E>,
        subnet_cidr: Ipv4Net,
        outcomes: mpsc::UnboundedSender<Outcome>,
    ) -> Self {
        Self {
            cloud,
            subnet_cidr,
            outcomes,
        }
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
        let subnet_cidr = self.subnet_cidr;
        tokio::spawn(async move {
            let outcome = match work {
                Work::Create {
                    creation,
                    device,
                    addresses,
                } => {
                    let token = token.unwrap_or_default();
                    let new = NewEni {
                        device,
                        count: AddressCount::Ips(addresses),
                        client_token: token.clone(),
                        subnet_cidr,
                    };
                    let event = match eni_life::create(&cloud, &new).await {
                        Ok(ready) => Event::Created {
                            creation,
                            eni: PoolEni {
                                id: ready.id,
                                kind: EniKind::Secondary,
                                mac: ready.mac,
                                card: NetworkCard(0),
                                device,
                                subnet: cloud.node.subnet.clone(),
                                subnet_cidr,
                                primary: ready.primary,
                                addresses: ready.addresses,
                            },
                        },
                        Err(error) => Event::CreationFailed {
                            creation,
                            reason: chain(&error),
                        },
                    };
                    Outcome::CreationEnded { token, event }
                }
                Work::Assign { eni, count } => {
                    Outcome::Happened(assign(&cloud, eni, count, &outcomes).await)
                }
                Work::Unassign { eni, addresses } => {
                    Outcome::Happened(unassign(&cloud, eni, addresses, &outcomes).await)
                }
                Work::Return { eni } => Outcome::Happened(give_back(&cloud, eni, place).await),
            };
            // The pool task ends last; if it is gone, so is the daemon.
            let _ = outcomes.send(outcome);
        });
    }
}

type Outcomes = mpsc::UnboundedSender<Outcome>;

async fn assign<E: Ec2>(cloud: &Cloud<E>, eni: EniId, count: u32, outcomes: &Outcomes) -> Event {
    match cloud
        .ec2
        .assign_addresses(eni.clone(), AddressCount::Ips(count))
        .await
    {
        Ok(assigned) => Event::Assigned {
            eni,
            asked: count,
            addresses: assigned.addresses,
        },
        Err(error) => {
            // The answer may be lost, or the ENI may hold addresses the pool does not know of:
            // what EC2 says it has is what it has.
            let look = error.may_have_taken_effect()
                || matches!(error.kind, vpc_aws::ErrorKind::AddressLimit);
            if look && let Some(found) = describe(cloud, &eni).await {
                let addresses = found.addresses;
                let event = Event::AddressesFound {
                    eni: eni.clone(),
                    addresses,
                };
                let _ = outcomes.send(Outcome::Happened(event));
            }
            Event::AssignFailed {
                eni,
                asked: count,
                reason: chain(&error),
            }
        }
    }
}

async fn unassign<E: Ec2>(
    cloud: &Cloud<E>,
    eni: EniId,
    addresses: Vec<Ipv4Addr>,
    outcomes: &Outcomes,
) -> Event {
    let mut attempt = 0;
    let error = loop {
        attempt += 1;
        let call = cloud
            .ec2
            .unassign_addresses(eni.clone(), addresses.clone(), Vec::new());
        match call.await {
            Ok(()) => return Event::Unassigned { eni, addresses },
            // Unassigning twice is harmless, and only an answer tells whose the addresses are.
            Err(error)
                if attempt < eni_life::ATTEMPTS
                    && (error.may_have_taken_effect() || error.is_retryable()) =>
            {
                tokio::time::sleep(eni_life::pause(attempt, &eni)).await;
            }
            Err(error) => break error,
        }
    };
    let reason = chain(&error);
    tracing::warn!(%eni, reason, "addresses could not be unassigned");
    // Those that EC2 no longer shows are gone, whatever it answered. If it does not say, all are
    // given up: better an address that nobody uses than one that two use.
    let shown = describe(cloud, &eni)
        .await
        .map(|found| found.addresses)
        .unwrap_or_default();
    let (kept, gone) = addresses
        .into_iter()
        .partition(|address| shown.contains(address));
    let event = Event::Unassigned {
        eni: eni.clone(),
        addresses: gone,
    };
    let _ = outcomes.send(Outcome::Happened(event));
    Event::UnassignFailed {
        eni,
        addresses: kept,
        reason,
    }
}

async fn give_back<E: Ec2>(cloud: &Cloud<E>, eni: EniId, place: Option<Place>) -> Event {
    let table = place.map_or(RouteTableId::MAIN, |place| {
        RouteTableId::for_eni(place.card, place.device)
    });
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
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
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

/// The cloud behind an executor, for those who look after what is there.
impl<E> Executor<E> {
    /// EC2.
    #[must_use]
    pub fn ec2(&self) -> Arc<E> {
        Arc::clone(&self.cloud.ec2)
    }
}
