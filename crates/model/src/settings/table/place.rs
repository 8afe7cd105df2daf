//! Where things are: the node and cluster, paths, logs, servers.

use std::path::PathBuf;

use super::{BOTH, IPAMD, PLUGIN};
use crate::settings::key::{Fallback, Key, Support};
use crate::settings::kinds::{
    BIND, DESTINATION, FILES, FORMAT, LEVEL, MEBIBYTES, PATH, PLUGIN_DESTINATION, SOCKET, SWITCH,
    TEXT, URL,
};
use crate::settings::types::{BindAddress, LogDestination, LogFormat, LogLevel};

pub(crate) static MY_NODE_NAME: Key<Option<String>> = Key {
    name: "MY_NODE_NAME",
    kind: TEXT,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The name of the node's object in Kubernetes.",
};

pub(crate) static MY_POD_NAME: Key<Option<String>> = Key {
    name: "MY_POD_NAME",
    kind: TEXT,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The name of the daemon's own pod, which its events are about.",
};

pub(crate) static CLUSTER_ENDPOINT: Key<Option<String>> = Key {
    name: "CLUSTER_ENDPOINT",
    kind: URL,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Where the Kubernetes API server is, instead of the address the pod was given.",
};

pub(crate) static VPC_CNI_VERSION: Key<Option<String>> = Key {
    name: "VPC_CNI_VERSION",
    kind: TEXT,
    fallback: Fallback::Unset,
    support: Support::NoEffect("the version is built in"),
    read_by: IPAMD,
    doc: "The version that upstream's manifest names, for its user agent.",
};

pub(crate) static VPC_CNI_SOCKET: Key<PathBuf> = Key {
    name: "VPC_CNI_SOCKET",
    kind: SOCKET,
    fallback: Fallback::Text("/var/run/aws-node/ipamd.sock"),
    support: Support::Supported,
    read_by: BOTH,
    doc: "The unix socket between plugin and daemon. The default is upstream's, which the \
          network-policy agent and the probes expect.",
};

pub(crate) static VPC_CNI_STATE_DIR: Key<PathBuf> = Key {
    name: "VPC_CNI_STATE_DIR",
    kind: PATH,
    fallback: Fallback::Text("/var/run/aws-node"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The folder of the journal of allocations. It must outlive the container, and need not \
          outlive the node's boot.",
};

pub(crate) static HOST_CNI_BIN_PATH: Key<PathBuf> = Key {
    name: "HOST_CNI_BIN_PATH",
    kind: PATH,
    fallback: Fallback::Text("/host/opt/cni/bin"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Where the daemon sees the folder of the node's CNI plugins.",
};

pub(crate) static HOST_CNI_CONFDIR_PATH: Key<PathBuf> = Key {
    name: "HOST_CNI_CONFDIR_PATH",
    kind: PATH,
    fallback: Fallback::Text("/host/etc/cni/net.d"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Where the daemon sees the folder of the node's network configurations; 10-aws.conflist \
          appears there once pods can be served.",
};

pub(crate) static AWS_VPC_K8S_CNI_LOGLEVEL: Key<LogLevel> = Key {
    name: "AWS_VPC_K8S_CNI_LOGLEVEL",
    kind: LEVEL,
    fallback: Fallback::Text("debug"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How much the daemon logs, until `vpcctl log-level` says otherwise.",
};

pub(crate) static AWS_VPC_K8S_CNI_LOG_FILE: Key<LogDestination> = Key {
    name: "AWS_VPC_K8S_CNI_LOG_FILE",
    kind: DESTINATION,
    fallback: Fallback::Text("/host/var/log/aws-routed-eni/ipamd.log"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Where the daemon logs.",
};

pub(crate) static VPC_CNI_LOG_FORMAT: Key<LogFormat> = Key {
    name: "VPC_CNI_LOG_FORMAT",
    kind: FORMAT,
    fallback: Fallback::Text("json"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How a line of the daemon's log is written: a JSON object, as upstream's, or text for \
          people.",
};

pub(crate) static VPC_CNI_LOG_FILE_SIZE: Key<u32> = Key {
    name: "VPC_CNI_LOG_FILE_SIZE",
    kind: MEBIBYTES,
    fallback: Fallback::Text("20"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How large the daemon's log file becomes before a new one is begun, in MiB.",
};

pub(crate) static VPC_CNI_LOG_FILES: Key<u32> = Key {
    name: "VPC_CNI_LOG_FILES",
    kind: FILES,
    fallback: Fallback::Text("5"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How many log files the daemon keeps, the one that is written included. With \
          VPC_CNI_LOG_FILE_SIZE this is all the room its log ever takes: 100 MiB by default.",
};

pub(crate) static AWS_VPC_K8S_PLUGIN_LOG_LEVEL: Key<LogLevel> = Key {
    name: "AWS_VPC_K8S_PLUGIN_LOG_LEVEL",
    kind: LEVEL,
    fallback: Fallback::Text("debug"),
    support: Support::Supported,
    read_by: PLUGIN,
    doc: "How much the plugin logs.",
};

pub(crate) static AWS_VPC_K8S_PLUGIN_LOG_FILE: Key<LogDestination> = Key {
    name: "AWS_VPC_K8S_PLUGIN_LOG_FILE",
    kind: PLUGIN_DESTINATION,
    fallback: Fallback::Text("/var/log/aws-routed-eni/plugin.log"),
    support: Support::Supported,
    read_by: PLUGIN,
    doc: "Where the plugin logs: a path of the node, not of the container. Not stdout, where the \
          plugin's result goes.",
};

pub(crate) static AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE: Key<LogDestination> = Key {
    name: "AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE",
    kind: PLUGIN_DESTINATION,
    fallback: Fallback::Text("/var/log/aws-routed-eni/egress-v4-plugin.log"),
    support: Support::NoEffect("the egress plugin is not chained yet"),
    read_by: PLUGIN,
    doc: "Where the egress plugin logs in an IPv6 cluster: a path of the node.",
};

pub(crate) static AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE: Key<LogDestination> = Key {
    name: "AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE",
    kind: PLUGIN_DESTINATION,
    fallback: Fallback::Text("/var/log/aws-routed-eni/egress-v6-plugin.log"),
    support: Support::NoEffect("the egress plugin is not chained yet"),
    read_by: PLUGIN,
    doc: "Where the egress plugin logs in an IPv4 cluster: a path of the node.",
};

pub(crate) static INTROSPECTION_BIND_ADDRESS: Key<BindAddress> = Key {
    name: "INTROSPECTION_BIND_ADDRESS",
    kind: BIND,
    fallback: Fallback::Text("127.0.0.1:61679"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Where introspection is served: a page about the node, and the same as JSON. It names \
          pods, so keep it on the loopback address or a unix socket.",
};

pub(crate) static DISABLE_INTROSPECTION: Key<bool> = Key {
    name: "DISABLE_INTROSPECTION",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Serve no introspection.",
};

pub(crate) static DISABLE_METRICS: Key<bool> = Key {
    name: "DISABLE_METRICS",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Serve no Prometheus metrics.",
};

pub(crate) static VPC_CNI_METRICS_BIND_ADDRESS: Key<BindAddress> = Key {
    name: "VPC_CNI_METRICS_BIND_ADDRESS",
    kind: BIND,
    fallback: Fallback::Text("0.0.0.0:61678"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Where Prometheus metrics are served, at /metrics. The default is upstream's: every \
          address of the node. They name ENIs, subnets and prefixes, and no pods.",
};
