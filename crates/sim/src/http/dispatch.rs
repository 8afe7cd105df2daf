//! From an action's name to the world's method.

use vpc_aws::ec2::wire::{
    AssignPrivateIpAddressesRequest, AttachNetworkInterfaceRequest, CreateNetworkInterfaceRequest,
    CreateTagsRequest, DeleteNetworkInterfaceRequest, DescribeInstanceTypesRequest,
    DescribeInstancesRequest, DescribeNetworkInterfacesRequest, DescribeSubnetsRequest,
    DetachNetworkInterfaceRequest, ModifyNetworkInterfaceAttributeRequest, ParamError,
    ParamProblem, Request, Response, UnassignPrivateIpAddressesRequest,
};
use vpc_model::Timestamp;

use super::ec2::RequestId;
use crate::error::ApiError;
use crate::world::World;

/// Carries out an action and returns its response document.
///
/// # Errors
/// `InvalidAction`, parameters that cannot be read, and what the world refuses.
pub(super) fn dispatch(
    world: &mut World,
    (action, params): (&str, &[(String, String)]),
    now: Timestamp,
    id: &RequestId,
) -> Result<String, ApiError> {
    macro_rules! call {
        ($method:ident) => {{
            let request = Request::from_params(params).map_err(unreadable)?;
            let mut response = world.$method(&request, now)?;
            response.request_id = Some(id.0.clone());
            document(&response)
        }};
    }
    match action {
        AssignPrivateIpAddressesRequest::ACTION => call!(assign_private_ip_addresses),
        AttachNetworkInterfaceRequest::ACTION => call!(attach_network_interface),
        CreateNetworkInterfaceRequest::ACTION => call!(create_network_interface),
        CreateTagsRequest::ACTION => call!(create_tags),
        DeleteNetworkInterfaceRequest::ACTION => call!(delete_network_interface),
        DescribeInstanceTypesRequest::ACTION => call!(describe_instance_types),
        DescribeInstancesRequest::ACTION => call!(describe_instances),
        DescribeNetworkInterfacesRequest::ACTION => call!(describe_network_interfaces),
        DescribeSubnetsRequest::ACTION => call!(describe_subnets),
        DetachNetworkInterfaceRequest::ACTION => call!(detach_network_interface),
        ModifyNetworkInterfaceAttributeRequest::ACTION => {
            call!(modify_network_interface_attribute)
        }
        UnassignPrivateIpAddressesRequest::ACTION => call!(unassign_private_ip_addresses),
        _ => Err(ApiError::client(
            "InvalidAction",
            format!("The action {action} is not valid for this web service."),
        )),
    }
}

fn document(response: &impl Response) -> Result<String, ApiError> {
    response.to_xml().map_err(|error| {
        // Only texts that came from a request can do this: tags and descriptions.
        ApiError::with_status("InternalError", format!("cannot answer: {error}"), 500)
    })
}

/// EC2's code for a parameter that cannot be read.
fn unreadable(error: ParamError) -> ApiError {
    let ParamError {
        parameter,
        value,
        allowed,
        problem,
    } = error;
    match problem {
        ParamProblem::Unknown => ApiError::client(
            "UnknownParameter",
            format!("The parameter {parameter} is not recognized"),
        ),
        ParamProblem::Malformed => ApiError::invalid(format!(
            "Invalid value '{value}' for {parameter}; allowed: {allowed}"
        )),
        ParamProblem::Repeated => ApiError::client(
            "InvalidParameterCombination",
            format!("The parameter {parameter} may only be given once"),
        ),
    }
}
