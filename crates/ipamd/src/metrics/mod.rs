//! What is exported to Prometheus: the pool at the moment of the scrape, and what was counted.
//!
//! ```text
//!  parts of the daemon ─▶ Tally ────────┐
//!  pool task ─▶ Look (status, pool) ────┼─▶ render, by the catalogue ─▶ text ─▶ serve
//!  call budget ─▶ counts, rates ────────┤
//!  kernel ─▶ counters ──────────────────┘
//! ```

pub mod catalogue;
mod counted;
mod ec2;
mod kernel;
mod pool;
mod process;
mod startup;
pub mod tally;
mod text;

use vpc_aws::Budget;

pub use ec2::Ec2Facts;
pub use kernel::KernelFacts;
pub use process::ProcessFacts;
pub use startup::time_the_start;
pub use tally::Tally;

use crate::http::{Answer, Page, Question};
use crate::pool_task::{Look, PoolHandle};
use text::Exposition;

/// What a scrape is computed from.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The pool.
    pub look: Look,
    /// Calls to EC2.
    pub ec2: Ec2Facts,
    /// The kernel's counters.
    pub kernel: KernelFacts,
    /// The daemon itself.
    pub process: ProcessFacts,
}

/// The exposition of all series.
#[must_use]
pub fn render(facts: &Facts, tally: &Tally) -> String {
    let mut text = Exposition::default();
    pool::write(&mut text, &facts.look);
    counted::write(&mut text, tally);
    ec2::write(&mut text, &facts.ec2);
    kernel::write(&mut text, &facts.kernel);
    process::write(&mut text, &facts.process);
    text.finish()
}

/// The metrics as they are served.
#[derive(Debug, Clone)]
pub struct Metrics {
    pool: PoolHandle,
    budget: Budget,
}

impl Metrics {
    /// Those of that pool and that budget.
    #[must_use]
    pub fn new(pool: PoolHandle, budget: Budget) -> Self {
        Self { pool, budget }
    }
}

impl Page for Metrics {
    async fn answer(&self, question: Question) -> Answer {
        if question.path != "/metrics" {
            return Answer::missing("the metrics are at /metrics");
        }
        let Some(look) = self.pool.look().await else {
            return Answer::unavailable("ipamd is stopping");
        };
        let facts = Facts {
            look,
            ec2: Ec2Facts::of(&self.budget),
            kernel: KernelFacts::read().await,
            process: ProcessFacts::read(),
        };
        let body = render(&facts, self.pool.tally());
        Answer::found(text::CONTENT_TYPE, body)
    }
}
