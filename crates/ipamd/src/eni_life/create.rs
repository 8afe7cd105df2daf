//! A new ENI comes to be on the node.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_aws::ec2::{AddressCount, CreateNetworkInterface, Ec2, NetworkInterface};
use vpc_datapath::eni::EniFacts;
use vpc_ipam::Slots;
use vpc_ipam::subnets::Candidate;
use vpc_model::{
    AttachmentId, DeviceIndex, EniId, MacAddress, NetworkCard, RouteTableId, SecurityGroupId,
};

use super::give_back::{GivenBack, delete, give_back};
use super::{ATTEMPTS, Cloud, SETTLE, blocking, is_busy, is_not_found, pause, wait_for_link};
use crate::clock;
use crate::sweep::CREATED_TAG;

/// Before it is asked again what became of a creation: by then EC2 may have recovered.
const LOST_PAUSE: Duration = Duration::from_secs(15);

/// What to create.
#[derive(Debug, Clone)]
pub struct NewEni {
    /// The network card it goes on.
    pub card: NetworkCard,
    /// Where on that card it goes.
    pub device: DeviceIndex,
    /// The subnet it is in; its network is for the link's own address.
    pub subnet: Candidate,
    /// Its security groups.
    pub security_groups: Vec<SecurityGroupId>,
    /// What it brings for pods.
    pub count: AddressCount,
    /// EC2 answers a repeated request with the same token with the same ENI.
    pub client_token: String,
}

/// An ENI that is attached, wired and ready for pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyEni {
    /// Its id.
    pub id: EniId,
    /// Its MAC.
    pub mac: MacAddress,
    /// Its own address.
    pub primary: Ipv4Addr,
    /// What EC2 gave it for pods.
    pub slots: Slots,
}

/// Where on its way an ENI was when something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// EC2's CreateNetworkInterface.
    Create,
    /// EC2's AttachNetworkInterface.
    Attach,
    /// Setting delete-on-termination.
    DeleteOnTermination,
    /// Waiting for the link to appear in the kernel.
    Link,
    /// Addresses, routes and rules.
    Wire,
}

impl Stage {
    /// Whether the ENI was attached by then.
    fn is_attached(self) -> bool {
        match self {
            Self::Create | Self::Attach => false,
            Self::DeleteOnTermination | Self::Link | Self::Wire => true,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Attach => "attach",
            Self::DeleteOnTermination => "set delete-on-termination of",
            Self::Link => "find the link of",
            Self::Wire => "wire",
        })
    }
}

/// A new ENI did not become ready.
#[derive(Debug, thiserror::Error)]
#[error("cannot {stage} an ENI{}", leftover_text(leftover.as_ref()))]
pub struct CreateError {
    /// Where it failed.
    pub stage: Stage,
    /// The ENI, if it exists and could not be deleted again.
    pub leftover: Option<EniId>,
    /// Why.
    #[source]
    pub source: Cause,
}

/// Why a stage failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// EC2 said so.
    #[error(transparent)]
    Ec2(#[from] vpc_aws::Error),
    /// The subnet has no IPv4.
    #[error("{eni} got no IPv4 address; its subnet must have IPv4")]
    NoAddress {
        /// The ENI.
        eni: EniId,
    },
    /// The kernel said so.
    #[error(transparent)]
    Kernel(#[from] vpc_datapath::Error),
}

fn leftover_text(leftover: Option<&EniId>) -> String {
    leftover
        .map(|eni| format!("; {eni} could not be deleted again"))
        .unwrap_or_default()
}

/// Creates an ENI, attaches it, and wires its link.
///
/// # Errors
/// The stage that failed and why. Whatever had been made by then is taken away again.
pub async fn create<E: Ec2>(cloud: &Cloud<E>, new: &NewEni) -> Result<ReadyEni, CreateError> {
    let node = &cloud.node;
    let mut tags = node.tags.clone();
    tags.insert(CREATED_TAG.to_owned(), clock::now().to_string());
    let request = CreateNetworkInterface {
        subnet: new.subnet.id.clone(),
        security_groups: new.security_groups.clone(),
        description: node.description(),
        tags,
        count: new.count,
        client_token: new.client_token.clone(),
    };
    let created = match cloud.ec2.create_network_interface(request.clone()).await {
        Ok(created) => created,
        Err(error) => {
            if error.may_have_taken_effect() {
                tokio::spawn(delete_if_made(cloud.clone(), request));
            }
            return Err(CreateError {
                stage: Stage::Create,
                leftover: None,
                source: error.into(),
            });
        }
    };
    match finish(cloud, new, &created).await {
        Ok(primary) => Ok(ReadyEni {
            id: created.id,
            mac: created.mac,
            primary,
            slots: Slots {
                addresses: created.addresses,
                prefixes: created.prefixes,
            },
        }),
        Err((stage, source)) => {
            // Before it is attached its place, and the place's route table, may be another's.
            let table = stage
                .is_attached()
                .then(|| RouteTableId::for_eni(new.card, new.device));
            let leftover = take_away(cloud, &created.id, table).await;
            Err(CreateError {
                stage,
                leftover,
                source,
            })
        }
    }
}

/// Finds out whether a request whose answer was lost made an ENI, and deletes it: with the same
/// token EC2 makes no second one. One that is not found out about is found by its tag when the
/// daemon starts the next time.
async fn delete_if_made<E: Ec2>(cloud: Cloud<E>, request: CreateNetworkInterface) {
    for _ in 0..10 {
        tokio::time::sleep(LOST_PAUSE).await;
        match cloud.ec2.create_network_interface(request.clone()).await {
            Ok(made) => {
                let eni = made.id;
                match delete(&cloud, &eni).await {
                    Ok(()) => tracing::info!(%eni, "an ENI whose creation went unanswered is gone"),
                    Err(error) => {
                        tracing::warn!(%eni, error = crate::report::chain(&error), "leftover ENI");
                        continue;
                    }
                }
                return;
            }
            Err(error) if error.may_have_taken_effect() || error.is_retryable() => {
                tracing::debug!(error = crate::report::chain(&error), "was an ENI made?");
            }
            Err(_) => return,
        }
    }
    tracing::error!("whether an ENI was made is not known; the next start will see");
}

async fn finish<E: Ec2>(
    cloud: &Cloud<E>,
    new: &NewEni,
    created: &NetworkInterface,
) -> Result<Ipv4Addr, (Stage, Cause)> {
    let Some(primary_ip) = created.primary_address else {
        return Err((
            Stage::Create,
            Cause::NoAddress {
                eni: created.id.clone(),
            },
        ));
    };
    let attachment = attach(cloud, new, &created.id)
        .await
        .map_err(|error| (Stage::Attach, Cause::from(error)))?;
    go_with_the_instance(cloud, &created.id, attachment)
        .await
        .map_err(|error| (Stage::DeleteOnTermination, Cause::from(error)))?;
    wait_for_link(created.mac)
        .await
        .map_err(|error| (Stage::Link, Cause::from(error)))?;
    let facts = EniFacts {
        mac: created.mac,
        primary_ip,
        subnet: new.subnet.cidr,
        table: RouteTableId::for_eni(new.card, new.device),
        mtu: cloud.node.mtu,
    };
    match blocking(move || vpc_datapath::eni::apply(&facts)).await {
        Ok(_) => Ok(primary_ip),
        Err(error) => Err((Stage::Wire, error.into())),
    }
}

async fn attach<E: Ec2>(
    cloud: &Cloud<E>,
    new: &NewEni,
    eni: &EniId,
) -> Result<AttachmentId, vpc_aws::Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let instance = cloud.node.instance.clone();
        let call = cloud
            .ec2
            .attach_network_interface(eni.clone(), instance, new.device, new.card);
        match call.await {
            Ok(attachment) => return Ok(attachment),
            // A lost answer to an attach that took effect: EC2 says it is in use. Its description
            // tells whether it is in use here.
            Err(error) if is_busy(&error) => match attached_here(cloud, eni).await {
                Some(attachment) => return Ok(attachment),
                None => return Err(error),
            },
            // EC2 does not know at once everywhere what it has made.
            Err(error) if attempt < ATTEMPTS && (error.is_retryable() || is_not_found(&error)) => {
                tokio::time::sleep(pause(attempt, eni)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// An ENI that is attached has cost two calls already: this one is worth its repetitions.
async fn go_with_the_instance<E: Ec2>(
    cloud: &Cloud<E>,
    eni: &EniId,
    attachment: AttachmentId,
) -> Result<(), vpc_aws::Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let call = cloud
            .ec2
            .set_delete_on_termination(eni.clone(), attachment.clone());
        match call.await {
            Ok(()) => return Ok(()),
            // EC2 does not know at once everywhere what it has attached.
            Err(error) if attempt < ATTEMPTS && (error.is_retryable() || is_not_found(&error)) => {
                tokio::time::sleep(pause(attempt, eni)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn attached_here<E: Ec2>(cloud: &Cloud<E>, eni: &EniId) -> Option<AttachmentId> {
    // Descriptions lag behind what EC2 has done.
    tokio::time::sleep(SETTLE).await;
    let query = vpc_aws::ec2::EniQuery::Ids(vec![eni.clone()]);
    let found = cloud.ec2.describe_network_interfaces(query).await.ok()?;
    let attachment = found.into_iter().next()?.attachment?;
    (attachment.instance.as_ref() == Some(&cloud.node.instance)).then_some(attachment.id)
}

/// Gives the ENI back; returns its id if that failed too.
async fn take_away<E: Ec2>(
    cloud: &Cloud<E>,
    eni: &EniId,
    table: Option<RouteTableId>,
) -> Option<EniId> {
    let error = match give_back(cloud, eni, table).await {
        // A description that lags may not have known the ENI yet; the delete call does.
        Ok(GivenBack::Deleted) => delete(cloud, eni).await.err()?,
        Ok(GivenBack::Leftover(error)) => error,
        Err(error) => {
            tracing::warn!(%eni, error = crate::report::chain(&error), "taking an ENI away");
            delete(cloud, eni).await.err()?
        }
    };
    tracing::error!(%eni, error = crate::report::chain(&error), "leftover ENI");
    Some(eni.clone())
}
