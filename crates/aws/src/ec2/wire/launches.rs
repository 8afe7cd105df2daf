//! Instances: launch, terminate.

use super::{
    GroupIdentifier, Instance, InstanceState, Ipv4Prefix, Placement, PrivateIpAddressSpecification,
    Set, TagSpecification,
};

impl_part!(Placement {
    availability_zone = "AvailabilityZone",
    availability_zone_id = "AvailabilityZoneId",
    group_name = "GroupName",
    tenancy = "Tenancy",
});

request! {
    /// Launches instances.
    "RunInstances" RunInstancesRequest -> RunInstancesResponse {
        /// The machine image.
        image_id: Option<String> = "ImageId",
        /// For example `m5.large`; `m1.small` if absent.
        instance_type: Option<String> = "InstanceType",
        /// The fewest that will do.
        min_count: Option<i32> = "MinCount",
        /// The most that are wanted.
        max_count: Option<i32> = "MaxCount",
        /// The SSH key pair.
        key_name: Option<String> = "KeyName",
        /// What the instance reads at its first start, in base 64.
        user_data: Option<String> = "UserData",
        /// The subnet of the primary ENI. Not together with `network_interfaces`.
        subnet_id: Option<String> = "SubnetId",
        /// Security groups of the primary ENI. Not together with `network_interfaces`.
        security_group_ids: Vec<String> = "SecurityGroupId",
        /// The primary address, for one instance. Not together with `network_interfaces`.
        private_ip_address: Option<String> = "PrivateIpAddress",
        /// The ENIs.
        network_interfaces: Vec<InstanceNetworkInterfaceSpecification> = "NetworkInterface",
        /// Where it runs.
        placement: Option<Placement> = "Placement",
        /// The role that programs on it have.
        iam_instance_profile: Option<IamInstanceProfileSpecification> = "IamInstanceProfile",
        /// How its metadata service answers.
        metadata_options: Option<InstanceMetadataOptionsRequest> = "MetadataOptions",
        /// Whether network traffic to EBS has a bandwidth of its own.
        ebs_optimized: Option<bool> = "EbsOptimized",
        /// Whether it cannot be terminated by the API.
        disable_api_termination: Option<bool> = "DisableApiTermination",
        /// Makes repetitions safe: the same token and parameters launch once. Up to 64 characters.
        client_token: Option<String> = "ClientToken",
        /// Tags for instances and ENIs.
        tag_specifications: Vec<TagSpecification> = "TagSpecification",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

group! {
    /// An ENI of a launch: a new one, or one that exists.
    InstanceNetworkInterfaceSpecification {
        /// An ENI that exists.
        network_interface_id: Option<String> = "NetworkInterfaceId",
        /// The position on the card; 0 is the primary ENI.
        device_index: Option<i32> = "DeviceIndex",
        /// The network card.
        network_card_index: Option<i32> = "NetworkCardIndex",
        /// The subnet of a new ENI.
        subnet_id: Option<String> = "SubnetId",
        /// Free text.
        description: Option<String> = "Description",
        /// The security groups.
        groups: Vec<String> = "SecurityGroupId",
        /// Whether it is deleted with the instance.
        delete_on_termination: Option<bool> = "DeleteOnTermination",
        /// Whether it gets a public address.
        associate_public_ip_address: Option<bool> = "AssociatePublicIpAddress",
        /// `interface`, `efa` or `efa-only`.
        interface_type: Option<String> = "InterfaceType",
        /// The primary address.
        private_ip_address: Option<String> = "PrivateIpAddress",
        /// Exact addresses.
        private_ip_addresses: Vec<PrivateIpAddressSpecification> = "PrivateIpAddresses",
        /// How many secondary addresses EC2 is to choose.
        secondary_private_ip_address_count: Option<i32> = "SecondaryPrivateIpAddressCount",
        /// Exact /28 prefixes.
        ipv4_prefixes: Vec<Ipv4Prefix> = "Ipv4Prefix",
        /// How many /28 prefixes EC2 is to choose.
        ipv4_prefix_count: Option<i32> = "Ipv4PrefixCount",
    }
}

group! {
    /// The role of an instance's programs.
    IamInstanceProfileSpecification {
        /// By its full name.
        arn: Option<String> = "Arn",
        /// By its name in the account.
        name: Option<String> = "Name",
    }
}

group! {
    /// How a new instance's metadata service answers.
    InstanceMetadataOptionsRequest {
        /// `optional` or `required`: whether a request needs a session token.
        http_tokens: Option<String> = "HttpTokens",
        /// How far a token's answer goes, 1 to 64.
        http_put_response_hop_limit: Option<i32> = "HttpPutResponseHopLimit",
        /// `enabled` or `disabled`.
        http_endpoint: Option<String> = "HttpEndpoint",
    }
}

response! {
    /// What was launched.
    RunInstancesResponse {
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

request! {
    /// Terminates instances, all or none.
    "TerminateInstances" TerminateInstancesRequest -> TerminateInstancesResponse {
        /// The instances.
        instance_ids: Vec<String> = "InstanceId",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// How the instances' states change.
    TerminateInstancesResponse {
        /// The changes.
        terminating_instances: Set<InstanceStateChange> = "instancesSet",
    }
}

element! {
    /// How an instance's state changes.
    InstanceStateChange {
        /// The instance.
        instance_id: Option<String> = "instanceId",
        /// The new state.
        current_state: Option<InstanceState> = "currentState",
        /// The state before.
        previous_state: Option<InstanceState> = "previousState",
    }
}
