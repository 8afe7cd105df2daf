//! `TerminateInstances`, and the end of instances.

use vpc_aws::ec2::wire::{
    InstanceState, InstanceStateChange, TerminateInstancesRequest, TerminateInstancesResponse,
};
use vpc_model::{InstanceId, Timestamp};

use super::World;
use super::agenda::Subject;
use super::lookup::parse_id;
use super::modify::refuse_dry_run;
use crate::error::ApiError;

impl World {
    /// Begins to terminate instances, all or none; they end after a while. An instance that ends or
    /// has ended stays as it is.
    ///
    /// # Errors
    /// As EC2's: no instance, an unknown one, one that is protected (`OperationNotPermitted`).
    pub fn terminate_instances(
        &mut self,
        request: &TerminateInstancesRequest,
        now: Timestamp,
    ) -> Result<TerminateInstancesResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        if request.instance_ids.is_empty() {
            return Err(ApiError::missing("InstanceId"));
        }
        let ids = self.all_instances(&request.instance_ids)?;
        for id in &ids {
            if self.instance(id)?.order.protected {
                return Err(ApiError::client(
                    "OperationNotPermitted",
                    format!(
                        "The instance '{id}' may not be terminated. Modify its \
                         'disableApiTermination' instance attribute and try again."
                    ),
                ));
            }
        }
        let mut changes = Vec::new();
        for id in &ids {
            let previous = self.instance(id)?.state(self.now);
            let stops_at = self.now + self.config.terminate.sample(&mut self.random);
            if let Some(instance) = self.instances.get_mut(id) {
                let stops_at = *instance.stops_at.get_or_insert(stops_at);
                self.note(stops_at, Subject::Instance(id.clone()));
            }
            changes.push((id.clone(), previous));
        }
        self.changed();
        for id in &ids {
            self.end_if_over(id);
        }
        let change = |(id, previous): &(InstanceId, _)| {
            let current = self.instances.get(id).map(|i| i.state(self.now));
            InstanceStateChange {
                instance_id: Some(id.to_string()),
                current_state: current.map(wire_state),
                previous_state: Some(wire_state(*previous)),
            }
        };
        Ok(TerminateInstancesResponse {
            terminating_instances: changes.iter().map(change).collect(),
            ..Default::default()
        })
    }

    /// The instances of a request, each once. All that are unknown are named.
    fn all_instances(&self, texts: &[String]) -> Result<Vec<InstanceId>, ApiError> {
        let mut ids: Vec<InstanceId> = Vec::new();
        for text in texts {
            let id = parse_id(text, "InvalidInstanceID", "i")?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let unknown = ids.iter().filter(|id| !self.instances.contains_key(*id));
        let unknown: Vec<&str> = unknown.map(InstanceId::as_str).collect();
        match unknown.as_slice() {
            [] => Ok(ids),
            [one] => Err(ApiError::client(
                "InvalidInstanceID.NotFound",
                format!("The instance ID '{one}' does not exist"),
            )),
            many => Err(ApiError::client(
                "InvalidInstanceID.NotFound",
                format!("The instance IDs '{}' do not exist", many.join(", ")),
            )),
        }
    }

    /// Ends an instance if that is due.
    pub(super) fn end_if_over(&mut self, id: &InstanceId) {
        let now = self.now;
        let over = self.instances.get(id).is_some_and(|instance| {
            let over = instance.stops_at.is_some_and(|at| at <= now);
            over && instance.terminated_at.is_none()
        });
        if over {
            self.end_instance(id);
        }
    }
}

fn wire_state((code, name): (i32, &'static str)) -> InstanceState {
    InstanceState {
        code: Some(code),
        name: Some(name.to_owned()),
    }
}
