//! An ENI goes back to the VPC.

use std::time::Duration;

use vpc_aws::ec2::{Attachment, AttachmentStatus, Ec2, EniQuery, NetworkInterface};
use vpc_model::{EniId, RouteTableId};

use super::{ATTEMPTS, Cloud, blocking, is_busy, is_not_found, pause};

/// How long EC2 takes to detach an ENI, mostly.
const DETACHING: Duration = Duration::from_millis(2_500);

/// An ENI could not be given back: it is on the node still, as it was.
#[derive(Debug, thiserror::Error)]
pub enum GiveBackError {
    /// EC2 could not say what the ENI is attached to.
    #[error("cannot look up {eni} to give it back")]
    Describe {
        /// The ENI.
        eni: EniId,
        /// EC2's answer.
        #[source]
        source: vpc_aws::Error,
    },
    /// EC2 refused to detach it.
    #[error("cannot detach {eni}")]
    Detach {
        /// The ENI.
        eni: EniId,
        /// EC2's answer.
        #[source]
        source: vpc_aws::Error,
    },
}

/// An ENI that left the node, or is leaving it.
#[derive(Debug)]
pub enum GivenBack {
    /// It is deleted.
    Deleted,
    /// EC2 did not delete it yet, and why. It is of no use to the node any more and costs an
    /// address until it is gone.
    Leftover(vpc_aws::Error),
}

/// Detaches and deletes an ENI that no pod uses, and removes its ip rules and its route `table`;
/// without one, nothing of the kernel's is its. An ENI that EC2 no longer knows counts as deleted.
/// The kernel drops the link's routes with the link.
///
/// # Errors
/// EC2 refused before anything had changed. Rules of an ENI that stays are left alone.
pub async fn give_back<E: Ec2>(
    cloud: &Cloud<E>,
    eni: &EniId,
    table: Option<RouteTableId>,
) -> Result<GivenBack, GiveBackError> {
    let found = describe(cloud, eni)
        .await
        .map_err(|source| GiveBackError::Describe {
            eni: eni.clone(),
            source,
        })?;
    let Some(found) = found else {
        return Ok(GivenBack::Deleted);
    };
    if let Some(attachment) = &found.attachment {
        match cloud
            .ec2
            .detach_network_interface(attachment.id.clone())
            .await
        {
            Ok(()) => {}
            Err(error) if is_not_found(&error) => {}
            // Perhaps it is on its way: it must not be used again, and deleting finds out.
            Err(error) if error.may_have_taken_effect() => {}
            Err(source) => {
                return Err(GiveBackError::Detach {
                    eni: eni.clone(),
                    source,
                });
            }
        }
    }
    if let Some((address, table)) = found.primary_address.zip(table)
        && let Err(errors) = blocking(move || vpc_datapath::eni::remove(address, table)).await
    {
        // A rule that stays names an address nobody has.
        tracing::warn!(%eni, %errors, "some ip rules of a returned ENI could not be removed");
    }
    if found.attachment.is_some() {
        // A delete before that is refused, and each try is one of the few that the account has.
        tokio::time::sleep(DETACHING).await;
    }
    match delete(cloud, eni).await {
        Ok(()) => Ok(GivenBack::Deleted),
        Err(error) => Ok(GivenBack::Leftover(error)),
    }
}

async fn describe<E: Ec2>(
    cloud: &Cloud<E>,
    eni: &EniId,
) -> Result<Option<NetworkInterface>, vpc_aws::Error> {
    match cloud
        .ec2
        .describe_network_interfaces(EniQuery::Ids(vec![eni.clone()]))
        .await
    {
        Ok(found) => Ok(found.into_iter().next()),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes an ENI, waiting while EC2 still counts it as in use: detaching takes seconds. One that
/// turns out to be attached still is detached.
///
/// # Errors
/// EC2's last answer.
pub async fn delete<E: Ec2>(cloud: &Cloud<E>, eni: &EniId) -> Result<(), vpc_aws::Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match cloud.ec2.delete_network_interface(eni.clone()).await {
            Ok(()) => return Ok(()),
            Err(error) if is_not_found(&error) => return Ok(()),
            Err(error) if attempt < ATTEMPTS && (is_busy(&error) || error.is_retryable()) => {
                tokio::time::sleep(pause(attempt, eni)).await;
                if is_busy(&error) && attempt > 2 {
                    detach_if_attached(cloud, eni).await;
                }
            }
            Err(error) => return Err(error),
        }
    }
}

async fn detach_if_attached<E: Ec2>(cloud: &Cloud<E>, eni: &EniId) {
    let attached = |attachment: &Attachment| attachment.status == AttachmentStatus::Attached;
    let Ok(Some(found)) = describe(cloud, eni).await else {
        return;
    };
    if let Some(attachment) = found.attachment.filter(attached)
        && let Err(error) = cloud.ec2.detach_network_interface(attachment.id).await
    {
        tracing::debug!(%eni, %error, "detaching once more");
    }
}
