//! A node by upstream's rules, as its released daemon (1.23.1) is documented to behave: start-up
//! with its describes and tags, one thing at a time, one ENI served or made per round of five
//! seconds, a restart when start-up fails. Only what a starting fleet comes across is played:
//! pods come and stay, so nothing is given back.
//!
//! ```text
//!  describe ENIs ─▶ tag ─▶ subnets ─▶ security groups ─▶ first round ─▶ pods come
//!      └───────────────┴── fails: the container restarts, later each time
//!  every 5 s: too few? ─▶ assign to one ENI, or make one ─▶ wait for it
//! ```

mod eni;
mod sdk;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use vpc_ipam::targets::WarmTarget;
use vpc_ipam::{Ask, Mode};
use vpc_model::{DeviceIndex, EniId, Timestamp};

use super::FleetConfig;
use super::cloud::Cloud;
use super::ec2::{self, Failure};
use super::launch::Identity;
use super::pods::{self, Progress};
use crate::world::{Random, Span};
use eni::Attempt;
pub use sdk::SdkRetries;
use sdk::{Client, Loop};

/// Half a round of the pool loop: it sleeps before the pool is looked at, and before metadata is.
const HALF_ROUND: Duration = Duration::from_millis(2_500);
/// For tagging an ENI.
const TAG: Loop = Loop::new(5, Duration::from_millis(500), 30);
/// Tries at describing the attached ENIs, with ten milliseconds more in between each time.
const DESCRIBES: u64 = 12;
/// Tries at setting up an ENI at start, and the pause in between.
const SETUPS: (u32, Duration) = (6, Duration::from_secs(10));
/// From the last change of the pool to a comparison with metadata.
const RECONCILE: Duration = Duration::from_secs(60);
/// The first pause of a container that ended, doubled each time up to five minutes, and how long it
/// must run for them to begin anew. The first restart comes at once (kubelet's rule).
const RESTART: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// From the daemon's socket to the conflist: the entry point's probe takes a second each time.
const PROBE: Span = Span::millis(0, 1_000);
/// What start-up needs of instance metadata and the kernel.
const START: Duration = Duration::from_millis(50);
/// Up to five minutes before the first look for leaked ENIs.
const LEAKS: Span = Span::millis(0, 299_000);

/// A node.
pub(super) struct Node {
    client: Client,
    me: Identity,
    mode: Mode,
    warm: WarmTarget,
    pods: u32,
    state: RefCell<State>,
}

struct State {
    enis: Vec<Known>,
    tagged: bool,
    progress: Progress,
    last_change: Timestamp,
}

/// An ENI in upstream's store.
struct Known {
    /// Addresses or prefixes for pods.
    slots: u32,
    /// Those of them that a comparison with metadata will find.
    unseen: u32,
    id: EniId,
}

/// Start-up failed.
struct Fatal;

impl Node {
    /// A node that starts at `begin`.
    pub(super) fn start(
        config: &FleetConfig,
        retries: SdkRetries,
        cloud: &Cloud,
        me: Identity,
        begin: Timestamp,
        mut random: Random,
    ) -> Rc<Self> {
        let timeline = &cloud.timeline;
        let client = Client::new(cloud.clone(), retries, Random::new(random.next()));
        let primary = Known {
            slots: 0,
            unseen: 0,
            id: me.primary.id.clone(),
        };
        let node = Rc::new(Self {
            client,
            me,
            mode: config.mode,
            warm: WarmTarget::resolve(config.mode, &config.warm),
            pods: config.pods,
            state: RefCell::new(State {
                enis: vec![primary],
                tagged: false,
                progress: Progress::default(),
                last_change: begin,
            }),
        });
        let own = Rc::clone(&node);
        timeline.spawn(async move {
            own.client.cloud.timeline.sleep_until(begin).await;
            own.run().await;
        });
        let (own, wait) = (Rc::clone(&node), LEAKS.sample(&mut random));
        timeline.spawn(async move {
            own.client.cloud.timeline.sleep_until(begin + wait).await;
            let _ = ec2::describe_available(&own.client, &own.me).await;
        });
        node
    }

    /// How far it has come.
    pub(super) fn progress(&self) -> Progress {
        self.state.borrow().progress
    }

    fn now(&self) -> Timestamp {
        self.client.cloud.timeline.now()
    }

    async fn sleep(&self, wait: Duration) {
        self.client.cloud.timeline.sleep(wait).await;
    }

    async fn run(self: &Rc<Self>) {
        let mut pause = Duration::ZERO;
        while self.start_up().await.is_err() {
            self.sleep(pause).await;
            pause = (pause * 2).clamp(RESTART.0, RESTART.1);
        }
        let probe = PROBE.sample(&mut self.client.random.borrow_mut());
        self.sleep(probe).await;
        self.state.borrow_mut().progress.serves(self.now());
        for _ in 0..self.pods {
            self.add();
        }
        loop {
            self.sleep(HALF_ROUND).await;
            if self.is_low() {
                let _ = self.increase().await;
            }
            self.sleep(HALF_ROUND).await;
            self.reconcile();
        }
    }

    async fn start_up(&self) -> Result<(), Fatal> {
        self.sleep(START).await;
        self.describe_all().await?;
        if !self.state.borrow().tagged {
            self.tag_primary().await?;
            self.state.borrow_mut().tagged = true;
        }
        for tried in 1..=SETUPS.0 {
            if ec2::describe_subnets(&self.client, &self.me).await.is_ok() {
                break;
            }
            if tried < SETUPS.0 {
                self.sleep(SETUPS.1).await;
            }
        }
        let enis: Vec<EniId> = self.enis();
        for eni in &enis {
            // A failure is only logged.
            let _ = ec2::set_groups(&self.client, &self.me, eni).await;
        }
        if self.is_low() {
            self.increase().await?;
        }
        Ok(())
    }

    fn enis(&self) -> Vec<EniId> {
        let state = self.state.borrow();
        state.enis.iter().map(|eni| eni.id.clone()).collect()
    }

    async fn describe_all(&self) -> Result<(), Fatal> {
        for tried in 1..=DESCRIBES {
            let enis = self.enis();
            if ec2::describe(&self.client, &enis).await.is_ok() {
                return Ok(());
            }
            self.sleep(Duration::from_millis(10 * tried)).await;
        }
        Err(Fatal)
    }

    async fn tag_primary(&self) -> Result<(), Fatal> {
        let eni = &self.me.primary.id;
        for tried in 1..=TAG.tries {
            if ec2::tag(&self.client, &self.me, eni).await.is_ok() {
                return Ok(());
            }
            if tried < TAG.tries {
                self.client.pause(TAG, tried).await;
            }
        }
        Err(Fatal)
    }

    /// A pod wants an address: it gets one, or is refused at once.
    fn add(self: &Rc<Self>) {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        if state.progress.granted < self.addresses(&state) {
            state.progress.grant(self.pods, now);
            return;
        }
        state.progress.refused += 1;
        let pause = pods::pause(&mut self.client.random.borrow_mut());
        let own = Rc::clone(self);
        self.client.cloud.timeline.spawn(async move {
            own.sleep(pause).await;
            own.add();
        });
    }

    /// Addresses for pods that the store knows.
    fn addresses(&self, state: &State) -> u32 {
        let slots: u32 = state.enis.iter().map(|eni| eni.slots).sum();
        slots * self.per_slot()
    }

    fn per_slot(&self) -> u32 {
        match self.mode {
            Mode::SecondaryIps => 1,
            Mode::Prefixes => 16,
        }
    }

    /// The addresses that an address target is short of; nothing without one.
    fn short(&self) -> Option<u32> {
        let WarmTarget::Ips { warm, minimum } = self.warm else {
            return None;
        };
        let state = self.state.borrow();
        let total = self.addresses(&state);
        let available = total - state.progress.granted;
        let by_warm = warm.saturating_sub(available);
        Some(by_warm.max(minimum.saturating_sub(total)))
    }

    fn is_low(&self) -> bool {
        if let Some(short) = self.short() {
            return short > 0;
        }
        let state = self.state.borrow();
        let available = self.addresses(&state) - state.progress.granted;
        let (count, unit) = match self.warm {
            WarmTarget::Enis(count) => (count, self.per_eni() * self.per_slot()),
            WarmTarget::Prefixes(count) => (count, 16),
            WarmTarget::Ips { .. } => return false,
        };
        available < count * unit || (count == 0 && available == 0)
    }

    fn per_eni(&self) -> u32 {
        self.me.limits.secondary_addresses_per_eni()
    }

    /// What to ask for on an ENI that holds so many slots.
    fn wanted(&self, held: u32) -> u32 {
        let room = self.per_eni() - held;
        let free_prefixes = {
            let state = self.state.borrow();
            (self.addresses(&state) - state.progress.granted) / 16
        };
        let need = match (self.mode, self.warm, self.short()) {
            (Mode::SecondaryIps, _, Some(short)) => short,
            (Mode::SecondaryIps, _, None) => self.per_eni(),
            (Mode::Prefixes, _, Some(short)) => short.div_ceil(16).max(1),
            (Mode::Prefixes, WarmTarget::Prefixes(warm), None) => {
                warm.saturating_sub(free_prefixes).max(1)
            }
            (Mode::Prefixes, _, None) => 1,
        };
        room.min(need)
    }

    fn ask(&self, count: u32) -> Ask {
        self.mode.slot().ask(count)
    }

    /// One round of growth: an ENI with room is served, else one is made.
    async fn increase(&self) -> Result<(), Fatal> {
        let with_room = self.with_room();
        if let Some((place, eni, held)) = with_room {
            let count = self.wanted(held);
            let mut slots = ec2::assign(&self.client, &eni, self.ask(count)).await;
            if slots.is_err() {
                slots = ec2::assign(&self.client, &eni, self.ask(1)).await;
            }
            let slots = slots.map_err(|_: Failure| Fatal)?;
            let given = slots.addresses.len() + slots.prefixes.len();
            self.change(|state| {
                state.enis[place].slots += u32::try_from(given).unwrap_or(u32::MAX);
            });
            return Ok(());
        }
        let held = self.state.borrow().enis.len();
        let (Ok(device), Ok(count)) = (u8::try_from(held), u32::try_from(held)) else {
            return Ok(());
        };
        if count >= self.me.limits.enis {
            return Ok(());
        }
        let (device, ask) = (DeviceIndex(device), self.ask(self.wanted(0)));
        let (id, slots, unseen) = match eni::make(&self.client, &self.me, device, ask).await {
            Attempt::Ready(id, slots) => (id, slots, 0),
            Attempt::NotSetUp(id, unseen) => (id, 0, unseen),
            Attempt::None => return Ok(()),
        };
        self.change(|state| state.enis.push(Known { id, slots, unseen }));
        Ok(())
    }

    /// Whether an ENI has room, by its place, id, and what it holds. (Which of several is left to
    /// chance; a starting node has one.)
    fn with_room(&self) -> Option<(usize, EniId, u32)> {
        let state = self.state.borrow();
        let mut enis = state.enis.iter().enumerate();
        enis.find_map(|(place, eni)| {
            let held = eni.slots + eni.unseen;
            (held < self.per_eni()).then(|| (place, eni.id.clone(), held))
        })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.borrow_mut();
        change(&mut state);
        state.last_change = self.now();
    }

    /// A minute after the last change: what metadata shows of ENIs that were not set up is taken in.
    fn reconcile(&self) {
        if self.now().since(self.state.borrow().last_change) <= RECONCILE {
            return;
        }
        self.change(|state| {
            for eni in &mut state.enis {
                eni.slots += std::mem::take(&mut eni.unseen);
            }
        });
    }
}
