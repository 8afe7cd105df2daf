//! From an action's name to the world's method.

use vpc_aws::ec2::wire::{ParamError, ParamProblem, Request, Response};
use vpc_model::Timestamp;

use super::ec2::RequestId;
use crate::error::ApiError;
use crate::world::{Demand, World};

/// Carries out an action and returns its response document. A call of an action that exists takes
/// a token, whether it can be carried out or not.
///
/// # Errors
/// `InvalidAction`, `RequestLimitExceeded`, parameters that cannot be read, and what the world
/// refuses.
pub(super) fn dispatch(
    world: &mut World,
    (action, params): (&str, &[(String, String)]),
    now: Timestamp,
    id: &RequestId,
) -> Result<String, ApiError> {
    let known = ACTIONS.iter().find(|(name, _)| *name == action);
    let Some((_, carry_out)) = known else {
        return Err(ApiError::client(
            "InvalidAction",
            format!("The action {action} is not valid for this web service."),
        ));
    };
    world.admit(&Demand::of(action, params), now)?;
    carry_out(world, params, now, id)
}

/// The actions that there are, in the order of their names.
pub(super) fn actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, _)| *name)
}

/// Carries out one action.
type CarryOut =
    fn(&mut World, &[(String, String)], Timestamp, &RequestId) -> Result<String, ApiError>;

/// The table of actions: each name with the method of the world.
macro_rules! actions {
    ($($name:literal => $method:ident,)*) => {
        const ACTIONS: &[(&str, CarryOut)] = &[$(($name, |world, params, now, id| {
            let request = from_params($name, params)?;
            let mut response = World::$method(world, &request, now)?;
            response.request_id = Some(id.0.clone());
            document(&response)
        }),)*];
    };
}

actions! {
    "AssignIpv6Addresses" => assign_ipv6_addresses,
    "AssignPrivateIpAddresses" => assign_private_ip_addresses,
    "AssociateTrunkInterface" => associate_trunk_interface,
    "AttachNetworkInterface" => attach_network_interface,
    "AuthorizeSecurityGroupEgress" => authorize_security_group_egress,
    "AuthorizeSecurityGroupIngress" => authorize_security_group_ingress,
    "CreateNetworkInterface" => create_network_interface,
    "CreateSecurityGroup" => create_security_group_action,
    "CreateSubnet" => create_subnet_action,
    "CreateSubnetCidrReservation" => create_subnet_cidr_reservation,
    "CreateTags" => create_tags,
    "CreateVpc" => create_vpc_action,
    "DeleteNetworkInterface" => delete_network_interface,
    "DeleteSecurityGroup" => delete_security_group,
    "DeleteSubnet" => delete_subnet,
    "DeleteSubnetCidrReservation" => delete_subnet_cidr_reservation,
    "DeleteTags" => delete_tags,
    "DeleteVpc" => delete_vpc,
    "DescribeInstanceTypes" => describe_instance_types,
    "DescribeInstances" => describe_instances,
    "DescribeNetworkInterfaces" => describe_network_interfaces,
    "DescribeSecurityGroups" => describe_security_groups,
    "DescribeSubnets" => describe_subnets,
    "DescribeTrunkInterfaceAssociations" => describe_trunk_interface_associations,
    "DescribeVpcs" => describe_vpcs,
    "DetachNetworkInterface" => detach_network_interface,
    "DisassociateTrunkInterface" => disassociate_trunk_interface,
    "GetSubnetCidrReservations" => get_subnet_cidr_reservations,
    "ModifyNetworkInterfaceAttribute" => modify_network_interface_attribute,
    "RevokeSecurityGroupEgress" => revoke_security_group_egress,
    "RevokeSecurityGroupIngress" => revoke_security_group_ingress,
    "RunInstances" => run_instances,
    "TerminateInstances" => terminate_instances,
    "UnassignIpv6Addresses" => unassign_ipv6_addresses,
    "UnassignPrivateIpAddresses" => unassign_private_ip_addresses,
}

/// Reads a request, which must be the action's.
fn from_params<R: Request>(action: &str, params: &[(String, String)]) -> Result<R, ApiError> {
    debug_assert_eq!(action, R::ACTION);
    R::from_params(params).map_err(unreadable)
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
