//! What the settings mean once they are parsed: modes as sum types, so that a combination that
//! makes no sense has no representation.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use crate::kernel::PortRange;

/// The warm-pool targets as they were given. Which of them decides is for the pool's planner:
/// address targets go before prefix targets, prefix targets before whole ENIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawTargets {
    /// Whole ENIs to keep free (`WARM_ENI_TARGET`).
    pub warm_eni: u32,
    /// Addresses to keep free (`WARM_IP_TARGET`); nothing when unset or 0.
    pub warm_ip: Option<u32>,
    /// Addresses to hold in all, allocated ones included (`MINIMUM_IP_TARGET`); nothing when unset
    /// or 0.
    pub minimum_ip: Option<u32>,
    /// Prefixes to keep free (`WARM_PREFIX_TARGET`); nothing when 0. Only for prefix delegation.
    pub warm_prefix: Option<u32>,
}

/// The address family of the cluster's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Pods have IPv4 addresses.
    V4,
    /// Pods have IPv6 addresses.
    V6,
}

/// What the pool asks EC2 for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv4Mode {
    /// Single secondary addresses.
    SecondaryIps,
    /// /28 prefixes (prefix delegation).
    Prefixes,
}

/// Who translates the source address of packets that leave the VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalSnat {
    /// The node does: packets leave with the primary ENI's primary address.
    Off,
    /// A NAT gateway or the like does: packets leave with the pod's own address.
    On,
}

/// How source ports are chosen when the node translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnatRandomization {
    /// The kernel keeps the port where it can.
    None,
    /// A port by hash (`random` in nftables).
    HashRandom,
    /// A port by a pseudo-random generator (`fully-random` in nftables).
    Prng,
}

impl SnatRandomization {
    /// The word of the setting and of the network configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SnatRandomization::None => "none",
            SnatRandomization::HashRandom => "hashrandom",
            SnatRandomization::Prng => "prng",
        }
    }
}

/// Source address translation on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snat {
    /// Whether it is left to someone else.
    pub external: ExternalSnat,
    /// Destinations that see the pod's own address although they lie outside the VPC, sorted,
    /// without duplicates, in network form.
    pub exclude_cidrs: Vec<Ipv4Net>,
    /// How source ports are chosen.
    pub randomization: SnatRandomization,
    /// Among which; nothing for the kernel's own choice.
    pub ports: Option<PortRange>,
}

/// Whether connections to NodePorts that enter by the primary ENI are marked, so that their
/// answers leave by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodePort {
    /// They are marked.
    Supported,
    /// They are not.
    Unsupported,
}

/// Whether ipamd changes what the node has in EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisioning {
    /// It creates, attaches, assigns, unassigns, detaches and deletes.
    Enabled,
    /// It changes nothing in EC2 and uses what is there.
    Disabled,
    /// As `Disabled`, and what is there is learnt from instance metadata alone.
    ImdsOnly,
}

/// What the network-policy agent does with a pod that has no policy yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkPolicyMode {
    /// Policies are not enforced.
    None,
    /// Traffic is denied until the pod's policies are in place.
    Strict,
    /// Traffic is allowed until the pod's policies are in place.
    Standard,
}

impl NetworkPolicyMode {
    /// The word the agent expects.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkPolicyMode::None => "none",
            NetworkPolicyMode::Strict => "strict",
            NetworkPolicyMode::Standard => "standard",
        }
    }
}

/// Which traffic of a pod with security groups of its own they apply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSecurityGroupMode {
    /// All of it, also between pods of the node.
    Strict,
    /// Only what leaves the node.
    Standard,
}

impl PodSecurityGroupMode {
    /// The word of the setting and of the network configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PodSecurityGroupMode::Strict => "strict",
            PodSecurityGroupMode::Standard => "standard",
        }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What changed.
    Info,
    /// What an operator should look at.
    Warn,
    /// What failed.
    Error,
    /// Only what ends the program.
    Fatal,
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
            LogLevel::Fatal => "fatal",
        })
    }
}

/// Where logs go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogDestination {
    /// A file.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl fmt::Display for LogDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogDestination::File(path) => path.display().fmt(f),
            LogDestination::Stdout => f.write_str("stdout"),
            LogDestination::Stderr => f.write_str("stderr"),
        }
    }
}

/// How a line of a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Text for people.
    Text,
}

/// How much room a log file takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRoom {
    /// How large a file becomes before a new one is begun, in bytes.
    pub file_size: u64,
    /// How many files there are at most, at least one.
    pub files: u32,
}

/// One program's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// Where it is written.
    pub destination: LogDestination,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindAddress {
    /// An address and port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// Custom networking: pods' ENIs in a subnet and with security groups that an ENIConfig names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomNetworking {
    /// The node annotation that holds the ENIConfig's name; asked first.
    pub annotation: String,
    /// The node label that holds it.
    pub label: String,
}

/// Features that today can only be off. They are parsed into their types all the same; the table's
/// row says why anything but off is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// `AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG`.
    pub custom_networking: Option<CustomNetworking>,
    /// `ENABLE_POD_ENI` and `POD_SECURITY_GROUP_ENFORCING_MODE`.
    pub pod_security_groups: Option<PodSecurityGroupMode>,
    /// `ENABLE_MULTI_NIC`: pods with an interface on several network cards.
    pub multi_nic: bool,
    /// `ENABLE_V6_EGRESS`: IPv6 egress for the pods of an IPv4 cluster.
    pub v6_egress: bool,
    /// `ENABLE_V4_EGRESS`: IPv4 egress for the pods of an IPv6 cluster; means nothing in an IPv4
    /// cluster.
    pub v4_egress: bool,
    /// `ANNOTATE_POD_IP`.
    pub annotate_pod_ip: bool,
    /// `ENABLE_BANDWIDTH_PLUGIN`.
    pub bandwidth_plugin: bool,
    /// `DISABLE_POD_V6`: IPv6 is switched off inside pods by sysctl.
    pub disable_pod_v6: bool,
}
