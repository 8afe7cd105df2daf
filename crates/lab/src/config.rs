//! What a lab is to be like.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use vpc_model::InstanceType;
use vpc_sim::fault::Fault;
use vpc_sim::{Secondary, WorldConfig};

use crate::addresses::SubnetLength;
use crate::names::LabName;
use crate::state::STANDARD_ROOT;

/// The variable that names the folder of the programs under test.
pub const BIN_DIR_VARIABLE: &str = "VPC_BIN_DIR";

/// The instance type of the nodes unless told otherwise: 3 ENIs of 10 addresses, 29 pods.
pub const STANDARD_INSTANCE_TYPE: &str = "m5.large";

/// How a lab comes up.
#[derive(Debug, Clone)]
pub struct LabConfig {
    /// Its name, which its namespaces' names begin with.
    pub name: LabName,
    /// The folder below which it has its own.
    pub state_root: PathBuf,
    /// Where `ipamd` and `aws-cni` are.
    pub bin_dir: PathBuf,
    /// The instance type of both nodes; [`STANDARD_INSTANCE_TYPE`] if absent.
    pub instance_type: Option<InstanceType>,
    /// How large the nodes' subnets are.
    pub subnet_length: SubnetLength,
    /// What the nodes' primary ENIs hold from the start, beside their own addresses.
    pub launched_with: Secondary,
    /// The simulated cloud: delays, limits, seed.
    pub world: WorldConfig,
    /// What goes wrong in the simulated cloud from the start.
    pub faults: Vec<Fault>,
    /// How many hops the answers of instance metadata may take; 1 keeps pods from it.
    pub imds_hop_limit: u32,
    /// Variables for the daemons, besides or instead of those that the lab sets.
    pub ipamd_env: BTreeMap<String, String>,
    /// The port of the EC2 API on 127.0.0.1; any free one if absent.
    pub ec2_port: Option<u16>,
    /// Who starts the daemons.
    pub daemons: Daemons,
}

/// Who starts the daemons of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemons {
    /// They are started, and waited for, as the lab comes up.
    Run,
    /// The caller starts them.
    ByHand,
}

impl LabConfig {
    /// A lab named `name` with everything else as usual.
    #[must_use]
    pub fn new(name: LabName) -> LabConfig {
        LabConfig {
            name,
            state_root: PathBuf::from(STANDARD_ROOT),
            bin_dir: standard_bin_dir(),
            instance_type: None,
            subnet_length: SubnetLength::default(),
            launched_with: Secondary::None,
            world: WorldConfig::default(),
            faults: Vec::new(),
            imds_hop_limit: 1,
            ipamd_env: BTreeMap::new(),
            ec2_port: None,
            daemons: Daemons::Run,
        }
    }
}

/// The folder that `VPC_BIN_DIR` names, or the one this program is in; for a test program, which
/// cargo puts in a folder `deps`, the one above.
#[must_use]
pub fn standard_bin_dir() -> PathBuf {
    if let Some(named) = env::var_os(BIN_DIR_VARIABLE) {
        return PathBuf::from(named);
    }
    let program = env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("."));
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    above.unwrap_or(folder).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_finds_the_programs_that_cargo_built_beside_it() {
        let folder = standard_bin_dir();
        assert!(folder.is_dir());
        assert!(!folder.ends_with("deps"));
    }
}
