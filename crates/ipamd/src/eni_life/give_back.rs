//! An ENI goes back to the VPC.

use vpc_aws::ec2::{Ec2, EniQuery, NetworkInterface};
use vpc_model::{EniId, RouteTableId};

use super::{ATTEMPTS, Cloud, blocking, is_busy, is_not_found, pause};

/// An ENI could not be given back. It is still there, in the state its next description shows.
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
    /// EC2 refused to delete it, also after it was detached.
    #[error("cannot delete {eni}; it is detached and costs an address until it is deleted")]
    Delete {
        /// The ENI.
        eni: EniId,
        /// EC2's answer.
        #[source]
        source: vpc_aws::Error,
    },
}

/// Detaches and deletes an ENI that no pod uses, and removes its ip rules. An ENI that EC2 no
/// longer knows counts as given back. The kernel drops the link's routes with the link.
///
/// # Errors
/// The call that EC2 refused for good. Rules of an ENI that stays are left alone.
pub async fn give_back<E: Ec2>(
    cloud: &Cloud<E>,
    eni: &EniId,
    table: RouteTableId,
) -> Result<(), GiveBackError> {
    let Some(found) = describe(cloud, eni).await? else {
        return Ok(());
    };
    if let Some(attachment) = &found.attachment {
        match cloud
            .ec2
            .detach_network_interface(attachment.id.clone())
            .await
        {
            Ok(()) => {}
            Err(error) if is_not_found(&error) => {}
            Err(source) => {
                return Err(GiveBackError::Detach {
                    eni: eni.clone(),
                    source,
                });
            }
        }
    }
    delete(cloud, eni).await?;
    let Some(address) = found.primary_address else {
        return Ok(());
    };
    let removed = blocking(move || vpc_datapath::eni::remove(address, table)).await;
    if let Ok(Err(errors)) = removed {
        // The ENI is gone; a rule that stays names an address nobody has.
        tracing::warn!(%eni, %errors, "some ip rules of a returned ENI could not be removed");
    }
    Ok(())
}

async fn describe<E: Ec2>(
    cloud: &Cloud<E>,
    eni: &EniId,
) -> Result<Option<NetworkInterface>, GiveBackError> {
    match cloud
        .ec2
        .describe_network_interfaces(EniQuery::Ids(vec![eni.clone()]))
        .await
    {
        Ok(found) => Ok(found.into_iter().next()),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(source) => Err(GiveBackError::Describe {
            eni: eni.clone(),
            source,
        }),
    }
}

/// Deletes an ENI, waiting while EC2 still counts it as in use: detaching takes seconds.
pub(super) async fn delete<E: Ec2>(cloud: &Cloud<E>, eni: &EniId) -> Result<(), GiveBackError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match cloud.ec2.delete_network_interface(eni.clone()).await {
            Ok(()) => return Ok(()),
            Err(error) if is_not_found(&error) => return Ok(()),
            Err(error) if attempt < ATTEMPTS && (is_busy(&error) || error.is_retryable()) => {
                tokio::time::sleep(pause(attempt, eni)).await;
            }
            Err(source) => {
                return Err(GiveBackError::Delete {
                    eni: eni.clone(),
                    source,
                });
            }
        }
    }
}
