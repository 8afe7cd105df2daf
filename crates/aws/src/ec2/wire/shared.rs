//! Structures that several actions use.

element! {
    /// A tag of a resource.
    Tag {
        /// Up to 127 characters.
        key: Option<String> = "key",
        /// Up to 255 characters.
        value: Option<String> = "value",
    }
}
impl_part!(Tag { key = "Key", value = "Value" });

impl Tag {
    /// A tag with both parts set.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: Some(key.into()),
            value: Some(value.into()),
        }
    }
}

element! {
    /// An IPv4 prefix of an ENI; always a /28.
    Ipv4Prefix {
        /// The prefix in CIDR form.
        ipv4_prefix: Option<String> = "ipv4Prefix",
    }
}
impl_part!(Ipv4Prefix { ipv4_prefix = "Ipv4Prefix" });

element! {
    /// An IPv6 prefix of an ENI; always a /80.
    Ipv6Prefix {
        /// The prefix in CIDR form.
        ipv6_prefix: Option<String> = "ipv6Prefix",
    }
}
impl_part!(Ipv6Prefix { ipv6_prefix = "Ipv6Prefix" });

element! {
    /// An IPv6 address of an ENI, in a request or in a description of an instance.
    InstanceIpv6Address {
        /// The address.
        ipv6_address: Option<String> = "ipv6Address",
        /// Whether it is the ENI's primary IPv6 address.
        is_primary_ipv6: Option<bool> = "isPrimaryIpv6",
    }
}
impl_part!(InstanceIpv6Address { ipv6_address = "Ipv6Address", is_primary_ipv6 = "IsPrimaryIpv6" });

element! {
    /// A security group by id and name.
    GroupIdentifier {
        /// `sg-…`.
        group_id: Option<String> = "groupId",
        /// The name given at its creation.
        group_name: Option<String> = "groupName",
    }
}

group! {
    /// A condition of a describe request: the resource has one of the values.
    Filter {
        /// What is compared, for example `attachment.instance-id` or `tag:Name`.
        name: Option<String> = "Name",
        /// The values, any of which will do; `*` and `?` are wildcards.
        values: Vec<String> = "Value",
    }
}

impl Filter {
    /// A condition on one value.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            values: vec![value.into()],
        }
    }
}

group! {
    /// Tags for a resource that a request creates.
    TagSpecification {
        /// The kind of resource, for example `network-interface`.
        resource_type: Option<String> = "ResourceType",
        /// The tags.
        tags: Vec<Tag> = "Tag",
    }
}

group! {
    /// A private IPv4 address that a request asks for.
    PrivateIpAddressSpecification {
        /// Whether it is to be the primary address.
        primary: Option<bool> = "Primary",
        /// The address.
        private_ip_address: Option<String> = "PrivateIpAddress",
    }
}
