//! The whole world as JSON, for people and tests.

use serde_json::{Value, json};

use super::World;
use super::space_v6::SpaceV6;
use super::state::Attachment;

impl World {
    /// Everything, as of the last call or [`World::advance`]. The form may change.
    #[must_use]
    pub fn dump(&self) -> Value {
        json!({
            "now": self.now,
            "revision": self.revision,
            "region": self.config.region,
            "account": self.config.account,
            "vpcs": self.vpcs.iter().map(|(id, vpc)| json!({
                "id": id,
                "cidr": vpc.cidr,
                "ipv6": vpc.ipv6,
                "defaultSecurityGroup": vpc.default_group,
                "tags": vpc.tags,
            })).collect::<Vec<_>>(),
            "subnets": self.subnets.iter().map(|(id, subnet)| json!({
                "id": id,
                "vpc": subnet.vpc,
                "cidr": subnet.space.cidr(),
                "ipv6": subnet.ipv6.as_ref().map(SpaceV6::cidr),
                "availabilityZone": subnet.availability_zone,
                "availableAddresses": subnet.space.available(),
                "occupiedByOthers": subnet.others,
                "reservations": subnet.reservations.iter().map(|(id, reservation)| json!({
                    "id": id,
                    "cidr": reservation.range,
                    "type": reservation.reserved_for.name(),
                })).collect::<Vec<_>>(),
                "tags": subnet.tags,
            })).collect::<Vec<_>>(),
            "securityGroups": self.groups.iter().map(|(id, group)| json!({
                "id": id,
                "vpc": group.vpc,
                "name": group.name,
                "rules": group.rules.iter().map(|(id, rule)| json!({
                    "id": id,
                    "egress": rule.term.egress,
                    "protocol": rule.term.protocol,
                    "ports": rule.term.ports,
                    "peer": rule.term.peer.to_string(),
                })).collect::<Vec<_>>(),
                "tags": group.tags,
            })).collect::<Vec<_>>(),
            "instances": self.instances.iter().map(|(id, instance)| json!({
                "id": id,
                "name": instance.name,
                "instanceType": instance.instance_type,
                "subnet": instance.subnet,
                "availabilityZone": instance.availability_zone,
                "state": instance.state(self.now).1,
                "launchedAt": instance.launched_at,
                "terminatedAt": instance.terminated_at,
                "tags": instance.tags,
            })).collect::<Vec<_>>(),
            "enis": self.enis.iter().map(|(id, eni)| json!({
                "id": id,
                "mac": eni.mac,
                "subnet": eni.subnet,
                "description": eni.description,
                "status": eni.status(),
                "primary": eni.primary,
                "secondaries": eni.secondaries,
                "prefixes": eni.prefixes,
                "ipv6": eni.ipv6,
                "ipv6Prefixes": eni.ipv6_prefixes,
                "public": eni.public,
                "securityGroups": eni.security_groups,
                "sourceDestCheck": eni.source_dest_check,
                "tags": eni.tags,
                "interfaceType": eni.interface_type,
                "branchOf": eni.association.as_ref().map(|association| json!({
                    "id": association.id,
                    "trunk": association.trunk,
                    "vlan": association.vlan,
                })),
                "attachment": eni.attachment.as_ref().map(|a| self.dump_attachment(a)),
            })).collect::<Vec<_>>(),
        })
    }

    fn dump_attachment(&self, attachment: &Attachment) -> Value {
        json!({
            "id": attachment.id,
            "instance": attachment.instance,
            "device": attachment.device.0,
            "card": attachment.card.0,
            "status": attachment.status(self.now),
            "linkPresent": attachment.link_from <= self.now,
            "deleteOnTermination": attachment.delete_on_termination,
        })
    }
}
