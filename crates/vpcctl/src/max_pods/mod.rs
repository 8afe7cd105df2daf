//! `vpcctl max-pods`: how many pods a node of some type can have.

mod limits;

use serde::Serialize;
use vpc_model::InstanceType;
use vpc_model::instance_types::{InstanceLimits, InstanceTypes};
use vpc_model::max_pods::{MaxPods, MaxPodsError, Scheme};

use crate::cli::{MaxPodsArgs, answer};
use crate::failure::Failure;

/// What is known of one type.
#[derive(Debug, Serialize)]
struct Answer {
    instance_type: String,
    /// The number that was asked for: the limit, or what is recommended.
    max_pods: u32,
    limit: u32,
    recommended: u32,
    enis: u32,
    slots_per_eni: u32,
    addresses_per_slot: u32,
    vcpus: u32,
}

impl Answer {
    fn of(
        instance_type: &InstanceType,
        limits: &InstanceLimits,
        args: &MaxPodsArgs,
    ) -> Result<Self, MaxPodsError> {
        let found = MaxPods::of(limits, scheme(args))?;
        let max_pods = if args.recommended {
            found.recommended
        } else {
            found.pods
        };
        Ok(Self {
            instance_type: instance_type.to_string(),
            max_pods,
            limit: found.pods,
            recommended: found.recommended,
            enis: found.enis,
            slots_per_eni: found.slots_per_eni,
            addresses_per_slot: found.addresses_per_slot,
            vcpus: limits.vcpus,
        })
    }
}

/// Answers the question.
pub(crate) fn run(args: &MaxPodsArgs) -> Result<(), Failure> {
    let Some(name) = &args.instance_type else {
        return all(args);
    };
    let (instance_type, limits) = limits::of(name)?;
    let found = Answer::of(&instance_type, &limits, args);
    let found = found.map_err(|source| Failure::MaxPods {
        instance_type: instance_type.to_string(),
        source,
    })?;
    answer(args.format, &found, |found| found.max_pods.to_string())
}

/// Every type of the table that can be run so, in the layout of `eni-max-pods.txt`.
fn all(args: &MaxPodsArgs) -> Result<(), Failure> {
    let (mut found, mut left_out) = (Vec::new(), 0);
    for (instance_type, limits) in InstanceTypes::builtin().iter() {
        match Answer::of(instance_type, limits, args) {
            Ok(one) => found.push(one),
            Err(_) => left_out += 1,
        }
    }
    if left_out > 0 {
        eprintln!("vpcctl: {left_out} types that cannot be run so are left out");
    }
    answer(args.format, &found, |found| {
        let line = |one: &Answer| format!("{} {}\n", one.instance_type, one.max_pods);
        found.iter().map(line).collect()
    })
}

fn scheme(args: &MaxPodsArgs) -> Scheme {
    Scheme {
        prefixes: args.prefix_delegation,
        custom_networking: args.custom_networking,
        trunk: args.security_groups_for_pods,
        max_enis: args.max_eni,
    }
}
