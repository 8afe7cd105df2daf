//! The life of an ENI as the daemon's calls make it (`vpc_ipamd::eni_life`), the kernel's part left
//! out: a link that is there is wired.

use std::time::Duration;

use vpc_ipam::{Ask, Refusal};
use vpc_model::{AttachmentId, DeviceIndex, EniId, NetworkCard};

use super::client::Client;
use crate::fleet::cloud::Cloud;
use crate::fleet::ec2::{self, Failure, Made};
use crate::fleet::launch::Identity;

/// Attempts at a call that fails for a reason that passes, with [`pause`] between them.
const ATTEMPTS: u32 = 8;

/// What the daemon needs to wire an ENI.
const WIRING: Duration = Duration::from_millis(5);

/// Why an ENI did not come to be: what it means to the pool, and what EC2 said.
pub(super) type NotMade = (Refusal, String);

/// Creates an ENI, attaches it, and waits for its link. What fails half-way is taken away again.
pub(super) async fn create(
    cloud: &Cloud,
    client: &Client,
    me: &Identity,
    place: (NetworkCard, DeviceIndex),
    ask: Ask,
    token: String,
) -> Result<Made, NotMade> {
    let made = ec2::create(client, me, ask, Some(token)).await;
    let made = made.map_err(|failure| refusal("create", &failure))?;
    let attachment = match attach(cloud, client, me, &made.id, place).await {
        Ok(attachment) => attachment,
        Err(failure) => {
            leave_nothing(cloud, client, &made.id).await;
            return Err(refusal("attach", &failure));
        }
    };
    if let Err(failure) = ec2::set_delete_on_termination(client, &made.id, &attachment).await {
        leave_nothing(cloud, client, &made.id).await;
        return Err(refusal("set delete-on-termination of", &failure));
    }
    if let Some(from) = cloud.link_from(&made.id) {
        cloud.timeline.sleep_until(from).await;
    }
    cloud.timeline.sleep(WIRING).await;
    Ok(made)
}

async fn attach(
    cloud: &Cloud,
    client: &Client,
    me: &Identity,
    eni: &EniId,
    place: (NetworkCard, DeviceIndex),
) -> Result<AttachmentId, Failure> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match ec2::attach(client, me, eni, place).await {
            Err(failure) if attempt < ATTEMPTS && failure.passes() => {
                cloud.timeline.sleep(pause(attempt, eni)).await;
            }
            done => return done,
        }
    }
}

/// Takes a half-made ENI away. What cannot be done is left to the daemon's next start.
async fn leave_nothing(cloud: &Cloud, client: &Client, eni: &EniId) {
    if take_away(cloud, client, eni).await.is_err() {
        let _ = delete(cloud, client, eni).await;
    }
}

/// Detaches an ENI if it is attached, and deletes it. Fails only before it is detached: one that is
/// detached is of no use to the node any more.
pub(super) async fn take_away(cloud: &Cloud, client: &Client, eni: &EniId) -> Result<(), Failure> {
    let found = ec2::describe(client, std::slice::from_ref(eni)).await?;
    let attachment = found.into_iter().next().and_then(|eni| eni.attachment);
    if let Some(attachment) = attachment.and_then(|it| it.attachment_id) {
        ec2::detach(client, &attachment).await?;
    }
    let _ = delete(cloud, client, eni).await;
    Ok(())
}

async fn delete(cloud: &Cloud, client: &Client, eni: &EniId) -> Result<(), Failure> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match ec2::delete(client, eni).await {
            Err(failure) if attempt < ATTEMPTS && (failure.passes() || is_busy(&failure)) => {
                cloud.timeline.sleep(pause(attempt, eni)).await;
            }
            done => return done,
        }
    }
}

/// EC2 has not finished with the ENI.
fn is_busy(failure: &Failure) -> bool {
    failure.code() == Some("InvalidParameterValue")
}

/// What a failure means to the pool.
pub(super) fn refusal(stage: &str, failure: &Failure) -> NotMade {
    let code = failure.code().unwrap_or("over budget");
    (
        Refusal::of_code(code),
        format!("cannot {stage} an ENI: {code}"),
    )
}

/// The pause before attempt `attempt` (from 1): doubling from 250 ms to 8 s, and a part of it that
/// depends on the ENI.
fn pause(attempt: u32, eni: &EniId) -> Duration {
    let base = 250_u64.saturating_mul(1 << attempt.min(5));
    let spread = eni.as_str().bytes().fold(u64::from(attempt), |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    Duration::from_millis(base + spread % (base / 4).max(1))
}
