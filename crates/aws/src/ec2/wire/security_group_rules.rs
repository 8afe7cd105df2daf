//! The rules of security groups: authorize, revoke. The wire forms for both directions are the
//! same but for the name of the action.

use super::{IpPermission, IpPermissionSpecification, Set, Tag, TagSpecification};

request! {
    /// Adds rules about what may reach members of a security group.
    "AuthorizeSecurityGroupIngress"
    AuthorizeSecurityGroupIngressRequest -> AuthorizeSecurityGroupIngressResponse {
        /// The group.
        group_id: Option<String> = "GroupId",
        /// The group by name, which is allowed in the default VPC only.
        group_name: Option<String> = "GroupName",
        /// The rules.
        ip_permissions: Vec<IpPermissionSpecification> = "IpPermissions",
        /// One rule without `ip_permissions`: its protocol.
        ip_protocol: Option<String> = "IpProtocol",
        /// Its first port, or its ICMP type.
        from_port: Option<i32> = "FromPort",
        /// Its last port, or its ICMP code.
        to_port: Option<i32> = "ToPort",
        /// Its IPv4 network.
        cidr_ip: Option<String> = "CidrIp",
        /// Tags for the rules.
        tag_specifications: Vec<TagSpecification> = "TagSpecification",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The rules are added.
    AuthorizeSecurityGroupIngressResponse {
        /// Always true.
        r#return: Option<bool> = "return",
        /// The new rules.
        security_group_rules: Set<SecurityGroupRule> = "securityGroupRuleSet",
    }
}

request! {
    /// Adds rules about what may be reached by members of a security group.
    "AuthorizeSecurityGroupEgress"
    AuthorizeSecurityGroupEgressRequest -> AuthorizeSecurityGroupEgressResponse {
        /// The group.
        group_id: Option<String> = "GroupId",
        /// The rules.
        ip_permissions: Vec<IpPermissionSpecification> = "IpPermissions",
        /// One rule without `ip_permissions`: its protocol.
        ip_protocol: Option<String> = "IpProtocol",
        /// Its first port, or its ICMP type.
        from_port: Option<i32> = "FromPort",
        /// Its last port, or its ICMP code.
        to_port: Option<i32> = "ToPort",
        /// Its IPv4 network.
        cidr_ip: Option<String> = "CidrIp",
        /// Tags for the rules.
        tag_specifications: Vec<TagSpecification> = "TagSpecification",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The rules are added.
    AuthorizeSecurityGroupEgressResponse {
        /// Always true.
        r#return: Option<bool> = "return",
        /// The new rules.
        security_group_rules: Set<SecurityGroupRule> = "securityGroupRuleSet",
    }
}

request! {
    /// Takes away rules about what may reach members of a security group.
    "RevokeSecurityGroupIngress"
    RevokeSecurityGroupIngressRequest -> RevokeSecurityGroupIngressResponse {
        /// The group.
        group_id: Option<String> = "GroupId",
        /// The group by name, which is allowed in the default VPC only.
        group_name: Option<String> = "GroupName",
        /// The rules.
        ip_permissions: Vec<IpPermissionSpecification> = "IpPermissions",
        /// One rule without `ip_permissions`: its protocol.
        ip_protocol: Option<String> = "IpProtocol",
        /// Its first port, or its ICMP type.
        from_port: Option<i32> = "FromPort",
        /// Its last port, or its ICMP code.
        to_port: Option<i32> = "ToPort",
        /// Its IPv4 network.
        cidr_ip: Option<String> = "CidrIp",
        /// The rules by id, `sgr-…`. Not together with `ip_permissions`.
        security_group_rule_ids: Vec<String> = "SecurityGroupRuleId",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The rules are gone.
    RevokeSecurityGroupIngressResponse {
        /// True unless rules were not found, which is an error in a VPC.
        r#return: Option<bool> = "return",
        /// Rules that were not found.
        unknown_ip_permissions: Set<IpPermission> = "unknownIpPermissionSet",
        /// The rules that were.
        revoked_security_group_rules: Set<RevokedSecurityGroupRule> =
            "revokedSecurityGroupRuleSet",
    }
}

request! {
    /// Takes away rules about what may be reached by members of a security group.
    "RevokeSecurityGroupEgress"
    RevokeSecurityGroupEgressRequest -> RevokeSecurityGroupEgressResponse {
        /// The group.
        group_id: Option<String> = "GroupId",
        /// The rules.
        ip_permissions: Vec<IpPermissionSpecification> = "IpPermissions",
        /// One rule without `ip_permissions`: its protocol.
        ip_protocol: Option<String> = "IpProtocol",
        /// Its first port, or its ICMP type.
        from_port: Option<i32> = "FromPort",
        /// Its last port, or its ICMP code.
        to_port: Option<i32> = "ToPort",
        /// Its IPv4 network.
        cidr_ip: Option<String> = "CidrIp",
        /// The rules by id, `sgr-…`. Not together with `ip_permissions`.
        security_group_rule_ids: Vec<String> = "SecurityGroupRuleId",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The rules are gone.
    RevokeSecurityGroupEgressResponse {
        /// True unless rules were not found, which is an error in a VPC.
        r#return: Option<bool> = "return",
        /// Rules that were not found.
        unknown_ip_permissions: Set<IpPermission> = "unknownIpPermissionSet",
        /// The rules that were.
        revoked_security_group_rules: Set<RevokedSecurityGroupRule> =
            "revokedSecurityGroupRuleSet",
    }
}

element! {
    /// A rule.
    SecurityGroupRule {
        /// `sgr-…`.
        security_group_rule_id: Option<String> = "securityGroupRuleId",
        /// The group it belongs to.
        group_id: Option<String> = "groupId",
        /// The account that owns the group.
        group_owner_id: Option<String> = "groupOwnerId",
        /// Whether it is about what may go out.
        is_egress: Option<bool> = "isEgress",
        /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
        ip_protocol: Option<String> = "ipProtocol",
        /// The first port, or the ICMP type; -1 for all.
        from_port: Option<i32> = "fromPort",
        /// The last port, or the ICMP code; -1 for all.
        to_port: Option<i32> = "toPort",
        /// The IPv4 network, if that is the peer.
        cidr_ipv4: Option<String> = "cidrIpv4",
        /// The IPv6 network, if that is the peer.
        cidr_ipv6: Option<String> = "cidrIpv6",
        /// The security group, if that is the peer.
        referenced_group_info: Option<ReferencedSecurityGroup> = "referencedGroupInfo",
        /// Free text.
        description: Option<String> = "description",
        /// The tags.
        tags: Set<Tag> = "tagSet",
        /// Its name in ARN form.
        security_group_rule_arn: Option<String> = "securityGroupRuleArn",
    }
}

element! {
    /// The security group that is a rule's peer.
    ReferencedSecurityGroup {
        /// The group.
        group_id: Option<String> = "groupId",
        /// The account that owns it.
        user_id: Option<String> = "userId",
        /// The VPC, with peering.
        vpc_id: Option<String> = "vpcId",
    }
}

element! {
    /// A rule that was taken away.
    RevokedSecurityGroupRule {
        /// `sgr-…`.
        security_group_rule_id: Option<String> = "securityGroupRuleId",
        /// The group it belonged to.
        group_id: Option<String> = "groupId",
        /// Whether it was about what may go out.
        is_egress: Option<bool> = "isEgress",
        /// The protocol.
        ip_protocol: Option<String> = "ipProtocol",
        /// The first port, or the ICMP type.
        from_port: Option<i32> = "fromPort",
        /// The last port, or the ICMP code.
        to_port: Option<i32> = "toPort",
        /// The IPv4 network, if that was the peer.
        cidr_ipv4: Option<String> = "cidrIpv4",
        /// The IPv6 network, if that was the peer.
        cidr_ipv6: Option<String> = "cidrIpv6",
        /// The security group, if that was the peer.
        referenced_group_id: Option<String> = "referencedGroupId",
        /// Free text.
        description: Option<String> = "description",
    }
}
