//! What is known of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use vpc_model::PodName;

use crate::eni_config::{EniConfig, EniConfigError};
use crate::node::NodeView;

/// What the watches know, each part as of its own last word. Nothing stands for a part that the
/// API server has not told yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// The daemon's node; also nothing where the API server has no such node.
    pub node: Option<NodeView>,
    /// The pods that are bound to the node and will ask for an address.
    pub in_want: Option<BTreeSet<PodName>>,
    /// The ENIConfigs by name, or why they cannot be used.
    pub eni_configs: Option<BTreeMap<String, Result<EniConfig, EniConfigError>>>,
}
