//! `vpcctl pool`: what a node of some type would hold at rest with some settings and pods.
//!
//! Nothing is computed here. The settings are read by the daemon's own table, the targets made by
//! the daemon's own function, and `vpc_ipam::plan` is carried out against the simulator's EC2 in
//! virtual time until it has nothing left to say.

mod cloud;
mod node;
mod report;
mod settings;

use ipnet::Ipv4Net;
use vpc_ipam::targets;
use vpc_model::InstanceType;
use vpc_model::instance_types::InstanceTypes;

use crate::cli::{PoolArgs, answer};
use crate::failure::Failure;
use node::Node;
use report::Report;

/// The simulated cloud did not play along.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RehearsalError {
    /// The subnet cannot be.
    #[error("--subnet-cidr is {cidr}; allowed: an IPv4 network of /16 to /28 ({source})")]
    Subnet {
        cidr: Ipv4Net,
        source: vpc_sim::ApiError,
    },
    /// A call that must work did not.
    #[error("the simulated EC2 refused {action}: {source}")]
    Call {
        action: &'static str,
        source: vpc_sim::ApiError,
    },
    /// The pool's own record is contradictory.
    #[error("the pool is not as it must be: {0}")]
    Pool(String),
    /// The decisions do not come to an end.
    #[error("the pool does not come to rest within {0} plans")]
    Restless(u32),
}

impl RehearsalError {
    /// Whether another command line would do.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, RehearsalError::Subnet { .. })
    }
}

/// Answers the question.
pub(crate) fn run(args: &PoolArgs) -> Result<(), Failure> {
    let types = InstanceTypes::builtin();
    let unknown = || Failure::UnknownType {
        value: args.instance_type.clone(),
        near: near_types(&args.instance_type),
    };
    let instance_type: InstanceType = args.instance_type.parse().map_err(|_| unknown())?;
    let limits = types.get(&instance_type).ok_or_else(unknown)?;
    let (settings, notices) = settings::read(&args.variables)?;
    for notice in notices {
        eprintln!("vpcctl: {notice}");
    }
    let max_pods = args.max_pods.or(settings.max_pods);
    let (mode, targets, refused) = targets::for_node(&settings, limits, max_pods);
    if let Some(refused) = refused {
        eprintln!("vpcctl: {instance_type}: {refused}");
    }
    let mut node = Node::launch(&instance_type, args.subnet_cidr, mode, targets)?;
    node.set_provisioning(settings.provisioning.into());
    node.add_pods(args.pods)?;
    let plan = node.rest()?;
    let report = Report::of(&node, &plan);
    answer(args.format, &report, |report| {
        report.to_text(&instance_type, node.targets())
    })
}

fn near_types(name: &str) -> Vec<String> {
    let types = InstanceTypes::builtin();
    let near = types.near(name, 3);
    near.into_iter().map(str::to_owned).collect()
}
