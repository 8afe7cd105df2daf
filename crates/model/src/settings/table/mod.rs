//! The one table of settings. Each variable that ipamd, its entry point and its init container
//! read upstream has a row, and so has each of ours (`VPC_CNI_…`). The parser, the check for
//! unknown names, `docs/configuration.md` and the list of values in use are all made from it.

pub(crate) mod enis;
pub(crate) mod host;
pub(crate) mod modes;
pub(crate) mod place;
pub(crate) mod pool;

use super::key::{Entry, Kind, Program, Row};
use super::kinds::MTU;
use crate::kernel::Mtu;

const IPAMD: &[Program] = &[Program::Ipamd];
const PLUGIN: &[Program] = &[Program::AwsCni];
const BOTH: &[Program] = &[Program::Ipamd, Program::AwsCni];

/// An MTU, or nothing for "as the ENIs".
const POD_MTU_KIND: Kind<Option<Mtu>> = Kind {
    allowed: MTU.allowed,
    parse: |text| {
        if text.is_empty() {
            Some(None)
        } else {
            (MTU.parse)(text).map(Some)
        }
    },
};

/// Rows that belong together, under a heading.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) entries: &'static [&'static dyn Entry],
}

/// All rows.
pub(crate) static TABLE: &[Section] = &[
    Section {
        title: "The warm pool",
        entries: &[
            &pool::WARM_ENI_TARGET,
            &pool::WARM_IP_TARGET,
            &pool::MINIMUM_IP_TARGET,
            &pool::WARM_PREFIX_TARGET,
            &pool::ENABLE_PREFIX_DELEGATION,
            &pool::IP_COOLDOWN_PERIOD,
            &pool::VPC_CNI_ADD_WAIT,
            &pool::VPC_CNI_MAX_PODS,
            &pool::VPC_CNI_RETURN_DELAY,
            &pool::VPC_CNI_ENI_MIN_AGE,
            &pool::VPC_CNI_GC_MIN_AGE,
            &pool::VPC_CNI_RECONCILE_INTERVAL,
        ],
    },
    Section {
        title: "ENIs and EC2",
        entries: &[
            &enis::MAX_ENI,
            &enis::DISABLE_NETWORK_RESOURCE_PROVISIONING,
            &enis::ENABLE_IMDS_ONLY_MODE,
            &enis::MANAGE_UNTAGGED_ENI,
            &enis::AWS_MANAGE_ENIS_NON_SCHEDULABLE,
            &enis::ENABLE_SUBNET_DISCOVERY,
            &enis::DISABLE_LEAKED_ENI_CLEANUP,
            &enis::ADDITIONAL_ENI_TAGS,
            &enis::CLUSTER_NAME,
            &enis::AWS_EC2_ENDPOINT,
            &enis::HTTP_TIMEOUT,
            &enis::AWS_VPC_K8S_CNI_BACKING_STORE,
        ],
    },
    Section {
        title: "The node's network",
        entries: &[
            &host::AWS_VPC_K8S_CNI_EXTERNALSNAT,
            &host::AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS,
            &host::AWS_VPC_K8S_CNI_RANDOMIZESNAT,
            &host::VPC_CNI_SNAT_PORTS,
            &host::AWS_EXTERNAL_SERVICE_CIDRS,
            &host::AWS_VPC_CNI_NODE_PORT_SUPPORT,
            &host::AWS_VPC_K8S_CNI_CONNMARK,
            &host::AWS_VPC_K8S_CNI_VETHPREFIX,
            &host::AWS_VPC_ENI_MTU,
            &host::POD_MTU,
            &host::DISABLE_TCP_EARLY_DEMUX,
            &host::AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER,
            &host::ENABLE_NFTABLES,
        ],
    },
    Section {
        title: "Address families and features",
        entries: &[
            &modes::ENABLE_IPV4,
            &modes::ENABLE_IPV6,
            &modes::AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG,
            &modes::ENI_CONFIG_ANNOTATION_DEF,
            &modes::ENI_CONFIG_LABEL_DEF,
            &modes::ENABLE_POD_ENI,
            &modes::POD_SECURITY_GROUP_ENFORCING_MODE,
            &modes::ENABLE_MULTI_NIC,
            &modes::ENABLE_V6_EGRESS,
            &modes::ENABLE_V4_EGRESS,
            &modes::ANNOTATE_POD_IP,
            &modes::ENABLE_BANDWIDTH_PLUGIN,
            &modes::DISABLE_POD_V6,
            &modes::NETWORK_POLICY_ENFORCING_MODE,
        ],
    },
    Section {
        title: "Place, paths, logs",
        entries: &[
            &place::MY_NODE_NAME,
            &place::MY_POD_NAME,
            &place::CLUSTER_ENDPOINT,
            &place::VPC_CNI_VERSION,
            &place::VPC_CNI_SOCKET,
            &place::VPC_CNI_STATE_DIR,
            &place::HOST_CNI_BIN_PATH,
            &place::HOST_CNI_CONFDIR_PATH,
            &place::AWS_VPC_K8S_CNI_LOGLEVEL,
            &place::AWS_VPC_K8S_CNI_LOG_FILE,
            &place::VPC_CNI_LOG_FORMAT,
            &place::VPC_CNI_LOG_FILE_SIZE,
            &place::VPC_CNI_LOG_FILES,
            &place::AWS_VPC_K8S_PLUGIN_LOG_LEVEL,
            &place::AWS_VPC_K8S_PLUGIN_LOG_FILE,
            &place::AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE,
            &place::AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE,
            &place::INTROSPECTION_BIND_ADDRESS,
            &place::DISABLE_INTROSPECTION,
            &place::VPC_CNI_METRICS_BIND_ADDRESS,
            &place::DISABLE_METRICS,
        ],
    },
];

/// All entries, in the table's order.
pub(crate) fn entries() -> impl Iterator<Item = &'static dyn Entry> {
    TABLE
        .iter()
        .flat_map(|section| section.entries.iter().copied())
}

/// The entry of that name. Names are case-sensitive, as the environment is.
pub(crate) fn entry(name: &str) -> Option<&'static dyn Entry> {
    entries().find(|entry| entry.row().name == name)
}

/// All rows, in the table's order.
pub(crate) fn rows() -> impl Iterator<Item = Row> {
    entries().map(Entry::row)
}
