//! DEL: tell ipamd, remove rules and routes, and always come to an end.
//!
//! ipamd is asked first: its answer says what the sandbox holds, and from then on the address
//! rests, so that nobody else's state can be under it while it is removed. Without an answer the
//! previous result says what there was, the release is kept for ipamd, and only what is surely
//! this sandbox's is removed (see [`crate::holder`]). The veth goes with the pod's namespace.

use vpc_datapath::pod::{self, PodTeardown};
use vpc_model::{Mtu, VethPrefix};
use vpc_rpc::proto::DelNetworkReply;

use crate::error::{Error, chain};
use crate::holder::{Holder, as_wired, holder};
use crate::ipamd::{self, Allocated, Reason};
use crate::job::Job;
use crate::prev_result::{self, Previous, PreviousNic};
use crate::spec::NetConf;
use crate::{sandbox, settings};

/// Unwires the sandbox. What is not there any more is no error.
pub(crate) fn del(job: &mut Job<'_>) -> Result<(), Error> {
    if let Some(error) = &job.conf.bad_prev_result {
        job.record
            .warn(format!("cannot use the previous result: {}", chain(error)));
    }
    match job
        .record
        .stage("ipamd", || job.ipamd.release(Reason::PodDeleted))
    {
        Ok(reply) if reply.success => after_release(job, &reply),
        Err(error) if ipamd::is_unknown_pod(&error) => {
            job.record.field("unknownToIpamd", true);
            remove_what_is_surely_its_own(job);
            Ok(())
        }
        Ok(_) => {
            job.record
                .warn("ipamd did not release the address; kept the release for it".to_owned());
            without_ipamd(job)
        }
        Err(error) => {
            job.record
                .warn(format!("{}; kept the release for ipamd", chain(&error)));
            without_ipamd(job)
        }
    }
}

fn after_release(job: &mut Job<'_>, reply: &DelNetworkReply) -> Result<(), Error> {
    if reply.pod_vlan_id != 0 {
        warn_of_branch(job, i64::from(reply.pod_vlan_id));
        return Ok(());
    }
    let removed = match ipamd::released(&reply.ip_allocation_metadata) {
        Ok(addresses) if addresses.is_empty() => {
            remove_what_is_surely_its_own(job);
            Ok(())
        }
        Ok(addresses) => remove_released(job, &addresses),
        Err(error) => {
            job.record
                .warn(format!("cannot use ipamd's answer: {}", chain(&error)));
            remove_what_is_surely_its_own(job);
            Ok(())
        }
    };
    if !reply.network_policy_mode.is_empty() {
        let pod = &job.sandbox.args.pod;
        if let Err(error) = job.record.stage("policy", || job.policy.forget(pod)) {
            job.record.warn(chain(&error));
        }
    }
    removed
}

fn remove_released(job: &mut Job<'_>, addresses: &[Allocated]) -> Result<(), Error> {
    let shown: Vec<_> = addresses
        .iter()
        .map(|one| one.address.to_string())
        .collect();
    job.record.field("addresses", shown);
    let mut errors = Vec::new();
    for Allocated { address, table, .. } in addresses {
        let teardown = PodTeardown {
            address: *address,
            table: Some(*table),
            host_veth: None,
        };
        if let Err(failed) = job.record.stage("kernel", || pod::remove(&teardown)) {
            errors.extend(failed.0);
        }
    }
    // An error has the runtime call again; by then ipamd does not know the sandbox any more.
    vpc_datapath::Errors::check(errors).map_err(Error::KernelRemove)
}

fn without_ipamd(job: &mut Job<'_>) -> Result<(), Error> {
    remove_what_is_surely_its_own(job);
    job.record.stage("queue", || job.ipamd.queue_release())
}

/// Removes what the previous result tells of, where the kernel confirms that it is this sandbox's.
/// Problems are noted: ipamd sees to what stays.
fn remove_what_is_surely_its_own(job: &mut Job<'_>) {
    let Some(result) = &job.conf.prev_result else {
        return;
    };
    match prev_result::decode(result, &job.sandbox.args.pod, &job.sandbox.if_name) {
        Err(error) => job.record.warn(chain(&Error::PrevResult(error))),
        Ok(Previous::Branch { vlan }) => warn_of_branch(job, i64::from(vlan)),
        Ok(Previous::Ordinary(nics)) => {
            for nic in nics {
                remove_if_its_own(job, nic);
            }
        }
    }
}

fn remove_if_its_own(job: &mut Job<'_>, nic: PreviousNic) {
    let PreviousNic { address, table, .. } = nic;
    let (prefix, mtu) = lenient(job.conf);
    let netns = job
        .sandbox
        .netns
        .as_deref()
        .filter(|path| sandbox::is_there(path));
    let held = job.record.stage("kernel", || {
        holder(&as_wired(nic, &job.sandbox.args.pod, &prefix, mtu), netns)
    });
    match held {
        Err(error) => job.record.warn(format!("cannot read the routes: {error}")),
        Ok(Holder::PerhapsAnother) => {
            job.record.warn(format!(
                "left the rules of {address}: it may be another pod's by now"
            ));
        }
        Ok(Holder::Nobody | Holder::ThisSandbox) => {
            let teardown = PodTeardown {
                address,
                table,
                host_veth: None,
            };
            if let Err(error) = job.record.stage("kernel", || pod::remove(&teardown)) {
                job.record.warn(chain(&Error::KernelRemove(error)));
            }
        }
    }
}

/// Prefix and MTU for the comparison. A configuration that was edited badly since must not keep a
/// sandbox from being deleted; with the defaults the comparison fails on the safe side.
fn lenient(conf: &NetConf) -> (VethPrefix, Mtu) {
    (
        settings::veth_prefix(conf).unwrap_or_default(),
        settings::mtu(conf).unwrap_or_default(),
    )
}

fn warn_of_branch(job: &mut Job<'_>, vlan: i64) {
    job.record.warn(format!(
        "the pod had a branch ENI (VLAN {vlan}), whose link, rules and routes stay: \
         this version of aws-cni does not remove them"
    ));
}
