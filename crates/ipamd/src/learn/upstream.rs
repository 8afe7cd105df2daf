//! Upstream's rules, taken out when ours are in place.

use vpc_datapath::Error;
use vpc_datapath::upstream::{self, legacy};

use crate::report::chain;

/// Takes upstream's rules out of iptables' tables, and logs each. What cannot be taken out is
/// logged with what to do about it, and is no reason not to serve: both translate alike, until
/// the VPC's networks change.
pub async fn clear_of_upstreams_rules() {
    blocking("iptables", upstream::take_over, |removed| said(&removed)).await;
    blocking("legacy iptables", legacy::take_over, |taken| {
        said(&taken.removed);
        if !taken.unread.is_empty() {
            tracing::warn!(
                tables = ?taken.unread,
                "the older iptables is in use and may have rules of upstream's, which would \
                 translate by the networks of that time; its programs are not installed here. \
                 On the node, iptables-legacy-save shows them (AWS-SNAT-CHAIN-0, \
                 AWS-CONNMARK-CHAIN-0, comments that begin with \"AWS\") and iptables-legacy -D, \
                 -F and -X delete them; a reboot does, too"
            );
        }
    })
    .await;
}

async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    done: impl FnOnce(T),
) {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(taken)) => done(taken),
        Ok(Err(error)) => tracing::error!(
            what,
            error = chain(&error),
            "upstream's rules cannot be taken out; they translate as ours do until the VPC's \
             networks change. It is tried again at the next start"
        ),
        // The runtime is going away.
        Err(_) => {}
    }
}

fn said(removed: &[String]) {
    for what in removed {
        tracing::info!(what, "took upstream's out");
    }
}
