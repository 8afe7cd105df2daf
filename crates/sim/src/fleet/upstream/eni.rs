//! A new ENI, as upstream makes it: subnets, create, the instance's description for a free place,
//! attach, delete-on-termination, then metadata until it shows the ENI, then the subnets again.

use std::time::Duration;

use vpc_ipam::Ask;
use vpc_model::{AttachmentId, DeviceIndex, EniId};

use super::sdk::{Client, Loop};
use crate::fleet::ec2::{self, Failure, Made};
use crate::fleet::launch::Identity;

/// Until metadata shows an ENI.
const SHOWN: Loop = Loop::new(12, Duration::from_millis(100), 15);
/// For detaching an ENI.
const DETACH: Loop = Loop::new(12, Duration::from_millis(200), 15);
/// For deleting an ENI.
const DELETE: Loop = Loop::new(12, Duration::from_millis(500), 15);

/// What an attempt at a new ENI came to.
pub(super) enum Attempt {
    /// It is there, with so many slots for pods.
    Ready(EniId, u32),
    /// It is attached and not set up; its slots are found by a later comparison.
    NotSetUp(EniId, u32),
    /// There is none.
    None,
}

/// Makes one.
pub(super) async fn make(client: &Client, me: &Identity, device: DeviceIndex, ask: Ask) -> Attempt {
    let Ok(made) = create(client, me, ask).await else {
        return Attempt::None;
    };
    let place = (me.primary.card, device);
    let attached = match ec2::describe_instance(client, me).await {
        Ok(()) => ec2::attach(client, me, &made.id, place).await,
        Err(failure) => Err(failure),
    };
    let Ok(attachment) = attached else {
        delete(client, &made.id).await;
        return Attempt::None;
    };
    if ec2::set_delete_on_termination(client, &made.id, &attachment)
        .await
        .is_err()
    {
        free(client, &made.id, &attachment).await;
        // The failure is lost on its way up: metadata is asked for an ENI without a name.
        for tried in 1..SHOWN.tries {
            client.pause(SHOWN, tried).await;
        }
        return Attempt::None;
    }
    let Some(slots) = shown(client, me, &made).await else {
        return Attempt::None;
    };
    match ec2::describe_subnets(client, me).await {
        Ok(()) => Attempt::Ready(made.id, slots),
        Err(_) => Attempt::NotSetUp(made.id, slots),
    }
}

async fn create(client: &Client, me: &Identity, ask: Ask) -> Result<Made, Failure> {
    ec2::describe_subnets(client, me).await?;
    ec2::create(client, me, ask, None).await
}

/// Waits until metadata shows all that was asked for.
async fn shown(client: &Client, me: &Identity, made: &Made) -> Option<u32> {
    let slots = made.slots.addresses.len() + made.slots.prefixes.len();
    let slots = u32::try_from(slots).unwrap_or(u32::MAX);
    for tried in 1..=SHOWN.tries {
        let shown = client.cloud.shown(&me.instance, made.mac);
        if shown.is_some_and(|shown| shown >= slots) {
            return Some(slots);
        }
        if tried < SHOWN.tries {
            client.pause(SHOWN, tried).await;
        }
    }
    None
}

async fn free(client: &Client, eni: &EniId, attachment: &AttachmentId) {
    for tried in 1..=DETACH.tries {
        if ec2::detach(client, attachment.as_str()).await.is_ok() {
            break;
        }
        if tried == DETACH.tries {
            return;
        }
        client.pause(DETACH, tried).await;
    }
    client.cloud.timeline.sleep(Duration::from_secs(2)).await;
    delete(client, eni).await;
}

async fn delete(client: &Client, eni: &EniId) {
    for tried in 1..=DELETE.tries {
        if ec2::delete(client, eni).await.is_ok() {
            return;
        }
        if tried < DELETE.tries {
            client.pause(DELETE, tried).await;
        }
    }
}
