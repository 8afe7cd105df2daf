//! Security groups and their rules: create, describe, change, delete.

use super::{Filter, Set, Tag, TagSpecification};

request! {
    /// Makes a security group.
    "CreateSecurityGroup" CreateSecurityGroupRequest -> CreateSecurityGroupResponse {
        /// The name, unique in the VPC.
        group_name: Option<String> = "GroupName",
        /// Free text, required.
        description: Option<String> = "GroupDescription",
        /// The VPC.
        vpc_id: Option<String> = "VpcId",
        /// Tags for it.
        tag_specifications: Vec<TagSpecification> = "TagSpecification",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The new security group.
    CreateSecurityGroupResponse {
        /// `sg-…`.
        group_id: Option<String> = "groupId",
        /// Its name in ARN form.
        security_group_arn: Option<String> = "securityGroupArn",
        /// The tags.
        tags: Set<Tag> = "tagSet",
    }
}

request! {
    /// Deletes a security group that nothing uses.
    "DeleteSecurityGroup" DeleteSecurityGroupRequest -> DeleteSecurityGroupResponse {
        /// The group.
        group_id: Option<String> = "GroupId",
        /// The group by name, which is allowed in the default VPC only.
        group_name: Option<String> = "GroupName",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// It is deleted.
    DeleteSecurityGroupResponse {
        /// Always true.
        r#return: Option<bool> = "return",
        /// The group that was.
        group_id: Option<String> = "groupId",
    }
}

request! {
    /// Asks for security groups by id or by condition, page by page.
    "DescribeSecurityGroups" DescribeSecurityGroupsRequest -> DescribeSecurityGroupsResponse {
        /// Only these groups; an unknown one fails the call.
        group_ids: Vec<String> = "GroupId",
        /// Only groups of these names, of the default VPC.
        group_names: Vec<String> = "GroupName",
        /// Only groups that meet every condition.
        filters: Vec<Filter> = "Filter",
        /// Where the previous page ended.
        next_token: Option<String> = "NextToken",
        /// Page size, 5 to 1000.
        max_results: Option<i32> = "MaxResults",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// Security groups.
    DescribeSecurityGroupsResponse {
        /// The groups, in no particular order.
        security_groups: Set<SecurityGroup> = "securityGroupInfo",
        /// Where the next page begins; absent or empty on the last one.
        next_token: Option<String> = "nextToken",
    }
}

element! {
    /// A security group.
    SecurityGroup {
        /// `sg-…`.
        group_id: Option<String> = "groupId",
        /// The name given at its creation.
        group_name: Option<String> = "groupName",
        /// The text given at its creation.
        description: Option<String> = "groupDescription",
        /// The VPC.
        vpc_id: Option<String> = "vpcId",
        /// The account that owns it.
        owner_id: Option<String> = "ownerId",
        /// Its name in ARN form.
        security_group_arn: Option<String> = "securityGroupArn",
        /// What may come in.
        ip_permissions: Set<IpPermission> = "ipPermissions",
        /// What may go out.
        ip_permissions_egress: Set<IpPermission> = "ipPermissionsEgress",
        /// The tags.
        tags: Set<Tag> = "tagSet",
    }
}

element! {
    /// Rules for one protocol and range of ports, as answers have them.
    IpPermission {
        /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
        ip_protocol: Option<String> = "ipProtocol",
        /// The first port, or the ICMP type; -1 for all types.
        from_port: Option<i32> = "fromPort",
        /// The last port, or the ICMP code; -1 for all codes.
        to_port: Option<i32> = "toPort",
        /// From or to members of these groups.
        user_id_group_pairs: Set<UserIdGroupPair> = "groups",
        /// From or to these IPv4 networks.
        ip_ranges: Set<IpRange> = "ipRanges",
        /// From or to these IPv6 networks.
        ipv6_ranges: Set<Ipv6Range> = "ipv6Ranges",
        /// From or to the networks of these lists.
        prefix_list_ids: Set<PrefixListId> = "prefixListIds",
    }
}

group! {
    /// Rules for one protocol and range of ports, as requests have them; see [`IpPermission`].
    IpPermissionSpecification {
        /// The protocol.
        ip_protocol: Option<String> = "IpProtocol",
        /// The first port, or the ICMP type.
        from_port: Option<i32> = "FromPort",
        /// The last port, or the ICMP code.
        to_port: Option<i32> = "ToPort",
        /// From or to members of these groups.
        user_id_group_pairs: Vec<UserIdGroupPair> = "Groups",
        /// From or to these IPv4 networks.
        ip_ranges: Vec<IpRange> = "IpRanges",
        /// From or to these IPv6 networks.
        ipv6_ranges: Vec<Ipv6Range> = "Ipv6Ranges",
        /// From or to the networks of these lists.
        prefix_list_ids: Vec<PrefixListId> = "PrefixListIds",
    }
}

element! {
    /// A security group as the peer of a rule.
    UserIdGroupPair {
        /// Free text.
        description: Option<String> = "description",
        /// The group.
        group_id: Option<String> = "groupId",
        /// The group by name, which is allowed in the default VPC only.
        group_name: Option<String> = "groupName",
        /// The account that owns it.
        user_id: Option<String> = "userId",
        /// The VPC, with peering.
        vpc_id: Option<String> = "vpcId",
    }
}
impl_part!(UserIdGroupPair {
    description = "Description",
    group_id = "GroupId",
    group_name = "GroupName",
    user_id = "UserId",
    vpc_id = "VpcId",
});

element! {
    /// An IPv4 network as the peer of a rule.
    IpRange {
        /// Free text.
        description: Option<String> = "description",
        /// The network in CIDR form.
        cidr_ip: Option<String> = "cidrIp",
    }
}
impl_part!(IpRange { description = "Description", cidr_ip = "CidrIp" });

element! {
    /// An IPv6 network as the peer of a rule.
    Ipv6Range {
        /// Free text.
        description: Option<String> = "description",
        /// The network in CIDR form.
        cidr_ipv6: Option<String> = "cidrIpv6",
    }
}
impl_part!(Ipv6Range { description = "Description", cidr_ipv6 = "CidrIpv6" });

element! {
    /// A list of networks as the peer of a rule.
    PrefixListId {
        /// Free text.
        description: Option<String> = "description",
        /// `pl-…`.
        prefix_list_id: Option<String> = "prefixListId",
    }
}
impl_part!(PrefixListId { description = "Description", prefix_list_id = "PrefixListId" });
