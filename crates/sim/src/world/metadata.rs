//! What an instance's metadata service knows of its ENIs. It learns of a change some time after
//! EC2 does, and of changes to one ENI in their order. On demand it learns nothing for a while, or
//! leaves an ENI out of its answers.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use vpc_model::{
    DeviceIndex, EniId, InstanceId, Ipv4Prefix, MacAddress, NetworkCard, SecurityGroupId, SubnetId,
    Timestamp, VpcId,
};

use super::World;
use super::agenda::Subject;
use super::space_v6::SpaceV6;
use crate::error::ApiError;

/// An ENI as the metadata service describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetaEni {
    pub(crate) id: EniId,
    pub(crate) device: DeviceIndex,
    pub(crate) card: NetworkCard,
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) prefixes: Vec<Ipv4Prefix>,
    pub(crate) ipv6: Vec<Ipv6Addr>,
    pub(crate) ipv6_prefixes: Vec<Ipv6Net>,
    pub(crate) security_groups: Vec<(SecurityGroupId, String)>,
    pub(crate) subnet: SubnetId,
    pub(crate) subnet_cidr: Ipv4Net,
    pub(crate) subnet_ipv6: Option<Ipv6Net>,
    pub(crate) vpc: VpcId,
    pub(crate) vpc_cidr: Ipv4Net,
    pub(crate) vpc_ipv6: Option<Ipv6Net>,
    pub(crate) public: Option<Ipv4Addr>,
}

/// A change that the metadata service will learn of.
#[derive(Debug, Clone)]
struct Pending {
    at: Timestamp,
    mac: MacAddress,
    /// `None`: the ENI is gone.
    eni: Option<MetaEni>,
}

/// What one instance's metadata service knows and will know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    known: BTreeMap<MacAddress, MetaEni>,
    pending: Vec<Pending>,
    /// Nothing is learnt before.
    frozen_until: Timestamp,
    /// The ENIs that are left out of answers, and until when.
    hidden: BTreeMap<MacAddress, Timestamp>,
}

impl Metadata {
    /// The ENIs that it knows, also those it leaves out of lists.
    pub(crate) fn known(&self) -> &BTreeMap<MacAddress, MetaEni> {
        &self.known
    }

    /// The ENIs that it lists.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (MacAddress, &MetaEni)> {
        let shown = |mac: &MacAddress| !self.hidden.contains_key(mac);
        let all = self.known.iter().map(|(mac, eni)| (*mac, eni));
        all.filter(move |(mac, _)| shown(mac))
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Announces a change for a moment; later if an earlier change to the ENI is still due then.
    /// Returns for when.
    fn announce(&mut self, at: Timestamp, mac: MacAddress, eni: Option<MetaEni>) -> Timestamp {
        let earlier = self.pending.iter().filter(|p| p.mac == mac).map(|p| p.at);
        let at = earlier.max().map_or(at, |earlier| earlier.max(at));
        self.pending.push(Pending { at, mac, eni });
        at
    }

    /// Learns what is due; whether anything was. The order of announcement is the order per ENI.
    pub(crate) fn advance(&mut self, now: Timestamp) -> bool {
        let hidden = self.hidden.len();
        self.hidden.retain(|_, until| *until > now);
        let mut changed = self.hidden.len() != hidden;
        let frozen = now < self.frozen_until;
        let due = |p: &mut Pending| p.at <= now && !frozen;
        for pending in self.pending.extract_if(.., due) {
            changed = true;
            match pending.eni {
                Some(eni) => self.known.insert(pending.mac, eni),
                None => self.known.remove(&pending.mac),
            };
        }
        changed
    }

    pub(crate) fn next_event(&self) -> Option<Timestamp> {
        let learns = self.pending.iter().map(|p| p.at.max(self.frozen_until));
        learns.chain(self.hidden.values().copied()).min()
    }
}

impl World {
    /// Keeps an instance's metadata service from learning anything before `until`; then it catches
    /// up. A moment in the past ends an earlier freeze.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`.
    pub fn freeze_metadata(&mut self, id: &InstanceId, until: Timestamp) -> Result<(), ApiError> {
        self.instance(id)?;
        self.freeze(id, until);
        self.changed();
        Ok(())
    }

    /// The same for every instance.
    pub fn freeze_all_metadata(&mut self, until: Timestamp) {
        let all: Vec<InstanceId> = self.instances.keys().cloned().collect();
        for id in &all {
            self.freeze(id, until);
        }
        self.changed();
    }

    fn freeze(&mut self, id: &InstanceId, until: Timestamp) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.metadata.frozen_until = until;
        }
        self.note(until, Subject::Instance(id.clone()));
        self.learn(id);
    }

    /// Leaves an ENI out of its instance's metadata before `until`, as if it were not attached:
    /// the partial answers that EC2 is known to give. A moment in the past shows it again.
    ///
    /// # Errors
    /// `InvalidNetworkInterfaceID.NotFound`; `IncorrectState` if it is not attached.
    pub fn hide_from_metadata(&mut self, id: &EniId, until: Timestamp) -> Result<(), ApiError> {
        let eni = self.eni(id)?;
        let mac = eni.mac;
        let instance = eni.attachment.as_ref().map(|a| a.instance.clone());
        let Some((id, instance)) = instance.and_then(|id| {
            let instance = self.instances.get_mut(&id)?;
            Some((id, instance))
        }) else {
            let message = format!("Interface '{id}' is not attached to an instance.");
            return Err(ApiError::client("IncorrectState", message));
        };
        instance.metadata.hidden.insert(mac, until);
        self.note(until, Subject::Instance(id.clone()));
        self.learn(&id);
        self.changed();
        Ok(())
    }

    /// Announces the ENI's present facts to its instance's metadata service, to be known after
    /// the lag, but not before its link is there.
    pub(super) fn announce(&mut self, id: &EniId) {
        let lag = self.config.imds_lag.sample(&mut self.random);
        let Some((mac, attachment, facts)) = self.enis.get(id).and_then(|eni| {
            let attachment = eni.attachment.clone()?;
            Some((eni.mac, attachment, self.meta_eni(id)?))
        }) else {
            return;
        };
        let at = attachment.link_from.max(self.now) + lag;
        self.tell(&attachment.instance, at, mac, Some(facts));
    }

    /// Announces something to an instance's metadata service for a moment.
    pub(super) fn tell(
        &mut self,
        id: &InstanceId,
        at: Timestamp,
        mac: MacAddress,
        facts: Option<MetaEni>,
    ) {
        let now = self.now;
        if let Some(instance) = self.instances.get_mut(id) {
            let at = instance.metadata.announce(at, mac, facts);
            instance.metadata.advance(now);
            self.note(at, Subject::Instance(id.clone()));
        }
    }

    pub(super) fn meta_eni(&self, id: &EniId) -> Option<MetaEni> {
        let eni = self.enis.get(id)?;
        let attachment = eni.attachment.as_ref()?;
        let name = |group: &SecurityGroupId| {
            let name = self.groups.get(group).map(|g| g.name.clone());
            (group.clone(), name.unwrap_or_default())
        };
        let subnet = self.subnets.get(&eni.subnet)?;
        let vpc = self.vpcs.get(&eni.vpc)?;
        Some(MetaEni {
            id: id.clone(),
            device: attachment.device,
            card: attachment.card,
            addresses: eni.all_addresses(),
            prefixes: eni.prefixes.clone(),
            ipv6: eni.ipv6.clone(),
            ipv6_prefixes: eni.ipv6_prefixes.clone(),
            security_groups: eni.security_groups.iter().map(name).collect(),
            subnet: eni.subnet.clone(),
            subnet_cidr: subnet.space.cidr(),
            subnet_ipv6: subnet.ipv6.as_ref().map(SpaceV6::cidr),
            vpc: eni.vpc.clone(),
            vpc_cidr: vpc.cidr,
            vpc_ipv6: vpc.ipv6,
            public: eni.public,
        })
    }
}
