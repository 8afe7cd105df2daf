//! ADD: ask for an address, wire the pod, print the result.
//!
//! Everything is parsed and the whole plan made before the kernel is touched, and what fails after
//! that is undone: kernel state first, then the address goes back.

use std::path::Path;

use vpc_datapath::pod::{self, PodLinks, PodPlan, PodTeardown};
use vpc_model::DeviceIndex;
use vpc_model::names::host_veth;

use crate::error::{Error, chain};
use crate::ipamd::{Allocated, Allocation};
use crate::job::Job;
use crate::prev_result::{self, Nic, container_if};
use crate::sandbox;
use crate::settings::PodSettings;
use crate::spec::Sandbox;

/// Wires the sandbox and returns the result to print.
pub(crate) fn add(job: &mut Job<'_>) -> Result<String, Error> {
    let settings = PodSettings::read(job.conf)?;
    let netns = sandbox::namespace(job.sandbox, job.environment)?;
    job.ipamd.cancel_queued_release()?;

    let allocation = job
        .record
        .stage("ipamd", || job.ipamd.allocate(settings.attachment))?;
    let plans = plan(job.sandbox, &settings, &allocation);
    let addresses: Vec<_> = plans.iter().map(|plan| plan.address.to_string()).collect();
    job.record.field("addresses", addresses);

    let wired = wire(job, netns, &plans, allocation.policy_mode.as_deref());
    let links = wired.inspect_err(|_| {
        if let Err(kept) = job.record.stage("giveBack", || job.ipamd.give_back()) {
            job.record.warn(chain(&kept));
        }
    })?;
    let nics: Vec<Nic> = plans
        .iter()
        .zip(links)
        .map(|(plan, links)| nic(plan, &links))
        .collect();
    let (sandbox, pod) = (netns.to_string_lossy(), &job.sandbox.args.pod);
    let device = allocation
        .addresses
        .first()
        .map_or(DeviceIndex(0), |first| first.device);
    let result = prev_result::encode(&nics, &sandbox, pod, device, settings.result_encoding);
    Ok(result.render(job.conf.version))
}

/// What each interface is to look like.
fn plan(sandbox: &Sandbox, settings: &PodSettings, allocation: &Allocation) -> Vec<PodPlan> {
    let one = |(allocated, index): (&Allocated, u8)| {
        Some(PodPlan {
            container_if: container_if(&sandbox.if_name, index)?,
            host_veth: host_veth(&settings.veth_prefix, &sandbox.args.pod, index),
            address: allocated.address,
            index,
            mtu: settings.mtu,
            table: allocated.table,
        })
    };
    allocation
        .addresses
        .iter()
        .zip(0u8..)
        .filter_map(one)
        .collect()
}

/// Makes the kernel state and has the policies enforced; all of it or nothing.
fn wire(
    job: &mut Job<'_>,
    netns: &Path,
    plans: &[PodPlan],
    policy_mode: Option<&str>,
) -> Result<Vec<PodLinks>, Error> {
    let mut links = Vec::with_capacity(plans.len());
    for (done, plan) in plans.iter().enumerate() {
        match job.record.stage("kernel", || pod::add(netns, plan)) {
            Ok(made) => links.push(made),
            Err(error) => {
                unwire(job, &plans[..done]);
                return Err(Error::Kernel(error));
            }
        }
    }
    let Some(mode) = policy_mode else {
        return Ok(links);
    };
    let pod = &job.sandbox.args.pod;
    let enforced = job
        .record
        .stage("policy", || job.policy.enforce(pod, mode, plans.len()));
    enforced.inspect_err(|_| unwire(job, plans))?;
    Ok(links)
}

fn unwire(job: &mut Job<'_>, plans: &[PodPlan]) {
    for plan in plans {
        let teardown = PodTeardown {
            address: plan.address,
            table: Some(plan.table),
            host_veth: Some(plan.host_veth.clone()),
        };
        if let Err(error) = job.record.stage("undo", || pod::remove(&teardown)) {
            job.record.warn(chain(&Error::KernelRemove(error)));
        }
    }
}

fn nic(plan: &PodPlan, links: &PodLinks) -> Nic {
    Nic {
        container_if: plan.container_if.clone(),
        host_veth: plan.host_veth.clone(),
        address: plan.address,
        table: plan.table,
        mac: links.pod_mac,
    }
}
