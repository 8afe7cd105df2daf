//! The series of the pool: what the node holds at the moment of the scrape.

use std::collections::BTreeMap;

use vpc_ipam::status::Status;
use vpc_ipam::{Eni, EniState, Mode, Pool, SlotKind};
use vpc_model::SubnetId;

use super::catalogue as series;
use super::text::Exposition;
use crate::pool_task::Look;

/// Addresses of a prefix.
const PER_PREFIX: u32 = 16;

pub(super) fn write(text: &mut Exposition, look: &Look) {
    let Look { status, pool } = look;
    let version = env!("CARGO_PKG_VERSION");
    let mut family = text.family(&series::BUILD_INFO);
    family.sample(&[version, ""], 1);
    totals(text, status, pool);
    assigned(text, pool);
    progress(text, status);
    states(text, status, pool);
    wishes(text, status);
}

/// Upstream's six, which cluster views add up over the nodes.
fn totals(text: &mut Exposition, status: &Status, pool: &Pool) {
    let excluded = pool.enis().filter(|eni| !is_for_pods(eni)).count();
    let enis = status.max_enis.saturating_sub(count(excluded));
    let per_slot = match pool.mode() {
        Mode::SecondaryIps => 1,
        Mode::Prefixes => PER_PREFIX,
    };
    let for_pods = || pool.enis().filter(|eni| is_for_pods(eni));
    let total: u32 = for_pods().map(|eni| eni.all().total).sum();
    let allocated: u32 = pool.enis().map(|eni| eni.all().allocated).sum();
    let unplaced = count(status.unplaced.len());
    let prefixes: u32 = pool.enis().map(Eni::prefix_count).sum();
    text.single(&series::ENI_MAX, enis);
    text.single(&series::IP_MAX, enis * status.per_eni * per_slot);
    text.single(&series::ENI_ALLOCATED, for_pods().count());
    text.single(&series::TOTAL_IPS, total);
    text.single(&series::ASSIGNED_IPS, allocated + unplaced);
    text.single(&series::TOTAL_PREFIXES, prefixes);
}

fn assigned(text: &mut Exposition, pool: &Pool) {
    let mut by_cidr: BTreeMap<String, u32> = BTreeMap::new();
    for eni in pool.enis() {
        let singles = eni.counts(SlotKind::Address);
        if singles.total > 0 {
            *by_cidr.entry(eni.subnet_cidr.to_string()).or_default() += singles.allocated;
        }
        for (prefix, counts) in eni.prefixes() {
            *by_cidr.entry(prefix.to_string()).or_default() += counts.allocated;
        }
    }
    let mut family = text.family(&series::ASSIGNED_PER_CIDR);
    for (cidr, allocated) in &by_cidr {
        family.sample(&[cidr], allocated);
    }
    let mut family = text.family(&series::ASSIGNED_PER_ENI);
    for eni in pool.enis() {
        family.sample(&[eni.id.as_str()], eni.all().allocated);
    }
}

fn progress(text: &mut Exposition, status: &Status) {
    let returning = status.enis.iter().any(|eni| eni.state == "returning");
    let grows = status.coming > 0 || !status.creating.is_empty();
    let shrinks = returning || status.addresses.leaving > 0;
    let mut family = text.family(&series::IN_PROGRESS);
    for (action, is_on) in [
        ("nodeInit", status.balance.is_none()),
        ("increaseDatastorePool", grows),
        ("decreaseDatastorePool", shrinks),
        ("nodeIPPoolReconcile", false),
    ] {
        family.sample(&[action], u8::from(is_on));
    }
}

fn states(text: &mut Exposition, status: &Status, pool: &Pool) {
    let mut by_subnet: BTreeMap<&SubnetId, [u32; 4]> = BTreeMap::new();
    for eni in pool.enis() {
        let counts = eni.all();
        let sums = by_subnet.entry(&eni.subnet).or_default();
        sums[0] += counts.allocated;
        sums[1] += counts.free;
        sums[2] += counts.cooling;
        sums[3] += counts.unassigning;
    }
    let mut family = text.family(&series::ADDRESSES);
    for (subnet, sums) in by_subnet {
        for (state, sum) in ["allocated", "free", "cooling", "leaving"].iter().zip(sums) {
            family.sample(&[state, subnet.as_str()], sum);
        }
    }
    text.single(&series::UNPLACED, status.unplaced.len());
    let mut enis: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for (eni, told) in pool.enis().flat_map(|eni| {
        let told = status.enis.iter().find(|told| told.id == eni.id);
        told.map(|told| (eni, told))
    }) {
        let state = match eni.state {
            EniState::Returning => "returning",
            EniState::Ready if !is_for_pods(eni) => "excluded",
            EniState::Ready => "ready",
        };
        *enis.entry((&told.kind, state)).or_default() += 1;
    }
    *enis.entry(("secondary", "creating")).or_default() += count(status.creating.len());
    let mut family = text.family(&series::ENIS);
    for ((kind, state), count) in enis {
        family.sample(&[kind, state], count);
    }
}

fn wishes(text: &mut Exposition, status: &Status) {
    text.single(&series::COMING, status.coming);
    let wanted = status.balance.clone().unwrap_or_default();
    let mut family = text.family(&series::WANTED);
    family.sample(&["free"], wanted.wanted_free);
    family.sample(&["total"], wanted.wanted_total);
    text.single(&series::WAITING, status.waiting.len());
    text.single(&series::READY, u8::from(status.ready));
    let mut held: BTreeMap<&str, u32> = BTreeMap::new();
    for held_back in &status.held_back {
        *held.entry(&held_back.name).or_default() += 1;
    }
    let mut family = text.family(&series::HELD_BACK);
    for (reason, count) in held {
        family.sample(&[reason], count);
    }
}

fn is_for_pods(eni: &Eni) -> bool {
    eni.exclusion.is_none()
}

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}
