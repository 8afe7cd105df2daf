//! `RunInstances`.
//!
//! Instances are launched one after the other in a copy of the world, which takes the world's place
//! when enough of them could be: EC2 launches as many as it can, from the least that will do to the
//! most that are wanted, or none.

use std::net::Ipv4Addr;

use vpc_aws::ec2::wire::{RunInstancesRequest, RunInstancesResponse};
use vpc_model::{DeviceIndex, EniId, InstanceId, Timestamp};

use super::World;
use super::agenda::Subject;
use super::attach::{Place, check_fit};
use super::config::PublicAddress;
use super::launch_order::{Interface, LaunchOrder, Source};
use super::metadata::Metadata;
use super::modify::refuse_dry_run;
use super::state::{Attachment, Instance, Launch, Order};
use crate::error::ApiError;

impl World {
    /// Launches instances. A repetition with the same client token returns the first ones'. They run
    /// after a while.
    ///
    /// # Errors
    /// As EC2's: a parameter that is missing or cannot be, an unknown type, subnet, security group
    /// or ENI, more ENIs or addresses than the type allows, a subnet without enough free ones, a
    /// client token that was used for another request.
    pub fn run_instances(
        &mut self,
        request: &RunInstancesRequest,
        now: Timestamp,
    ) -> Result<RunInstancesResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let token = request.client_token.as_deref().unwrap_or_default();
        if let Some(earlier) = self.launches.get(token) {
            if &earlier.request != request {
                return Err(ApiError::client(
                    "IdempotentParameterMismatch",
                    format!("The client token '{token}' was used with other parameters"),
                ));
            }
            return self.launched(&earlier.instances);
        }
        let order = self.launch_order(request)?;
        let (mut trial, instances) = match self.launch(&order, order.most) {
            Ok(done) => done,
            // As many as there is room for; what made it fail will come at the same place again.
            Err((room, _)) if room >= order.least => {
                self.launch(&order, room).map_err(|(_, error)| error)?
            }
            Err((_, error)) => return Err(error),
        };
        if !token.is_empty() {
            let launch = Launch {
                request: request.clone(),
                instances: instances.clone(),
            };
            trial.launches.insert(token.to_owned(), launch);
        }
        *self = trial;
        self.changed();
        self.launched(&instances)
    }

    /// The world in which so many instances were launched; or how many could be, and why not more.
    fn launch(
        &self,
        order: &LaunchOrder,
        count: i32,
    ) -> Result<(World, Vec<InstanceId>), (i32, ApiError)> {
        let mut world = self.clone();
        let reservation = format!("r-0{:016x}", world.random.next());
        let mut instances = Vec::new();
        for index in 0..count {
            let launched = world.launch_one(order, index, &reservation);
            instances.push(launched.map_err(|error| (index, error))?);
        }
        Ok((world, instances))
    }

    fn launched(&self, ids: &[InstanceId]) -> Result<RunInstancesResponse, ApiError> {
        let mut response = RunInstancesResponse {
            owner_id: Some(self.config.account.clone()),
            ..Default::default()
        };
        for id in ids {
            let instance = self.instance(id)?;
            response.reservation_id = Some(instance.reservation.clone());
            let described = self.describe_instance(id, instance);
            response.instances.item.push(described);
        }
        Ok(response)
    }

    fn launch_one(
        &mut self,
        order: &LaunchOrder,
        index: i32,
        reservation: &str,
    ) -> Result<InstanceId, ApiError> {
        let id: InstanceId = self.random.id("i-");
        let subnet = self.subnet(&order.subnet)?;
        let name = order.tags.get("Name").cloned();
        let instance = Instance {
            name: name.unwrap_or_else(|| id.to_string()),
            instance_type: order.instance_type.clone(),
            limits: order.limits.clone(),
            subnet: order.subnet.clone(),
            vpc: subnet.vpc.clone(),
            availability_zone: subnet.availability_zone.clone(),
            reservation: reservation.to_owned(),
            image: order.image.clone(),
            launched_at: self.now,
            running_from: self.now + self.config.launch.sample(&mut self.random),
            stops_at: None,
            terminated_at: None,
            order: Order {
                index,
                ..order.rest.clone()
            },
            tags: order.tags.clone(),
            metadata: Metadata::default(),
        };
        self.note(instance.running_from, Subject::Instance(id.clone()));
        self.instances.insert(id.clone(), instance);
        for interface in &order.interfaces {
            self.launch_interface(&id, interface)?;
        }
        Ok(id)
    }

    /// Makes an ENI of a new instance, or takes the one that exists, and attaches it.
    fn launch_interface(&mut self, id: &InstanceId, new: &Interface) -> Result<(), ApiError> {
        let eni = match &new.source {
            Source::Existing(eni) => self.unattached(eni)?,
            Source::New(request) => {
                let blueprint = self.blueprint(request)?;
                let eni = self.make_eni(blueprint)?;
                self.eni_mut(&eni)?
                    .interface_type
                    .clone_from(&new.interface_type);
                eni
            }
        };
        let instance = self.instance(id)?;
        let place = Place {
            instance: id.clone(),
            device: DeviceIndex(new.device),
            card: new.card.unwrap_or(instance.limits.default_card),
        };
        self.check_place(instance, &place)?;
        check_fit(self.eni(&eni)?, instance)?;
        if self.eni(&eni)?.availability_zone != instance.availability_zone {
            return Err(ApiError::invalid(format!(
                "Network interface '{eni}' is not in availability zone {}",
                instance.availability_zone
            )));
        }
        let running_from = instance.running_from;
        let wanted = if new.public {
            PublicAddress::FromPool
        } else {
            PublicAddress::None
        };
        let public: Option<Ipv4Addr> = self.public_address(wanted)?;
        let attachment = Attachment {
            id: self.random.id("eni-attach-"),
            instance: place.instance,
            device: place.device,
            card: place.card,
            requested_at: self.now,
            link_from: running_from,
            attached_from: running_from,
            ends_at: None,
            delete_on_termination: new.delete_on_termination,
        };
        self.bind(&eni, attachment)?;
        let state = self.eni_mut(&eni)?;
        state.public = public;
        let mac = state.mac;
        let facts = self.meta_eni(&eni);
        self.tell(id, running_from, mac, facts);
        Ok(())
    }

    fn unattached(&self, id: &EniId) -> Result<EniId, ApiError> {
        if self.eni(id)?.attachment.is_some() {
            return Err(ApiError::client(
                "InvalidNetworkInterface.InUse",
                format!("Interface: [{id}] in use."),
            ));
        }
        Ok(id.clone())
    }
}
