//! A lab as a whole: comes up, is there, goes down.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinSet;
use vpc_model::IdError;
use vpc_sim::{ApiError, Sim};

use crate::cleanup::{self, Errors};
use crate::config::{Daemons, LabConfig, STANDARD_INSTANCE_TYPE};
use crate::daemon;
use crate::equip::{Common, absolute_bin_dir};
use crate::fabric::{self, Counters, Fabric};
use crate::files;
use crate::follow::Follower;
use crate::names::{LabName, netns_path};
use crate::node::Node;
use crate::preflight::{self, Missing};
use crate::servers;
use crate::state::{self, LabFolder, LabRecord, NodeRecord};
use crate::teardown::Teardown;
use crate::tool::Tools;
use crate::topology;

/// How long the daemons may take to become ready.
const READY_PATIENCE: Duration = Duration::from_secs(30);

/// Why a lab did not come up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine lacks something.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The lab's folder.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A file or folder.
    #[error(transparent)]
    File(#[from] files::Error),
    /// What an earlier lab left could not be cleared up.
    #[error("cannot clear up what an earlier lab {name} left")]
    Leftovers {
        /// The name.
        name: LabName,
        /// What is left.
        #[source]
        source: Errors,
    },
    /// The name's network namespaces are there, and this is not their lab's folder.
    #[error(
        "there are network namespaces of another lab {name} ({name}-vpc and so on), whose folder is \
         elsewhere: choose another name with --name, or remove them with `vpc-lab down --name {name}`"
    )]
    Occupied {
        /// The name.
        name: LabName,
    },
    /// The simulated cloud refused.
    #[error("cannot launch the nodes")]
    Cloud(#[source] ApiError),
    /// The usual instance type is none.
    #[error("cannot choose an instance type")]
    InstanceType(#[from] IdError),
    /// The kernel refused.
    #[error(transparent)]
    Fabric(#[from] fabric::Error),
    /// A server.
    #[error(transparent)]
    Servers(#[from] servers::Error),
    /// A daemon.
    #[error(transparent)]
    Daemon(#[from] daemon::Error),
    /// There are not two nodes.
    #[error("the cloud launched {0} nodes instead of 2")]
    NodeCount(usize),
}

/// A VPC with two nodes on this machine. Dropping it takes everything away.
#[derive(Debug)]
pub struct Lab {
    // Dropped first to last: what serves the daemons, then the nodes, then everything else.
    tasks: JoinSet<()>,
    nodes: Box<[Node; 2]>,
    sim: Sim,
    ec2_port: u16,
    router: PathBuf,
    outside: PathBuf,
    folder: LabFolder,
    tools: Tools,
    teardown: Teardown,
}

impl Lab {
    /// Brings a lab up and says in short lines what it is doing. What a dead lab of the same
    /// name left is cleared up first. Dropping the future, at any point, undoes everything.
    ///
    /// # Errors
    /// [`Error`]; nothing is left then.
    pub async fn up(config: LabConfig, progress: impl Fn(&str)) -> Result<Lab, Error> {
        let tools = preflight::check()?;
        if config.daemons == Daemons::Run {
            preflight::binaries(&config.bin_dir)?;
        }
        let bin_dir = absolute_bin_dir(&config.bin_dir)?;
        let folder = LabFolder::of(&config.state_root, &config.name);
        claim(&tools, &folder, &progress)?;
        let mut teardown = Teardown::new(tools.clone(), folder.clone());

        progress("VPC: router, hosts outside, two nodes in two subnets");
        let instance_type = match config.instance_type.clone() {
            Some(instance_type) => instance_type,
            None => STANDARD_INSTANCE_TYPE.parse()?,
        };
        let launch = topology::Nodes {
            instance_type: instance_type.clone(),
            subnet_length: config.subnet_length,
            launched_with: config.launched_with,
        };
        let (sim, records) =
            topology::cloud(config.world.clone(), &launch).map_err(Error::Cloud)?;
        for fault in &config.faults {
            sim.add_fault(fault.clone());
        }
        let mut fabric = Fabric::build(&tools, &config.name)?;
        fabric.sync(&sim.fabric())?;
        let mut tasks = JoinSet::new();
        let router = netns_path(&config.name.router());
        let ec2_port = servers::start(&mut tasks, &sim, &router, &config)?;
        let follower = Follower {
            sim: sim.clone(),
            fabric,
            folder: folder.clone(),
            gate: teardown.fabric(),
            complaints: teardown.complaints(),
        };
        tasks.spawn(follower.run());

        let common = Common {
            tools: tools.clone(),
            folder: folder.clone(),
            bin_dir: bin_dir.clone(),
            ipamd_env: config.ipamd_env,
            gate: teardown.pods(),
        };
        let nodes = prepare_nodes(&common, &records, &mut teardown)?;
        let lab = Lab {
            tasks,
            nodes,
            sim,
            ec2_port,
            router,
            outside: netns_path(&config.name.outside()),
            folder,
            tools,
            teardown,
        };
        match config.daemons {
            Daemons::Run => lab.start_daemons(&progress).await?,
            Daemons::ByHand => {}
        }
        lab.folder.write_lab(&LabRecord {
            ec2_endpoint: lab.ec2_endpoint(),
            bin_dir,
            instance_type,
            nodes: records,
        })?;
        Ok(lab)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &LabName {
        self.folder.name()
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// The simulated cloud.
    #[must_use]
    pub fn sim(&self) -> &Sim {
        &self.sim
    }

    /// Both nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node; 2] {
        &self.nodes
    }

    /// Node `number`, 1 or 2.
    #[must_use]
    pub fn node(&self, number: usize) -> Option<&Node> {
        self.nodes.get(number.checked_sub(1)?)
    }

    /// The file of the router's network namespace.
    #[must_use]
    pub fn router(&self) -> &Path {
        &self.router
    }

    /// The file of the network namespace of the hosts outside the VPC.
    #[must_use]
    pub fn outside(&self) -> &Path {
        &self.outside
    }

    /// The EC2 API for this machine's own programs, such as the `aws` command.
    #[must_use]
    pub fn ec2_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ec2_port)
    }

    /// What the router has dropped.
    ///
    /// # Errors
    /// The counters could not be read.
    pub fn counters(&self) -> Result<Counters, fabric::Error> {
        fabric::counters::read(&self.tools, &self.router)
    }

    /// Takes it down: the daemons end by SIGTERM, everything is removed.
    ///
    /// # Errors
    /// What could not be removed, and what went wrong in the background while it was up.
    pub async fn down(self) -> Result<(), Errors> {
        let Lab {
            mut tasks,
            nodes,
            teardown,
            ..
        } = self;
        let result = teardown.gently().await;
        tasks.shutdown().await;
        drop(nodes);
        result
    }

    async fn start_daemons(&self, progress: &impl Fn(&str)) -> Result<(), Error> {
        for node in self.nodes() {
            let pid = node.start_ipamd(&Default::default()).await?;
            progress(&format!("{}: ipamd is process {pid}", node.name()));
        }
        for node in self.nodes() {
            let took = node.wait_ready(READY_PATIENCE).await?;
            let millis = took.as_millis();
            progress(&format!(
                "{}: ready for pods after another {millis} ms",
                node.name()
            ));
        }
        Ok(())
    }
}

/// Makes the nodes' folders; their daemons end with the lab.
fn prepare_nodes(
    common: &Common,
    records: &[NodeRecord],
    teardown: &mut Teardown,
) -> Result<Box<[Node; 2]>, Error> {
    let mut nodes = Vec::new();
    for record in records {
        let node = Node::prepare(common, record.clone())?;
        teardown.end_with_lab(node.daemon());
        nodes.push(node);
    }
    <Box<[Node; 2]>>::try_from(nodes.into_boxed_slice())
        .map_err(|nodes| Error::NodeCount(nodes.len()))
}

/// Takes the lab's name; clears up first if a dead process has it.
fn claim(tools: &Tools, folder: &LabFolder, progress: &impl Fn(&str)) -> Result<(), Error> {
    let name = || folder.name().clone();
    match folder.claim() {
        Err(state::Error::Dead { .. }) => {
            progress("clearing up what an earlier lab of this name left");
            cleanup::wipe(tools, folder).map_err(|source| Error::Leftovers {
                name: name(),
                source,
            })?;
            Ok(folder.claim()?)
        }
        Err(error) => Err(error.into()),
        // A lab's folder goes last, so these are of a lab whose folder is elsewhere.
        Ok(()) if !cleanup::namespaces(folder.name()).is_empty() => {
            cleanup::remove_folder(folder)?;
            Err(Error::Occupied { name: name() })
        }
        Ok(()) => Ok(()),
    }
}
