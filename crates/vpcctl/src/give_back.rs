//! `vpcctl give-back`: takes our nf_tables table away on a node that upstream's daemon runs again.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use crate::cli::{Format, answer};
use crate::failure::Failure;

/// How it is answered.
#[derive(Debug, Clone, Args)]
pub(crate) struct GiveBackArgs {
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Answer {
    removed: Vec<String>,
}

pub(crate) fn run(args: &GiveBackArgs) -> Result<(), Failure> {
    let removed = vpc_datapath::upstream::give_back()?;
    answer(args.format, &Answer { removed }, text)
}

fn text(answer: &Answer) -> String {
    let mut text = String::new();
    for what in &answer.removed {
        let _ = writeln!(text, "removed {what}");
    }
    if text.is_empty() {
        text += "nothing of ours is there\n";
    }
    text
}
