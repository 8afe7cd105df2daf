//! `vpcctl explain`: the reason for each part of what the node holds.

use std::fmt::Write as _;

use vpc_ipam::status::{EniStatus, Status};

use crate::cli::answer;
use crate::failure::Failure;
use crate::live::{self, LiveArgs};
use crate::table::count;

/// Answers.
pub(crate) fn run(args: &LiveArgs) -> Result<(), Failure> {
    answer(args.format, &live::status(args)?, to_text)
}

fn to_text(status: &Status) -> String {
    let mut text = format!("{}\n\n", status.readiness);
    wanted(&mut text, status);
    for eni in &status.enis {
        explain_eni(&mut text, eni);
    }
    for begun in &status.creating {
        let addresses = count(begun.addresses, "address", "addresses");
        let _ = writeln!(
            text,
            "device {}: an ENI with {addresses} is being made since {}",
            begun.device, begun.since
        );
    }
    for pod in &status.unplaced {
        let _ = writeln!(
            text,
            "{} has {} by the journal; no ENI is seen to have it, so it stays the pod's until its \
             DEL",
            pod.pod, pod.address
        );
    }
    section(&mut text, "Waiting for an address, in this order", |out| {
        for pod in &status.waiting {
            out.push(pod.clone());
        }
    });
    section(&mut text, "Held back", |out| {
        for held in &status.held_back {
            out.push(format!("{}: {}", held.name, held.reason));
        }
    });
    section(&mut text, "Lately", |out| {
        for recent in &status.recent {
            let (at, what, because) = (recent.at, &recent.what, &recent.because);
            out.push(format!("{at} {what}: {because}"));
        }
    });
    text
}

/// What is wanted, and whether it is there.
fn wanted(text: &mut String, status: &Status) {
    let Some(balance) = &status.balance else {
        let _ = writeln!(text, "The node is not known yet.\n");
        return;
    };
    let _ = writeln!(
        text,
        "Wanted: {} of {} free or on their way; {} of {} in all ({}). The node asks for {}, on up \
         to {} with {} each.\n",
        balance.free,
        balance.wanted_free,
        balance.total,
        balance.wanted_total,
        balance.because,
        status.mode,
        count(status.max_enis, "ENI", "ENIs"),
        count(status.per_eni, "slot", "slots"),
    );
}

fn explain_eni(text: &mut String, eni: &EniStatus) {
    let all = eni.addresses;
    let _ = writeln!(
        text,
        "{} ({}, device {}): {}",
        eni.id, eni.kind, eni.device, eni.why
    );
    let _ = writeln!(
        text,
        "  {}: {} allocated, {} free, {} cooling, {} leaving",
        count(all.total, "address", "addresses"),
        all.allocated,
        all.free,
        all.cooling,
        all.leaving
    );
    for prefix in &eni.prefixes {
        let of = prefix.addresses;
        let _ = writeln!(
            text,
            "  {}: {} allocated, {} free, {} cooling",
            prefix.prefix, of.allocated, of.free, of.cooling
        );
    }
    for pod in &eni.pods {
        let _ = writeln!(text, "  {} {} since {}", pod.address, pod.pod, pod.since);
    }
}

/// A list under a head; nothing if it is empty.
fn section(text: &mut String, head: &str, fill: impl FnOnce(&mut Vec<String>)) {
    let mut lines = Vec::new();
    fill(&mut lines);
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{head}:");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}
