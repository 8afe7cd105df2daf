//! The settings: environment variables in, types out, read once at start.
//!
//! One table (`table/`) has a row for every variable; the parser, the check for unknown names,
//! `docs/configuration.md` and the list of values in use are made from it. What is decided here:
//! which values are allowed, which combinations make sense, what an unset variable means, and what
//! this version refuses because it cannot do it yet. All mistakes are reported at once.
//!
//! ```text
//!  (name, value)… ──▶ Environment ──▶ every row's text checked ──▶ combinations ──▶ Settings
//!                       unknown names ┘          │ not supported ┘        │       + notices
//!                                                └────── SettingsErrors ◀─┘
//! ```

mod build;
mod document;
mod environment;
mod error;
mod key;
mod kinds;
mod table;
mod types;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use environment::Environment;

pub use document::markdown_table;
pub use error::{Mistake, Notice, SettingsErrors};
pub use key::{Fallback, Program, Row, Support};
pub use types::{
    BindAddress, CustomNetworking, ExternalSnat, Family, Features, Ipv4Mode, Log, LogDestination,
    LogFormat, LogLevel, LogRoom, NetworkPolicyMode, NodePort, PodSecurityGroupMode, Provisioning,
    RawTargets, Snat, SnatRandomization,
};
pub use values::{Source, ValueInUse};

use crate::kernel::{Connmark, Mtu};
use crate::link::VethPrefix;

/// Everything an operator can set, parsed and checked. Made by [`Settings::from_vars`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The warm-pool targets.
    pub warm: RawTargets,
    /// The most ENIs to use, the primary included; nothing for the instance type's limit alone.
    pub max_eni: Option<u32>,
    /// How long a released address is kept from others.
    pub cooldown: Duration,
    /// The pods' address family.
    pub family: Family,
    /// Single addresses or prefixes.
    pub ipv4_mode: Ipv4Mode,
    /// How long an ADD waits for an address before it fails.
    pub add_wait: Duration,
    /// How many pods the node runs at most; nothing for no such cap.
    pub max_pods: Option<u32>,
    /// How old an ENI must be before it is given back.
    pub eni_min_age: Duration,
    /// How long no ADD may have asked for an address before GC may free it.
    pub gc_min_age: Duration,
    /// How long an excess must last before it is given back.
    pub return_delay: Duration,
    /// How often the pool is compared with instance metadata.
    pub reconcile_interval: Duration,

    /// Whether EC2 may be changed.
    pub provisioning: Provisioning,
    /// Whether ENIs without any of ipamd's tags are used.
    pub manage_untagged_enis: bool,
    /// Whether the pool grows and shrinks on a cordoned node.
    pub manage_enis_non_schedulable: bool,
    /// Whether ENIs may be created in any subnet that is tagged for it.
    pub subnet_discovery: bool,
    /// Whether ENIs that other nodes left behind are cleaned up.
    pub leaked_eni_cleanup: bool,
    /// Further tags for ENIs, without those that only ipamd may write.
    pub additional_tags: BTreeMap<String, String>,
    /// The cluster's name, for tags.
    pub cluster_name: Option<String>,
    /// Where the EC2 API is; nothing for the AWS SDKs' own variables and the region's endpoint.
    pub ec2_endpoint: Option<String>,
    /// How long one request to EC2 may take.
    pub http_timeout: Duration,

    /// Source address translation.
    pub snat: Snat,
    /// Whether NodePort connections are marked.
    pub node_port: NodePort,
    /// Destinations that pods reach by table main, whatever their ENI; sorted, in network form.
    pub external_service_cidrs: Vec<ipnet::Ipv4Net>,
    /// The mark.
    pub connmark: Connmark,
    /// What the names of host veths begin with.
    pub veth_prefix: VethPrefix,
    /// The ENIs' MTU.
    pub eni_mtu: Mtu,
    /// The pods' MTU.
    pub pod_mtu: Mtu,
    /// Whether `net.ipv4.tcp_early_demux` is to stay on.
    pub tcp_early_demux: bool,

    /// What the network-policy agent is told; nothing when it is not to be asked.
    pub network_policy_mode: Option<NetworkPolicyMode>,
    /// The word for `podSGEnforcingMode` in the network configuration.
    pub pod_security_group_mode: PodSecurityGroupMode,
    /// Features that today can only be off.
    pub features: Features,

    /// The node's name in Kubernetes.
    pub node_name: Option<String>,
    /// The daemon's own pod.
    pub pod_name: Option<String>,
    /// Where the Kubernetes API server is; nothing for the address the pod was given.
    pub cluster_endpoint: Option<String>,
    /// The socket between plugin and daemon.
    pub socket: PathBuf,
    /// The folder of the journal.
    pub state_dir: PathBuf,
    /// Upstream's checkpoint file.
    pub upstream_checkpoint: PathBuf,
    /// The node's folder of CNI plugins.
    pub cni_bin_dir: PathBuf,
    /// The node's folder of network configurations.
    pub cni_conf_dir: PathBuf,

    /// The daemon's log.
    pub log: Log,
    /// How a line of it is written.
    pub log_format: LogFormat,
    /// How much room it takes as a file.
    pub log_room: LogRoom,
    /// The plugin's log.
    pub plugin_log: Log,
    /// The egress plugin's log.
    pub egress_log: Log,
    /// Where introspection is served; nothing when it is not.
    pub introspection: Option<BindAddress>,
    /// Where metrics are served; nothing when they are not.
    pub metrics: Option<BindAddress>,

    environment: Environment,
}

impl Settings {
    /// Reads the settings from environment variables. Programs pass `std::env::vars_os()`, tests a
    /// list of pairs. Variables that are not settings are left alone, unless their name begins as
    /// only settings' names do. The notices say which accepted values have no effect.
    ///
    /// # Errors
    /// Every unknown name, every value that is not allowed or not supported, and every combination
    /// that makes no sense.
    pub fn from_vars(
        vars: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Result<(Settings, Vec<Notice>), SettingsErrors> {
        let mut mistakes = Vec::new();
        let environment = Environment::collect(vars, &mut mistakes);
        let mut notices = build::check_rows(&environment, &mut mistakes);
        mistakes.extend(build::check_combinations(&environment));
        match build::settings(&environment) {
            Some(settings) if mistakes.is_empty() => {
                notices.extend(build::remarks(&settings));
                Ok((settings, notices))
            }
            _ => Err(SettingsErrors::new(mistakes)),
        }
    }

    /// Every row of the table with the value in use and where it comes from, in the table's order.
    #[must_use]
    pub fn rows(&self) -> Vec<ValueInUse> {
        values::in_use(self)
    }
}

/// Every row of the table, in its order.
pub fn rows() -> impl Iterator<Item = Row> {
    table::rows()
}
