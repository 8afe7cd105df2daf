//! GC: addresses of sandboxes that are gone without a DEL. The runtime's list is one proof, the
//! kernel the other ([`vpc_ipam::garbage`]); what is freed rests like any released address.

use std::net::Ipv4Addr;
use std::time::Duration;

use vpc_datapath::pod::{self, PodTeardown};
use vpc_datapath::{links, routes, rules};
use vpc_ipam::garbage::{Kernel, Listed, judge, orphans};
use vpc_model::PodKey;
use vpc_rpc::proto::node::{Attachment, CollectGarbageReply, CollectGarbageRequest, Freed, Spared};
use vpc_rpc::{Code, Status};

use crate::clock;
use crate::pool_task::{Grant, PoolHandle};
use crate::report::chain;

/// The runtime's list in a request.
///
/// # Errors
/// A name is empty: such a list would not protect the sandbox that is meant.
pub fn listed(request: CollectGarbageRequest) -> Result<Listed, Status> {
    let empty = |field: &str| {
        let text = format!("{field} is empty; nothing is freed by a list with a hole");
        Status::new(Code::InvalidArgument, text)
    };
    if request.network_name.is_empty() {
        return Err(empty("network_name"));
    }
    let mut listed = Listed {
        network: request.network_name,
        ..Listed::default()
    };
    for attachment in request.valid_attachments {
        if attachment.container_id.is_empty() {
            return Err(empty("container_id"));
        }
        if attachment.if_name.is_empty() {
            return Err(empty("if_name"));
        }
        listed
            .attachments
            .insert((attachment.container_id, attachment.if_name));
    }
    Ok(listed)
}

/// The kernel as far as GC needs it.
pub trait PodState: Clone + Send + 'static {
    /// What it has of pods.
    ///
    /// # Errors
    /// It cannot be asked.
    fn look(&self) -> Result<Kernel, vpc_datapath::Error>;

    /// Takes the rules and the route of a pod away that is gone.
    ///
    /// # Errors
    /// What stays.
    fn remove(&self, teardown: &PodTeardown) -> Result<(), vpc_datapath::Errors>;
}

/// The calling thread's network namespace.
#[derive(Debug, Clone, Copy)]
pub struct ThisNode;

impl PodState for ThisNode {
    fn look(&self) -> Result<Kernel, vpc_datapath::Error> {
        // Routes first: whatever is wired in between has its link seen.
        let routes = routes::to_hosts()?;
        let links = links::names()?;
        let ruled = rules::pods_on_node()?;
        Ok(Kernel {
            links,
            routes,
            ruled: ruled.into_iter().map(|pod| pod.address).collect(),
        })
    }

    fn remove(&self, teardown: &PodTeardown) -> Result<(), vpc_datapath::Errors> {
        pod::remove(teardown)
    }
}

/// Frees what is nobody's any more, and says what became of everything that is not listed. The
/// kernel is looked at after the allocations were read, so that what they had wired is seen.
///
/// # Errors
/// Nothing was freed, because the kernel could not be asked or the daemon is stopping.
pub async fn collect(
    pool: &PoolHandle,
    listed: &Listed,
    min_age: Duration,
    state: &impl PodState,
) -> Result<CollectGarbageReply, Status> {
    let stopping = || Status::new(Code::Unavailable, "ipamd is stopping");
    let (ledger, _) = pool.allocations().await.ok_or_else(stopping)?;
    let looking = state.clone();
    let looked = tokio::task::spawn_blocking(move || looking.look()).await;
    let kernel = looked.map_err(|_| stopping())?.map_err(|error| {
        let text = format!("cannot see what the kernel has: {}", chain(&error));
        tracing::error!(verb = "GC", error = text, "nothing is freed");
        Status::new(Code::Unavailable, text)
    })?;
    let verdicts = judge(&ledger, listed, &kernel, clock::now(), min_age);
    let mut reply = CollectGarbageReply::default();
    for (holder, why) in verdicts.spared {
        tracing::info!(
            verb = "GC", key = %holder.key, pod = %holder.pod, address = %holder.address,
            reason = %why, "not listed and spared"
        );
        reply.spared.push(Spared {
            attachment: Some(attachment(&holder.key)),
            address: holder.address.to_string(),
            reason: why.to_string(),
        });
    }
    for holder in verdicts.free {
        match pool.collect(holder.key.clone()).await {
            Ok(grant) => {
                tracing::warn!(
                    verb = "GC", key = %holder.key, pod = %holder.pod, address = %grant.address,
                    reason = "the runtime does not list it, and it has neither link nor route",
                    "freed"
                );
                remove_leftovers(state, &grant).await;
                reply.freed.push(Freed {
                    attachment: Some(attachment(&holder.key)),
                    address: grant.address.to_string(),
                });
            }
            Err(refusal) => {
                tracing::info!(
                    verb = "GC", key = %holder.key, reason = %refusal, "not listed and spared"
                );
                reply.spared.push(Spared {
                    attachment: Some(attachment(&holder.key)),
                    address: holder.address.to_string(),
                    reason: refusal.to_string(),
                });
            }
        }
    }
    for address in orphans(&ledger, &kernel) {
        remove_orphan(pool, state, address).await;
    }
    Ok(reply)
}

/// Takes away rules for an address that is nobody's. It may become somebody's at any moment: no
/// allocation is made meanwhile.
async fn remove_orphan(pool: &PoolHandle, state: &impl PodState, address: Ipv4Addr) {
    let state = state.clone();
    let teardown = PodTeardown {
        address,
        table: None,
        host_veth: None,
    };
    let remove = move || match state.remove(&teardown) {
        Ok(()) => tracing::warn!(
            verb = "GC", %address,
            reason = "nobody holds the address, and no route leads to it",
            "rules removed"
        ),
        Err(error) => tracing::warn!(
            verb = "GC", %address, error = chain(&error),
            "rules of nobody stay"
        ),
    };
    pool.while_unheld(address, Box::new(remove)).await;
}

/// Rules outlive the veth they were made for. The address rests from now on, so that they cannot
/// be anybody else's.
pub(crate) async fn remove_leftovers(state: &impl PodState, grant: &Grant) {
    let state = state.clone();
    let teardown = PodTeardown {
        address: grant.address,
        table: Some(grant.table),
        host_veth: None,
    };
    let removed = tokio::task::spawn_blocking(move || state.remove(&teardown)).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(
            address = %grant.address, error = chain(&error),
            "rules of a sandbox that is gone stay"
        );
    }
}

fn attachment(key: &PodKey) -> Attachment {
    Attachment {
        container_id: key.container_id.clone(),
        if_name: key.if_name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_with_a_hole_frees_nothing() {
        let request = |network: &str, container: &str, interface: &str| CollectGarbageRequest {
            network_name: network.to_owned(),
            valid_attachments: vec![Attachment {
                container_id: container.to_owned(),
                if_name: interface.to_owned(),
            }],
        };
        assert!(listed(request("n", "c", "eth0")).is_ok());
        for (bad, field) in [
            (request("", "c", "eth0"), "network_name"),
            (request("n", "", "eth0"), "container_id"),
            (request("n", "c", ""), "if_name"),
        ] {
            let error = listed(bad).unwrap_err();
            assert_eq!(error.code, Code::InvalidArgument);
            assert!(error.message.starts_with(field), "{error}");
        }
    }
}
