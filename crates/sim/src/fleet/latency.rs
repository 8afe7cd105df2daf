//! How long EC2 takes to answer, beside what [`crate::World`] takes to make it true.
//!
//! After what is published of real calls: Create 0.13 to 0.18 s, Attach 0.44 to 0.81 s, Assign 0.29
//! to 0.51 s, Modify 0.16 s, CreateTags 0.11 s, Detach 0.20 s, Delete 0.22 to 0.27 s, describing
//! 0.12 to 0.54 s (means; upstream's metrics test data, and cilium-operator's in DataDog's
//! integrations). A refusal for too many calls only takes the way there and back.

use std::time::Duration;

use crate::world::{Random, Span};

/// The way to EC2, or back.
const WAY: Span = Span::millis(5, 25);

/// What EC2 needs for an action.
fn work(action: &str) -> Span {
    match action {
        "CreateNetworkInterface" => Span::millis(80, 200),
        "AttachNetworkInterface" => Span::millis(400, 850),
        "AssignPrivateIpAddresses" => Span::millis(250, 450),
        "ModifyNetworkInterfaceAttribute" => Span::millis(90, 180),
        "CreateTags" => Span::millis(60, 130),
        "DetachNetworkInterface" => Span::millis(130, 240),
        "DeleteNetworkInterface" => Span::millis(160, 260),
        _ => Span::millis(80, 300),
    }
}

/// The delays of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delays {
    /// Until EC2 counts the call, and does what is asked.
    pub(super) there: Duration,
    /// From then until its answer leaves, unless it refuses the call as one too many.
    pub(super) work: Duration,
    /// Until the answer is here.
    pub(super) back: Duration,
}

impl Delays {
    /// Draws those of a call.
    pub(super) fn draw(action: &str, random: &mut Random) -> Self {
        Self {
            there: WAY.sample(random),
            work: work(action).sample(random),
            back: WAY.sample(random),
        }
    }
}
