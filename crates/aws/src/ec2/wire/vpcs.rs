//! VPCs: create, describe, delete.

use super::{Filter, Set, Tag, TagSpecification};

request! {
    /// Makes a VPC.
    "CreateVpc" CreateVpcRequest -> CreateVpcResponse {
        /// The IPv4 network in CIDR form, /16 to /28.
        cidr_block: Option<String> = "CidrBlock",
        /// `default` or `dedicated`.
        instance_tenancy: Option<String> = "InstanceTenancy",
        /// Whether it gets an IPv6 network of AWS's.
        amazon_provided_ipv6_cidr_block: Option<bool> = "AmazonProvidedIpv6CidrBlock",
        /// Tags for it.
        tag_specifications: Vec<TagSpecification> = "TagSpecification",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// The new VPC.
    CreateVpcResponse {
        /// The VPC.
        vpc: Option<Vpc> = "vpc",
    }
}

request! {
    /// Asks for VPCs by id or by condition, page by page.
    "DescribeVpcs" DescribeVpcsRequest -> DescribeVpcsResponse {
        /// Only these VPCs; an unknown one fails the call.
        vpc_ids: Vec<String> = "VpcId",
        /// Only VPCs that meet every condition.
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
    /// VPCs.
    DescribeVpcsResponse {
        /// The VPCs, in no particular order.
        vpcs: Set<Vpc> = "vpcSet",
        /// Where the next page begins; absent or empty on the last one.
        next_token: Option<String> = "nextToken",
    }
}

request! {
    /// Deletes a VPC with its default security group. Nothing else may be in it.
    "DeleteVpc" DeleteVpcRequest -> DeleteVpcResponse {
        /// The VPC.
        vpc_id: Option<String> = "VpcId",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// It is deleted.
    DeleteVpcResponse {
        /// Always true.
        r#return: Option<bool> = "return",
    }
}

element! {
    /// A VPC.
    Vpc {
        /// `vpc-…`.
        vpc_id: Option<String> = "vpcId",
        /// `pending` or `available`.
        state: Option<String> = "state",
        /// The account that owns it.
        owner_id: Option<String> = "ownerId",
        /// The first IPv4 network in CIDR form.
        cidr_block: Option<String> = "cidrBlock",
        /// All IPv4 networks.
        cidr_block_associations: Set<VpcCidrBlockAssociation> = "cidrBlockAssociationSet",
        /// The IPv6 networks.
        ipv6_cidr_block_associations: Set<VpcIpv6CidrBlockAssociation> =
            "ipv6CidrBlockAssociationSet",
        /// The DHCP options, or `default`.
        dhcp_options_id: Option<String> = "dhcpOptionsId",
        /// `default`, `dedicated` or `host`.
        instance_tenancy: Option<String> = "instanceTenancy",
        /// Whether it is the account's default VPC.
        is_default: Option<bool> = "isDefault",
        /// The tags.
        tags: Set<Tag> = "tagSet",
    }
}

element! {
    /// An IPv4 network of a VPC.
    VpcCidrBlockAssociation {
        /// `vpc-cidr-assoc-…`.
        association_id: Option<String> = "associationId",
        /// The network in CIDR form.
        cidr_block: Option<String> = "cidrBlock",
        /// Whether it is in use yet.
        cidr_block_state: Option<VpcCidrBlockState> = "cidrBlockState",
    }
}

element! {
    /// An IPv6 network of a VPC.
    VpcIpv6CidrBlockAssociation {
        /// `vpc-cidr-assoc-…`.
        association_id: Option<String> = "associationId",
        /// The network in CIDR form.
        ipv6_cidr_block: Option<String> = "ipv6CidrBlock",
        /// Whether it is in use yet.
        ipv6_cidr_block_state: Option<VpcCidrBlockState> = "ipv6CidrBlockState",
        /// Whose it is: `Amazon` for a network that Amazon provides.
        ipv6_pool: Option<String> = "ipv6Pool",
    }
}

element! {
    /// The state of a VPC's network.
    VpcCidrBlockState {
        /// `associating`, `associated`, `disassociating`, `disassociated`, `failing` or `failed`.
        state: Option<String> = "state",
        /// Why, if it failed.
        status_message: Option<String> = "statusMessage",
    }
}
