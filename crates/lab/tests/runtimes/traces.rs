//! What pods leave on a node: links, rules, routes, allocations.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vpc_lab::demo::stage::Demo;
use vpc_lab::probe::kernel;

use crate::common::program;

/// How long the kernel may take over namespaces that are gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What of pods there is on the first node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traces {
    veths: Vec<String>,
    rules: usize,
    routes: usize,
    allocated: u64,
}

impl Traces {
    pub(crate) async fn of(demo: &Demo) -> Traces {
        let netns = demo.node(1).netns();
        let links = kernel::links(netns).await.expect("links");
        let rules = kernel::rules(netns).await.expect("rules");
        let routes = kernel::routes(netns).await.expect("routes");
        let veths = links.into_iter().map(|link| link.ifname);
        Traces {
            veths: veths.filter(|name| name.starts_with("eni")).collect(),
            rules: rules
                .iter()
                .filter(|rule| [512, 1536].contains(&rule.priority))
                .count(),
            routes: routes
                .iter()
                .filter(|route| route.dev.starts_with("eni"))
                .count(),
            allocated: allocated(demo),
        }
    }
}

/// How many addresses pods have, by the daemon's word.
fn allocated(demo: &Demo) -> u64 {
    let output = Command::new(program("vpcctl"))
        .args(["status", "--format", "json", "--socket"])
        .arg(demo.node(1).socket())
        .output()
        .expect("vpcctl");
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    status["addresses"]["allocated"].as_u64().expect("a number")
}

/// Waits until the node is as it was; fails with what is left otherwise.
pub(crate) async fn settles_to(demo: &Demo, before: &Traces) {
    let start = std::time::Instant::now();
    loop {
        let now = Traces::of(demo).await;
        if now == *before {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "left behind: {now:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
