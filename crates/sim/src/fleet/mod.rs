//! A fleet: many nodes that start together in one world, in virtual time, and how long it takes
//! until they can give their pods addresses.
//!
//! ```text
//!  FleetConfig ─▶ launch: a world with running instances, behind AWS's request limits
//!      │
//!      ├─ Rules::Ours      the real pool, plan, limiter and retry policy   (ours/)
//!      └─ Rules::Upstream  upstream's rules, from its documented behaviour (upstream/)
//!                   │
//!                   └─▶ Outcome: when each node served and was usable, what was called
//! ```
//!
//! There is one thread and no clock: a node is a set of tasks on a timeline, a seed decides
//! everything that chance decides, and two runs with equal configurations are equal.

mod cloud;
mod ec2;
mod latency;
mod launch;
mod ours;
mod outcome;
mod pods;
mod timeline;
mod upstream;

use std::rc::Rc;
use std::time::Duration;

use vpc_aws::budget::BudgetConfig;
use vpc_ipam::Mode;
use vpc_ipam::targets::WarmSettings;
use vpc_model::{InstanceType, Timestamp};

use crate::error::ApiError;
use crate::world::{Random, RateLimits};
pub use cloud::CallCounts;
use cloud::Cloud;
pub use outcome::{Outcome, Times};
use pods::Progress;
use timeline::Timeline;
pub use upstream::SdkRetries;

/// When the fleet starts; any moment would do.
const START: Timestamp = Timestamp::from_millis(1_767_323_045_000);

/// A fleet and its world.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// How many nodes.
    pub nodes: u32,
    /// How many pods want an address on each, at once, as soon as the node says that it can serve.
    pub pods: u32,
    /// Decides what chance decides.
    pub seed: u64,
    /// The nodes' type.
    pub instance_type: InstanceType,
    /// Whether the nodes ask for single addresses or for prefixes.
    pub mode: Mode,
    /// What they keep ready.
    pub warm: WarmSettings,
    /// The nodes' daemons start within this time, each at a moment that chance chooses.
    pub start_within: Duration,
    /// How long the world is watched.
    pub horizon: Duration,
    /// What the account may call; without limit if absent.
    pub limits: Option<RateLimits>,
}

impl FleetConfig {
    /// Nodes with upstream's default settings, that start in the same second against AWS's default
    /// limits and are watched for an hour.
    #[must_use]
    pub fn new(instance_type: InstanceType, nodes: u32, pods: u32, seed: u64) -> Self {
        Self {
            nodes,
            pods,
            seed,
            instance_type,
            mode: Mode::SecondaryIps,
            warm: WarmSettings {
                warm_eni: 1,
                ..WarmSettings::default()
            },
            start_within: Duration::from_secs(1),
            horizon: Duration::from_secs(3600),
            limits: Some(RateLimits::default()),
        }
    }
}

/// By whose rules the nodes act.
#[derive(Debug, Clone)]
pub enum Rules {
    /// Ours, with that call budget for each node.
    Ours(Box<BudgetConfig>),
    /// Upstream's, with an SDK that repeats calls so.
    Upstream(SdkRetries),
}

/// A fleet could not be launched.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The instance type is not in the table.
    #[error("instance type {0} is not in the table of limits")]
    UnknownType(InstanceType),
    /// The world has no room for so many.
    #[error("10.0.0.0/8 has no room for so many nodes")]
    TooManyNodes,
    /// The world refused.
    #[error("the fleet could not be launched")]
    Launch(#[source] ApiError),
}

/// Lets a fleet start.
///
/// # Errors
/// It could not be launched.
pub fn run(config: &FleetConfig, rules: &Rules) -> Result<Outcome, FleetError> {
    let mut random = Random::new(config.seed);
    let (world, identities) = launch::launch(config, START)?;
    let timeline = Timeline::starting_at(START);
    let cloud = Cloud::new(world, timeline.clone(), Random::new(random.next()));
    let within = u64::try_from(config.start_within.as_millis()).unwrap_or(u64::MAX);
    let nodes: Vec<Node> = identities
        .into_iter()
        .map(|me| {
            let begin = START + Duration::from_millis(random.below(within));
            let random = Random::new(random.next());
            match rules {
                Rules::Ours(budget) => {
                    Node::Ours(ours::Node::start(config, budget, &cloud, me, begin, random))
                }
                Rules::Upstream(retries) => {
                    let node = upstream::Node::start(config, *retries, &cloud, me, begin, random);
                    Node::Upstream(node)
                }
            }
        })
        .collect();
    timeline.run(START + config.horizon);
    let progress: Vec<Progress> = nodes.iter().map(Node::progress).collect();
    Ok(Outcome::new(&progress, cloud.calls(), START))
}

/// A node by either rules.
enum Node {
    Ours(Rc<ours::Node>),
    Upstream(Rc<upstream::Node>),
}

impl Node {
    fn progress(&self) -> Progress {
        match self {
            Node::Ours(node) => node.progress(),
            Node::Upstream(node) => node.progress(),
        }
    }
}
