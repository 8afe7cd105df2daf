//! CHECK: compare what the kernel has with what ADD made, and name each difference.

use vpc_datapath::pod;

use crate::error::Error;
use crate::holder::as_wired;
use crate::job::Job;
use crate::prev_result::{self, DecodeError, Previous};
use crate::sandbox;
use crate::settings::PodSettings;

/// Compares the sandbox with the previous result, which a runtime passes to CHECK.
pub(crate) fn check(job: &mut Job<'_>) -> Result<(), Error> {
    let settings = PodSettings::read(job.conf)?;
    let result = job
        .conf
        .prev_result
        .as_ref()
        .ok_or_else(|| Error::MissingField {
            field: "prevResult".to_owned(),
            needed: "the result of ADD",
        })?;
    let netns = sandbox::namespace(job.sandbox, job.environment)?;
    let pod = &job.sandbox.args.pod;
    let previous =
        prev_result::decode(result, pod, &job.sandbox.if_name).map_err(Error::PrevResult)?;
    let nics = match previous {
        Previous::Ordinary(nics) if nics.first().is_some_and(|nic| nic.index == 0) => nics,
        // DEL makes do with some of the interfaces; the pod's own must be there to be compared.
        Previous::Ordinary(_) => {
            let missing = DecodeError::NoAddress(job.sandbox.if_name.clone());
            return Err(Error::PrevResult(missing));
        }
        Previous::Branch { .. } => {
            return Err(Error::Unsupported {
                what: "pods with security groups of their own (branch ENIs)",
                remedy: "set disableCheck to true in the conflist",
            });
        }
    };
    let mut differences = Vec::new();
    for nic in nics {
        let plan = as_wired(nic, pod, &settings.veth_prefix, settings.mtu);
        let found = job.record.stage("kernel", || pod::check(netns, &plan));
        differences.extend(found.map_err(Error::KernelCheck)?);
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(Error::Differs(differences))
    }
}
