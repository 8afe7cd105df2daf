//! The demo: a VPC with two nodes, the real daemon and plugin, forty pods, and a verdict on each
//! thing that vpc-cni promises, from real packets.
//!
//! ```text
//!  Lab::up ─▶ pods ─▶ claims (packets, kernel, EC2's word) ─▶ verdicts ─▶ Lab::down ─▶ leftovers?
//!     └────────────────── interrupted at any point: everything is dropped ──────────▶ leftovers?
//! ```

pub mod check;
pub mod claims;
pub mod cost;
pub mod stage;
pub mod table;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use crate::cleanup::leftovers;
use crate::{LabConfig, LabName};

use check::{Refuted, seen};
use stage::{Demo, NODES};
use table::{Figure, Outcome, Report, Verdict, chain};

/// The exit status of a program that Ctrl-C ended: 128 + SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// Lines of a daemon's log that are shown when a claim failed.
const LOG_LINES: usize = 15;

/// Characters of each of those lines.
const LOG_COLUMNS: usize = 300;

/// Runs the demo: progress on standard error, the table on standard output. Succeeds when every
/// claim held and nothing was left behind, also when it was interrupted.
pub async fn run(config: LabConfig) -> ExitCode {
    let (name, state_root) = (config.name.clone(), config.state_root.clone());
    let start = Instant::now();
    let say = |text: &str| eprintln!("{:5.1} s  {text}", start.elapsed().as_secs_f64());
    let played = tokio::select! {
        biased;
        () = interrupted() => None,
        played = play(config, &say) => Some(played),
    };
    match played {
        None => {
            eprintln!("Interrupted; everything was taken away.");
            report_leftovers(&name, &state_root);
            ExitCode::from(INTERRUPTED)
        }
        Some(Err(error)) => {
            eprintln!("{}", chain(&error));
            report_leftovers(&name, &state_root);
            ExitCode::FAILURE
        }
        Some(Ok(mut report)) => {
            report.verdicts.push(Verdict::of(
                "nothing is left behind",
                nothing_left(&name, &state_root),
            ));
            report.figures.push(Figure {
                name: "demo".into(),
                value: format!("{:.1} s", start.elapsed().as_secs_f64()),
            });
            println!("\n{report}");
            if report.all_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

async fn play(config: LabConfig, say: &impl Fn(&str)) -> Result<Report, Refuted> {
    let demo = Demo::up(stage::shortened(config), say).await?;
    let mut report = Report {
        verdicts: Vec::new(),
        figures: Vec::new(),
        width: width(),
    };
    judge(&demo, &mut report, say).await;
    if !report.all_ok() {
        show_logs(&demo);
    }
    say("taking everything away");
    let down = demo.down().await.map(|()| "every step of it".to_owned());
    report
        .verdicts
        .push(Verdict::of("the lab can be taken down", down));
    Ok(report)
}

/// Judges every claim, in an order in which each finds what it needs.
async fn judge(demo: &Demo, report: &mut Report, say: &impl Fn(&str)) {
    let verdicts = &mut report.verdicts;
    say("adding pods on both nodes, several at once");
    verdicts.extend(claims::addresses::pods_come_up(demo).await);
    if verdicts
        .iter()
        .any(|verdict| verdict.outcome == Outcome::Failed)
    {
        return;
    }
    verdicts.extend(claims::addresses::are_of_the_nodes_enis(demo).await);
    verdicts.extend(claims::addresses::are_wired_as_upstream_wires_them(demo).await);
    say("packets inside the VPC");
    verdicts.extend(claims::inside::pods_of_one_node_reach_each_other(demo).await);
    verdicts.extend(claims::inside::pods_of_two_nodes_reach_each_other(demo).await);
    verdicts.extend(claims::inside::jumbo_frames_pass_unfragmented(demo).await);
    verdicts.extend(claims::nodes::pods_and_nodes_reach_each_other(demo).await);
    say("packets to the outside");
    verdicts.extend(claims::nodes::nodes_own_traffic_is_untouched(demo).await);
    verdicts.extend(claims::outside::sees_the_nodes_primary_address(demo).await);
    say("packets that must not arrive");
    verdicts.extend(claims::spoofing::is_stopped_by_the_vpc(demo).await);
    verdicts.extend(claims::metadata::answers_nodes_and_not_pods(demo).await);
    say("killing node1's ipamd with kill -9, with traffic flowing");
    verdicts.extend(claims::daemon::may_be_killed(demo).await);
    say("a deleted pod's address in cooldown, on a full node");
    verdicts.extend(claims::cooldown::passes_before_an_address_is_given_out_again(demo).await);
    say("external SNAT on node2, and back");
    verdicts.extend(claims::outside::sees_the_pods_own_address_with_external_snat(demo).await);
    say("timing ADD and DEL");
    match cost::times(demo).await {
        Ok(figures) => report.figures.extend(figures),
        Err(error) => verdicts.push(Verdict::of("ADD and DEL can be timed", Err(error))),
    }
    say("deleting every pod");
    verdicts.extend(claims::teardown::leaves_no_trace(demo).await);
    say("waiting for idle ENIs to be given back");
    verdicts.extend(claims::teardown::gives_enis_back(demo).await);
    report.figures.push(cost::calls(demo));
}

/// Ends when the user or the system asks the program to stop. The handlers stay in place
/// afterwards, so that a second Ctrl-C does not interrupt the cleaning up.
async fn interrupted() {
    let wait = async |kind: SignalKind| match signal(kind) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}

fn nothing_left(name: &LabName, state_root: &Path) -> Result<String, Refuted> {
    let left = leftovers(name, state_root);
    if left.is_empty() {
        return Ok("no namespace, process or file of the lab".into());
    }
    Err(seen(left.join(", ")))
}

fn report_leftovers(name: &LabName, state_root: &Path) {
    for left in leftovers(name, state_root) {
        eprintln!("Left behind: {left}");
    }
}

/// The ends of the daemons' logs, which go away with the lab.
fn show_logs(demo: &Demo) {
    for number in NODES {
        let node = demo.node(number);
        let log = std::fs::read_to_string(node.ipamd_log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("The end of {}'s ipamd log:", node.name());
        for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES)) {
            eprintln!("  {}", line.chars().take(LOG_COLUMNS).collect::<String>());
        }
    }
}

/// The columns of the terminal within reason; a hundred and twenty when there is none.
fn width() -> usize {
    let columns = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
    match columns {
        Ok(columns) if columns > 0 => columns.clamp(80, 160),
        Ok(_) | Err(_) => 120,
    }
}
