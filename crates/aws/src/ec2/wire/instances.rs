//! `DescribeInstances` and the description of an instance.

use super::{Filter, GroupIdentifier, InstanceIpv6Address, Ipv4Prefix, Ipv6Prefix, Set, Tag};

request! {
    /// Asks for instances by id or by condition, page by page.
    "DescribeInstances" DescribeInstancesRequest -> DescribeInstancesResponse {
        /// Only these instances; an unknown one fails the call. Not together with `max_results`.
        instance_ids: Vec<String> = "InstanceId",
        /// Only instances that meet every condition.
        filters: Vec<Filter> = "Filter",
        /// Where the previous page ended.
        next_token: Option<String> = "NextToken",
        /// Page size, 5 to 1000.
        max_results: Option<i32> = "MaxResults",
        /// Whether instances that AWS manages are listed too.
        include_managed_resources: Option<bool> = "IncludeManagedResources",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// Instances, by the request that launched them.
    DescribeInstancesResponse {
        /// The reservations.
        reservations: Set<Reservation> = "reservationSet",
        /// Where the next page begins; absent or empty on the last one.
        next_token: Option<String> = "nextToken",
    }
}

element! {
    /// The instances of one launch request.
    Reservation {
        /// `r-…`.
        reservation_id: Option<String> = "reservationId",
        /// The account that owns it.
        owner_id: Option<String> = "ownerId",
        /// Who launched it on the owner's behalf.
        requester_id: Option<String> = "requesterId",
        /// Empty in a VPC.
        groups: Set<GroupIdentifier> = "groupSet",
        /// The instances.
        instances: Set<Instance> = "instancesSet",
    }
}

element! {
    /// An instance.
    Instance {
        /// `i-…`.
        instance_id: Option<String> = "instanceId",
        /// The machine image.
        image_id: Option<String> = "imageId",
        /// The state it is in.
        state: Option<InstanceState> = "instanceState",
        /// The DNS name of the primary address.
        private_dns_name: Option<String> = "privateDnsName",
        /// The public DNS name, empty if there is none.
        public_dns_name: Option<String> = "dnsName",
        /// Why it is in that state.
        state_transition_reason: Option<String> = "reason",
        /// The same as code and text.
        state_reason: Option<StateReason> = "stateReason",
        /// The SSH key pair.
        key_name: Option<String> = "keyName",
        /// The position in its reservation.
        ami_launch_index: Option<i32> = "amiLaunchIndex",
        /// For example `m5.large`.
        instance_type: Option<String> = "instanceType",
        /// When it was launched, ISO 8601.
        launch_time: Option<String> = "launchTime",
        /// Where it runs.
        placement: Option<Placement> = "placement",
        /// Detailed monitoring.
        monitoring: Option<Monitoring> = "monitoring",
        /// The subnet of the primary ENI.
        subnet_id: Option<String> = "subnetId",
        /// The VPC of the primary ENI.
        vpc_id: Option<String> = "vpcId",
        /// The primary ENI's primary address.
        private_ip_address: Option<String> = "privateIpAddress",
        /// The public address, if any.
        public_ip_address: Option<String> = "ipAddress",
        /// The primary ENI's `source_dest_check`.
        source_dest_check: Option<bool> = "sourceDestCheck",
        /// The primary ENI's security groups.
        security_groups: Set<GroupIdentifier> = "groupSet",
        /// `i386`, `x86_64` or `arm64`.
        architecture: Option<String> = "architecture",
        /// `ebs` or `instance-store`.
        root_device_type: Option<String> = "rootDeviceType",
        /// For example `/dev/xvda`.
        root_device_name: Option<String> = "rootDeviceName",
        /// `hvm` or `paravirtual`.
        virtualization_type: Option<String> = "virtualizationType",
        /// The idempotency token of the launch.
        client_token: Option<String> = "clientToken",
        /// The tags.
        tags: Set<Tag> = "tagSet",
        /// `xen`, also on Nitro.
        hypervisor: Option<String> = "hypervisor",
        /// The attached ENIs.
        network_interfaces: Set<InstanceNetworkInterface> = "networkInterfaceSet",
        /// Whether it has the enhanced networking driver.
        ena_support: Option<bool> = "enaSupport",
        /// How IMDS may be used.
        metadata_options: Option<InstanceMetadataOptions> = "metadataOptions",
    }
}

element! {
    /// The state of an instance.
    InstanceState {
        /// 0 pending, 16 running, 32 shutting-down, 48 terminated, 64 stopping, 80 stopped.
        code: Option<i32> = "code",
        /// The same in words.
        name: Option<String> = "name",
    }
}

element! {
    /// Why an instance is in its state.
    StateReason {
        /// For example `Client.UserInitiatedShutdown`.
        code: Option<String> = "code",
        /// A sentence.
        message: Option<String> = "message",
    }
}

element! {
    /// Where an instance runs.
    Placement {
        /// The name of the availability zone.
        availability_zone: Option<String> = "availabilityZone",
        /// The availability zone's id, the same in every account.
        availability_zone_id: Option<String> = "availabilityZoneId",
        /// The placement group; empty if none.
        group_name: Option<String> = "groupName",
        /// `default`, `dedicated` or `host`.
        tenancy: Option<String> = "tenancy",
    }
}

element! {
    /// Detailed monitoring of an instance.
    Monitoring {
        /// `disabled`, `disabling`, `enabled` or `pending`.
        state: Option<String> = "state",
    }
}

element! {
    /// How an instance's IMDS may be used.
    InstanceMetadataOptions {
        /// `pending` or `applied`.
        state: Option<String> = "state",
        /// `optional` or `required`: whether IMDSv1 is off.
        http_tokens: Option<String> = "httpTokens",
        /// How many network hops a token may travel, 1 to 64.
        http_put_response_hop_limit: Option<i32> = "httpPutResponseHopLimit",
        /// `disabled` or `enabled`.
        http_endpoint: Option<String> = "httpEndpoint",
    }
}

element! {
    /// An ENI as part of an instance's description.
    InstanceNetworkInterface {
        /// `eni-…`.
        network_interface_id: Option<String> = "networkInterfaceId",
        /// The subnet.
        subnet_id: Option<String> = "subnetId",
        /// The VPC.
        vpc_id: Option<String> = "vpcId",
        /// Free text.
        description: Option<String> = "description",
        /// The account that owns it.
        owner_id: Option<String> = "ownerId",
        /// `in-use`, `attaching` or `detaching`.
        status: Option<String> = "status",
        /// Six hexadecimal bytes with colons.
        mac_address: Option<String> = "macAddress",
        /// The primary address.
        private_ip_address: Option<String> = "privateIpAddress",
        /// The DNS name of the primary address.
        private_dns_name: Option<String> = "privateDnsName",
        /// Whether packets must carry an address of the ENI.
        source_dest_check: Option<bool> = "sourceDestCheck",
        /// The security groups.
        groups: Set<GroupIdentifier> = "groupSet",
        /// The attachment.
        attachment: Option<InstanceNetworkInterfaceAttachment> = "attachment",
        /// The public address of the primary address, if any.
        association: Option<InstanceNetworkInterfaceAssociation> = "association",
        /// All private IPv4 addresses, the primary first.
        private_ip_addresses: Set<InstancePrivateIpAddress> = "privateIpAddressesSet",
        /// The IPv6 addresses.
        ipv6_addresses: Set<InstanceIpv6Address> = "ipv6AddressesSet",
        /// The IPv4 prefixes; absent if there are none.
        ipv4_prefixes: Option<Set<Ipv4Prefix>> = "ipv4PrefixSet",
        /// The IPv6 prefixes; absent if there are none.
        ipv6_prefixes: Option<Set<Ipv6Prefix>> = "ipv6PrefixSet",
        /// `interface`, `efa`, `efa-only`, `trunk` and others.
        interface_type: Option<String> = "interfaceType",
    }
}

element! {
    /// The attachment of an ENI, as part of an instance's description.
    InstanceNetworkInterfaceAttachment {
        /// `eni-attach-…`.
        attachment_id: Option<String> = "attachmentId",
        /// The position on the network card.
        device_index: Option<i32> = "deviceIndex",
        /// The network card.
        network_card_index: Option<i32> = "networkCardIndex",
        /// `attaching`, `attached`, `detaching` or `detached`.
        status: Option<String> = "status",
        /// When the attachment was asked for, ISO 8601.
        attach_time: Option<String> = "attachTime",
        /// Whether the ENI is deleted with the instance.
        delete_on_termination: Option<bool> = "deleteOnTermination",
    }
}

element! {
    /// The public address that stands for a private one, as part of an instance's description.
    InstanceNetworkInterfaceAssociation {
        /// Who owns the address; `amazon` unless it is an Elastic IP address.
        ip_owner_id: Option<String> = "ipOwnerId",
        /// The public DNS name.
        public_dns_name: Option<String> = "publicDnsName",
        /// The public address.
        public_ip: Option<String> = "publicIp",
    }
}

element! {
    /// A private IPv4 address, as part of an instance's description.
    InstancePrivateIpAddress {
        /// Its public address, if any.
        association: Option<InstanceNetworkInterfaceAssociation> = "association",
        /// Whether it is the ENI's primary address.
        primary: Option<bool> = "primary",
        /// Its DNS name.
        private_dns_name: Option<String> = "privateDnsName",
        /// The address.
        private_ip_address: Option<String> = "privateIpAddress",
    }
}
