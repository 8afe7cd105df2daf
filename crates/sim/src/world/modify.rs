//! `ModifyNetworkInterfaceAttribute`, one attribute at a time.

use vpc_aws::ec2::wire::{
    ModifyNetworkInterfaceAttributeRequest, ModifyNetworkInterfaceAttributeResponse,
    NetworkInterfaceAttachmentChanges,
};
use vpc_model::{EniId, Timestamp};

use super::World;
use super::lookup::required;
use super::state::Attachment;
use crate::error::ApiError;

/// Answers a request that only asks whether it would be permitted.
pub(super) fn refuse_dry_run(dry_run: Option<bool>) -> Result<(), ApiError> {
    if dry_run == Some(true) {
        return Err(ApiError::with_status(
            "DryRunOperation",
            "Request would have succeeded, but DryRun flag is set.",
            412,
        ));
    }
    Ok(())
}

impl World {
    /// Changes one attribute of an ENI.
    ///
    /// # Errors
    /// As EC2's: unknown ENI, attachment or security group; none or several attributes.
    pub fn modify_network_interface_attribute(
        &mut self,
        request: &ModifyNetworkInterfaceAttributeRequest,
        now: Timestamp,
    ) -> Result<ModifyNetworkInterfaceAttributeResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let id = self.eni_id(request.network_interface_id.as_deref())?;
        let attributes = [
            request.description.is_some(),
            request.source_dest_check.is_some(),
            !request.groups.is_empty(),
            request.attachment.is_some(),
            request.connection_tracking_specification.is_some(),
            request.enable_primary_ipv6.is_some(),
        ];
        match attributes.iter().filter(|given| **given).count() {
            1 => {}
            0 => return Err(ApiError::missing("attribute")),
            _ => {
                return Err(ApiError::client(
                    "InvalidParameterCombination",
                    "Only one attribute may be modified at a time",
                ));
            }
        }
        self.modify(&id, request)?;
        self.announce(&id);
        self.changed();
        Ok(ModifyNetworkInterfaceAttributeResponse {
            r#return: Some(true),
            ..Default::default()
        })
    }

    fn modify(
        &mut self,
        id: &EniId,
        request: &ModifyNetworkInterfaceAttributeRequest,
    ) -> Result<(), ApiError> {
        if request.enable_primary_ipv6.is_some() {
            // No pod's address depends on it.
            let message = "Primary IPv6 addresses are not supported here";
            return Err(ApiError::client("UnsupportedOperation", message));
        }
        if let Some(changes) = &request.attachment {
            return self.modify_attachment(id, changes);
        }
        let vpc = self.eni(id)?.vpc.clone();
        let groups = self.security_groups(&request.groups, &vpc)?;
        let eni = self.eni_mut(id)?;
        if !groups.is_empty() {
            eni.security_groups = groups;
        }
        if let Some(description) = &request.description {
            eni.description = description.value.clone().unwrap_or_default();
        }
        if let Some(check) = &request.source_dest_check {
            let value = check.value;
            eni.source_dest_check =
                value.ok_or_else(|| ApiError::missing("sourceDestCheck.value"))?;
        }
        if let Some(tracking) = &request.connection_tracking_specification {
            eni.connection_tracking = Some(tracking.clone());
        }
        Ok(())
    }

    fn modify_attachment(
        &mut self,
        id: &EniId,
        changes: &NetworkInterfaceAttachmentChanges,
    ) -> Result<(), ApiError> {
        let wanted = required(changes.attachment_id.as_deref(), "attachment.attachmentId")?;
        let delete = changes
            .delete_on_termination
            .ok_or_else(|| ApiError::missing("attachment.deleteOnTermination"))?;
        let own = |attachment: &&mut Attachment| attachment.id.as_str() == wanted;
        if let Some(attachment) = self.eni_mut(id)?.attachment.as_mut().filter(own) {
            attachment.delete_on_termination = delete;
            return Ok(());
        }
        self.attachment(Some(wanted))?;
        Err(ApiError::invalid(format!(
            "The attachment '{wanted}' is not one of interface '{id}'"
        )))
    }
}
