//! Upstream's JSON, field by field as its tools expect it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::Serialize;
use vpc_ipam::{AddressState, Eni, EniKind, Pool};
use vpc_model::settings::{ExternalSnat, NodePort, Settings, SnatRandomization};
use vpc_model::{NetworkCard, Timestamp};

/// What Go writes for a time that is not set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The ENIs of a network card.
#[derive(Debug, Default, Serialize)]
pub(super) struct Card {
    #[serde(rename = "TotalIPs")]
    total: u32,
    #[serde(rename = "AssignedIPs")]
    assigned: u32,
    #[serde(rename = "ENIs")]
    enis: BTreeMap<String, EniView>,
}

#[derive(Debug, Serialize)]
struct EniView {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "IsPrimary")]
    is_primary: bool,
    #[serde(rename = "IsTrunk")]
    is_trunk: bool,
    #[serde(rename = "IsEFA")]
    is_efa: bool,
    #[serde(rename = "DeviceNumber")]
    device: u8,
    #[serde(rename = "AvailableIPv4Cidrs")]
    cidrs: BTreeMap<String, Cidr>,
    /// Always empty: the pool is of IPv4.
    #[serde(rename = "IPv6Cidrs")]
    v6: BTreeMap<String, Cidr>,
    #[serde(rename = "IsExcludedForPodIPs")]
    is_excluded: bool,
    #[serde(rename = "RouteTableID")]
    table: u32,
    #[serde(rename = "SubnetID")]
    subnet: String,
}

#[derive(Debug, Serialize)]
struct Cidr {
    #[serde(rename = "Cidr")]
    net: GoNet,
    #[serde(rename = "IPAddresses")]
    addresses: BTreeMap<String, Address>,
    #[serde(rename = "IsPrefix")]
    is_prefix: bool,
    /// Always empty, as upstream's.
    #[serde(rename = "AddressFamily")]
    family: &'static str,
}

/// A network as Go writes it: the mask's bytes in base64.
#[derive(Debug, Serialize)]
struct GoNet {
    #[serde(rename = "IP")]
    address: Ipv4Addr,
    #[serde(rename = "Mask")]
    mask: &'static str,
}

#[derive(Debug, Serialize)]
struct Address {
    #[serde(rename = "Address")]
    address: Ipv4Addr,
    #[serde(rename = "IPAMKey")]
    key: Key,
    #[serde(rename = "IPAMMetadata")]
    metadata: Metadata,
    #[serde(rename = "AssignedTime")]
    assigned: String,
    #[serde(rename = "UnassignedTime")]
    unassigned: String,
}

/// Who has it. Upstream leaves the sandbox out.
#[derive(Debug, Default, Serialize)]
struct Key {
    #[serde(rename = "networkName")]
    network: String,
    #[serde(rename = "containerID")]
    container_id: &'static str,
    #[serde(rename = "ifName")]
    if_name: &'static str,
}

#[derive(Debug, Default, Serialize)]
struct Metadata {
    #[serde(rename = "k8sPodNamespace", skip_serializing_if = "String::is_empty")]
    namespace: String,
    #[serde(rename = "k8sPodName", skip_serializing_if = "String::is_empty")]
    name: String,
}

/// The ENIs by network card. Upstream's map has a card's entry as soon as it is managed.
pub(super) fn enis(pool: &Pool, cooldown: Duration) -> BTreeMap<String, Card> {
    let mut cards = BTreeMap::from([(NetworkCard(0).0.to_string(), Card::default())]);
    for eni in pool.enis() {
        let card = cards.entry(eni.card.0.to_string()).or_default();
        let all = eni.all();
        card.total += all.total;
        card.assigned += all.allocated;
        card.enis.insert(eni.id.to_string(), view(eni, cooldown));
    }
    cards
}

fn view(eni: &Eni, cooldown: Duration) -> EniView {
    let mut cidrs = BTreeMap::new();
    for (address, state) in eni.singles() {
        let used = used(address, state, cooldown);
        let cidr = Cidr {
            net: GoNet {
                address,
                mask: "/////w==",
            },
            addresses: used.into_iter().map(named).collect(),
            is_prefix: false,
            family: "",
        };
        cidrs.insert(format!("{address}/32"), cidr);
    }
    let singles = eni.singles().count();
    for (prefix, _) in eni.prefixes() {
        let within = eni.addresses().skip(singles);
        let within = within.filter(|(address, _)| prefix.contains(*address));
        let used = within.filter_map(|(address, state)| used(address, state, cooldown));
        let net: Ipv4Net = prefix.into();
        let cidr = Cidr {
            net: GoNet {
                address: net.network(),
                mask: "////8A==",
            },
            addresses: used.map(named).collect(),
            is_prefix: true,
            family: "",
        };
        cidrs.insert(prefix.to_string(), cidr);
    }
    EniView {
        id: eni.id.to_string(),
        is_primary: eni.kind == EniKind::Primary,
        is_trunk: eni.kind == EniKind::Trunk,
        is_efa: matches!(eni.kind, EniKind::Efa | EniKind::EfaOnly),
        device: eni.device.0,
        cidrs,
        v6: BTreeMap::new(),
        is_excluded: eni.exclusion.is_some(),
        table: eni.table().0,
        subnet: eni.subnet.to_string(),
    }
}

fn named(address: Address) -> (String, Address) {
    (address.address.to_string(), address)
}

/// An address that a pod has, or had until a moment ago; nothing for one that is free.
fn used(address: Ipv4Addr, state: &AddressState, cooldown: Duration) -> Option<Address> {
    match state {
        AddressState::Allocated(tenant) => Some(Address {
            address,
            key: Key {
                network: tenant.key.network.clone(),
                ..Key::default()
            },
            metadata: Metadata {
                namespace: tenant.pod.namespace.clone(),
                name: tenant.pod.name.clone(),
            },
            assigned: tenant.since.to_string(),
            unassigned: NEVER.to_owned(),
        }),
        AddressState::Cooling { until } => {
            let rest = u64::try_from(cooldown.as_millis()).unwrap_or(u64::MAX);
            let released = Timestamp::from_millis(until.as_millis().saturating_sub(rest));
            Some(Address {
                address,
                key: Key::default(),
                metadata: Metadata::default(),
                assigned: NEVER.to_owned(),
                unassigned: released.to_string(),
            })
        }
        AddressState::Free { .. } | AddressState::Unassigning => None,
    }
}

/// The settings of the host's network, by their names.
#[derive(Debug, Serialize)]
pub(super) struct NetworkSettings {
    #[serde(rename = "AWS_VPC_K8S_CNI_CONNMARK")]
    connmark: u32,
    /// `null` where there is none, as Go writes it.
    #[serde(rename = "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS")]
    exclude: Option<Vec<String>>,
    #[serde(rename = "AWS_VPC_K8S_CNI_EXTERNALSNAT")]
    external: bool,
    #[serde(rename = "AWS_EXTERNAL_SERVICE_CIDRS")]
    external_services: Option<Vec<String>>,
    #[serde(rename = "AWS_VPC_ENI_MTU")]
    mtu: u32,
    #[serde(rename = "AWS_VPC_K8S_CNI_VETHPREFIX")]
    veth_prefix: String,
    #[serde(rename = "AWS_VPC_CNI_NODE_PORT_SUPPORT")]
    node_port: bool,
    /// 0 none, 1 hashrandom, 2 prng.
    #[serde(rename = "AWS_VPC_K8S_CNI_RANDOMIZESNAT")]
    randomize: u8,
}

pub(super) fn network_settings(settings: &Settings) -> NetworkSettings {
    let list = |cidrs: &[Ipv4Net]| -> Option<Vec<String>> {
        (!cidrs.is_empty()).then(|| cidrs.iter().map(ToString::to_string).collect())
    };
    NetworkSettings {
        connmark: settings.connmark.0,
        exclude: list(&settings.snat.exclude_cidrs),
        external: settings.snat.external == ExternalSnat::On,
        external_services: list(&settings.external_service_cidrs),
        mtu: settings.eni_mtu.into(),
        veth_prefix: settings.veth_prefix.to_string(),
        node_port: settings.node_port == NodePort::Supported,
        randomize: match settings.snat.randomization {
            SnatRandomization::None => 0,
            SnatRandomization::HashRandom => 1,
            SnatRandomization::Prng => 2,
        },
    }
}

/// The settings of the pool, by their names.
#[derive(Debug, Serialize)]
pub(super) struct PoolSettings {
    #[serde(rename = "WARM_IP_TARGET")]
    warm_ip: u32,
    #[serde(rename = "WARM_ENI_TARGET")]
    warm_eni: u32,
    #[serde(rename = "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG")]
    custom_networking: bool,
    #[serde(rename = "AWS_MANAGE_ENIS_NON_SCHEDULABLE")]
    non_schedulable: bool,
    #[serde(rename = "ENABLE_SUBNET_DISCOVERY")]
    subnet_discovery: bool,
}

pub(super) fn pool_settings(settings: &Settings) -> PoolSettings {
    PoolSettings {
        warm_ip: settings.warm.warm_ip.unwrap_or(0),
        warm_eni: settings.warm.warm_eni,
        custom_networking: settings.features.custom_networking.is_some(),
        non_schedulable: settings.manage_enis_non_schedulable,
        subnet_discovery: settings.subnet_discovery,
    }
}
