//! The kernel's side: source address translation, marks, names, MTUs.

use ipnet::Ipv4Net;

use super::{BOTH, IPAMD};
use crate::kernel::{Connmark, Mtu, PortRange};
use crate::link::VethPrefix;
use crate::settings::key::{Fallback, Key, Support};
use crate::settings::kinds::{CIDRS, MARK, MTU, PORTS, RANDOMIZATION, SWITCH, VETH_PREFIX};
use crate::settings::types::SnatRandomization;

pub(crate) static AWS_VPC_K8S_CNI_EXTERNALSNAT: Key<bool> = Key {
    name: "AWS_VPC_K8S_CNI_EXTERNALSNAT",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Packets leave the VPC with the pod's own address, by the pod's own ENI; a NAT gateway \
          or the like translates. Otherwise they leave with the primary ENI's primary address.",
};

pub(crate) static AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS: Key<Vec<Ipv4Net>> = Key {
    name: "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
    kind: CIDRS,
    fallback: Fallback::Text(""),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Destinations outside the VPC (peered networks, a VPN) that see the pod's own address. \
          Means nothing while AWS_VPC_K8S_CNI_EXTERNALSNAT is true.",
};

pub(crate) static AWS_VPC_K8S_CNI_RANDOMIZESNAT: Key<SnatRandomization> = Key {
    name: "AWS_VPC_K8S_CNI_RANDOMIZESNAT",
    kind: RANDOMIZATION,
    fallback: Fallback::Text("prng"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How source ports are chosen when packets are translated: by a pseudo-random generator, \
          by hash, or kept where possible.",
};

pub(crate) static VPC_CNI_SNAT_PORTS: Key<Option<PortRange>> = Key {
    name: "VPC_CNI_SNAT_PORTS",
    kind: PORTS,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The source ports that translated packets get; unset: as the kernel chooses, 1024 and \
          above. A range apart from NodePorts and from net.ipv4.ip_local_port_range keeps pods \
          and the node's own programs out of each other's way.",
};

pub(crate) static AWS_EXTERNAL_SERVICE_CIDRS: Key<Vec<Ipv4Net>> = Key {
    name: "AWS_EXTERNAL_SERVICE_CIDRS",
    kind: CIDRS,
    fallback: Fallback::Text(""),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Destinations that pods reach by the routes of table main, hence by the primary ENI, \
          whatever their ENI.",
};

pub(crate) static AWS_VPC_CNI_NODE_PORT_SUPPORT: Key<bool> = Key {
    name: "AWS_VPC_CNI_NODE_PORT_SUPPORT",
    kind: SWITCH,
    fallback: Fallback::Text("true"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Mark connections to NodePorts that enter by the primary ENI, so that the answers of \
          pods on other ENIs leave by it too.",
};

pub(crate) static AWS_VPC_K8S_CNI_CONNMARK: Key<Connmark> = Key {
    name: "AWS_VPC_K8S_CNI_CONNMARK",
    kind: MARK,
    fallback: Fallback::Text("0x80"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The bits that mark connections which must leave by the primary ENI, as mark and as \
          mask. Change it only if another program of the node uses 0x80.",
};

pub(crate) static AWS_VPC_K8S_CNI_VETHPREFIX: Key<VethPrefix> = Key {
    name: "AWS_VPC_K8S_CNI_VETHPREFIX",
    kind: VETH_PREFIX,
    fallback: Fallback::Text("eni"),
    support: Support::Supported,
    read_by: BOTH,
    doc: "What the names of the host ends of pods' veths begin with. Pods keep the \
          names they were started with and go on to be translated; programs that look for \
          pods' links by name may know `eni` alone.",
};

pub(crate) static AWS_VPC_ENI_MTU: Key<Mtu> = Key {
    name: "AWS_VPC_ENI_MTU",
    kind: MTU,
    fallback: Fallback::Text("9001"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The MTU of the node's ENIs in bytes.",
};

pub(crate) static POD_MTU: Key<Option<Mtu>> = Key {
    name: "POD_MTU",
    kind: super::POD_MTU_KIND,
    fallback: Fallback::SameAs("AWS_VPC_ENI_MTU"),
    support: Support::Supported,
    read_by: BOTH,
    doc: "The MTU of pods' interfaces in bytes.",
};

pub(crate) static DISABLE_TCP_EARLY_DEMUX: Key<bool> = Key {
    name: "DISABLE_TCP_EARLY_DEMUX",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::NoEffect(
        "net.ipv4.tcp_early_demux is left as the node has it; it matters only for security groups for pods",
    ),
    read_by: IPAMD,
    doc: "Switch net.ipv4.tcp_early_demux off, so that the kubelet can reach pods with security \
          groups of their own.",
};

pub(crate) static AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER: Key<bool> = Key {
    name: "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER",
    kind: SWITCH,
    fallback: Fallback::Text("true"),
    support: Support::NoEffect(
        "the primary ENI's reverse-path filter is always set to loose; upstream ignores the variable too",
    ),
    read_by: IPAMD,
    doc: "Formerly: whether to set the primary ENI's reverse-path filter.",
};

pub(crate) static ENABLE_NFTABLES: Key<bool> = Key {
    name: "ENABLE_NFTABLES",
    kind: SWITCH,
    fallback: Fallback::Text("true"),
    support: Support::NoEffect(
        "packet filtering is always nftables; upstream ignores the variable too",
    ),
    read_by: IPAMD,
    doc: "Formerly: use nftables instead of iptables.",
};
