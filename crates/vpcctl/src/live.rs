//! The node that the program runs on: its daemon is asked over the plugin's socket.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use vpc_ipam::status::Status;
use vpc_rpc::client::{CallError, GET_STATUS, call_blocking};
use vpc_rpc::proto::node::GetStatusRequest;

use crate::cli::Format;
use crate::failure::Failure;

/// The daemon answers from memory; whoever does not by then is stuck.
const DEADLINE: Duration = Duration::from_secs(5);

/// Which daemon, and how its answer is written.
#[derive(Debug, Clone, Args)]
pub(crate) struct LiveArgs {
    /// The daemon's socket; ipamd listens where VPC_CNI_SOCKET says
    #[arg(long, env = "VPC_CNI_SOCKET", value_name = "PATH", default_value = vpc_rpc::DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// The daemon's status.
pub(crate) fn status(args: &LiveArgs) -> Result<Status, Failure> {
    let request = GetStatusRequest::default();
    let reply = call_blocking(&args.socket, GET_STATUS, &request, DEADLINE)?;
    Ok(serde_json::from_str(&reply.json)?)
}

/// What to do about a daemon that does not answer.
pub(crate) fn remedy(error: &CallError) -> &'static str {
    match error {
        CallError::Connect { source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            "only root may ask: run vpcctl as root"
        }
        CallError::Connect { .. } => {
            "is the aws-node pod on this node running? If ipamd listens elsewhere, give --socket"
        }
        CallError::Deadline { .. } => "ipamd hangs: see its log, and restart the aws-node pod",
        CallError::Status { .. } => "ipamd may be of another version, or upstream's",
        CallError::Transport { .. } | CallError::Protocol { .. } | CallError::Runtime(_) => {
            "see ipamd's log"
        }
    }
}
