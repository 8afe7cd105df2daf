//! Start-up's middle part: who this node is, its host network, the ENIs it has. Each step is tried
//! until it works; what is waited for is told to the pool task, and by it to everyone who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use ipnet::Ipv4Net;
use vpc_aws::ec2::{AttachmentStatus, Ec2, EniQuery, NetworkInterface};
use vpc_aws::imds::{Imds, ImdsEni, InstanceIdentity};
use vpc_datapath::eni::EniFacts;
use vpc_datapath::host::{self, HostFacts};
use vpc_ipam::{EniKind, NewEni, Targets, WarmTarget};
use vpc_model::instance_types::InstanceTypes;
use vpc_model::settings::{self, Settings};
use vpc_model::{DeviceIndex, EniId, InstanceType, NetworkCard, RouteTableId};

use crate::eni_life::{self, Cloud, NodeFacts};
use crate::report::chain;

/// Something about this node makes it impossible to go on.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The instance type has no entry in the table of limits.
    #[error(
        "instance type {0} is not in this version's table of limits; a newer version knows it, or \
         it has no ENIs of its own"
    )]
    UnknownType(InstanceType),
    /// Instance metadata does not show the primary ENI.
    #[error("instance metadata shows no ENI with the primary MAC {mac}")]
    NoPrimary {
        /// The primary MAC.
        mac: vpc_model::MacAddress,
    },
    /// The primary ENI's subnet has no IPv4.
    #[error("the subnet of {0} has no IPv4 network; launch the node in a subnet that has one")]
    NoIpv4(EniId),
}

/// What instance metadata says.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The instance.
    pub identity: InstanceIdentity,
    /// Its ENIs, those that are being attached or detached not among them.
    pub enis: Vec<ImdsEni>,
    /// The VPC's networks.
    pub vpc_cidrs: Vec<Ipv4Net>,
}

/// Asks until there is an answer, with a pause that grows from a quarter of a second to five.
pub async fn until_it_works<T, E, F>(what: &str, mut attempt: impl FnMut() -> F) -> T
where
    E: std::error::Error,
    F: Future<Output = Result<T, E>>,
{
    let mut pause = Duration::from_millis(250);
    loop {
        match attempt().await {
            Ok(answer) => return answer,
            Err(error) => tracing::warn!(error = chain(&error), "{what}: trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Asks IMDS who this node is, until it says so.
pub async fn metadata<I: Imds>(imds: &I) -> Metadata {
    until_it_works("instance metadata", || async {
        let identity = imds.instance().await?;
        let enis = imds.enis().await?;
        let vpc_cidrs = imds.vpc_cidrs().await?;
        Ok::<_, vpc_aws::Error>(Metadata {
            identity,
            enis,
            vpc_cidrs,
        })
    })
    .await
}

impl Metadata {
    /// The primary ENI and its subnet's network.
    ///
    /// # Errors
    /// There is none, or it has no IPv4.
    pub fn primary(&self) -> Result<(&ImdsEni, Ipv4Net), LearnError> {
        let mac = self.identity.primary_mac;
        let primary = self.enis.iter().find(|eni| eni.mac == mac);
        let primary = primary.ok_or(LearnError::NoPrimary { mac })?;
        let subnet = primary
            .subnet_cidr
            .ok_or_else(|| LearnError::NoIpv4(primary.id.clone()))?;
        Ok((primary, subnet))
    }
}

/// What the pool should keep on an instance of that type.
///
/// # Errors
/// The type is not known.
pub fn targets(settings: &Settings, instance: &InstanceType) -> Result<Targets, LearnError> {
    let limits = InstanceTypes::builtin()
        .get(instance)
        .ok_or_else(|| LearnError::UnknownType(instance.clone()))?;
    let warm = &settings.warm;
    Ok(Targets {
        warm: WarmTarget::new(warm.warm_eni, warm.warm_ip, warm.minimum_ip),
        max_enis: settings
            .max_eni
            .map_or(limits.enis, |max| max.min(limits.enis)),
        per_eni: limits.secondary_addresses_per_eni(),
        max_pods: None,
        cooldown: settings.cooldown,
        eni_min_age: settings.eni_min_age,
        return_delay: settings.return_delay,
    })
}

/// What all ENIs of this node have in common.
#[must_use]
pub fn node_facts(settings: &Settings, metadata: &Metadata, primary: &ImdsEni) -> NodeFacts {
    let instance = metadata.identity.instance_id.clone();
    let mut tags: BTreeMap<String, String> = settings.additional_tags.clone();
    tags.insert(NodeFacts::INSTANCE_TAG.to_owned(), instance.to_string());
    if let Some(cluster) = &settings.cluster_name {
        // Upstream's tags: its sweep of leaked ENIs, and ours, go by them.
        tags.insert("cluster.k8s.amazonaws.com/name".to_owned(), cluster.clone());
        tags.entry("eks:eni:owner".to_owned())
            .or_insert_with(|| "amazon-vpc-cni".to_owned());
    }
    NodeFacts {
        instance,
        subnet: primary.subnet.clone(),
        security_groups: primary.security_groups.clone(),
        tags,
        mtu: settings.eni_mtu,
    }
}

/// What the node's own network depends on.
#[must_use]
pub fn host_facts(settings: &Settings, metadata: &Metadata) -> HostFacts {
    HostFacts {
        primary_mac: metadata.identity.primary_mac,
        primary_ip: metadata.identity.local_ipv4,
        vpc_cidrs: metadata.vpc_cidrs.clone(),
        exclude_snat_cidrs: settings.snat.exclude_cidrs.clone(),
        external_snat: match settings.snat.external {
            settings::ExternalSnat::Off => host::ExternalSnat::Off,
            settings::ExternalSnat::On => host::ExternalSnat::On,
        },
        node_port: match settings.node_port {
            settings::NodePort::Supported => host::NodePort::On,
            settings::NodePort::Unsupported => host::NodePort::Off,
        },
        randomize: match settings.snat.randomization {
            settings::SnatRandomization::None => host::SnatRandomization::None,
            settings::SnatRandomization::HashRandom => host::SnatRandomization::HashRandom,
            settings::SnatRandomization::Prng => host::SnatRandomization::Prng,
        },
        veth_prefix: settings.veth_prefix.clone(),
        mtu: settings.eni_mtu,
        connmark: settings.connmark,
    }
}

/// Sets the host network up, until that works.
pub async fn host_network(facts: &HostFacts) {
    until_it_works("host network", || {
        let facts = facts.clone();
        async move {
            match tokio::task::spawn_blocking(move || host::apply(&facts)).await {
                Ok(applied) => applied.map(|report| {
                    tracing::info!(link = %report.link, changed = ?report.changed, "host network");
                }),
                // The runtime is going away.
                Err(_) => Ok(()),
            }
        }
    })
    .await;
}

/// Why an attached ENI is not used.
fn not_ours(eni: &NetworkInterface, manage_untagged: bool) -> Option<&'static str> {
    const NO_MANAGE: &str = "node.k8s.amazonaws.com/no_manage";
    let attached = eni.attachment.as_ref().is_some_and(|attachment| {
        matches!(
            attachment.status,
            AttachmentStatus::Attached | AttachmentStatus::Attaching
        )
    });
    if !attached {
        return Some("it is being detached");
    }
    match eni.interface_type.as_str() {
        "trunk" => return Some("it is a trunk"),
        "efa-only" => return Some("it carries no IP traffic"),
        _ => {}
    }
    match eni.tags.get(NO_MANAGE).map(String::as_str) {
        Some("true") => Some("it is tagged node.k8s.amazonaws.com/no_manage"),
        Some(_) => None,
        None if manage_untagged || eni.tags.contains_key(NodeFacts::INSTANCE_TAG) => None,
        None => Some("it is not tagged as ours and MANAGE_UNTAGGED_ENI is false"),
    }
}

/// The ENIs beside the primary one.
#[derive(Debug, Clone, Default)]
pub struct Secondaries {
    /// Those to use.
    pub ours: Vec<ImdsEni>,
    /// Places on the instance that others hold.
    pub foreign: BTreeSet<DeviceIndex>,
}

/// How long EC2 may take to say which of the attached ENIs are ours. Then those that pods have
/// addresses of are used: their traffic does not wait for EC2.
const EC2_PATIENCE: Duration = Duration::from_secs(30);

/// Sorts the secondary ENIs that metadata shows. Only EC2 knows their tags and kinds; it is asked
/// when there are any. A node with the primary ENI alone makes no call, and none is made in
/// IMDS-only mode, where what metadata shows is taken for ours. `in_use` are the places of ENIs
/// that pods have addresses of.
pub async fn secondaries<E: Ec2>(
    ec2: &E,
    metadata: &Metadata,
    settings: &Settings,
    in_use: &BTreeSet<DeviceIndex>,
) -> Secondaries {
    let primary = metadata.identity.primary_mac;
    let on_card_0 = metadata
        .enis
        .iter()
        .filter(|eni| eni.card == NetworkCard(0));
    let shown: Vec<_> = on_card_0
        .filter(|eni| eni.mac != primary)
        .cloned()
        .collect();
    if shown.is_empty() || settings.provisioning == settings::Provisioning::ImdsOnly {
        return Secondaries {
            ours: shown,
            foreign: BTreeSet::new(),
        };
    }
    let instance = metadata.identity.instance_id.clone();
    let asking = until_it_works("attached ENIs", || {
        ec2.describe_network_interfaces(EniQuery::AttachedTo(instance.clone()))
    });
    let mut sorted = Secondaries::default();
    match tokio::time::timeout(EC2_PATIENCE, asking).await {
        Ok(described) => {
            let described: BTreeMap<_, _> = described.iter().map(|eni| (&eni.id, eni)).collect();
            for eni in shown {
                let reason = match described.get(&eni.id) {
                    // Metadata lags: it is detached already.
                    None => Some("EC2 does not show it on this instance"),
                    Some(described) => not_ours(described, settings.manage_untagged_enis),
                };
                match reason {
                    Some(reason) => {
                        tracing::info!(eni = %eni.id, reason, "an ENI is not used");
                        sorted.foreign.insert(eni.device);
                    }
                    None => {
                        repair_delete_on_termination(ec2, described.get(&eni.id), settings).await;
                        sorted.ours.push(eni);
                    }
                }
            }
        }
        Err(_) => {
            tracing::warn!(
                "EC2 does not say which attached ENIs are ours; those that pods have addresses \
                 of are used, the others at the next start"
            );
            for eni in shown {
                if in_use.contains(&eni.device) {
                    sorted.ours.push(eni);
                } else {
                    sorted.foreign.insert(eni.device);
                }
            }
        }
    }
    sorted
}

/// A daemon that was killed right after it attached an ENI had not set this yet.
async fn repair_delete_on_termination<E: Ec2>(
    ec2: &E,
    eni: Option<&&NetworkInterface>,
    settings: &Settings,
) {
    let Some((eni, attachment)) =
        eni.and_then(|eni| eni.attachment.as_ref().map(|attachment| (eni, attachment)))
    else {
        return;
    };
    let ours = eni.tags.contains_key(NodeFacts::INSTANCE_TAG);
    if attachment.delete_on_termination
        || !ours
        || settings.provisioning != settings::Provisioning::Enabled
    {
        return;
    }
    let call = ec2.set_delete_on_termination(eni.id.clone(), attachment.id.clone());
    match call.await {
        Ok(()) => tracing::info!(eni = %eni.id, "delete-on-termination was set"),
        Err(error) => {
            tracing::warn!(eni = %eni.id, error = chain(&error), "delete-on-termination");
        }
    }
}

/// ENIs with our tag that are attached to nothing, or about to be: an earlier daemon was stopped
/// while it made or gave back one. They are deleted.
pub async fn delete_leftovers<E: Ec2>(cloud: Cloud<E>) {
    let query = EniQuery::Tagged {
        key: NodeFacts::INSTANCE_TAG.to_owned(),
        value: cloud.node.instance.to_string(),
    };
    let found = until_it_works("leftover ENIs", || {
        cloud.ec2.describe_network_interfaces(query.clone())
    })
    .await;
    let leaving = |eni: &NetworkInterface| {
        eni.attachment.as_ref().is_none_or(|attachment| {
            matches!(
                attachment.status,
                AttachmentStatus::Detaching | AttachmentStatus::Detached
            )
        })
    };
    for eni in found.into_iter().filter(leaving) {
        match eni_life::delete(&cloud, &eni.id).await {
            Ok(()) => tracing::info!(eni = %eni.id, "a leftover ENI was deleted"),
            Err(error) => tracing::warn!(eni = %eni.id, error = chain(&error), "leftover ENI"),
        }
    }
}

/// Asks IMDS again until it shows every ENI that EC2 has attached to this instance, for a few
/// seconds: after a crash during a creation the ENI may be on its way.
pub async fn metadata_with_attached<E: Ec2, I: Imds>(
    ec2: &E,
    imds: &I,
    mut metadata: Metadata,
) -> Metadata {
    let query = EniQuery::AttachedTo(metadata.identity.instance_id.clone());
    for _ in 0..20 {
        let Ok(attached) = ec2.describe_network_interfaces(query.clone()).await else {
            break;
        };
        let missing = attached
            .iter()
            .filter(|eni| not_ours(eni, true) != Some("it is being detached"))
            .any(|eni| !metadata.enis.iter().any(|shown| shown.id == eni.id));
        if !missing {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        if let Ok(enis) = imds.enis().await {
            metadata.enis = enis;
        }
    }
    metadata
}

/// The wiring of a secondary ENI; nothing if it has no IPv4.
fn wiring(eni: &ImdsEni, settings: &Settings) -> Option<EniFacts> {
    Some(EniFacts {
        mac: eni.mac,
        primary_ip: eni.primary_address()?,
        subnet: eni.subnet_cidr?,
        table: RouteTableId::for_eni(eni.card, eni.device),
        mtu: settings.eni_mtu,
    })
}

/// Wires a secondary ENI that is attached; says why where that does not work.
pub async fn wire(eni: &ImdsEni, settings: &Settings) -> Option<EniFacts> {
    let facts = wiring(eni, settings)?;
    let wanted = facts.clone();
    let wired = tokio::task::spawn_blocking(move || {
        vpc_datapath::links::wait_for_mac(wanted.mac, Duration::from_secs(15))?;
        vpc_datapath::eni::apply(&wanted)
    })
    .await;
    match wired {
        Ok(Ok(report)) => {
            tracing::info!(
                eni = %eni.id, link = %report.link, changed = ?report.changed, "ENI is wired"
            );
            Some(facts)
        }
        Ok(Err(error)) => {
            tracing::error!(eni = %eni.id, error = chain(&error), "an ENI cannot be wired");
            None
        }
        Err(_) => None,
    }
}

/// An ENI that IMDS shows, for the pool. The primary ENI has device 0 whatever IMDS says.
#[must_use]
pub fn for_pool(eni: &ImdsEni, kind: EniKind, subnet_cidr: Ipv4Net) -> Option<NewEni> {
    let primary = eni.primary_address()?;
    if !eni.prefixes.is_empty() {
        tracing::warn!(
            eni = %eni.id, prefixes = eni.prefixes.len(),
            "the ENI has prefixes, which this version does not use"
        );
    }
    Some(NewEni {
        id: eni.id.clone(),
        kind,
        mac: eni.mac,
        card: eni.card,
        device: if kind == EniKind::Primary {
            DeviceIndex(0)
        } else {
            eni.device
        },
        subnet: eni.subnet.clone(),
        subnet_cidr,
        primary,
        addresses: eni.addresses.iter().skip(1).copied().collect(),
    })
}
