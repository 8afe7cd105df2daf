//! What the program understands, and who does it.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::Ipv4Net;
use serde::Serialize;

use crate::failure::{Failure, USAGE};
use crate::give_back::GiveBackArgs;
use crate::live::LiveArgs;
use crate::{explain, give_back, max_pods, pool, status};

/// The most pods that can be asked for: the addresses of a /16, the widest subnet there is.
const MOST_PODS: i64 = 65_536;

/// The operator's tool of vpc-cni: what a node would hold, what it holds, and why.
#[derive(Debug, Parser)]
#[command(name = "vpcctl", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What a node would hold at rest: the daemon's own decisions, played against a simulated EC2
    /// in virtual time. Asks nobody, changes nothing
    Pool(PoolArgs),
    /// How many pods a node of some type can have, or every type
    MaxPods(MaxPodsArgs),
    /// What this node holds now
    Status(LiveArgs),
    /// The reason for each part of what this node holds, and what was done lately and why
    Explain(LiveArgs),
    /// Takes our nftables table away on a node that upstream's daemon runs again. Refuses where
    /// upstream's rules are not there
    GiveBack(GiveBackArgs),
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The node to think of.
#[derive(Debug, Clone, Args)]
pub(crate) struct PoolArgs {
    /// The EC2 instance type, such as m5.large
    #[arg(long, value_name = "TYPE")]
    pub(crate) instance_type: String,
    /// How many pods the node runs that need an address
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=MOST_PODS))]
    pub(crate) pods: u32,
    /// A setting of ipamd, such as WARM_IP_TARGET=5; can be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) variables: Vec<(String, String)>,
    /// The node's subnet, /16 to /28
    #[arg(long, value_name = "CIDR", default_value = "10.0.0.0/16")]
    pub(crate) subnet_cidr: Ipv4Net,
    /// The most pods the node may run; caps the pool as VPC_CNI_MAX_PODS does [default: no cap]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_PODS))]
    pub(crate) max_pods: Option<u32>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// The nodes to count for.
#[derive(Debug, Clone, Args)]
pub(crate) struct MaxPodsArgs {
    /// The EC2 instance type, such as m5.large. One that this version does not know is asked of EC2
    /// where AWS_REGION and credentials are in the environment
    #[arg(long, value_name = "TYPE", required_unless_present = "all")]
    pub(crate) instance_type: Option<String>,
    /// A line with type and number for every type that this version knows
    #[arg(long, conflicts_with = "instance_type")]
    pub(crate) all: bool,
    /// ENIs hold /28 prefixes (ENABLE_PREFIX_DELEGATION)
    #[arg(long)]
    pub(crate) prefix_delegation: bool,
    /// The primary ENI has no pods (AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG)
    #[arg(long)]
    pub(crate) custom_networking: bool,
    /// An ENI is the trunk for branch ENIs (ENABLE_POD_ENI). Pods with branch ENIs come on top
    #[arg(long)]
    pub(crate) security_groups_for_pods: bool,
    /// The most ENIs, the primary included (MAX_ENI) [default: the type's limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_eni: Option<u32>,
    /// Not more than is recommended: 110 up to 30 vCPUs, 250 above
    #[arg(long)]
    pub(crate) recommended: bool,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for and go to standard output; the rest is a mistake.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let outcome = match &cli.command {
        Command::Pool(args) => pool::run(args),
        Command::MaxPods(args) => max_pods::run(args),
        Command::Status(args) => status::run(args),
        Command::Explain(args) => explain::run(args),
        Command::GiveBack(args) => give_back::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the answer has seen enough.
        Err(Failure::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("vpcctl: {failure}");
            failure.exit_code()
        }
    }
}

/// Writes an answer in the form that was asked for.
pub(crate) fn answer<T: Serialize>(
    format: Format,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let mut out = match format {
        Format::Text => text(value),
        Format::Json => serde_json::to_string(value)?,
    };
    if !out.ends_with('\n') {
        out.push('\n');
    }
    Ok(std::io::stdout().lock().write_all(out.as_bytes())?)
}

fn variable(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = split.ok_or("allowed: NAME=VALUE, such as WARM_IP_TARGET=5")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
