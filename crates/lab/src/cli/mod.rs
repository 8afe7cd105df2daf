//! What the program understands, and who does it.

mod background;
mod down;
mod ec2;
mod enter;
mod faults;
mod pods;
mod report;
mod status;
mod wait;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use vpc_lab::addresses::SubnetLength;
use vpc_lab::state::{LabFolder, STANDARD_ROOT};
use vpc_lab::{LabConfig, LabName};
use vpc_model::InstanceType;
use vpc_sim::{Secondary, WorldConfig};

use faults::Faults;
use report::Failure;

/// A VPC on this machine: a router, two nodes with the real ipamd, pods made by the real aws-cni,
/// and the simulated EC2 they all talk to.
#[derive(Debug, Parser)]
#[command(name = "vpc-lab", version)]
struct Cli {
    #[command(flatten)]
    lab: Selection,
    #[command(subcommand)]
    command: Command,
}

/// Which lab.
#[derive(Debug, Clone, Args)]
struct Selection {
    /// The lab's name, so that several can be up at once
    #[arg(long, global = true, default_value = "lab")]
    name: LabName,
    /// The folder below which labs keep theirs
    #[arg(long, global = true, default_value = STANDARD_ROOT, hide = true)]
    state_root: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a lab up, check with real packets what vpc-cni promises, print the verdicts, take
    /// the lab down
    Demo(Settings),
    /// Bring a lab up and leave it running in the background
    Up(Settings),
    /// Hold a lab until told to end (what `up` leaves in the background)
    #[command(hide = true)]
    Hold {
        #[command(flatten)]
        settings: Settings,
        /// The file that standard error goes to
        #[arg(long)]
        log: PathBuf,
    },
    /// Take a lab down, also one whose process was killed
    Down,
    /// Show the nodes, their daemons, ENIs and pods, and what the router has dropped
    Status,
    /// Make, remove and list pods
    Pod {
        #[command(subcommand)]
        command: PodCommand,
    },
    /// Run a command in a pod's network
    Exec {
        /// The pod
        pod: String,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Look into a node
    Node {
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// Serve only the simulated EC2 API, with an example VPC, for the aws CLI and SDKs; needs no
    /// root
    Ec2 {
        /// The port on 127.0.0.1
        #[arg(long, default_value_t = 8000)]
        port: u16,
        /// Serve the first instance's metadata on this port of 127.0.0.1 too
        #[arg(long)]
        imds_port: Option<u16>,
        /// Without delays: what is asked for is there at once, and descriptions show it
        #[arg(long)]
        immediate: bool,
        /// A fault: a rule as JSON, or @FILE with a list of them; can be repeated
        #[arg(long = "fault", value_name = "RULE", value_parser = faults::faults)]
        faults: Vec<Faults>,
    },
}

#[derive(Debug, Subcommand)]
enum PodCommand {
    /// Make a pod and wire it with the node's plugin chain, as a kubelet and containerd would
    Add {
        /// Its name: lower-case letters, digits and dashes
        pod: String,
        /// The number of its node
        #[arg(long, default_value_t = 1)]
        node: u8,
    },
    /// Unwire a pod and remove it
    Del {
        /// Its name
        pod: String,
    },
    /// List the pods
    List,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Run a command in a node's network
    Exec {
        /// The node's number
        node: u8,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// How a lab is to be.
#[derive(Debug, Clone, Args)]
struct Settings {
    /// The folder of ipamd and aws-cni [default: where vpc-lab is, or $VPC_BIN_DIR]
    #[arg(long)]
    bin_dir: Option<PathBuf>,
    /// The instance type of both nodes [default: m5.large]
    #[arg(long)]
    instance_type: Option<InstanceType>,
    /// The prefix length of both nodes' subnets, 18 to 28
    #[arg(long, default_value = "24", value_parser = subnet_length)]
    subnet_length: SubnetLength,
    /// How many /28 prefixes the nodes are launched with
    #[arg(long, default_value_t = 0)]
    launch_prefixes: u32,
    /// A variable for ipamd, such as WARM_IP_TARGET=5; can be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// The port of the EC2 API on 127.0.0.1 [default: any free one]
    #[arg(long)]
    ec2_port: Option<u16>,
    /// How many hops the answers of instance metadata may take; 2 lets pods ask it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    imds_hop_limit: u32,
    /// What the simulated cloud's delays and MAC addresses are drawn from
    #[arg(long)]
    seed: Option<u64>,
    /// A fault of the simulated cloud: a rule as JSON, or @FILE with a list of them; can be
    /// repeated
    #[arg(long = "fault", value_name = "RULE", value_parser = faults::faults)]
    faults: Vec<Faults>,
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let Cli { lab, command } = Cli::parse();
    let folder = LabFolder::of(&lab.state_root, &lab.name);
    let outcome = match command {
        Command::Demo(settings) => demo(&lab, settings),
        Command::Up(settings) => background::up(&lab, &settings),
        Command::Hold { settings, log } => background::hold(settings.config(&lab), &log),
        Command::Down => down::down(&folder),
        Command::Status => status::status(&folder),
        Command::Pod { command } => match command {
            PodCommand::Add { pod, node } => pods::add(&folder, &pod, node),
            PodCommand::Del { pod } => pods::del(&folder, &pod),
            PodCommand::List => pods::list(&folder),
        },
        Command::Exec { pod, command } => enter::pod(&folder, &pod, &command),
        Command::Node {
            command: NodeCommand::Exec { node, command },
        } => enter::node(&folder, node, &command),
        Command::Ec2 {
            port,
            imds_port,
            immediate,
            faults,
        } => {
            let config = if immediate {
                WorldConfig::immediate(0)
            } else {
                WorldConfig::default()
            };
            ec2::serve(config, faults, (port, imds_port))
        }
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("vpc-lab: {failure}");
        ExitCode::FAILURE
    })
}

fn demo(lab: &Selection, settings: Settings) -> Result<ExitCode, Failure> {
    let config = settings.config(lab);
    Ok(wait::runtime()?.block_on(vpc_lab::demo::run(config)))
}

impl Settings {
    fn config(self, lab: &Selection) -> LabConfig {
        let mut config = LabConfig::new(lab.name.clone());
        config.state_root.clone_from(&lab.state_root);
        if let Some(bin_dir) = self.bin_dir {
            config.bin_dir = bin_dir;
        }
        if let Some(seed) = self.seed {
            config.world.seed = seed;
        }
        config.instance_type = self.instance_type;
        config.subnet_length = self.subnet_length;
        config.launched_with = Secondary::Prefixes(self.launch_prefixes);
        config.ipamd_env = self.variables.into_iter().collect::<BTreeMap<_, _>>();
        config.ec2_port = self.ec2_port;
        config.imds_hop_limit = self.imds_hop_limit;
        config.faults = self.faults.into_iter().flat_map(|it| it.0).collect();
        config
    }

    /// These settings as arguments for another `vpc-lab`.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                arguments.extend([name.to_owned(), value]);
            }
        };
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        add("--bin-dir", self.bin_dir.as_ref().map(text));
        add(
            "--instance-type",
            self.instance_type.as_ref().map(ToString::to_string),
        );
        let length = self.subnet_length.get();
        add("--subnet-length", Some(length.to_string()));
        add("--launch-prefixes", Some(self.launch_prefixes.to_string()));
        for (name, value) in &self.variables {
            add("--set", Some(format!("{name}={value}")));
        }
        add("--ec2-port", self.ec2_port.map(|port| port.to_string()));
        add("--imds-hop-limit", Some(self.imds_hop_limit.to_string()));
        add("--seed", self.seed.map(|seed| seed.to_string()));
        for rule in faults::arguments(&self.faults) {
            add("--fault", Some(rule));
        }
        arguments
    }
}

fn subnet_length(text: &str) -> Result<SubnetLength, String> {
    let length: u8 = text.parse().map_err(|_| "write a number")?;
    SubnetLength::try_from(length).map_err(|error| error.to_string())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = split.ok_or("write it as NAME=VALUE")?;
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

    #[test]
    fn the_background_process_gets_the_same_settings() {
        let line = "vpc-lab --name a up --bin-dir /b --instance-type c5.large --set A=1=2 \
                    --subnet-length 26 --launch-prefixes 2 \
                    --set B= --ec2-port 8123 --imds-hop-limit 2 --seed 7 \
                    --fault {\"effect\":{\"kind\":\"lostResponse\"}}";
        let settings = |cli: Cli| {
            let (Command::Up(settings) | Command::Hold { settings, .. }) = cli.command else {
                panic!("neither up nor hold");
            };
            settings
        };
        let first = settings(Cli::try_parse_from(line.split_whitespace()).unwrap());
        let again = ["vpc-lab", "hold", "--log", "/l"].map(str::to_owned);
        let again =
            settings(Cli::try_parse_from(again.into_iter().chain(first.arguments())).unwrap());
        assert_eq!(format!("{first:?}"), format!("{again:?}"));
        assert_eq!(again.variables[0], ("A".to_owned(), "1=2".to_owned()));
    }

    #[test]
    fn a_command_for_exec_comes_after_two_dashes() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        assert!(parse("vpc-lab exec web -- ping -c 1 10.0.1.1").is_ok());
        assert!(parse("vpc-lab exec web").is_err());
        assert!(parse("vpc-lab node exec 1 -- ip addr").is_ok());
        assert!(parse("vpc-lab up --set NONSENSE").is_err());
    }
}
