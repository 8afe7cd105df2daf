//! Instances as whoever builds a world launches and terminates them: at once, without a request.

use std::net::Ipv4Addr;

use vpc_model::instance_types::InstanceTypes;
use vpc_model::{DeviceIndex, EniId, InstanceId, Timestamp};

use super::World;
use super::config::{PublicAddress, RunInstance, Secondary};
use super::create::Blueprint;
use super::metadata::Metadata;
use super::state::{Attachment, Instance, Order, Tags};
use super::wanted::{Wanted, address_limit};
use super::wanted_v6::Wanted as WantedV6;
use crate::error::ApiError;

impl World {
    /// Launches an instance. It runs at once, its primary ENI is attached and known to its
    /// metadata.
    ///
    /// # Errors
    /// A type that the table does not have (`InvalidInstanceType`), and what refuses an ENI; a
    /// public address that is taken.
    pub fn run_instance(
        &mut self,
        spec: RunInstance,
        now: Timestamp,
    ) -> Result<InstanceId, ApiError> {
        self.advance(now);
        let types = InstanceTypes::builtin();
        let Some(limits) = types.get(&spec.instance_type).cloned() else {
            let near = types.near(spec.instance_type.as_str(), 3).join(", ");
            let message = format!(
                "Invalid value '{}' for InstanceType; near it: {near}",
                spec.instance_type
            );
            return Err(ApiError::client("InvalidInstanceType", message));
        };
        let wanted = wanted(spec.secondary);
        if wanted.slots() + 1 > usize::try_from(limits.ipv4_per_eni).unwrap_or(usize::MAX) {
            return Err(address_limit());
        }
        if wanted.has_prefixes() && !limits.supports_prefixes() {
            let message = format!("Prefixes are not supported on {}", spec.instance_type);
            return Err(ApiError::client("UnsupportedOperation", message));
        }
        let public = self.public_address(spec.public)?;
        let subnet = self.subnet(&spec.subnet)?;
        let (vpc, zone) = (subnet.vpc.clone(), subnet.availability_zone.clone());
        let default_group = self.vpc(&vpc)?.default_group.clone();
        let eni = self.make_eni(Blueprint {
            wanted_v6: WantedV6::Nothing,
            subnet: spec.subnet.clone(),
            primary: spec.private_ip,
            wanted,
            security_groups: vec![default_group],
            description: String::new(),
            interface_type: "interface".to_owned(),
            tags: Tags::new(),
        })?;
        let id: InstanceId = self.random.id("i-");
        let instance = Instance {
            instance_type: spec.instance_type,
            limits,
            subnet: spec.subnet,
            vpc,
            availability_zone: zone,
            reservation: format!("r-0{:016x}", self.random.next()),
            image: format!("ami-0{:016x}", self.random.next()),
            launched_at: self.now,
            running_from: self.now,
            stops_at: None,
            terminated_at: None,
            order: Order::default(),
            tags: Tags::from([("Name".to_owned(), spec.name.clone())]),
            name: spec.name,
            metadata: Metadata::default(),
        };
        self.instances.insert(id.clone(), instance);
        self.attach_primary(&id, &eni, public)?;
        Ok(id)
    }

    fn attach_primary(
        &mut self,
        instance: &InstanceId,
        eni: &EniId,
        public: Option<Ipv4Addr>,
    ) -> Result<(), ApiError> {
        let attachment = Attachment {
            id: self.random.id("eni-attach-"),
            instance: instance.clone(),
            device: DeviceIndex(0),
            card: self.instance(instance)?.limits.default_card,
            requested_at: self.now,
            link_from: self.now,
            attached_from: self.now,
            ends_at: None,
            delete_on_termination: true,
        };
        self.bind(eni, attachment)?;
        let state = self.eni_mut(eni)?;
        state.public = public;
        let mac = state.mac;
        let facts = self.meta_eni(eni);
        self.tell(instance, self.now, mac, facts);
        self.changed();
        Ok(())
    }

    pub(super) fn public_address(
        &self,
        wanted: PublicAddress,
    ) -> Result<Option<Ipv4Addr>, ApiError> {
        let used = |address: &Ipv4Addr| self.enis.values().any(|e| e.public == Some(*address));
        match wanted {
            PublicAddress::None => Ok(None),
            PublicAddress::Exact(address) if used(&address) => Err(ApiError::client(
                "InvalidIPAddress.InUse",
                format!("Address {address} is in use."),
            )),
            PublicAddress::Exact(address) => Ok(Some(address)),
            PublicAddress::FromPool => {
                let free = self.config.public_pool.hosts().find(|a| !used(a));
                let exhausted = || {
                    let message = "The pool of public addresses has no free one";
                    ApiError::client("AddressLimitExceeded", message)
                };
                free.map(Some).ok_or_else(exhausted)
            }
        }
    }

    /// Ends an instance at once: ENIs with `DeleteOnTermination` are deleted, the others become
    /// available.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`.
    pub fn terminate_instance(&mut self, id: &InstanceId, now: Timestamp) -> Result<(), ApiError> {
        self.advance(now);
        self.instance(id)?;
        self.end_instance(id);
        Ok(())
    }

    pub(super) fn end_instance(&mut self, id: &InstanceId) {
        let mut deleted = Vec::new();
        for eni in self.attached.remove(id).into_iter().flatten() {
            let Some(state) = self.enis.get_mut(&eni) else {
                continue;
            };
            let here = |a: &mut Attachment| &a.instance == id;
            if let Some(ended) = state.attachment.take_if(here) {
                state.public = None;
                if ended.delete_on_termination {
                    deleted.push(eni);
                }
            }
        }
        for eni in deleted {
            self.drop_eni(&eni);
        }
        let now = self.now;
        if let Some(instance) = self.instances.get_mut(id) {
            instance.terminated_at.get_or_insert(now);
            instance.metadata.clear();
        }
        self.changed();
    }

    /// The running instance whose primary ENI has this primary address.
    #[must_use]
    pub fn instance_at(&self, address: Ipv4Addr) -> Option<InstanceId> {
        self.enis
            .values()
            .filter(|eni| eni.primary == address)
            .filter_map(|eni| eni.attachment.as_ref())
            .find(|attachment| self.is_primary(attachment))
            .map(|a| a.instance.clone())
    }
}

fn wanted(secondary: Secondary) -> Wanted {
    let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    match secondary {
        Secondary::None | Secondary::Addresses(0) | Secondary::Prefixes(0) => Wanted::Nothing,
        Secondary::Addresses(number) => Wanted::Addresses(count(number)),
        Secondary::Prefixes(number) => Wanted::Prefixes(count(number)),
    }
}
