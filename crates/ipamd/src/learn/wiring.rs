//! The kernel side of an ENI that is attached.

use std::time::Duration;

use vpc_datapath::eni::EniFacts;
use vpc_ipam::NewEni;
use vpc_model::{Mtu, RouteTableId};

use crate::report::chain;

/// How long the link of an attached ENI may take to appear.
const LINK_PATIENCE: Duration = Duration::from_secs(15);

/// What the wiring of a secondary ENI has to be.
#[must_use]
pub(super) fn wiring(eni: &NewEni, mtu: Mtu) -> EniFacts {
    EniFacts {
        mac: eni.mac,
        primary_ip: eni.primary,
        subnet: eni.subnet_cidr,
        table: RouteTableId::for_eni(eni.card, eni.device),
        mtu,
    }
}

/// Wires a secondary ENI that is attached; says in the log why where that does not work.
pub async fn wire(eni: &NewEni, mtu: Mtu) -> bool {
    let wanted = wiring(eni, mtu);
    let wired = tokio::task::spawn_blocking(move || {
        vpc_datapath::links::wait_for_mac(wanted.mac, LINK_PATIENCE)?;
        vpc_datapath::eni::apply(&wanted)
    })
    .await;
    match wired {
        Ok(Ok(report)) => {
            tracing::info!(
                eni = %eni.id, link = %report.link, changed = ?report.changed, "ENI is wired"
            );
            true
        }
        Ok(Err(error)) => {
            tracing::error!(eni = %eni.id, error = chain(&error), "an ENI cannot be wired");
            false
        }
        Err(_) => false,
    }
}
