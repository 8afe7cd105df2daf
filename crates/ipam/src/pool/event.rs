//! What happens to the pool from outside: actions begun, and their outcomes.

use std::net::Ipv4Addr;

use vpc_model::{DeviceIndex, EniId};

use super::{CreationId, NewEni};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An ENI is there and wired: found at start, or by a reconcile. One that was given back a
    /// moment ago is not taken for new: what shows it is old. Nor is one at the place of an ENI
    /// that is being created: that one is not wired yet, and its creation will say when it is.
    EniFound(NewEni),
    /// The creation of an ENI was begun.
    CreationBegun {
        /// Which.
        creation: CreationId,
        /// Where the ENI goes.
        device: DeviceIndex,
        /// What it brings for pods.
        addresses: u32,
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
        /// Why, for people.
        reason: String,
    },
    /// Addresses were asked of EC2.
    AssignBegun {
        /// For which ENI.
        eni: EniId,
        /// How many.
        count: u32,
    },
    /// EC2 gave addresses, as many as were asked for or fewer. That is its word: whichever ENI had
    /// them before has them no longer.
    Assigned {
        /// To which ENI.
        eni: EniId,
        /// How many had been asked for.
        asked: u32,
        /// Which they are.
        addresses: Vec<Ipv4Addr>,
    },
    /// An ENI is seen to have these addresses. What is seen may be old: an address that was given
    /// back a moment ago, or that another ENI has, is not taken for new.
    AddressesFound {
        /// Which ENI.
        eni: EniId,
        /// Which they are; known ones change nothing.
        addresses: Vec<Ipv4Addr>,
    },
    /// EC2 gave none.
    AssignFailed {
        /// To which ENI.
        eni: EniId,
        /// How many had been asked for.
        asked: u32,
        /// Why, for people.
        reason: String,
    },
    /// Free addresses are on their way back.
    UnassignBegun {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        addresses: Vec<Ipv4Addr>,
    },
    /// EC2 took the addresses back.
    Unassigned {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        addresses: Vec<Ipv4Addr>,
    },
    /// EC2 did not take them: they are ours still.
    UnassignFailed {
        /// Of which ENI.
        eni: EniId,
        /// Which.
        addresses: Vec<Ipv4Addr>,
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
    /// An ENI could not be given back: it is ours still.
    ReturnFailed {
        /// Which.
        eni: EniId,
        /// Why, for people.
        reason: String,
    },
}
