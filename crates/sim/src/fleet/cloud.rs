//! The one EC2 of all nodes: the world behind its request limits, with the time that calls take,
//! and what was called.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use vpc_aws::ec2::wire::Request;
use vpc_model::{EniId, InstanceId, MacAddress, Timestamp};

use super::latency::Delays;
use super::timeline::Timeline;
use crate::error::ApiError;
use crate::world::{Demand, Random, World};

/// EC2's code for a call too many.
pub(super) const THROTTLED: &str = "RequestLimitExceeded";

/// What became of the calls of one action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// All that EC2 received.
    pub made: u64,
    /// Those that it refused as too many.
    pub throttled: u64,
    /// Those that it refused for another reason.
    pub refused: u64,
}

impl CallCounts {
    /// Those that EC2 did.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.made - self.throttled - self.refused
    }
}

/// EC2. Clones are the same.
#[derive(Clone)]
pub(super) struct Cloud {
    pub(super) timeline: Timeline,
    state: Rc<RefCell<State>>,
}

struct State {
    world: World,
    random: Random,
    calls: BTreeMap<&'static str, CallCounts>,
}

impl Cloud {
    /// A world, and when things happen to it.
    pub(super) fn new(world: World, timeline: Timeline, random: Random) -> Self {
        let state = State {
            world,
            random,
            calls: BTreeMap::new(),
        };
        Self {
            timeline,
            state: Rc::new(RefCell::new(state)),
        }
    }

    /// What was called.
    pub(super) fn calls(&self) -> BTreeMap<&'static str, CallCounts> {
        self.state.borrow().calls.clone()
    }

    /// One call: the way there, EC2's limits, what it does, the way back.
    pub(super) async fn call<R: Request, T>(
        &self,
        request: &R,
        act: impl FnOnce(&mut World, &R, Timestamp) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let delays = Delays::draw(R::ACTION, &mut self.state.borrow_mut().random);
        self.timeline.sleep(delays.there).await;
        let answer = self.state.borrow_mut().serve(request, act, self.now());
        let busy = match &answer {
            Err(error) if error.code == THROTTLED => delays.back,
            Ok(_) | Err(_) => delays.work + delays.back,
        };
        self.timeline.sleep(busy).await;
        answer
    }

    /// When the link of an ENI is in its instance; nothing for one that is not attached.
    pub(super) fn link_from(&self, eni: &EniId) -> Option<Timestamp> {
        self.state.borrow().world.link_from(eni)
    }

    /// How many addresses and prefixes instance metadata shows of an ENI, its own address not
    /// counted; nothing for one that it does not show.
    pub(super) fn shown(&self, instance: &InstanceId, mac: MacAddress) -> Option<u32> {
        let now = self.now();
        let world = &mut self.state.borrow_mut().world;
        let mut lines = |leaf: &str| {
            let path = format!("/latest/meta-data/network/interfaces/macs/{mac}/{leaf}");
            let text = world.imds(instance, &path, now)?;
            u32::try_from(text.lines().count()).ok()
        };
        let addresses = lines("local-ipv4s")?;
        Some(addresses.saturating_sub(1) + lines("ipv4-prefix").unwrap_or(0))
    }

    fn now(&self) -> Timestamp {
        self.timeline.now()
    }
}

impl State {
    fn serve<R: Request, T>(
        &mut self,
        request: &R,
        act: impl FnOnce(&mut World, &R, Timestamp) -> Result<T, ApiError>,
        now: Timestamp,
    ) -> Result<T, ApiError> {
        let counts = self.calls.entry(R::ACTION).or_default();
        counts.made += 1;
        let params = request.to_params();
        let admitted = self.world.admit(&Demand::of(R::ACTION, &params), now);
        if admitted.is_err() {
            counts.throttled += 1;
        }
        admitted?;
        let answer = act(&mut self.world, request, now);
        if answer.is_err() {
            counts.refused += 1;
        }
        answer
    }
}
