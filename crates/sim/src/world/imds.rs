//! What an instance's metadata service answers to a path.

use serde_json::json;
use vpc_model::{DeviceIndex, InstanceId, MacAddress, NetworkCard, Timestamp};

use super::World;
use super::metadata::MetaEni;
use super::state::Instance;
use super::types::architecture;

/// The directories below `/latest/meta-data` whose members are always the same.
const DIRECTORIES: [(&str, &str); 4] = [
    ("network", "interfaces/"),
    ("network/interfaces", "macs/"),
    (
        "placement",
        "availability-zone\navailability-zone-id\nregion",
    ),
    ("services", "domain\npartition"),
];

impl World {
    /// The text at a path of an instance's metadata service, for example
    /// `/latest/meta-data/mac`; a directory's text is a list of its members, directories with a
    /// slash at the end. `None` if there is nothing there, or no such running instance.
    pub fn imds(&mut self, id: &InstanceId, path: &str, now: Timestamp) -> Option<String> {
        self.advance(now);
        let instance = self.instances.get(id)?;
        if instance.terminated_at.is_some() || instance.running_from > self.now {
            return None;
        }
        let path = path.trim_matches('/');
        match path {
            "" => return Some("latest".to_owned()),
            "latest" => return Some("dynamic\nmeta-data".to_owned()),
            "latest/meta-data" => return self.top(id, instance),
            "latest/dynamic" => return Some("instance-identity/".to_owned()),
            "latest/dynamic/instance-identity" => return Some("document".to_owned()),
            "latest/dynamic/instance-identity/document" => return self.document(id, instance),
            _ => {}
        }
        let path = path.strip_prefix("latest/meta-data/")?;
        if let Some((_, listing)) = DIRECTORIES.iter().find(|(name, _)| *name == path) {
            return Some((*listing).to_owned());
        }
        match path.strip_prefix("network/interfaces/macs") {
            Some("") => Some(listed(
                instance.metadata.listed().map(|(mac, _)| format!("{mac}/")),
            )),
            Some(below) => self.below_macs(instance, below.strip_prefix('/')?),
            None => self.leaf(id, instance, path),
        }
    }

    fn top(&self, id: &InstanceId, instance: &Instance) -> Option<String> {
        let leaves = [
            "ami-id",
            "hostname",
            "instance-id",
            "instance-type",
            "local-hostname",
            "local-ipv4",
            "mac",
            "network/",
            "placement/",
            "public-hostname",
            "public-ipv4",
            "security-groups",
            "services/",
        ];
        let present = |name: &&str| name.ends_with('/') || self.leaf(id, instance, name).is_some();
        Some(listed(leaves.into_iter().filter(present)))
    }

    /// The text of a leaf directly below `meta-data` or below `placement`.
    fn leaf(&self, id: &InstanceId, instance: &Instance, name: &str) -> Option<String> {
        match name {
            "ami-id" => return Some(instance.image.clone()),
            "instance-id" => return Some(id.to_string()),
            "instance-type" => return Some(instance.instance_type.to_string()),
            "placement/availability-zone" => return Some(instance.availability_zone.clone()),
            "placement/availability-zone-id" => {
                return Some(self.zone_id(&instance.availability_zone));
            }
            "placement/region" => return Some(self.config.region.clone()),
            "services/domain" => return Some(self.config.partition().1.to_owned()),
            "services/partition" => return Some(self.config.partition().0.to_owned()),
            _ => {}
        }
        let (mac, eni) = primary(instance)?;
        let address = eni.addresses.first().copied();
        match name {
            "hostname" | "local-hostname" => address.map(|a| self.private_name(a)),
            "local-ipv4" => address.map(|a| a.to_string()),
            "mac" => Some(mac.to_string()),
            "public-hostname" => eni.public.map(|a| self.public_name(a)),
            "public-ipv4" => eni.public.map(|a| a.to_string()),
            "security-groups" => Some(listed(eni.security_groups.iter().map(|(_, name)| name))),
            _ => None,
        }
    }

    /// What stands at a path below `macs/`: an ENI's directory, or one of its leaves.
    fn below_macs(&self, instance: &Instance, path: &str) -> Option<String> {
        let (mac, leaf) = path.split_once('/').unwrap_or((path, ""));
        let mac: MacAddress = mac.parse().ok()?;
        let (_, eni) = instance.metadata.listed().find(|(m, _)| *m == mac)?;
        let leaves = self.eni_leaves(mac, eni);
        if leaf.is_empty() {
            return Some(listed(leaves.into_iter().map(|(name, _)| name)));
        }
        let found = leaves.into_iter().find(|(name, _)| *name == leaf);
        found.map(|(_, text)| text)
    }

    /// The leaves that an ENI has, by name. As in EC2, a list that is empty is not there.
    fn eni_leaves(&self, mac: MacAddress, eni: &MetaEni) -> Vec<(&'static str, String)> {
        let primary = eni.addresses.first().copied();
        let mut leaves = vec![
            ("device-number", eni.device.0.to_string()),
            ("interface-id", eni.id.to_string()),
            (
                "local-hostname",
                primary.map_or_else(String::new, |a| self.private_name(a)),
            ),
            ("local-ipv4s", listed(&eni.addresses)),
            ("mac", mac.to_string()),
            ("owner-id", self.config.account.clone()),
            (
                "security-group-ids",
                listed(eni.security_groups.iter().map(|(id, _)| id)),
            ),
            (
                "security-groups",
                listed(eni.security_groups.iter().map(|(_, name)| name)),
            ),
            ("subnet-id", eni.subnet.to_string()),
            ("subnet-ipv4-cidr-block", eni.subnet_cidr.to_string()),
            ("vpc-id", eni.vpc.to_string()),
            ("vpc-ipv4-cidr-block", eni.vpc_cidr.to_string()),
            ("vpc-ipv4-cidr-blocks", eni.vpc_cidr.to_string()),
        ];
        if !eni.prefixes.is_empty() {
            leaves.push(("ipv4-prefix", listed(&eni.prefixes)));
        }
        if !eni.ipv6.is_empty() {
            leaves.push(("ipv6s", listed(&eni.ipv6)));
        }
        if !eni.ipv6_prefixes.is_empty() {
            leaves.push(("ipv6-prefix", listed(&eni.ipv6_prefixes)));
        }
        if let Some(network) = eni.subnet_ipv6 {
            leaves.push(("subnet-ipv6-cidr-blocks", network.to_string()));
        }
        if let Some(network) = eni.vpc_ipv6 {
            leaves.push(("vpc-ipv6-cidr-blocks", network.to_string()));
        }
        if eni.card > NetworkCard(0) {
            leaves.push(("network-card", eni.card.0.to_string()));
        }
        if let Some(public) = eni.public {
            leaves.push(("public-hostname", self.public_name(public)));
            leaves.push(("public-ipv4s", public.to_string()));
        }
        leaves.sort_unstable();
        leaves
    }

    fn document(&self, id: &InstanceId, instance: &Instance) -> Option<String> {
        let (_, eni) = primary(instance)?;
        let document = json!({
            "accountId": self.config.account,
            "architecture": architecture(&instance.instance_type),
            "availabilityZone": instance.availability_zone,
            "imageId": instance.image,
            "instanceId": id,
            "instanceType": instance.instance_type,
            "pendingTime": instance.launched_at.to_string(),
            "privateIp": eni.addresses.first(),
            "region": self.config.region,
            "version": "2017-09-30",
        });
        Some(format!("{document:#}"))
    }
}

/// The ENI at device 0 of the default card.
fn primary(instance: &Instance) -> Option<(MacAddress, &MetaEni)> {
    instance
        .metadata
        .known()
        .iter()
        .find(|(_, e)| e.device == DeviceIndex(0) && e.card == instance.limits.default_card)
        .map(|(mac, eni)| (*mac, eni))
}

/// One per line.
fn listed(members: impl IntoIterator<Item = impl ToString>) -> String {
    let members: Vec<String> = members.into_iter().map(|m| m.to_string()).collect();
    members.join("\n")
}
