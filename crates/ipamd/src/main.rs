//! `ipamd`: reads its settings, starts its log, runs until it is told to stop.
//!
//! Exit status: 0 stopped as asked, 1 failed, 64 settings wrong (`EX_USAGE`), 77 not root
//! (`EX_NOPERM`); the last two as in BSD's sysexits.h.

use std::process::ExitCode;

use vpc_ipamd::{daemon, logging, report};
use vpc_model::settings::Settings;

const USAGE: u8 = 64;
const NO_PERMISSION: u8 = 77;

fn main() -> ExitCode {
    let (settings, notices) = match Settings::from_vars(std::env::vars_os()) {
        Ok(read) => read,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(USAGE);
        }
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "ipamd must run as root, because it sets routes, rules and nftables: start it with \
             sudo, or in a container with NET_ADMIN and user 0."
        );
        return ExitCode::from(NO_PERMISSION);
    }
    if let Err(error) = logging::start(&settings.log) {
        eprintln!("{}", report::chain(&error));
        return ExitCode::FAILURE;
    }
    for notice in notices {
        tracing::warn!(%notice, "setting");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(daemon::run(settings));
            // A thread may be waiting for the link of an ENI; the end does not wait for it.
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            result
        }
        Err(source) => Err(daemon::RunError::Runtime(source)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = report::chain(&error);
            tracing::error!(error, "ipamd ends");
            eprintln!("ipamd: {error}");
            ExitCode::FAILURE
        }
    }
}
