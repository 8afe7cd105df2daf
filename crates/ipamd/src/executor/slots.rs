//! Slots come to an ENI and go back.

use vpc_aws::ErrorKind;
use vpc_aws::ec2::Ec2;
use vpc_ipam::{Ask, Event, Slots};
use vpc_model::EniId;

use super::{Outcome, Outcomes, count, describe};
use crate::eni_life::{self, Cloud};
use crate::refusal;
use crate::report::chain;

/// Asks for slots. Where the answer is lost, or the ENI holds more than the pool knows of, what EC2
/// says it has goes to the pool first.
pub(super) async fn assign<E: Ec2>(
    cloud: &Cloud<E>,
    eni: EniId,
    ask: Ask,
    outcomes: &Outcomes,
) -> Event {
    let error = match cloud.ec2.assign_addresses(eni.clone(), count(ask)).await {
        Ok(assigned) => {
            let slots = Slots {
                addresses: assigned.addresses,
                prefixes: assigned.prefixes,
            };
            return Event::Assigned { eni, ask, slots };
        }
        Err(error) => error,
    };
    let look = error.may_have_taken_effect() || matches!(error.kind, ErrorKind::AddressLimit);
    if look {
        // Descriptions lag behind what EC2 has done.
        tokio::time::sleep(eni_life::SETTLE).await;
    }
    if look && let Some(found) = describe(cloud, &eni).await {
        let slots = Slots {
            addresses: found.addresses,
            prefixes: found.prefixes,
        };
        let event = Event::SlotsFound {
            eni: eni.clone(),
            slots,
        };
        let _ = outcomes.send(Outcome::Happened(event));
    }
    Event::AssignFailed {
        eni,
        ask,
        refusal: refusal::of_assign(&error),
        reason: chain(&error),
    }
}

/// Gives slots back.
pub(super) async fn unassign<E: Ec2>(
    cloud: &Cloud<E>,
    eni: EniId,
    slots: Slots,
    outcomes: &Outcomes,
) -> Event {
    let mut attempt = 0;
    let error = loop {
        attempt += 1;
        let call = cloud.ec2.unassign_addresses(
            eni.clone(),
            slots.addresses.clone(),
            slots.prefixes.clone(),
        );
        match call.await {
            Ok(()) => return Event::Unassigned { eni, slots },
            // Unassigning twice is harmless, and only an answer tells whose the slots are.
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
    tracing::warn!(%eni, reason, "slots could not be unassigned");
    // Those that EC2 no longer shows are gone, whatever it answered. If it does not say, all are
    // given up: better an address that nobody uses than one that two use.
    let shown = describe(cloud, &eni)
        .await
        .map_or_else(Slots::default, |found| Slots {
            addresses: found.addresses,
            prefixes: found.prefixes,
        });
    let (kept, gone) = parted(slots, &shown);
    let event = Event::Unassigned {
        eni: eni.clone(),
        slots: gone,
    };
    let _ = outcomes.send(Outcome::Happened(event));
    Event::UnassignFailed {
        eni,
        slots: kept,
        reason,
    }
}

/// Those of `slots` that are among `shown`, and the others.
fn parted(slots: Slots, shown: &Slots) -> (Slots, Slots) {
    let (kept_addresses, gone_addresses) = slots
        .addresses
        .into_iter()
        .partition(|address| shown.addresses.contains(address));
    let (kept_prefixes, gone_prefixes) = slots
        .prefixes
        .into_iter()
        .partition(|prefix| shown.prefixes.contains(prefix));
    (
        Slots {
            addresses: kept_addresses,
            prefixes: kept_prefixes,
        },
        Slots {
            addresses: gone_addresses,
            prefixes: gone_prefixes,
        },
    )
}
