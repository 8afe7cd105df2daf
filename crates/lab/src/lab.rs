//! A lab as a whole: comes up, is there, goes down.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use vpc_model::IdError;
use vpc_sim::{ApiError, FabricView, IdentifyBy, Sim, World};

use crate::addresses::{EC2_API, EC2_API_PORT, METADATA, METADATA_PORT};
use crate::cleanup::{self, Errors};
use crate::config::{Daemons, LabConfig, STANDARD_INSTANCE_TYPE};
use crate::daemon;
use crate::fabric::serve::{self, HopLimit};
use crate::fabric::{self, Counters, Fabric};
use crate::gate::Gate;
use crate::names::{LabName, netns_path, node_name};
use crate::node::{Common, Node, absolute_bin_dir};
use crate::preflight::{self, Missing};
use crate::state::{self, EniRecord, LabFolder, LabRecord};
use crate::teardown::{Complaints, Teardown};
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
    #[error("cannot serve {what}")]
    Serve {
        /// What.
        what: &'static str,
        /// Why not.
        #[source]
        source: serve::Error,
    },
    /// The address of a server.
    #[error("cannot learn the port of the EC2 API")]
    Port(#[source] io::Error),
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
        let gate = Arc::new(Gate::default());
        let mut teardown = Teardown::new(tools.clone(), folder.clone(), Arc::clone(&gate));

        progress("VPC: router, hosts outside, two nodes in two subnets");
        let region = config.world.region.clone();
        let instance_type = match config.instance_type.clone() {
            Some(instance_type) => instance_type,
            None => STANDARD_INSTANCE_TYPE.parse()?,
        };
        let sim = Sim::new(World::new(config.world.clone()));
        let records = sim
            .with(|world, now| topology::launch(world, &region, &instance_type, now))
            .map_err(Error::Cloud)?;
        let mut fabric = Fabric::build(&tools, &config.name)?;
        fabric.sync(&sim.fabric())?;
        let mut tasks = JoinSet::new();
        let router = netns_path(&config.name.router());
        let ec2_port = start_servers(&mut tasks, &sim, &router, &config)?;
        let follower = Follower {
            sim: sim.clone(),
            fabric,
            folder: folder.clone(),
            gate: Arc::clone(&gate),
            complaints: teardown.complaints(),
        };
        tasks.spawn(follower.run());

        let common = Common {
            tools: tools.clone(),
            folder: folder.clone(),
            bin_dir: bin_dir.clone(),
            ipamd_env: config.ipamd_env,
            gate,
        };
        let mut nodes = Vec::new();
        for record in &records {
            let node = Node::prepare(&common, record.clone())?;
            teardown.end_with_lab(node.daemon());
            nodes.push(node);
        }
        let nodes = <Box<[Node; 2]>>::try_from(nodes.into_boxed_slice())
            .map_err(|nodes| Error::NodeCount(nodes.len()))?;
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

/// Instance metadata and the EC2 API inside the lab, the EC2 API for this machine, the cloud's
/// own clock. Gives the port of the EC2 API on this machine.
fn start_servers(
    tasks: &mut JoinSet<()>,
    sim: &Sim,
    router: &Path,
    config: &LabConfig,
) -> Result<u16, Error> {
    let failed = |what| move |source| Error::Serve { what, source };
    let metadata = SocketAddrV4::new(METADATA, METADATA_PORT);
    let hops = HopLimit::Exactly(config.imds_hop_limit);
    let metadata = serve::listen(router, metadata, hops).map_err(failed("instance metadata"))?;
    let inside = SocketAddrV4::new(EC2_API, EC2_API_PORT);
    let inside = serve::listen(router, inside, HopLimit::Standard)
        .map_err(failed("the EC2 API in the VPC"))?;
    let here = SocketAddrV4::new(Ipv4Addr::LOCALHOST, config.ec2_port.unwrap_or(0));
    let here = serve::listen_here(here).map_err(failed("the EC2 API on this machine"))?;
    let port = here.local_addr().map_err(Error::Port)?.port();
    let servers = [
        (metadata, sim.imds_router(IdentifyBy::PeerAddress)),
        (inside, sim.ec2_router()),
        (here, sim.ec2_router()),
    ];
    for (listener, router) in servers {
        tasks.spawn(async move {
            if let Err(error) = serve::serve(listener, router).await {
                tracing::error!(%error, "a server of the lab has ended");
            }
        });
    }
    let clock = sim.clone();
    tasks.spawn(async move { clock.run().await });
    Ok(port)
}

/// Makes the fabric follow the cloud.
struct Follower {
    sim: Sim,
    fabric: Fabric,
    folder: LabFolder,
    gate: Arc<Gate>,
    complaints: Complaints,
}

impl Follower {
    async fn run(mut self) {
        let mut changes = self.sim.changes();
        loop {
            changes.mark_unchanged();
            let view = self.sim.fabric();
            let work = tokio::task::spawn_blocking(move || {
                self.follow(&view);
                self
            });
            match work.await {
                Ok(back) => self = back,
                Err(_) => return,
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn follow(&mut self, view: &FabricView) {
        // Whoever takes the lab down waits for this to be over, and it is not begun again.
        let Ok(_pass) = self.gate.enter() else {
            return;
        };
        if let Err(error) = self.fabric.sync(view) {
            self.complaints.add(crate::text::chain(&error));
        }
        let written = eni_records(view).and_then(|records| {
            let write = self.folder.write_enis(&records);
            write.map_err(|error| crate::text::chain(&error))
        });
        if let Err(complaint) = written {
            self.complaints.add(complaint);
        }
    }
}

fn eni_records(view: &FabricView) -> Result<Vec<EniRecord>, String> {
    let numbered = (1..=crate::names::NODES).flat_map(|number| {
        let name = node_name(number);
        let instances = view.instances.iter().filter(move |one| one.name == name);
        instances.flat_map(move |instance| instance.enis.iter().map(move |eni| (number, eni)))
    });
    numbered
        .map(|(node, eni)| {
            Ok(EniRecord {
                node,
                id: eni.id.clone(),
                link: fabric::link_name(eni.card, eni.device).map_err(|error| error.to_string())?,
                mac: eni.mac,
                primary: eni.primary,
                secondary_addresses: eni.addresses.len().saturating_sub(1),
                prefixes: eni.prefixes.len(),
            })
        })
        .collect()
}
