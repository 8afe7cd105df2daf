//! `vpcctl status`: what the node holds.

use std::fmt::Write as _;

use vpc_ipam::status::{EniStatus, Status};

use crate::cli::answer;
use crate::failure::Failure;
use crate::live::{self, LiveArgs};
use crate::table::{count, table};

/// Answers.
pub(crate) fn run(args: &LiveArgs) -> Result<(), Failure> {
    answer(args.format, &live::status(args)?, to_text)
}

fn to_text(status: &Status) -> String {
    let mut text = format!("{} at {}\n", status.readiness, status.at);
    let (all, coming) = (&status.addresses, status.coming);
    let _ = writeln!(
        text,
        "{} for pods: {} allocated, {} free, {} cooling, {} leaving; {coming} on their way\n",
        count(all.total, "address", "addresses"),
        all.allocated,
        all.free,
        all.cooling,
        all.leaving,
    );
    let head = [
        "ENI", "kind", "card", "device", "subnet", "primary", "IPs", "prefixes", "pods", "free",
        "cooling", "state",
    ];
    let rows: Vec<_> = status.enis.iter().map(row).collect();
    text.push_str(&table(&head, &rows));
    for begun in &status.creating {
        let eni = begun.eni.as_ref().map(ToString::to_string);
        let _ = writeln!(
            text,
            "coming: {} in {} with {}, since {}",
            eni.as_deref().unwrap_or("an ENI"),
            begun.subnet,
            count(begun.addresses, "address", "addresses"),
            begun.since
        );
    }
    for pod in &status.waiting {
        let _ = writeln!(text, "waiting: {pod}");
    }
    for held in &status.held_back {
        let _ = writeln!(text, "held back ({}): {}", held.name, held.reason);
    }
    text
}

fn row(eni: &EniStatus) -> Vec<String> {
    let prefixes = eni.prefixes.len();
    vec![
        eni.id.to_string(),
        eni.kind.clone(),
        eni.card.to_string(),
        eni.device.to_string(),
        eni.subnet.to_string(),
        eni.primary.to_string(),
        eni.secondary_ips.to_string(),
        prefixes.to_string(),
        eni.addresses.allocated.to_string(),
        eni.addresses.free.to_string(),
        eni.addresses.cooling.to_string(),
        eni.state.clone(),
    ]
}
