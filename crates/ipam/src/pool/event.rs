//! What happens to the pool from outside: actions begun, their outcomes, and what was observed.

use serde::Serialize;
use vpc_model::{DeviceIndex, EniId, SubnetId};

use super::ask::{Ask, Slots};
use super::eni::{EniKind, NewEni};
use crate::classify::Exclusion;

/// Names one creation of an ENI from its beginning to its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CreationId(pub u64);

/// Why EC2 gave nothing, as far as it matters for what to do next. The codes are those of the EC2
/// API reference, "Error codes".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Refusal {
    /// The subnet has not that many addresses left: `InsufficientFreeAddressesInSubnet`, or
    /// `InvalidParameterValue` for a subnet that is reserved for prefixes and full.
    SubnetFull,
    /// The subnet has no free block of that size, though it may have single addresses:
    /// `InsufficientCidrBlocks`.
    NoBlock,
    /// The ENI has all the addresses it may have: `PrivateIpAddressLimitExceeded`.
    EniFull,
    /// The instance or the account has all the ENIs it may have: `AttachmentLimitExceeded`,
    /// `NetworkInterfaceLimitExceeded`.
    TooManyEnis,
    /// Another ENI, which the pool does not know, is at that place on the instance
    /// (`InvalidParameterValue`).
    PlaceTaken,
    /// EC2 does not know the ENI: it was taken away behind our back.
    NoSuchEni,
    /// Anything else: throttling, missing permission, no connection.
    Other,
}

impl Refusal {
    /// What one of EC2's error codes means for a request for slots. A subnet that is reserved for
    /// prefixes and full answers `InvalidParameterValue`, so that counts as full too.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        match code {
            "InsufficientFreeAddressesInSubnet" | "InvalidParameterValue" => Self::SubnetFull,
            "InsufficientCidrBlocks" => Self::NoBlock,
            "PrivateIpAddressLimitExceeded" => Self::EniFull,
            "AttachmentLimitExceeded" | "NetworkInterfaceLimitExceeded" => Self::TooManyEnis,
            "InvalidNetworkInterfaceID.NotFound" => Self::NoSuchEni,
            _ => Self::Other,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An ENI is there and wired: found at start, or by a reconcile. For an ENI that the pool
    /// knows, its kind, exclusion and place become these, and its slots grow by these.
    EniFound(NewEni),
    /// The creation of an ENI was begun.
    CreationBegun {
        /// Which.
        creation: CreationId,
        /// Where the ENI goes on the instance.
        device: DeviceIndex,
        /// The subnet it will be in.
        subnet: SubnetId,
        /// What it brings for pods.
        ask: Ask,
    },
    /// EC2 has made the ENI; it is being attached and wired.
    CreationAttaching {
        /// Which.
        creation: CreationId,
        /// The ENI.
        eni: EniId,
    },
    /// An ENI that was being created is there and wired.
    Created {
        /// Which creation.
        creation: CreationId,
        /// The ENI.
        eni: NewEni,
    },
    /// An ENI could not be created.
    CreationFailed {
        /// Which.
        creation: CreationId,
        /// Why, as far as it matters.
        refusal: Refusal,
        /// Why, for people.
        reason: String,
    },
    /// Slots were asked of EC2.
    AssignBegun {
        /// For which ENI.
        eni: EniId,
        /// What.
        ask: Ask,
    },
    /// EC2 gave slots, as many as were asked for or fewer.
    Assigned {
        /// To which ENI.
        eni: EniId,
        /// What had been asked for.
        ask: Ask,
        /// Which they are.
        slots: Slots,
    },
    /// EC2 gave none.
    AssignFailed {
        /// To which ENI.
        eni: EniId,
        /// What had been asked for.
        ask: Ask,
        /// Why, as far as it matters.
        refusal: Refusal,
        /// Why, for people.
        reason: String,
    },
    /// An ENI has these slots too, as EC2 says.
    SlotsFound {
        /// Which ENI.
        eni: EniId,
        /// Which they are; known ones change nothing.
        slots: Slots,
    },
    /// EC2 says that an ENI no longer has these slots. Allocations and cooldowns among them go to
    /// the ledger; nothing that a pod has is forgotten.
    SlotsLost {
        /// Which ENI.
        eni: EniId,
        /// Which.
        slots: Slots,
    },
    /// Unused slots are on their way back.
    UnassignBegun {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        slots: Slots,
    },
    /// EC2 took the slots back.
    Unassigned {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        slots: Slots,
    },
    /// EC2 did not take them, and shows them still. Where an answer was lost, EC2 has to be asked
    /// first: a slot that is gone must not be handed out again.
    UnassignFailed {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        slots: Slots,
        /// Why, for people.
        reason: String,
    },
    /// An ENI is on its way back.
    ReturnBegun {
        /// Which.
        eni: EniId,
    },
    /// An ENI is gone.
    Returned {
        /// Which.
        eni: EniId,
    },
    /// An ENI could not be given back, and is attached still. As with slots, only if EC2 says so.
    ReturnFailed {
        /// Which.
        eni: EniId,
        /// Why, for people.
        reason: String,
    },
    /// EC2 says that an ENI is no longer on the instance, and it was not us who took it away.
    EniLost {
        /// Which.
        eni: EniId,
    },
    /// What an ENI is to the node has changed: its tags, or its subnet's.
    Reclassified {
        /// Which.
        eni: EniId,
        /// What it is.
        kind: EniKind,
        /// Why it is not used for pods; nothing for an ENI that is.
        exclusion: Option<Exclusion>,
    },
}

impl Event {
    /// Why EC2 did not do what it was asked; nothing if it did, or was not asked.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Event::CreationFailed { refusal, .. } | Event::AssignFailed { refusal, .. } => {
                Some(*refusal)
            }
            Event::UnassignFailed { .. } | Event::ReturnFailed { .. } => Some(Refusal::Other),
            Event::EniFound(_)
            | Event::CreationBegun { .. }
            | Event::CreationAttaching { .. }
            | Event::Created { .. }
            | Event::AssignBegun { .. }
            | Event::Assigned { .. }
            | Event::SlotsFound { .. }
            | Event::SlotsLost { .. }
            | Event::UnassignBegun { .. }
            | Event::Unassigned { .. }
            | Event::ReturnBegun { .. }
            | Event::Returned { .. }
            | Event::EniLost { .. }
            | Event::Reclassified { .. } => None,
        }
    }
}
