//! The world: resources, EC2's rules about them, and delays. Pure: the caller says what time it
//! is, and equal seeds and calls give equal worlds.
//!
//! Every method that is an EC2 action checks everything before it changes anything, so a refused
//! request leaves no trace.

mod addresses;
mod addresses_v6;
mod agenda;
mod attach;
mod config;
mod create;
mod describe;
mod described;
mod dump;
mod fabric;
mod filter;
mod groups;
mod guard;
mod imds;
mod instances;
mod interfaces;
mod launch;
mod launch_order;
mod lookup;
mod metadata;
mod modify;
mod network;
mod occupy;
mod page;
mod random;
mod reservations;
mod rule_changes;
mod rules;
mod space;
mod space_v6;
mod state;
mod subnet_changes;
mod subnets;
mod tags;
mod terminate;
mod throttle;
mod trunks;
mod types;
mod vpcs;
mod wanted;
mod wanted_v6;

use std::collections::{BTreeMap, BTreeSet};

use vpc_model::{EniId, InstanceId, SecurityGroupId, SubnetId, Timestamp, VpcId};

pub use config::{PublicAddress, RunInstance, Secondary, Span, WorldConfig};
pub use fabric::{FabricBranch, FabricEni, FabricInstance, FabricSubnet, FabricView};
pub use guard::{Direction, FabricRule, Traffic};
pub use occupy::Occupation;
pub(crate) use random::Random;
pub use throttle::{ActionLimits, Bucket, Demand, RateLimits};

use state::{Creation, Eni, Instance, Launch, SecurityGroup, Subnet, Vpc};

/// One region of one account.
#[derive(Debug, Clone)]
pub struct World {
    config: WorldConfig,
    random: Random,
    now: Timestamp,
    revision: u64,
    vpcs: BTreeMap<VpcId, Vpc>,
    subnets: BTreeMap<SubnetId, Subnet>,
    groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    instances: BTreeMap<InstanceId, Instance>,
    enis: BTreeMap<EniId, Eni>,
    /// ENIs whose latest changes descriptions do not show yet.
    shown: BTreeMap<EniId, described::Shown>,
    creations: BTreeMap<String, Creation>,
    launches: BTreeMap<String, Launch>,
    levels: throttle::Levels,
    agenda: agenda::Agenda,
    /// The ENIs of each instance, and perhaps some that are no longer.
    attached: BTreeMap<InstanceId, BTreeSet<EniId>>,
}

impl World {
    /// An empty world at the Unix epoch.
    #[must_use]
    pub fn new(config: WorldConfig) -> Self {
        Self {
            random: Random::new(config.seed),
            config,
            now: Timestamp::ZERO,
            revision: 0,
            vpcs: BTreeMap::new(),
            subnets: BTreeMap::new(),
            groups: BTreeMap::new(),
            instances: BTreeMap::new(),
            enis: BTreeMap::new(),
            shown: BTreeMap::new(),
            creations: BTreeMap::new(),
            launches: BTreeMap::new(),
            levels: throttle::Levels::default(),
            agenda: agenda::Agenda::default(),
            attached: BTreeMap::new(),
        }
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// Goes up with every change, of whatever kind.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn changed(&mut self) {
        self.revision += 1;
    }
}
