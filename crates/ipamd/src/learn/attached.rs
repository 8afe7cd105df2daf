//! The ENIs that are attached: which are the pool's, which are not ours to use, and why.
//!
//! Metadata shows addresses and places; whose an ENI is, only EC2 knows (its tags and its kind),
//! and whether its subnet is for pods (the subnet's tags). EC2 is asked when there is more than the
//! primary ENI: a node with that one alone starts without a call.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_aws::ec2::{AttachmentStatus, Ec2, EniQuery, NetworkInterface};
use vpc_aws::imds::ImdsEni;
use vpc_ipam::classify::{self, Class, Exclusion, InterfaceType, Position, Rules};
use vpc_ipam::subnets::{self, SubnetInfo};
use vpc_ipam::{EniKind, NewEni, Slots};
use vpc_model::settings::{Provisioning, Settings};
use vpc_model::{DeviceIndex, EniId, MacAddress};

use super::leftovers::repair_delete_on_termination;
use super::subnets::{SubnetQuery, describe_subnets};
use super::{Metadata, until_it_works};
use crate::report::chain;

/// How long EC2 may take to say which of the attached ENIs are ours. Then those that pods have
/// addresses of are used: their traffic does not wait for EC2.
const EC2_PATIENCE: Duration = Duration::from_secs(30);

/// What decides what an attached ENI is to us.
#[derive(Debug, Clone)]
pub struct Attached {
    /// The node's rules.
    pub rules: Rules,
    /// The primary ENI's MAC.
    pub primary_mac: MacAddress,
    /// Whose subnets' tags count; nothing where subnet discovery is off.
    pub subnets: Option<SubnetQuery>,
    /// Whether EC2 is asked at all.
    pub provisioning: Provisioning,
}

/// What EC2 says beyond what metadata shows.
#[derive(Debug, Default)]
pub struct Described {
    /// The ENIs on the instance, by id.
    pub enis: BTreeMap<EniId, NetworkInterface>,
    /// The zone's subnets; none where EC2 did not say.
    pub subnets: Vec<SubnetInfo>,
}

/// An attached ENI that cannot be in the pool: it counts towards the instance's limit, and nothing
/// else can be attached at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Where it is.
    pub device: DeviceIndex,
    /// Why it is not in the pool.
    pub why: String,
    /// Whether that is EC2's last word. If not, EC2 is asked again by the next reconcile.
    pub settled: bool,
}

/// Foreign ENIs, by id.
pub type Foreigners = BTreeMap<EniId, Foreign>;

/// What an attached ENI comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sorted {
    /// It is in the pool, for pods or excluded.
    Pool(Box<NewEni>),
    /// It cannot be.
    Foreign(Foreign),
    /// It is on a network card whose pool this is not.
    OtherCard,
}

/// The attached ENIs, sorted.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Those for the pool.
    pub enis: Vec<NewEni>,
    /// Those that cannot be in it.
    pub foreign: Foreigners,
}

impl Attached {
    /// What an ENI that metadata shows comes to, with what EC2 says about it if it was asked.
    #[must_use]
    pub fn sort(
        &self,
        shown: &ImdsEni,
        described: Option<&NetworkInterface>,
        subnets: &[SubnetInfo],
    ) -> Sorted {
        if shown.card != self.rules.card {
            return Sorted::OtherCard;
        }
        let class = self.class(shown, described, subnets);
        let (Some(primary), Some(subnet_cidr)) = (shown.primary_address(), shown.subnet_cidr)
        else {
            let why = class.exclusion().map_or_else(
                || "it has no IPv4 address".to_owned(),
                |exclusion| exclusion.to_string(),
            );
            return Sorted::Foreign(Foreign {
                device: shown.device,
                why,
                settled: true,
            });
        };
        Sorted::Pool(Box::new(NewEni {
            id: shown.id.clone(),
            kind: class.kind,
            exclusion: class.exclusion(),
            mac: shown.mac,
            card: shown.card,
            device: shown.device,
            subnet: shown.subnet.clone(),
            subnet_cidr,
            primary,
            // Metadata lags; EC2's word outranks it.
            slots: described.map_or_else(|| slots(shown), slots_of),
            attached_at: None,
        }))
    }

    /// What an ENI is to us.
    #[must_use]
    pub fn class(
        &self,
        shown: &ImdsEni,
        described: Option<&NetworkInterface>,
        subnets: &[SubnetInfo],
    ) -> Class {
        let subnet = self.subnets.as_ref().and_then(|query| {
            let info = subnets.iter().find(|info| info.id == shown.subnet)?;
            subnets::exclusion(info, query.cluster.as_deref())
        });
        classify::classify(
            &classify::Attached {
                position: if shown.mac == self.primary_mac {
                    Position::Primary
                } else {
                    Position::Later
                },
                card: shown.card,
                interface_type: described.map_or(InterfaceType::Interface, |eni| {
                    InterfaceType::from_name(&eni.interface_type)
                }),
                tags: described.map(|eni| &eni.tags),
                subnet,
            },
            &self.rules,
        )
    }

    /// What EC2 says about the ENIs on this instance and the zone's subnets. Where the subnets are
    /// denied, none is excluded.
    ///
    /// # Errors
    /// The ENIs could not be described.
    pub async fn describe<E: Ec2>(&self, ec2: &E) -> Result<Described, vpc_aws::Error> {
        let instance = self.rules.instance.clone();
        let enis = ec2
            .describe_network_interfaces(EniQuery::AttachedTo(instance))
            .await?;
        let subnets = match &self.subnets {
            None => Vec::new(),
            Some(query) => match describe_subnets(ec2, query).await {
                Ok(subnets) => subnets,
                Err(error) => {
                    tracing::warn!(
                        error = chain(&error),
                        "no ENI is excluded by its subnet's tags"
                    );
                    Vec::new()
                }
            },
        };
        Ok(Described {
            enis: enis
                .into_iter()
                .filter(|eni| !is_leaving(eni))
                .map(|eni| (eni.id.clone(), eni))
                .collect(),
            subnets,
        })
    }

    fn asks_ec2(&self) -> bool {
        match self.provisioning {
            Provisioning::Enabled | Provisioning::Disabled => true,
            Provisioning::ImdsOnly => false,
        }
    }
}

/// Sorts the ENIs that metadata shows at start. No call is made where the primary ENI is alone, nor
/// in IMDS-only mode, where what metadata shows is taken for ours. `in_use` are the addresses that
/// pods have.
pub async fn attached<E: Ec2>(
    ec2: &E,
    metadata: &Metadata,
    attached: &Attached,
    settings: &Settings,
    in_use: &BTreeSet<Ipv4Addr>,
) -> Found {
    let mut found = Found::default();
    let alone = !metadata
        .enis
        .iter()
        .any(|eni| eni.card == attached.rules.card && eni.mac != attached.primary_mac);
    let described = if alone || !attached.asks_ec2() {
        None
    } else {
        let asking = until_it_works("attached ENIs", || attached.describe(ec2));
        Some(tokio::time::timeout(EC2_PATIENCE, asking).await)
    };
    for shown in &metadata.enis {
        let is_primary = shown.mac == attached.primary_mac;
        let sorted = match &described {
            None => attached.sort(shown, None, &[]),
            Some(Ok(described)) => match described.enis.get(&shown.id) {
                Some(eni) => {
                    repair_delete_on_termination(ec2, eni, settings).await;
                    attached.sort(shown, Some(eni), &described.subnets)
                }
                None if is_primary => attached.sort(shown, None, &described.subnets),
                // Metadata lags: it is detached already, or EC2's answer is old.
                None => unsettled(shown, "EC2 does not show it on this instance"),
            },
            Some(Err(_)) if is_primary || is_in_use(shown, in_use) => {
                attached.sort(shown, None, &[])
            }
            Some(Err(_)) => unsettled(shown, "EC2 does not say whose it is"),
        };
        found.add(shown, sorted);
    }
    found
}

impl Found {
    fn add(&mut self, shown: &ImdsEni, sorted: Sorted) {
        match sorted {
            Sorted::Pool(eni) => self.enis.push(*eni),
            Sorted::Foreign(foreign) => {
                tracing::info!(eni = %shown.id, why = foreign.why, "an ENI is not used");
                self.foreign.insert(shown.id.clone(), foreign);
            }
            Sorted::OtherCard => {
                tracing::info!(eni = %shown.id, card = %shown.card, "an ENI on another card");
            }
        }
    }
}

fn unsettled(shown: &ImdsEni, why: &str) -> Sorted {
    Sorted::Foreign(Foreign {
        device: shown.device,
        why: why.to_owned(),
        settled: false,
    })
}

fn is_in_use(shown: &ImdsEni, in_use: &BTreeSet<Ipv4Addr>) -> bool {
    in_use.iter().any(|address| has(shown, *address))
}

/// Whether an address is an ENI's, by itself or in a prefix.
pub(super) fn has(shown: &ImdsEni, address: Ipv4Addr) -> bool {
    let mut prefixes = shown.prefixes.iter();
    shown.addresses.contains(&address) || prefixes.any(|prefix| prefix.contains(address))
}

/// What an ENI holds for pods.
#[must_use]
pub fn slots(shown: &ImdsEni) -> Slots {
    Slots {
        addresses: shown.addresses.iter().skip(1).copied().collect(),
        prefixes: shown.prefixes.clone(),
    }
}

/// What an ENI holds for pods, as EC2 says.
#[must_use]
pub fn slots_of(eni: &NetworkInterface) -> Slots {
    Slots {
        addresses: eni.addresses.clone(),
        prefixes: eni.prefixes.clone(),
    }
}

/// Whether an ENI is on its way from the instance, or not on one.
#[must_use]
pub(super) fn is_leaving(eni: &NetworkInterface) -> bool {
    !eni.attachment.as_ref().is_some_and(|attachment| {
        matches!(
            attachment.status,
            AttachmentStatus::Attached | AttachmentStatus::Attaching
        )
    })
}

/// Whether the kernel side of an ENI is ours to set up: those that pods have, or may get,
/// addresses of, but for the primary, which the node itself lives on.
#[must_use]
pub fn is_ours_to_wire(kind: EniKind, exclusion: Option<&Exclusion>) -> bool {
    let kind = match kind {
        EniKind::Secondary | EniKind::Trunk | EniKind::Efa => true,
        EniKind::Primary | EniKind::EfaOnly => false,
    };
    kind && exclusion.is_none_or(|exclusion| {
        *exclusion == Exclusion::NotWired || exclusion.is_about_the_subnet()
    })
}

#[cfg(test)]
mod tests {
    use vpc_ipam::classify::{Networking, Untagged};
    use vpc_model::NetworkCard;

    use super::*;

    fn shown(device: u8, addresses: &[&str]) -> ImdsEni {
        ImdsEni {
            mac: MacAddress([2, 0, 0, 0, 0, device]),
            id: format!("eni-{device}").parse().unwrap(),
            device: DeviceIndex(device),
            card: NetworkCard(0),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            prefixes: Vec::new(),
            subnet: "subnet-1".parse().unwrap(),
            subnet_cidr: Some("10.0.1.0/24".parse().unwrap()),
            security_groups: Vec::new(),
        }
    }

    fn rules() -> Attached {
        Attached {
            rules: Rules {
                instance: "i-1".parse().unwrap(),
                card: NetworkCard(0),
                networking: Networking::Node,
                untagged: Untagged::Managed,
            },
            primary_mac: MacAddress([2, 0, 0, 0, 0, 0]),
            subnets: None,
            provisioning: Provisioning::Enabled,
        }
    }

    #[test]
    fn an_eni_keeps_its_own_address_and_gives_the_others() {
        let Sorted::Pool(eni) = rules().sort(&shown(1, &["10.0.1.5", "10.0.1.6"]), None, &[])
        else {
            panic!("not for the pool");
        };
        assert_eq!(eni.primary.to_string(), "10.0.1.5");
        assert_eq!(eni.slots.addresses.len(), 1);
        assert_eq!((eni.kind, eni.exclusion), (EniKind::Secondary, None));
    }

    #[test]
    fn an_eni_without_ip_is_foreign_and_one_on_another_card_is_passed_over() {
        let Sorted::Foreign(foreign) = rules().sort(&shown(1, &[]), None, &[]) else {
            panic!("not foreign");
        };
        assert!(foreign.settled);
        let other = ImdsEni {
            card: NetworkCard(1),
            ..shown(1, &["10.0.1.5"])
        };
        assert_eq!(rules().sort(&other, None, &[]), Sorted::OtherCard);
    }

    #[test]
    fn enis_of_others_are_not_wired() {
        for (kind, exclusion, ours) in [
            (EniKind::Secondary, None, true),
            (EniKind::Primary, None, false),
            (EniKind::Secondary, Some(Exclusion::NoManage), false),
            (EniKind::Secondary, Some(Exclusion::NotWired), true),
            (
                EniKind::Secondary,
                Some(Exclusion::SubnetNotForPods("subnet-1".parse().unwrap())),
                true,
            ),
        ] {
            assert_eq!(
                is_ours_to_wire(kind, exclusion.as_ref()),
                ours,
                "{exclusion:?}"
            );
        }
    }
}
