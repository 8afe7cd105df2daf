//! Address families and the features that today can only be off.

use super::{BOTH, IPAMD};
use crate::settings::key::{Fallback, Key, Support};
use crate::settings::kinds::{LABEL, POLICY_MODE, SECURITY_GROUP_MODE, SWITCH};
use crate::settings::types::{NetworkPolicyMode, PodSecurityGroupMode};

pub(crate) static ENABLE_IPV4: Key<bool> = Key {
    name: "ENABLE_IPv4",
    kind: SWITCH,
    fallback: Fallback::Text("true"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Pods get IPv4 addresses. Exactly one of ENABLE_IPv4 and ENABLE_IPv6 is true; unset, \
          this one is what ENABLE_IPv6 is not.",
};

pub(crate) static ENABLE_IPV6: Key<bool> = Key {
    name: "ENABLE_IPv6",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Refused("IPv6 pods are not supported yet"),
    read_by: IPAMD,
    doc: "Pods get IPv6 addresses. Needs ENABLE_PREFIX_DELEGATION, and custom networking off.",
};

pub(crate) static AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG: Key<bool> = Key {
    name: "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Pods' ENIs are in the subnet and security groups that an ENIConfig names, and the \
          primary ENI gives pods no addresses.",
};

pub(crate) static ENI_CONFIG_ANNOTATION_DEF: Key<String> = Key {
    name: "ENI_CONFIG_ANNOTATION_DEF",
    kind: LABEL,
    fallback: Fallback::Text("k8s.amazonaws.com/eniConfig"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The node annotation that names the node's ENIConfig. Goes before the label.",
};

pub(crate) static ENI_CONFIG_LABEL_DEF: Key<String> = Key {
    name: "ENI_CONFIG_LABEL_DEF",
    kind: LABEL,
    fallback: Fallback::Text("k8s.amazonaws.com/eniConfig"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The node label that names the node's ENIConfig.",
};

pub(crate) static ENABLE_POD_ENI: Key<bool> = Key {
    name: "ENABLE_POD_ENI",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Refused("security groups for pods are not supported yet"),
    read_by: IPAMD,
    doc: "Security groups for pods: a pod that asks for it gets a branch ENI of its own.",
};

pub(crate) static POD_SECURITY_GROUP_ENFORCING_MODE: Key<PodSecurityGroupMode> = Key {
    name: "POD_SECURITY_GROUP_ENFORCING_MODE",
    kind: SECURITY_GROUP_MODE,
    fallback: Fallback::Text("strict"),
    support: Support::NoEffect("security groups for pods are not supported yet"),
    read_by: BOTH,
    doc: "Whether a pod's own security groups apply to all its traffic or only to what leaves \
          the node.",
};

pub(crate) static ENABLE_MULTI_NIC: Key<bool> = Key {
    name: "ENABLE_MULTI_NIC",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Refused("pods with several interfaces are not supported yet"),
    read_by: IPAMD,
    doc: "Use the instance's further network cards, and give pods that ask for it an interface on \
          each.",
};

pub(crate) static ENABLE_V6_EGRESS: Key<bool> = Key {
    name: "ENABLE_V6_EGRESS",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Refused("IPv6 egress for IPv4 pods is not supported yet"),
    read_by: IPAMD,
    doc: "Pods of an IPv4 cluster reach IPv6 destinations through the node's IPv6 address.",
};

pub(crate) static ENABLE_V4_EGRESS: Key<bool> = Key {
    name: "ENABLE_V4_EGRESS",
    kind: SWITCH,
    fallback: Fallback::Text("true"),
    support: Support::NoEffect("it matters only in an IPv6 cluster"),
    read_by: IPAMD,
    doc: "Pods of an IPv6 cluster reach IPv4 destinations through the node's IPv4 address.",
};

pub(crate) static ANNOTATE_POD_IP: Key<bool> = Key {
    name: "ANNOTATE_POD_IP",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Refused("pods are not annotated yet"),
    read_by: IPAMD,
    doc: "Write a pod's address into its annotation vpc.amazonaws.com/pod-ips.",
};

pub(crate) static ENABLE_BANDWIDTH_PLUGIN: Key<bool> = Key {
    name: "ENABLE_BANDWIDTH_PLUGIN",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Refused("the bandwidth plugin is not chained yet"),
    read_by: IPAMD,
    doc: "Chain the reference bandwidth plugin, which limits pods' rates by annotation.",
};

pub(crate) static DISABLE_POD_V6: Key<bool> = Key {
    name: "DISABLE_POD_V6",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Refused("the tuning plugin is not chained yet"),
    read_by: IPAMD,
    doc: "Chain the reference tuning plugin to switch IPv6 off inside pods.",
};

pub(crate) static NETWORK_POLICY_ENFORCING_MODE: Key<Option<NetworkPolicyMode>> = Key {
    name: "NETWORK_POLICY_ENFORCING_MODE",
    kind: POLICY_MODE,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "What ipamd tells the network-policy agent and the plugin: none, or what holds for a pod \
          whose policies are not in place yet, strict (deny) or standard (allow). Unset, the \
          agent is not asked.",
};
