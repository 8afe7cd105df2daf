//! Why things are done, and why they are not. For logs, metric labels, events, CNI error texts and
//! `vpcctl explain` alike.

use serde::Serialize;
use vpc_model::{EniId, SubnetId, Timestamp};

use crate::pool::Scope;

/// Why something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum Reason {
    /// Too few free addresses.
    #[error("{free} free addresses for {demand} waiting pods and a warm target of {target}")]
    BelowTarget {
        /// Free addresses, those under way included.
        free: u32,
        /// Free addresses wanted.
        target: u32,
        /// Pods that wait.
        demand: u32,
    },
    /// Fewer addresses than the minimum.
    #[error("{total} addresses in all, the minimum is {minimum}")]
    BelowMinimum {
        /// Addresses in all, those under way included.
        total: u32,
        /// `MINIMUM_IP_TARGET`.
        minimum: u32,
    },
    /// No prefix can be had.
    #[error("the subnet has no free /28, so {missing} single addresses take its place")]
    NoBlock {
        /// How many.
        missing: u32,
    },
    /// More free addresses than wanted.
    #[error("{free} free addresses, {target} are wanted")]
    AboveTarget {
        /// Free addresses.
        free: u32,
        /// Free addresses wanted.
        target: u32,
    },
    /// More unbroken prefixes than wanted.
    #[error("{free} unused prefixes, {target} are wanted")]
    AbovePrefixTarget {
        /// Unused prefixes.
        free: u32,
        /// Unused prefixes wanted.
        target: u32,
    },
    /// Single addresses under prefix delegation.
    #[error("{free} single addresses are unused, and pods get addresses of prefixes")]
    LeftOver {
        /// How many.
        free: u32,
    },
}

/// Something that was not done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum HeldBack {
    /// The node has all the ENIs it may have, and they are full.
    #[error(
        "the node has all {max_enis} ENIs it may have, and each all its addresses; only a larger \
         instance type, or prefix delegation, gives more"
    )]
    NoRoom {
        /// How many it may have.
        max_enis: u32,
    },
    /// EC2 refused a moment ago.
    #[error("EC2 refused {scope}: {reason}; next try at {until}")]
    BackOff {
        /// What that stops.
        scope: Scope,
        /// What it said.
        reason: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// A subnet that is nearly full is asked for little at a time.
    #[error("subnet {subnet} is nearly full: one request at a time, for at most {at_most}")]
    NearlyFull {
        /// Which.
        subnet: SubnetId,
        /// How much.
        at_most: u32,
    },
    /// What is missing fits on an ENI that is not there yet.
    #[error("an ENI is being made that has room for {slots} slots more; they are asked for then")]
    EniComing {
        /// How many slots.
        slots: u32,
    },
    /// There is no subnet for new ENIs.
    #[error(
        "no subnet is for pods: tag one kubernetes.io/role/cni=1, or, with custom networking, give \
         the node an ENIConfig"
    )]
    NoSubnet,
    /// The node runs no more pods than this.
    #[error("the node already has as many addresses as it may run pods ({max_pods})")]
    MaxPods {
        /// The cap.
        max_pods: u32,
    },
    /// The node is cordoned.
    #[error(
        "the node is cordoned: it gets no more addresses and keeps its ENIs until it is not, or \
         AWS_MANAGE_ENIS_NON_SCHEDULABLE is set"
    )]
    NodeCordoned,
    /// EC2 may not be changed.
    #[error("DISABLE_NETWORK_RESOURCE_PROVISIONING is set: ipamd asks EC2 for nothing")]
    ProvisioningDisabled,
    /// EC2 is not asked anything.
    #[error("ENABLE_IMDS_ONLY_MODE is set: ipamd asks EC2 for nothing")]
    ImdsOnly,
    /// An excess is not given back yet.
    #[error("an excess is given back when it has lasted until {until}")]
    ReturnDelay {
        /// When.
        until: Timestamp,
    },
    /// Things are given back a few at a time.
    #[error("more is given back at {until}, a pause after what went before")]
    ReturnPause {
        /// When.
        until: Timestamp,
    },
    /// EC2 did not take something back a moment ago.
    #[error("EC2 did not take back what is not needed: {reason}; next try at {until}")]
    NotTaken {
        /// What it said.
        reason: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// The record of allocations outranks what an ENI is seen to have.
    #[error(
        "{eni} looks unused, but the journal knows a pod with an address of it that instance \
         metadata does not show; it is given back when that pod is gone"
    )]
    HeldUnseen {
        /// Which.
        eni: EniId,
    },
    /// An address rests that no ENI is seen to have.
    #[error(
        "{eni} is unused, but may have an address that was released and that instance metadata \
         does not show; no ENI is given back until it has rested, at {until}"
    )]
    RestingUnseen {
        /// Which.
        eni: EniId,
        /// When.
        until: Timestamp,
    },
    /// An unused ENI cannot be given back yet.
    #[error("{eni} is unused; it is given back when it is old enough, at {until}")]
    TooYoung {
        /// Which.
        eni: EniId,
        /// When.
        until: Timestamp,
    },
}

impl HeldBack {
    /// When this holds no longer by itself; nothing if something has to happen first.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            HeldBack::BackOff { until, .. }
            | HeldBack::ReturnDelay { until }
            | HeldBack::ReturnPause { until }
            | HeldBack::NotTaken { until, .. }
            | HeldBack::RestingUnseen { until, .. }
            | HeldBack::TooYoung { until, .. } => Some(*until),
            HeldBack::NoRoom { .. }
            | HeldBack::NearlyFull { .. }
            | HeldBack::EniComing { .. }
            | HeldBack::HeldUnseen { .. }
            | HeldBack::NoSubnet
            | HeldBack::MaxPods { .. }
            | HeldBack::NodeCordoned
            | HeldBack::ProvisioningDisabled
            | HeldBack::ImdsOnly => None,
        }
    }

    /// A short name that never changes, for metric labels and event reasons.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            HeldBack::NoRoom { .. } => "no_room",
            HeldBack::BackOff { scope, .. } => match scope {
                Scope::Everything => "back_off",
                Scope::Creations => "eni_limit",
                Scope::Subnet(_) => "subnet_full",
                Scope::Blocks(_) => "no_free_block",
                Scope::Eni(_) => "eni_full",
                Scope::Returns => "not_taken",
            },
            HeldBack::NearlyFull { .. } => "subnet_nearly_full",
            HeldBack::EniComing { .. } => "eni_coming",
            HeldBack::NoSubnet => "no_subnet",
            HeldBack::MaxPods { .. } => "max_pods",
            HeldBack::NodeCordoned => "node_cordoned",
            HeldBack::ProvisioningDisabled => "provisioning_disabled",
            HeldBack::ImdsOnly => "imds_only",
            HeldBack::ReturnDelay { .. } => "return_delay",
            HeldBack::ReturnPause { .. } => "return_pause",
            HeldBack::NotTaken { .. } => "not_taken",
            HeldBack::HeldUnseen { .. } => "held_unseen",
            HeldBack::RestingUnseen { .. } => "resting_unseen",
            HeldBack::TooYoung { .. } => "eni_too_young",
        }
    }
}
