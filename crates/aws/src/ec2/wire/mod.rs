//! The EC2 Query protocol, API version 2016-11-15: requests as form parameters, responses as XML.
//!
//! One struct per request, response and structure, named as in the service model that botocore
//! ships, fields in snake case. Everything is optional, because on the wire everything is: what is
//! required is decided by whoever reads the struct. A test holds every name and type against an
//! extract of the service model (`tests/data/ec2-model.json`, made by `scripts/gen-ec2-model.py`).
//!
//! Encoding rules of the protocol (botocore `serialize.EC2Serializer`): a parameter's name is its
//! location name with the first letter in upper case; lists are flattened (`Filter.1.Value.2`,
//! counted from 1); structures join names with a dot. In responses lists are wrapped
//! (`<tagSet><item>…`).

#[macro_use]
mod macros;
mod addresses;
mod addresses_v6;
mod instance_types;
mod instances;
mod interface_changes;
mod interfaces;
mod launches;
mod params;
mod reservations;
mod security_group_rules;
mod security_groups;
mod shared;
mod subnet_changes;
mod subnets;
mod tag_removal;
mod tags;
#[cfg(test)]
mod tests;
mod trunks;
mod vpcs;
mod xml;

pub use addresses::{
    AssignPrivateIpAddressesRequest, AssignPrivateIpAddressesResponse, AssignedPrivateIpAddress,
    UnassignPrivateIpAddressesRequest, UnassignPrivateIpAddressesResponse,
};
pub use addresses_v6::{
    AssignIpv6AddressesRequest, AssignIpv6AddressesResponse, UnassignIpv6AddressesRequest,
    UnassignIpv6AddressesResponse,
};
pub use instance_types::{
    DescribeInstanceTypesRequest, DescribeInstanceTypesResponse, InstanceTypeInfo, MemoryInfo,
    NetworkCardInfo, NetworkInfo, VCpuInfo,
};
pub use instances::{
    DescribeInstancesRequest, DescribeInstancesResponse, Instance, InstanceMetadataOptions,
    InstanceNetworkInterface, InstanceNetworkInterfaceAssociation,
    InstanceNetworkInterfaceAttachment, InstancePrivateIpAddress, InstanceState, Monitoring,
    Placement, Reservation, StateReason,
};
pub use interface_changes::{
    AttachNetworkInterfaceRequest, AttachNetworkInterfaceResponse, AttributeBooleanValue,
    AttributeValue, CreateNetworkInterfaceRequest, CreateNetworkInterfaceResponse,
    DeleteNetworkInterfaceRequest, DeleteNetworkInterfaceResponse, DetachNetworkInterfaceRequest,
    DetachNetworkInterfaceResponse, ModifyNetworkInterfaceAttributeRequest,
    ModifyNetworkInterfaceAttributeResponse, NetworkInterfaceAttachmentChanges,
};
pub use interfaces::{
    ConnectionTracking, DescribeNetworkInterfacesRequest, DescribeNetworkInterfacesResponse,
    NetworkInterface, NetworkInterfaceAssociation, NetworkInterfaceAttachment,
    NetworkInterfaceIpv6Address, NetworkInterfacePrivateIpAddress, Operator,
};
pub use launches::{
    IamInstanceProfileSpecification, InstanceMetadataOptionsRequest,
    InstanceNetworkInterfaceSpecification, InstanceStateChange, RunInstancesRequest,
    RunInstancesResponse, TerminateInstancesRequest, TerminateInstancesResponse,
};
pub use params::{ParamError, ParamProblem};
pub use reservations::{
    GetSubnetCidrReservationsRequest, GetSubnetCidrReservationsResponse, SubnetCidrReservation,
};
pub use security_group_rules::{
    AuthorizeSecurityGroupEgressRequest, AuthorizeSecurityGroupEgressResponse,
    AuthorizeSecurityGroupIngressRequest, AuthorizeSecurityGroupIngressResponse,
    ReferencedSecurityGroup, RevokeSecurityGroupEgressRequest, RevokeSecurityGroupEgressResponse,
    RevokeSecurityGroupIngressRequest, RevokeSecurityGroupIngressResponse,
    RevokedSecurityGroupRule, SecurityGroupRule,
};
pub use security_groups::{
    CreateSecurityGroupRequest, CreateSecurityGroupResponse, DeleteSecurityGroupRequest,
    DeleteSecurityGroupResponse, DescribeSecurityGroupsRequest, DescribeSecurityGroupsResponse,
    IpPermission, IpPermissionSpecification, IpRange, Ipv6Range, PrefixListId, SecurityGroup,
    UserIdGroupPair,
};
pub use shared::{
    Filter, GroupIdentifier, InstanceIpv6Address, Ipv4Prefix, Ipv6Prefix,
    PrivateIpAddressSpecification, Tag, TagSpecification,
};
pub use subnet_changes::{
    CreateSubnetCidrReservationRequest, CreateSubnetCidrReservationResponse, CreateSubnetRequest,
    CreateSubnetResponse, DeleteSubnetCidrReservationRequest, DeleteSubnetCidrReservationResponse,
    DeleteSubnetRequest, DeleteSubnetResponse,
};
pub use subnets::{
    DescribeSubnetsRequest, DescribeSubnetsResponse, Subnet, SubnetIpv6CidrBlockAssociation,
    SubnetIpv6CidrBlockState,
};
pub use tag_removal::{DeleteTagsRequest, DeleteTagsResponse};
pub use tags::{CreateTagsRequest, CreateTagsResponse};
pub use trunks::{
    AssociateTrunkInterfaceRequest, AssociateTrunkInterfaceResponse,
    DescribeTrunkInterfaceAssociationsRequest, DescribeTrunkInterfaceAssociationsResponse,
    DisassociateTrunkInterfaceRequest, DisassociateTrunkInterfaceResponse,
    TrunkInterfaceAssociation,
};
pub use vpcs::{
    CreateVpcRequest, CreateVpcResponse, DeleteVpcRequest, DeleteVpcResponse, DescribeVpcsRequest,
    DescribeVpcsResponse, Vpc, VpcCidrBlockAssociation, VpcCidrBlockState,
    VpcIpv6CidrBlockAssociation,
};
pub(crate) use xml::decode as read_document;
pub use xml::{ApiError, ErrorResponse, Errors, Set, XmlError};

/// The version of the API every request names in its `Version` parameter.
pub const API_VERSION: &str = "2016-11-15";

/// The XML name space of every response.
pub const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// A request of the EC2 Query protocol.
pub trait Request: Sized {
    /// The value of the `Action` parameter.
    const ACTION: &'static str;

    /// What a success is answered with.
    type Response: Response;

    /// The form parameters, in the order of the struct's fields, without `Action` and `Version`.
    fn to_params(&self) -> Vec<(String, String)>;

    /// Reads form parameters in any order. `Action` and `Version` are skipped; list members are
    /// taken in the order of their numbers, gaps allowed.
    ///
    /// # Errors
    /// A parameter that the request does not have, that occurs twice, or whose text is not of the
    /// parameter's type.
    fn from_params(params: &[(String, String)]) -> Result<Self, ParamError>;
}

/// A response of the EC2 Query protocol.
pub trait Response: Sized {
    /// The name of the root element, the action's name followed by `Response`.
    const ROOT: &'static str;

    /// The document, with XML declaration, root element and name space.
    ///
    /// # Errors
    /// A value that XML cannot carry.
    fn to_xml(&self) -> Result<String, XmlError>;

    /// Reads a document.
    ///
    /// # Errors
    /// Text that is not well-formed XML, ends early, has another root element (an HTML page, for
    /// example), or carries a value of the wrong type.
    fn from_xml(text: &str) -> Result<Self, XmlError>;
}
