//! What the node holds at rest, in the answer's form.

use std::fmt::Write as _;

use serde::Serialize;
use vpc_ipam::plan::HeldBack;
use vpc_ipam::{Eni, EniKind, Plan, SlotKind, Targets, WarmTarget};
use vpc_model::InstanceType;

use super::node::Node;
use crate::table::{count, table};

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    enis: Vec<EniReport>,
    /// Addresses for pods, those of prefixes included.
    total: u32,
    /// Of these, pods'.
    allocated: u32,
    /// Of these, nobody's.
    unused: u32,
    held_back: Vec<Held>,
    /// Pods without an address.
    #[serde(skip)]
    waiting: u32,
}

/// One ENI.
#[derive(Debug, Serialize)]
struct EniReport {
    primary: bool,
    /// Single addresses for pods; the ENI's own is none.
    secondary_ips: u32,
    prefixes: u32,
    /// Its pods.
    allocated: u32,
}

/// Something that the daemon would do if it could.
#[derive(Debug, Serialize)]
struct Held {
    /// A name that never changes, as in metrics and events.
    name: &'static str,
    reason: String,
}

impl Report {
    /// The node's pool after its last plan.
    pub(super) fn of(node: &Node, plan: &Plan) -> Self {
        let mut enis: Vec<&Eni> = node.pool().enis().collect();
        enis.sort_by_key(|eni| (eni.card, eni.device));
        let total: u32 = enis.iter().map(|eni| eni.len()).sum();
        let allocated: u32 = enis.iter().map(|eni| eni.allocated()).sum();
        Self {
            enis: enis.into_iter().map(EniReport::of).collect(),
            total,
            allocated,
            unused: total - allocated,
            held_back: plan.held_back.iter().map(Held::of).collect(),
            waiting: node.waiting(),
        }
    }

    /// For people.
    pub(super) fn to_text(&self, instance_type: &InstanceType, targets: &Targets) -> String {
        let mut text = format!(
            "{instance_type}: up to {} with {} each; {}\n\n",
            count(targets.max_enis, "ENI", "ENIs"),
            count(targets.per_eni, "slot for pods", "slots for pods"),
            warm(targets.warm),
        );
        let number = |number: u32| number.to_string();
        let row = |(index, eni): (usize, &EniReport)| {
            let name = if eni.primary { "primary" } else { "secondary" };
            vec![
                index.to_string(),
                name.to_owned(),
                number(eni.secondary_ips),
                number(eni.prefixes),
                number(eni.allocated),
            ]
        };
        let rows: Vec<_> = self.enis.iter().enumerate().map(row).collect();
        let head = ["ENI", "kind", "secondary IPs", "prefixes", "pods"];
        text.push_str(&table(&head, &rows));
        let addresses = count(self.total, "address", "addresses");
        let pods = count(self.allocated, "pod has", "pods have");
        let _ = writeln!(
            text,
            "\n{addresses} for pods: {pods} one, {} unused",
            self.unused
        );
        if self.waiting > 0 {
            let pods = count(self.waiting, "pod gets", "pods get");
            let _ = writeln!(text, "{pods} no address");
        }
        for held in &self.held_back {
            let _ = writeln!(text, "held back ({}): {}", held.name, held.reason);
        }
        text
    }
}

impl EniReport {
    fn of(eni: &Eni) -> Self {
        Self {
            primary: eni.kind == EniKind::Primary,
            secondary_ips: eni.counts(SlotKind::Address).total,
            prefixes: eni.prefix_count(),
            allocated: eni.allocated(),
        }
    }
}

impl Held {
    fn of(held: &HeldBack) -> Self {
        // The moment of the next try is one of virtual time, and comes again and again.
        let reason = if let HeldBack::BackOff { reason, .. } = held {
            format!("EC2 refuses: {reason}")
        } else {
            held.to_string()
        };
        Self {
            name: held.name(),
            reason,
        }
    }
}

fn warm(warm: WarmTarget) -> String {
    match warm {
        WarmTarget::Enis(enis) => format!("WARM_ENI_TARGET {enis}"),
        WarmTarget::Ips { warm, minimum } => {
            format!("WARM_IP_TARGET {warm}, MINIMUM_IP_TARGET {minimum}")
        }
        WarmTarget::Prefixes(prefixes) => format!("WARM_PREFIX_TARGET {prefixes}"),
    }
}
