//! What earlier daemons on this node left unfinished in EC2.

use std::time::Duration;

use vpc_aws::ec2::{AttachmentStatus, Ec2, EniQuery, NetworkInterface};
use vpc_aws::imds::Imds;
use vpc_ipam::classify::INSTANCE_TAG;
use vpc_model::settings::{Provisioning, Settings};

use super::attached::is_leaving;
use super::{Metadata, until_it_works};
use crate::eni_life::{self, Cloud};
use crate::report::chain;

/// A daemon that was killed right after it attached an ENI had not set this yet.
pub(super) async fn repair_delete_on_termination<E: Ec2>(
    ec2: &E,
    eni: &NetworkInterface,
    settings: &Settings,
) {
    let Some(attachment) = &eni.attachment else {
        return;
    };
    let ours = eni.tags.contains_key(INSTANCE_TAG);
    if attachment.delete_on_termination || !ours || settings.provisioning != Provisioning::Enabled {
        return;
    }
    let call = ec2.set_delete_on_termination(eni.id.clone(), attachment.id.clone());
    match call.await {
        Ok(()) => tracing::info!(eni = %eni.id, "delete-on-termination was set"),
        Err(error) => {
            tracing::warn!(eni = %eni.id, error = chain(&error), "delete-on-termination");
        }
    }
}

/// ENIs with our tag that are attached to nothing, or about to be: an earlier daemon was stopped
/// while it made or gave back one. They are deleted.
pub async fn delete_leftovers<E: Ec2>(cloud: Cloud<E>) {
    let query = EniQuery::Tagged {
        key: INSTANCE_TAG.to_owned(),
        value: cloud.node.instance.to_string(),
    };
    let found = until_it_works("leftover ENIs", || {
        cloud.ec2.describe_network_interfaces(query.clone())
    })
    .await;
    let leaving = |eni: &NetworkInterface| {
        eni.attachment.as_ref().is_none_or(|attachment| {
            matches!(
                attachment.status,
                AttachmentStatus::Detaching | AttachmentStatus::Detached
            )
        })
    };
    for eni in found.into_iter().filter(leaving) {
        match eni_life::delete(&cloud, &eni.id).await {
            Ok(()) => tracing::info!(eni = %eni.id, "a leftover ENI was deleted"),
            Err(error) => tracing::warn!(eni = %eni.id, error = chain(&error), "leftover ENI"),
        }
    }
}

/// Asks IMDS again until it shows every ENI that EC2 has attached to this instance, for a few
/// seconds: after a crash during a creation the ENI may be on its way.
pub async fn metadata_with_attached<E: Ec2, I: Imds>(
    ec2: &E,
    imds: &I,
    mut metadata: Metadata,
) -> Metadata {
    let query = EniQuery::AttachedTo(metadata.identity.instance_id.clone());
    for _ in 0..20 {
        let Ok(attached) = ec2.describe_network_interfaces(query.clone()).await else {
            break;
        };
        let missing = attached
            .iter()
            .filter(|eni| !is_leaving(eni))
            .any(|eni| !metadata.enis.iter().any(|shown| shown.id == eni.id));
        if !missing {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        if let Ok(enis) = imds.enis().await {
            metadata.enis = enis;
        }
    }
    metadata
}
