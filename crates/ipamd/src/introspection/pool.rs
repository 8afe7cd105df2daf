//! The pool, address by address, as JSON.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;
use vpc_ipam::status::{AddressCounts, Creating, EniStatus, Held};
use vpc_ipam::{AddressState, Eni, Pool};
use vpc_model::{EniId, Ipv4Prefix, SubnetId, Timestamp};

use crate::pool_task::Look;

/// What the node holds.
#[derive(Debug, Serialize)]
pub(super) struct PoolView<'a> {
    at: Timestamp,
    ready: bool,
    readiness: &'a str,
    mode: &'a str,
    max_enis: u32,
    per_eni: u32,
    addresses: AddressCounts,
    coming: u32,
    enis: Vec<EniView<'a>>,
    creating: &'a [Creating],
    waiting: &'a [String],
    held_back: &'a [Held],
}

/// An ENI with its addresses.
#[derive(Debug, Serialize)]
struct EniView<'a> {
    id: &'a EniId,
    kind: &'a str,
    state: &'a str,
    /// Why pods get no address of it; nothing for an ENI they get some of.
    excluded: Option<String>,
    card: u8,
    device: u8,
    subnet: &'a SubnetId,
    primary: Ipv4Addr,
    why: &'a str,
    /// Slots that EC2 was asked for.
    assigning: u32,
    addresses: Vec<AddressView>,
    prefixes: Vec<PrefixView>,
}

/// A prefix with its addresses.
#[derive(Debug, Serialize)]
struct PrefixView {
    prefix: Ipv4Prefix,
    addresses: Vec<AddressView>,
}

/// An address.
#[derive(Debug, Serialize)]
struct AddressView {
    address: Ipv4Addr,
    /// `free`, `allocated`, `cooling` or `leaving`.
    state: &'static str,
    /// The pod that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<String>,
    /// Since when it is free, or a pod's.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Until when it rests.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// A pod with an address.
#[derive(Debug, Serialize)]
pub(super) struct PodView {
    pod: String,
    network: String,
    container_id: String,
    interface: String,
    address: Ipv4Addr,
    /// The ENI that has the address; nothing where none is seen to have it.
    eni: Option<EniId>,
    since: Timestamp,
}

/// Everything.
pub(super) fn pool(look: &Look) -> PoolView<'_> {
    let status = &look.status;
    let enis = status.enis.iter();
    let enis = enis.filter_map(|seen| Some(view(seen, look.pool.eni(&seen.id)?)));
    PoolView {
        at: status.at,
        ready: status.ready,
        readiness: &status.readiness,
        mode: &status.mode,
        max_enis: status.max_enis,
        per_eni: status.per_eni,
        addresses: status.addresses,
        coming: status.coming,
        enis: enis.collect(),
        creating: &status.creating,
        waiting: &status.waiting,
        held_back: &status.held_back,
    }
}

fn view<'a>(seen: &'a EniStatus, eni: &Eni) -> EniView<'a> {
    let mut prefixes: BTreeMap<Ipv4Prefix, Vec<AddressView>> = eni
        .prefixes()
        .map(|(prefix, _)| (prefix, Vec::new()))
        .collect();
    let singles = eni.singles().count();
    for (address, state) in eni.addresses().skip(singles) {
        let home = prefixes.iter_mut().find(|(it, _)| it.contains(address));
        if let Some((_, addresses)) = home {
            addresses.push(address_view(address, state));
        }
    }
    EniView {
        id: &seen.id,
        kind: &seen.kind,
        state: &seen.state,
        excluded: eni.exclusion.as_ref().map(ToString::to_string),
        card: seen.card,
        device: seen.device,
        subnet: &seen.subnet,
        primary: seen.primary,
        why: &seen.why,
        assigning: seen.assigning,
        addresses: eni
            .singles()
            .map(|(address, state)| address_view(address, state))
            .collect(),
        prefixes: prefixes
            .into_iter()
            .map(|(prefix, addresses)| PrefixView { prefix, addresses })
            .collect(),
    }
}

fn address_view(address: Ipv4Addr, state: &AddressState) -> AddressView {
    let mut view = AddressView {
        address,
        state: "leaving",
        pod: None,
        container_id: None,
        since: None,
        until: None,
    };
    match state {
        AddressState::Free { since } => {
            view.state = "free";
            view.since = Some(*since);
        }
        AddressState::Allocated(tenant) => {
            view.state = "allocated";
            view.pod = Some(tenant.pod.to_string());
            view.container_id = Some(tenant.key.container_id.clone());
            view.since = Some(tenant.since);
        }
        AddressState::Cooling { until } => {
            view.state = "cooling";
            view.until = Some(*until);
        }
        AddressState::Unassigning => {}
    }
    view
}

/// The pods with an address, by address.
pub(super) fn pods(look: &Look) -> Vec<PodView> {
    let mut pods: Vec<PodView> = placed(&look.pool).collect();
    pods.extend(look.pool.ledger().holders().map(|holder| PodView {
        pod: holder.pod.to_string(),
        network: holder.key.network.clone(),
        container_id: holder.key.container_id.clone(),
        interface: holder.key.if_name.clone(),
        address: holder.address,
        eni: None,
        since: holder.since,
    }));
    pods.sort_by_key(|pod| pod.address);
    pods
}

fn placed(pool: &Pool) -> impl Iterator<Item = PodView> {
    pool.enis().flat_map(|eni| {
        eni.addresses().filter_map(|(address, state)| {
            let AddressState::Allocated(tenant) = state else {
                return None;
            };
            Some(PodView {
                pod: tenant.pod.to_string(),
                network: tenant.key.network.clone(),
                container_id: tenant.key.container_id.clone(),
                interface: tenant.key.if_name.clone(),
                address,
                eni: Some(eni.id.clone()),
                since: tenant.since,
            })
        })
    })
}
