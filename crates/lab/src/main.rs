//! `vpc-lab`: a VPC on this machine, to watch, to try things in, and to test against.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
