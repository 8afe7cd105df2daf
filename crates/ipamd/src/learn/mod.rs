//! Start-up's middle part: who this node is, its host network, the ENIs it has. Each step is tried
//! until it works; what is waited for is told to the pool task, and by it to everyone who asks.

mod attached;
mod leftovers;
mod subnets;
mod upstream;
mod wiring;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use vpc_aws::ec2;
use vpc_aws::imds::{Imds, ImdsEni, InstanceIdentity};
use vpc_datapath::host::{self, HostFacts};
use vpc_ipam::classify::{INSTANCE_TAG, Networking, Rules, Untagged};
use vpc_ipam::subnets::Candidate;
use vpc_ipam::targets::{self, NoPrefixes};
use vpc_ipam::{Mode, Targets};
use vpc_model::instance_types::{InstanceLimits, InstanceTypes};
use vpc_model::settings::{self, Settings};
use vpc_model::{EniId, InstanceType, NetworkCard};

pub use attached::{
    Attached, Described, Foreign, Foreigners, Found, Sorted, attached, is_ours_to_wire, slots,
    slots_of,
};
pub use leftovers::{delete_leftovers, metadata_with_attached};
pub use subnets::{SubnetQuery, describe_subnets};
pub use upstream::clear_of_upstreams_rules;
pub use wiring::wire;

use crate::eni_life::NodeFacts;
use crate::report::chain;

/// Something about this node makes it impossible to go on.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The instance type has no entry in the table of limits, and EC2 did not tell them.
    #[error(
        "instance type {instance_type} is not in this version's table of limits, and EC2 could not \
         be asked for them; allow ec2:DescribeInstanceTypes, or use a newer version"
    )]
    UnknownType {
        /// The type.
        instance_type: InstanceType,
        /// EC2's answer.
        #[source]
        source: Box<vpc_aws::Error>,
    },
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

    /// Whether each of the addresses is on an ENI that metadata shows.
    #[must_use]
    pub fn shows_all(&self, addresses: &BTreeSet<Ipv4Addr>) -> bool {
        let shows = |address: &Ipv4Addr| self.enis.iter().any(|eni| attached::has(eni, *address));
        addresses.iter().all(shows)
    }
}

/// What the pool should keep on an instance of that type, and which kind of slot it asks for. What
/// comes third is to be said: prefixes were asked for and the type cannot have them. EC2 is asked
/// for the limits of a type that is newer than the built-in table, until it answers.
///
/// # Errors
/// EC2 does not know the type either, or may not be asked.
pub async fn targets(
    settings: &Settings,
    instance: &InstanceType,
    ec2: &ec2::Client,
) -> Result<(Mode, Targets, Option<NoPrefixes>), LearnError> {
    let limits = match InstanceTypes::builtin().get(instance) {
        Some(limits) => limits.clone(),
        None => limits_by_ec2(instance, ec2).await?,
    };
    Ok(targets::for_node(settings, &limits, settings.max_pods))
}

async fn limits_by_ec2(
    instance: &InstanceType,
    ec2: &ec2::Client,
) -> Result<InstanceLimits, LearnError> {
    let unknown = |source| LearnError::UnknownType {
        instance_type: instance.clone(),
        source,
    };
    until_it_works("limits of the instance type", || async {
        match ec2.describe_instance_type(instance).await {
            Ok(limits) => Ok(Ok(limits)),
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => Ok(Err(unknown(Box::new(error)))),
        }
    })
    .await
}

/// What decides what the node's ENIs are to us.
#[must_use]
pub fn attached_rules(settings: &Settings, metadata: &Metadata, node: &Candidate) -> Attached {
    let identity = &metadata.identity;
    Attached {
        rules: Rules {
            instance: identity.instance_id.clone(),
            card: NetworkCard(0),
            networking: if settings.features.custom_networking.is_some() {
                Networking::Custom
            } else {
                Networking::Node
            },
            untagged: if settings.manage_untagged_enis {
                Untagged::Managed
            } else {
                Untagged::Unmanaged
            },
        },
        primary_mac: identity.primary_mac,
        // With custom networking, subnets' tags mean nothing (as upstream has it).
        subnets: (settings.subnet_discovery && settings.features.custom_networking.is_none())
            .then(|| subnet_query(settings, metadata, node)),
        provisioning: settings.provisioning,
    }
}

/// The subnets of the node's zone.
#[must_use]
pub fn subnet_query(settings: &Settings, metadata: &Metadata, node: &Candidate) -> SubnetQuery {
    SubnetQuery {
        vpc: metadata.identity.vpc.clone(),
        zone: metadata.identity.availability_zone.clone(),
        node: node.clone(),
        cluster: settings.cluster_name.clone(),
    }
}

/// What all ENIs of this node have in common.
#[must_use]
pub fn node_facts(settings: &Settings, metadata: &Metadata, primary: &ImdsEni) -> NodeFacts {
    let instance = metadata.identity.instance_id.clone();
    let mut tags: BTreeMap<String, String> = settings.additional_tags.clone();
    tags.insert(INSTANCE_TAG.to_owned(), instance.to_string());
    if let Some(cluster) = &settings.cluster_name {
        // Upstream's tags: its sweep of leaked ENIs, and ours, go by them.
        tags.insert("cluster.k8s.amazonaws.com/name".to_owned(), cluster.clone());
        tags.entry("eks:eni:owner".to_owned())
            .or_insert_with(|| "amazon-vpc-cni".to_owned());
    }
    NodeFacts {
        instance,
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
        ports: settings.snat.ports,
        external_service_cidrs: settings.external_service_cidrs.clone(),
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
