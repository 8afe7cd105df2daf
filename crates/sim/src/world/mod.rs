//! The world: resources, EC2's rules about them, and delays. Pure: the caller says what time it
//! is, and equal seeds and calls give equal worlds.
//!
//! Every method that is an EC2 action checks everything before it changes anything, so a refused
//! request leaves no trace.

mod addresses;
mod attach;
mod config;
mod create;
mod describe;
mod dump;
mod fabric;
mod filter;
mod imds;
mod instances;
mod interfaces;
mod lookup;
mod metadata;
mod modify;
mod network;
mod occupy;
mod page;
mod random;
mod space;
mod state;
mod subnets;
mod tags;
mod types;
mod wanted;

use std::collections::BTreeMap;

use vpc_model::{EniId, InstanceId, SecurityGroupId, SubnetId, Timestamp, VpcId};

pub use config::{PublicAddress, RunInstance, Secondary, Span, WorldConfig};
pub use fabric::{FabricEni, FabricInstance, FabricSubnet, FabricView};
pub use occupy::Occupation;
pub(crate) use random::Random;

use state::{Creation, Eni, Instance, SecurityGroup, Subnet, Vpc};

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
    creations: BTreeMap<String, Creation>,
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
            creations: BTreeMap::new(),
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

    /// Lets time pass up to `now`: links appear, attachments begin and end, metadata catches up.
    /// A moment in the past changes nothing.
    pub fn advance(&mut self, now: Timestamp) {
        let before = self.now;
        self.now = before.max(now);
        let passed = |at: Timestamp| before < at && at <= self.now;
        let moved = self
            .enis
            .values()
            .filter_map(|eni| eni.attachment.as_ref())
            .any(|attachment| attachment.moments().any(passed));
        if moved {
            self.revision += 1;
        }
        self.end_attachments();
        for instance in self.instances.values_mut() {
            if instance.metadata.advance(self.now) {
                self.revision += 1;
            }
        }
    }

    /// When something will next happen by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Timestamp> {
        let attachments = self
            .enis
            .values()
            .filter_map(|eni| eni.attachment.as_ref())
            .flat_map(state::Attachment::moments)
            .filter(|at| *at > self.now);
        let metadata = self
            .instances
            .values()
            .filter_map(|instance| instance.metadata.next_event());
        attachments.chain(metadata).min()
    }

    fn changed(&mut self) {
        self.revision += 1;
    }
}
