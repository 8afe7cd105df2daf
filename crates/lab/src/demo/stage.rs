//! The stage the claims are judged on: a lab with pods, and a server on everything that can be
//! asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use vpc_sim::{FabricEni, FabricInstance};

use crate::addresses::{INTERNET, ON_PREMISES};
use crate::probe::whoami::Server;
use crate::{Counters, Lab, LabConfig, Node, Pod};

use super::check::{Place, Refuted, seen};

/// The numbers of the lab's nodes.
pub const NODES: [usize; 2] = [1, 2];

/// How many ADDs run at once on one node, as a kubelet starts pods in parallel.
const ADDS_AT_ONCE: usize = 5;

/// The cooldown of released addresses in the demo, instead of 30 s.
pub const COOLDOWN: Duration = Duration::from_secs(4);

/// What the demo sets besides: how long an excess lasts before ENIs go back, and how old they must
/// be, in seconds, instead of 30 and 60.
const SHORT: &[(&str, &str)] = &[("VPC_CNI_RETURN_DELAY", "2"), ("VPC_CNI_ENI_MIN_AGE", "3")];

/// How long ipamd may take until it serves.
const READY: Duration = Duration::from_secs(15);

/// Which of the node's ENIs an address is assigned to, by EC2's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EniKind {
    /// The ENI the instance was launched with.
    Primary,
    /// One that ipamd attached.
    Secondary,
}

/// A lab with servers in it.
#[derive(Debug)]
pub struct Demo {
    lab: Lab,
    servers: Mutex<BTreeMap<PathBuf, Server>>,
}

/// The settings of both daemons in the demo: those that say how long to wait, shortened.
#[must_use]
pub fn shortened(mut config: LabConfig) -> LabConfig {
    let cooldown = COOLDOWN.as_secs().to_string();
    config
        .ipamd_env
        .insert("IP_COOLDOWN_PERIOD".into(), cooldown);
    for (name, value) in SHORT {
        config.ipamd_env.insert((*name).into(), (*value).into());
    }
    config
}

impl Demo {
    /// Brings up the VPC and two nodes with their daemons, and servers on the nodes and the
    /// outside host.
    ///
    /// # Errors
    /// Whatever the lab could not do; what it had made is gone then.
    pub async fn up(config: LabConfig, progress: impl Fn(&str)) -> Result<Demo, Refuted> {
        let lab = Lab::up(config, progress).await?;
        let places = [
            lab.nodes()[0].netns(),
            lab.nodes()[1].netns(),
            lab.outside(),
        ];
        let places = places.map(Path::to_path_buf);
        let demo = Demo {
            lab,
            servers: Mutex::new(BTreeMap::new()),
        };
        for netns in &places {
            demo.serve(netns).await?;
        }
        Ok(demo)
    }

    /// Takes everything away.
    ///
    /// # Errors
    /// What could not be taken away.
    pub async fn down(self) -> Result<(), crate::Errors> {
        drop(self.servers);
        self.lab.down().await
    }

    /// The lab underneath.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// One of [`NODES`]; any other number means the last of them.
    #[must_use]
    pub fn node(&self, number: usize) -> &Node {
        let [first, second] = self.lab.nodes();
        if number == NODES[0] { first } else { second }
    }

    /// Adds pods `first..first + count` to a node, several at once, with a server in each.
    ///
    /// # Errors
    /// The first ADD that failed for good.
    pub async fn add_pods(
        &self,
        node: usize,
        first: usize,
        count: usize,
    ) -> Result<Vec<Pod>, Refuted> {
        stream::iter(first..first + count)
            .map(|index| self.add_pod(node, format!("n{node}-{index}")))
            .buffer_unordered(ADDS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Adds one pod with a server in it.
    ///
    /// # Errors
    /// Why the ADD failed for good.
    pub async fn add_pod(&self, node: usize, name: String) -> Result<Pod, Refuted> {
        let pod = self.node(node).add_pod(&name).await?;
        self.serve(pod.netns()).await?;
        Ok(pod)
    }

    /// Deletes a pod as a runtime does: DEL, then its namespace; the time of the plugin.
    ///
    /// # Errors
    /// Why the DEL failed.
    pub async fn del_pod(&self, pod: &Pod) -> Result<Duration, Refuted> {
        self.servers().remove(pod.netns());
        Ok(self.node(pod.node).del_pod(pod).await?)
    }

    /// Every pod of a node.
    ///
    /// # Errors
    /// When the lab's record of them cannot be read.
    pub fn pods(&self, node: usize) -> Result<Vec<Pod>, Refuted> {
        Ok(self.node(node).pods()?)
    }

    /// Every source address that reached the server in this namespace.
    #[must_use]
    pub fn callers(&self, netns: &Path) -> Vec<Ipv4Addr> {
        self.servers()
            .get(netns)
            .map(Server::callers)
            .unwrap_or_default()
    }

    /// What the VPC has dropped so far.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub fn counters(&self) -> Result<Counters, Refuted> {
        Ok(self.lab.counters()?)
    }

    /// Starts a node's ipamd with these settings besides the demo's, and waits until it serves.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn start(&self, node: usize, env: &BTreeMap<String, String>) -> Result<(), Refuted> {
        self.node(node).start_ipamd(env).await?;
        self.node(node).wait_ready(READY).await?;
        Ok(())
    }

    /// Stops a node's ipamd as Kubernetes does, and starts it with these settings.
    ///
    /// # Errors
    /// Why it does not serve afterwards.
    pub async fn restart(
        &self,
        node: usize,
        env: &BTreeMap<String, String>,
    ) -> Result<(), Refuted> {
        self.node(node).stop_ipamd().await?;
        self.start(node, env).await
    }

    /// What EC2 says about a node: its ENIs and their addresses.
    ///
    /// # Errors
    /// When EC2 does not know the instance.
    pub fn instance(&self, node: usize) -> Result<FabricInstance, Refuted> {
        let id = self.node(node).instance();
        self.lab
            .sim()
            .with(|world, _| world.fabric())
            .instances
            .into_iter()
            .find(|instance| instance.id == *id)
            .ok_or_else(|| seen(format_args!("EC2 does not know instance {id}")))
    }

    /// How many ENIs exist, attached or not: as it is, not as lagging descriptions show it.
    #[must_use]
    pub fn eni_count(&self) -> usize {
        self.lab
            .sim()
            .with(|world, _| world.existing_enis().count())
    }

    /// A node as a place, reached at its primary address.
    #[must_use]
    pub fn node_place(&self, number: usize) -> Place {
        let node = self.node(number);
        Place {
            name: node.name().to_owned(),
            netns: node.netns().to_path_buf(),
            address: node.primary_address(),
        }
    }

    /// A pod as a place.
    #[must_use]
    pub fn pod_place(pod: &Pod) -> Place {
        Place {
            name: format!("pod {} ({})", pod.name(), pod.address),
            netns: pod.netns().to_path_buf(),
            address: pod.address,
        }
    }

    /// A node's pods as places.
    ///
    /// # Errors
    /// When the lab's record of them cannot be read.
    pub fn pod_places(&self, node: usize) -> Result<Vec<Place>, Refuted> {
        Ok(self.pods(node)?.iter().map(Demo::pod_place).collect())
    }

    /// The outside host at the address where the VPC reaches it without translation.
    #[must_use]
    pub fn on_premises(&self) -> Place {
        self.outside("the on-premises host", ON_PREMISES)
    }

    /// The outside host at the address behind the internet gateway.
    #[must_use]
    pub fn internet(&self) -> Place {
        self.outside("the internet host", INTERNET)
    }

    /// A node's pods whose address is on an ENI of this kind.
    ///
    /// # Errors
    /// When EC2 does not know the instance, or there is no such pod.
    pub fn pods_on(&self, node: usize, kind: EniKind) -> Result<Vec<Pod>, Refuted> {
        let enis = self.instance(node)?.enis;
        let addresses: BTreeSet<Ipv4Addr> = enis
            .iter()
            .filter(|eni| kind_of(eni) == kind)
            .flat_map(|eni| eni.addresses.iter().copied())
            .collect();
        let mut pods = self.pods(node)?;
        pods.retain(|pod| addresses.contains(&pod.address));
        if pods.is_empty() {
            return Err(seen(format_args!(
                "node{node} has no pod on a {kind:?} ENI"
            )));
        }
        Ok(pods)
    }

    fn outside(&self, name: &str, address: Ipv4Addr) -> Place {
        Place {
            name: name.into(),
            netns: self.lab.outside().to_path_buf(),
            address,
        }
    }

    async fn serve(&self, netns: &Path) -> Result<(), Refuted> {
        let server = Server::start(netns).await?;
        self.servers().insert(netns.to_path_buf(), server);
        Ok(())
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether EC2 says the ENI is the one the instance was launched with.
#[must_use]
pub fn kind_of(eni: &FabricEni) -> EniKind {
    if eni.device.0 == 0 {
        EniKind::Primary
    } else {
        EniKind::Secondary
    }
}
