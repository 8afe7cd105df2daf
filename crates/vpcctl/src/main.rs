//! `vpcctl`: what a node would hold, what it holds, and why.
//!
//! Exit status: 0 done, 1 failed, 64 wrongly asked (`EX_USAGE` of BSD's sysexits.h).

mod cli;
mod explain;
mod failure;
mod give_back;
mod live;
mod max_pods;
mod pool;
mod status;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
