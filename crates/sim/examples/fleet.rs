//! Lets a fleet start in virtual time, by our rules and by upstream's, and prints what became of it.
//!
//! ```console
//! $ cargo run --release -p vpc-sim --example fleet -- --nodes 1000 --pods 20
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::{Duration, Instant};

use vpc_aws::BudgetConfig;
use vpc_ipam::Mode;
use vpc_ipam::targets::WarmSettings;
use vpc_sim::fleet::{FleetConfig, Outcome, Rules, SdkRetries, Times, run};

const USAGE: &str = "fleet [--nodes N] [--pods N] [--seed N] [--instance-type T] \
[--prefixes] [--warm-ip N] [--minimum-ip N] [--minutes N] [--one-in N] [--jitter-ms N] \
[--only ours|upstream|upstream-12]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = FleetConfig::new("m5.large".parse()?, 1000, 20, 1);
    let mut budget = BudgetConfig::NODE;
    let mut only = None;
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let mut value = || args.next().ok_or(format!("{name} needs a value\n{USAGE}"));
        match name.as_str() {
            "--nodes" => config.nodes = value()?.parse()?,
            "--pods" => config.pods = value()?.parse()?,
            "--seed" => config.seed = value()?.parse()?,
            "--instance-type" => config.instance_type = value()?.parse()?,
            "--minutes" => config.horizon = Duration::from_secs(60 * value()?.parse::<u64>()?),
            "--prefixes" => {
                config.mode = Mode::Prefixes;
                config.warm = WarmSettings {
                    warm_prefix: Some(1),
                    ..config.warm
                };
            }
            "--warm-ip" => config.warm.warm_ip = Some(value()?.parse()?),
            "--minimum-ip" => config.warm.minimum_ip = Some(value()?.parse()?),
            "--one-in" => budget.one_in = value()?.parse()?,
            "--jitter-ms" => budget.start_jitter = Duration::from_millis(value()?.parse()?),
            "--only" => only = Some(value()?),
            _ => return Err(format!("{name} is not known\n{USAGE}").into()),
        }
    }
    println!(
        "{} nodes ({}), {} pods each, all daemons start within {:?}; seed {}",
        config.nodes, config.instance_type, config.pods, config.start_within, config.seed
    );
    let all = [
        ("ours", Rules::Ours(Box::new(budget))),
        ("upstream", Rules::Upstream(SdkRetries::Standard)),
        ("upstream-12", Rules::Upstream(SdkRetries::Twelve)),
    ];
    let mut outcomes = Vec::new();
    for (name, rules) in &all {
        if only.as_deref().is_none_or(|only| only == *name) {
            let begun = Instant::now();
            outcomes.push((*name, run(&config, rules)?, begun.elapsed()));
        }
    }
    print_times(&outcomes, config.horizon);
    print_calls(&outcomes);
    print_curve(&outcomes, config.horizon);
    Ok(())
}

type Named = (&'static str, Outcome, Duration);

fn print_times(outcomes: &[Named], horizon: Duration) {
    println!("\nSeconds from the first start to …");
    let head = ["p50", "p90", "p99", "max", "never"];
    println!(
        "{:<40}{}",
        "",
        head.map(|name| format!("{name:>9}")).concat()
    );
    for (name, outcome, _) in outcomes {
        for (what, times) in [
            ("serving (first address)", &outcome.serving),
            ("usable (all pods have addresses)", &outcome.usable),
        ] {
            let columns = [50, 90, 99, 100].map(|hundredths| seconds(times, hundredths));
            let columns = columns.map(|text| format!("{text:>9}")).concat();
            println!("{name:<12}{what:<34}{columns:>36}{:>9}", times.never);
        }
    }
    for (name, outcome, took) in outcomes {
        println!(
            "{name:<12}{} ADDs refused; {} s simulated in {:.1} s",
            outcome.refused_adds,
            horizon.as_secs(),
            took.as_secs_f64()
        );
    }
}

fn seconds(times: &Times, hundredths: usize) -> String {
    match times.percentile(hundredths) {
        Some(time) => format!("{:.1}", time.as_secs_f64()),
        None => "-".to_owned(),
    }
}

fn print_calls(outcomes: &[Named]) {
    println!("\nCalls that EC2 received: made/throttled/refused for another reason");
    let names = outcomes.iter().map(|(name, ..)| format!("{name:>24}"));
    println!("{:<34}{}", "", names.collect::<String>());
    let mut actions: Vec<&str> = outcomes
        .iter()
        .flat_map(|(_, outcome, _)| outcome.calls.keys().copied())
        .collect();
    actions.sort_unstable();
    actions.dedup();
    let cell = |made, throttled, refused| format!("{made}/{throttled}/{refused}");
    for action in actions {
        let columns = outcomes.iter().map(|(_, outcome, _)| {
            let counts = outcome.calls.get(action).copied().unwrap_or_default();
            let text = cell(counts.made, counts.throttled, counts.refused);
            format!("{text:>24}")
        });
        println!("{action:<34}{}", columns.collect::<String>());
    }
    let columns = outcomes.iter().map(|(_, outcome, _)| {
        let total = outcome.total();
        let text = cell(total.made, total.throttled, total.refused);
        format!("{text:>24}")
    });
    println!("{:<34}{}", "all", columns.collect::<String>());
}

fn print_curve(outcomes: &[Named], horizon: Duration) {
    println!("\nShare of nodes that serve / are usable by then");
    let names = outcomes.iter().map(|(name, ..)| format!("{name:>20}"));
    println!("{:>8}{}", "seconds", names.collect::<String>());
    let steps = [
        1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 150, 180, 240, 300, 360, 420, 480, 540, 600, 900,
        1200, 1800, 2700, 3600,
    ];
    for step in steps.map(Duration::from_secs) {
        if step > horizon {
            break;
        }
        let columns = outcomes.iter().map(|(_, outcome, _)| {
            let share = |times: &Times| 100.0 * times.share_by(step);
            let text = format!(
                "{:.1} / {:.1} %",
                share(&outcome.serving),
                share(&outcome.usable)
            );
            format!("{text:>20}")
        });
        println!("{:>8}{}", step.as_secs(), columns.collect::<String>());
    }
}
