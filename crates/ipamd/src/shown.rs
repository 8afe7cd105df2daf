//! What the daemon shows over HTTP while it runs: metrics and introspection. Nothing depends on
//! them; a port that is taken stops neither the other nor the daemon.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use vpc_aws::Budget;
use vpc_model::settings::Settings;

use crate::http;
use crate::introspection::Introspection;
use crate::metrics::{self, Metrics};
use crate::pool_task::PoolHandle;
use crate::readiness::Readiness;

/// What is shown.
#[derive(Debug)]
pub struct Shown {
    /// The pool.
    pub pool: PoolHandle,
    /// The calls to EC2.
    pub budget: Budget,
    /// Whether pods can be served.
    pub readiness: watch::Receiver<Readiness>,
    /// What is told about the node.
    pub introspection: Introspection,
    /// When the daemon started.
    pub started: Instant,
}

impl Shown {
    /// What there is to show, with a new budget for the calls to EC2.
    #[must_use]
    pub fn of(introspection: Introspection, started: Instant) -> Self {
        Self {
            pool: introspection.pool.clone(),
            budget: Budget::new(vpc_aws::BudgetConfig::NODE),
            readiness: introspection.readiness.clone(),
            introspection,
            started,
        }
    }
}

/// Shows it where the settings say, for as long as it is polled.
pub async fn show(settings: Arc<Settings>, shown: Shown) {
    let metrics = async {
        if let Some(address) = &settings.metrics {
            let page = Metrics::new(shown.pool.clone(), shown.budget);
            http::serve("metrics", address, page, std::future::pending()).await;
        }
    };
    let introspection = async {
        if let Some(address) = &settings.introspection {
            let page = shown.introspection.clone();
            http::serve("introspection", address, page, std::future::pending()).await;
        }
    };
    let timing = metrics::time_the_start(shown.readiness, shown.started, shown.pool.tally());
    tokio::join!(metrics, introspection, timing, std::future::pending::<()>());
}
