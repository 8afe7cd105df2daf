//! Attachments: `AttachNetworkInterface`, `DetachNetworkInterface`, and their end.

use vpc_aws::ec2::wire::{
    AttachNetworkInterfaceRequest, AttachNetworkInterfaceResponse, DetachNetworkInterfaceRequest,
    DetachNetworkInterfaceResponse,
};
use vpc_model::{DeviceIndex, EniId, InstanceId, NetworkCard, Timestamp};

use super::World;
use super::agenda::Subject;
use super::modify::refuse_dry_run;
use super::state::{Attachment, Eni, Instance};
use super::wanted::address_limit;
use crate::error::ApiError;

/// A place for an ENI in an instance.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) instance: InstanceId,
    pub(super) device: DeviceIndex,
    pub(super) card: NetworkCard,
}

impl World {
    /// Attaches an ENI. The link and the status `attached` come later.
    ///
    /// # Errors
    /// As EC2's: unknown ENI or instance, an ENI that is attached already, another availability
    /// zone, a device index that is taken, more ENIs or addresses than the type allows.
    pub fn attach_network_interface(
        &mut self,
        request: &AttachNetworkInterfaceRequest,
        now: Timestamp,
    ) -> Result<AttachNetworkInterfaceResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let id = self.eni_id(request.network_interface_id.as_deref())?;
        let instance = self.instance_id(request.instance_id.as_deref())?;
        let default_card = self.instance(&instance)?.limits.default_card;
        let card = request.network_card_index.map(card_number).transpose()?;
        let place = Place {
            instance,
            device: DeviceIndex(device_number(request.device_index)?),
            card: card.unwrap_or(default_card),
        };
        self.check_attach(&id, &place)?;
        let link_from = self.now + self.config.attach_link.sample(&mut self.random);
        let attachment = Attachment {
            id: self.random.id("eni-attach-"),
            instance: place.instance,
            device: place.device,
            card: place.card,
            requested_at: self.now,
            link_from,
            attached_from: link_from + self.config.attach_status.sample(&mut self.random),
            ends_at: None,
            delete_on_termination: false,
        };
        let response = AttachNetworkInterfaceResponse {
            attachment_id: Some(attachment.id.to_string()),
            network_card_index: Some(attachment.card.0.into()),
            ..Default::default()
        };
        self.bind(&id, attachment)?;
        self.announce(&id);
        self.changed();
        Ok(response)
    }

    fn check_attach(&self, id: &EniId, place: &Place) -> Result<(), ApiError> {
        let eni = self.eni(id)?;
        let instance = self.instance(&place.instance)?;
        if eni.attachment.is_some() {
            return Err(ApiError::client(
                "InvalidNetworkInterface.InUse",
                format!("Interface: [{id}] in use."),
            ));
        }
        if eni.interface_type == "branch" {
            return Err(ApiError::client(
                "OperationNotPermitted",
                format!("The branch network interface '{id}' cannot be attached."),
            ));
        }
        if instance.state(self.now).1 != "running" {
            return Err(ApiError::client(
                "IncorrectInstanceState",
                format!("The instance '{}' is not in a valid state.", place.instance),
            ));
        }
        if eni.availability_zone != instance.availability_zone {
            return Err(ApiError::client(
                "InvalidParameterCombination",
                "You may not attach a network interface to an instance if they are not in the \
                 same availability zone",
            ));
        }
        self.check_place(instance, place)?;
        check_fit(eni, instance)
    }

    pub(super) fn check_place(&self, instance: &Instance, place: &Place) -> Result<(), ApiError> {
        let kind = &instance.instance_type;
        let limits = instance.limits.cards.iter().find(|c| c.card == place.card);
        let Some(limits) = limits else {
            return Err(ApiError::invalid(format!(
                "Network card index {} exceeds the limit for {kind}",
                place.card.0
            )));
        };
        let on_card: Vec<&Attachment> = self
            .attachments_of(&place.instance)
            .filter(|other| other.card == place.card)
            .collect();
        if on_card.iter().any(|other| other.device == place.device) {
            return Err(ApiError::invalid(format!(
                "Instance '{}' already has an interface attached at device index '{}'.",
                place.instance, place.device.0
            )));
        }
        let count = on_card.len() + 1;
        if count > usize::try_from(limits.enis).unwrap_or(usize::MAX) {
            return Err(ApiError::client(
                "AttachmentLimitExceeded",
                format!("Interface count {count} exceeds the limit for {kind}"),
            ));
        }
        Ok(())
    }

    /// Begins to detach an ENI; the attachment ends later.
    ///
    /// # Errors
    /// As EC2's: unknown attachment, the primary ENI (`OperationNotPermitted`), an attachment that
    /// is being detached already (`IncorrectState`).
    pub fn detach_network_interface(
        &mut self,
        request: &DetachNetworkInterfaceRequest,
        now: Timestamp,
    ) -> Result<DetachNetworkInterfaceResponse, ApiError> {
        self.advance(now);
        refuse_dry_run(request.dry_run)?;
        let (id, attachment) = self.attachment(request.attachment_id.as_deref())?;
        if self.is_primary(attachment) {
            return Err(ApiError::client(
                "OperationNotPermitted",
                format!(
                    "The network interface at device index 0 and networkCard index {} cannot be \
                     detached.",
                    attachment.card.0
                ),
            ));
        }
        if attachment.ends_at.is_some() {
            return Err(ApiError::client(
                "IncorrectState",
                format!("The attachment '{}' is being detached", attachment.id),
            ));
        }
        let ends_at = self.now + self.config.detach.sample(&mut self.random);
        if let Some(attachment) = self.eni_mut(&id)?.attachment.as_mut() {
            attachment.ends_at = Some(ends_at);
        }
        self.note(ends_at, Subject::Eni(id.clone()));
        self.changed();
        self.end_attachment(&id);
        Ok(DetachNetworkInterfaceResponse {
            r#return: Some(true),
            ..Default::default()
        })
    }

    /// Whether it is the attachment of an instance's primary ENI.
    pub(super) fn is_primary(&self, attachment: &Attachment) -> bool {
        let instance = self.instances.get(&attachment.instance);
        attachment.device == DeviceIndex(0)
            && instance.is_some_and(|i| i.limits.default_card == attachment.card)
    }

    /// Makes an attachment an ENI's, and notes what will become of it.
    pub(super) fn bind(&mut self, id: &EniId, attachment: Attachment) -> Result<(), ApiError> {
        for at in attachment.moments() {
            self.note(at, Subject::Eni(id.clone()));
        }
        let on = self.attached.entry(attachment.instance.clone());
        on.or_default().insert(id.clone());
        self.eni_mut(id)?.attachment = Some(attachment);
        Ok(())
    }

    /// The attachments of an instance.
    pub(super) fn attachments_of(
        &self,
        instance: &InstanceId,
    ) -> impl Iterator<Item = &Attachment> {
        let on = self.attached.get(instance).into_iter().flatten();
        on.filter_map(|id| self.enis.get(id)?.attachment.as_ref())
            .filter(move |attachment| attachment.instance == *instance)
    }

    /// Ends an ENI's attachment if that is due; metadata learns of it later.
    pub(super) fn end_attachment(&mut self, id: &EniId) {
        let now = self.now;
        let over = |a: &Attachment| a.ends_at.is_some_and(|at| at <= now);
        let attachment = |eni: &Eni| eni.attachment.as_ref().is_some_and(over);
        if !self.enis.get(id).is_some_and(attachment) {
            return;
        }
        self.before_change_of(id);
        let Some(eni) = self.enis.get_mut(id) else {
            return;
        };
        let Some(ended) = eni.attachment.take() else {
            return;
        };
        let mac = eni.mac;
        self.revision += 1;
        if let Some(on) = self.attached.get_mut(&ended.instance) {
            on.remove(id);
        }
        let lag = self.config.imds_lag.sample(&mut self.random);
        let since = ended.ends_at.unwrap_or(now);
        self.tell(&ended.instance, since + lag, mac, None);
    }
}

/// Whether what the ENI holds is allowed on the instance.
pub(super) fn check_fit(eni: &Eni, instance: &Instance) -> Result<(), ApiError> {
    let kind = &instance.instance_type;
    let limit = usize::try_from(instance.limits.ipv4_per_eni).unwrap_or(usize::MAX);
    if eni.used_slots() > limit {
        return Err(address_limit());
    }
    if !eni.prefixes.is_empty() && !instance.limits.supports_prefixes() {
        return Err(ApiError::client(
            "UnsupportedOperation",
            format!("Prefixes are not supported on {kind}"),
        ));
    }
    Ok(())
}

pub(super) fn device_number(index: Option<i32>) -> Result<u8, ApiError> {
    let index = index.ok_or_else(|| ApiError::missing("deviceIndex"))?;
    let device = u8::try_from(index).ok().filter(|device| *device < 100);
    device.ok_or_else(|| {
        ApiError::invalid(format!(
            "Value ({index}) for parameter deviceIndex is invalid. It must be 0 to 99."
        ))
    })
}

pub(super) fn card_number(index: i32) -> Result<NetworkCard, ApiError> {
    u8::try_from(index).map(NetworkCard).map_err(|_| {
        ApiError::invalid(format!(
            "Value ({index}) for parameter networkCardIndex is invalid."
        ))
    })
}
