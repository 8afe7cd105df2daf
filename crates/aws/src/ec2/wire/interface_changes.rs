//! The life of an ENI: create, attach, modify, detach, delete.

use super::{
    ConnectionTracking, InstanceIpv6Address, Ipv4Prefix, Ipv6Prefix, NetworkInterface,
    PrivateIpAddressSpecification, TagSpecification,
};

request! {
    /// Creates an ENI in a subnet. At most one of the ways to ask for secondary addresses or
    /// prefixes may be used per family.
    "CreateNetworkInterface" CreateNetworkInterfaceRequest -> CreateNetworkInterfaceResponse {
        /// The subnet.
        subnet_id: Option<String> = "SubnetId",
        /// Free text.
        description: Option<String> = "Description",
        /// The primary address; EC2 chooses if absent.
        private_ip_address: Option<String> = "PrivateIpAddress",
        /// The security groups; the VPC's default group if empty.
        groups: Vec<String> = "SecurityGroupId",
        /// Exact addresses, the primary among them.
        private_ip_addresses: Vec<PrivateIpAddressSpecification> = "PrivateIpAddresses",
        /// How many secondary addresses EC2 is to choose.
        secondary_private_ip_address_count: Option<i32> = "SecondaryPrivateIpAddressCount",
        /// Exact /28 prefixes.
        ipv4_prefixes: Vec<Ipv4Prefix> = "Ipv4Prefix",
        /// How many /28 prefixes EC2 is to choose.
        ipv4_prefix_count: Option<i32> = "Ipv4PrefixCount",
        /// Exact IPv6 addresses.
        ipv6_addresses: Vec<InstanceIpv6Address> = "Ipv6Addresses",
        /// How many IPv6 addresses EC2 is to choose.
        ipv6_address_count: Option<i32> = "Ipv6AddressCount",
        /// Exact /80 prefixes.
        ipv6_prefixes: Vec<Ipv6Prefix> = "Ipv6Prefix",
        /// How many /80 prefixes EC2 is to choose.
        ipv6_prefix_count: Option<i32> = "Ipv6PrefixCount",
        /// Whether the first IPv6 address becomes the primary one.
        enable_primary_ipv6: Option<bool> = "EnablePrimaryIpv6",
        /// `efa`, `efa-only`, `branch` or `trunk`; an ordinary one if absent.
        interface_type: Option<String> = "InterfaceType",
        /// Tags of the new ENI.
        tag_specifications: Vec<TagSpecification> = "TagSpecification",
        /// Makes a repetition of the request return the first one's ENI; up to 64 characters.
        client_token: Option<String> = "ClientToken",
        /// Time-outs of connection tracking.
        connection_tracking_specification: Option<ConnectionTracking> =
            "ConnectionTrackingSpecification",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The ENI that was created.
    CreateNetworkInterfaceResponse {
        /// The ENI.
        network_interface: Option<NetworkInterface> = "networkInterface",
        /// The token of the request.
        client_token: Option<String> = "clientToken",
    }
}

request! {
    /// Attaches an ENI to an instance of the same availability zone.
    "AttachNetworkInterface" AttachNetworkInterfaceRequest -> AttachNetworkInterfaceResponse {
        /// The ENI.
        network_interface_id: Option<String> = "NetworkInterfaceId",
        /// The instance.
        instance_id: Option<String> = "InstanceId",
        /// A position that is free on the card.
        device_index: Option<i32> = "DeviceIndex",
        /// The network card; 0 if absent.
        network_card_index: Option<i32> = "NetworkCardIndex",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The attachment that was made.
    AttachNetworkInterfaceResponse {
        /// `eni-attach-…`.
        attachment_id: Option<String> = "attachmentId",
        /// The network card.
        network_card_index: Option<i32> = "networkCardIndex",
    }
}

request! {
    /// Changes one attribute of an ENI; more than one at a time is refused.
    "ModifyNetworkInterfaceAttribute"
    ModifyNetworkInterfaceAttributeRequest -> ModifyNetworkInterfaceAttributeResponse {
        /// The ENI.
        network_interface_id: Option<String> = "NetworkInterfaceId",
        /// A new description.
        description: Option<AttributeValue> = "Description",
        /// Whether packets must carry an address of the ENI.
        source_dest_check: Option<AttributeBooleanValue> = "SourceDestCheck",
        /// The security groups that replace the present ones.
        groups: Vec<String> = "SecurityGroupId",
        /// What happens to the ENI when its instance ends.
        attachment: Option<NetworkInterfaceAttachmentChanges> = "Attachment",
        /// Whether the first IPv6 address becomes the primary one.
        enable_primary_ipv6: Option<bool> = "EnablePrimaryIpv6",
        /// Time-outs of connection tracking.
        connection_tracking_specification: Option<ConnectionTracking> =
            "ConnectionTrackingSpecification",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

group! {
    /// A text attribute.
    AttributeValue {
        /// The new value.
        value: Option<String> = "Value",
    }
}

group! {
    /// A yes-or-no attribute.
    AttributeBooleanValue {
        /// The new value.
        value: Option<bool> = "Value",
    }
}

group! {
    /// A change of an attachment.
    NetworkInterfaceAttachmentChanges {
        /// The attachment.
        attachment_id: Option<String> = "AttachmentId",
        /// Whether the ENI is deleted with the instance.
        delete_on_termination: Option<bool> = "DeleteOnTermination",
    }
}

response! {
    /// The attribute was changed.
    ModifyNetworkInterfaceAttributeResponse {
        /// Always true.
        r#return: Option<bool> = "return",
    }
}

request! {
    /// Detaches an ENI from its instance.
    "DetachNetworkInterface" DetachNetworkInterfaceRequest -> DetachNetworkInterfaceResponse {
        /// The attachment.
        attachment_id: Option<String> = "AttachmentId",
        /// Do not wait for the instance's consent.
        force: Option<bool> = "Force",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The ENI is being detached.
    DetachNetworkInterfaceResponse {
        /// Always true.
        r#return: Option<bool> = "return",
    }
}

request! {
    /// Deletes an ENI that is not attached.
    "DeleteNetworkInterface" DeleteNetworkInterfaceRequest -> DeleteNetworkInterfaceResponse {
        /// The ENI.
        network_interface_id: Option<String> = "NetworkInterfaceId",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The ENI was deleted.
    DeleteNetworkInterfaceResponse {
        /// Always true.
        r#return: Option<bool> = "return",
    }
}
