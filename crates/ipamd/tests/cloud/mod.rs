//! EC2 in memory, as far as the pool task needs it: it assigns addresses when it is told to.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use vpc_aws::ec2::{
    AddressCount, Assigned, CreateNetworkInterface, Ec2, EniQuery, Instance, NetworkInterface,
    Subnet,
};
use vpc_aws::{Answer, Error};
use vpc_ipam::classify::Exclusion;
use vpc_ipam::plan::Provisioning;
use vpc_ipam::subnets::Candidate;
use vpc_ipam::{EniKind, Mode, NewEni, Slots, Targets, WarmTarget};
use vpc_ipamd::cluster::nobody;
use vpc_ipamd::eni_life::{self, NodeFacts};
use vpc_ipamd::executor::{Executor, Outcome};
use vpc_ipamd::journal_file::JournalFile;
use vpc_ipamd::learn::SubnetQuery;
use vpc_ipamd::pool_task::{Discovery, Follows, Learned, Notice, Patience, PoolHandle, PoolTask};
use vpc_ipamd::readiness::Readiness;
use vpc_kube_api::ClusterView;
use vpc_model::{
    AttachmentId, DeviceIndex, EniId, InstanceId, Ipv4Prefix, MacAddress, Mtu, NetworkCard,
    SecurityGroupId, VpcId,
};

#[derive(Debug, Default)]
struct State {
    next: u8,
    dry: bool,
    assigns: Vec<(u32, oneshot::Sender<Vec<Ipv4Addr>>)>,
    creates: Vec<CreateNetworkInterface>,
}

/// The cloud. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cloud(Arc<Mutex<State>>);

fn refuse(action: &str, code: &str) -> Error {
    let answer = Answer {
        status: 400,
        code: code.to_owned(),
        message: "as told".to_owned(),
        request_id: String::new(),
    };
    Error::from_answer(action, "memory", answer)
}

impl Cloud {
    /// From now on no subnet has an address left.
    pub(crate) fn run_dry(&self) {
        self.0.lock().unwrap().dry = true;
    }

    /// Waits until that many addresses have been asked for and not been given.
    pub(crate) async fn until_assign_is_asked(&self, count: u32) {
        loop {
            let asked: u32 = self
                .0
                .lock()
                .unwrap()
                .assigns
                .iter()
                .map(|(count, _)| count)
                .sum();
            if asked >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until an ENI has been asked for in that subnet.
    pub(crate) async fn until_create_is_asked_in(&self, subnet: &str) -> CreateNetworkInterface {
        loop {
            let mut creates = std::mem::take(&mut self.0.lock().unwrap().creates);
            creates.retain(|request| request.subnet.as_str() == subnet);
            if let Some(request) = creates.pop() {
                return request;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How many addresses have been asked for and not been given.
    pub(crate) fn asked(&self) -> u32 {
        let state = self.0.lock().unwrap();
        state.assigns.iter().map(|(count, _)| count).sum()
    }

    /// Gives what was asked for.
    pub(crate) fn answer_assigns(&self) {
        let mut state = self.0.lock().unwrap();
        for (count, reply) in std::mem::take(&mut state.assigns) {
            let addresses = (0..count)
                .map(|_| {
                    state.next += 1;
                    Ipv4Addr::new(10, 0, 1, 100 + state.next)
                })
                .collect();
            let _ = reply.send(addresses);
        }
    }
}

impl Ec2 for Cloud {
    async fn describe_network_interfaces(
        &self,
        _query: EniQuery,
    ) -> Result<Vec<NetworkInterface>, Error> {
        Ok(Vec::new())
    }

    async fn create_network_interface(
        &self,
        request: CreateNetworkInterface,
    ) -> Result<NetworkInterface, Error> {
        self.0.lock().unwrap().creates.push(request);
        Err(refuse(
            "CreateNetworkInterface",
            "InsufficientFreeAddressesInSubnet",
        ))
    }

    async fn attach_network_interface(
        &self,
        _eni: EniId,
        _instance: InstanceId,
        _device: DeviceIndex,
        _card: NetworkCard,
    ) -> Result<AttachmentId, Error> {
        Err(refuse(
            "AttachNetworkInterface",
            "InvalidNetworkInterfaceID.NotFound",
        ))
    }

    async fn set_delete_on_termination(
        &self,
        _eni: EniId,
        _attachment: AttachmentId,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn set_security_groups(
        &self,
        _eni: EniId,
        _groups: Vec<SecurityGroupId>,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn detach_network_interface(&self, _attachment: AttachmentId) -> Result<(), Error> {
        Ok(())
    }

    async fn delete_network_interface(&self, _eni: EniId) -> Result<(), Error> {
        Ok(())
    }

    async fn assign_addresses(&self, _eni: EniId, count: AddressCount) -> Result<Assigned, Error> {
        let AddressCount::Ips(count) = count else {
            return Err(refuse("AssignPrivateIpAddresses", "InvalidParameterValue"));
        };
        let answer = {
            let mut state = self.0.lock().unwrap();
            if state.dry {
                let code = "InsufficientFreeAddressesInSubnet";
                return Err(refuse("AssignPrivateIpAddresses", code));
            }
            let (reply, answer) = oneshot::channel();
            state.assigns.push((count, reply));
            answer
        };
        match answer.await {
            Ok(addresses) => Ok(Assigned {
                addresses,
                prefixes: Vec::new(),
            }),
            Err(_) => Err(refuse("AssignPrivateIpAddresses", "InternalError")),
        }
    }

    async fn unassign_addresses(
        &self,
        _eni: EniId,
        _addresses: Vec<Ipv4Addr>,
        _prefixes: Vec<Ipv4Prefix>,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn create_tags(
        &self,
        _resources: Vec<String>,
        _tags: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// subnet-1 to subnet-3.
    async fn describe_subnets(&self, _vpc: VpcId, zone: String) -> Result<Vec<Subnet>, Error> {
        let subnet = |number| Subnet {
            id: format!("subnet-{number}").parse().unwrap(),
            availability_zone: zone.clone(),
            cidr: format!("10.0.{number}.0/24").parse().unwrap(),
            available_addresses: 200,
            tags: BTreeMap::new(),
        };
        Ok((1..=3).map(subnet).collect())
    }

    async fn describe_instance(&self, _id: InstanceId) -> Result<Instance, Error> {
        Err(refuse("DescribeInstances", "InvalidInstanceID.NotFound"))
    }
}

/// A pool task that runs.
pub(crate) struct Daemon {
    /// What Kubernetes says.
    pub(crate) view: watch::Sender<ClusterView>,
    pub(crate) pool: PoolHandle,
    outcomes: mpsc::UnboundedSender<Outcome>,
    notices: mpsc::UnboundedSender<Notice<Cloud>>,
    readiness: watch::Receiver<Readiness>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<(vpc_ipam::Ledger, u64)>,
}

/// Starts a pool task on the journal in `folder`.
pub(crate) fn start(folder: &Path, _cloud: &Cloud) -> Daemon {
    start_patiently(folder, Duration::from_secs(60))
}

/// The same, with the age at which GC may free something.
pub(crate) fn start_patiently(folder: &Path, gc_min_age: Duration) -> Daemon {
    let (journal, replay) = JournalFile::open(folder).unwrap();
    let patience = Patience {
        cooldown: Duration::from_secs(3600),
        add_wait: Duration::from_millis(500),
        gc_min_age,
    };
    let (view, cluster) = watch::channel(ClusterView::default());
    let (task, ends) = PoolTask::new(journal, replay, patience, (cluster, nobody()));
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(task.run(async move {
        let _ = stopped.await;
    }));
    Daemon {
        view,
        pool: ends.handle,
        outcomes: ends.outcomes,
        notices: ends.notices,
        readiness: ends.published.readiness,
        stop,
        task,
    }
}

impl Daemon {
    /// Tells the task about the node.
    pub(crate) fn learn(&self, cloud: &Cloud, warm: WarmTarget, enis: Vec<NewEni>) {
        let subnet = Candidate {
            id: "subnet-1".parse().unwrap(),
            cidr: "10.0.1.0/24".parse().unwrap(),
        };
        self.learn_in(cloud, (warm, 1), enis, Discovery::new(subnet, None));
    }

    /// The same, with custom networking: the ENIs are excluded.
    pub(crate) fn learn_custom(&self, cloud: &Cloud, warm: WarmTarget, mut enis: Vec<NewEni>) {
        let query = SubnetQuery {
            vpc: "vpc-1".parse().unwrap(),
            zone: "us-west-2a".to_owned(),
            node: Candidate {
                id: "subnet-1".parse().unwrap(),
                cidr: "10.0.1.0/24".parse().unwrap(),
            },
            cluster: None,
        };
        for eni in &mut enis {
            eni.exclusion = Some(Exclusion::CustomNetworking);
        }
        self.learn_in(cloud, (warm, 3), enis, Discovery::by_eni_config(query));
    }

    fn learn_in(
        &self,
        cloud: &Cloud,
        (warm, max_enis): (WarmTarget, u32),
        enis: Vec<NewEni>,
        discovery: Discovery,
    ) {
        let node = NodeFacts {
            instance: "i-1".parse().unwrap(),
            security_groups: vec!["sg-1".parse().unwrap()],
            tags: BTreeMap::new(),
            mtu: Mtu::default(),
        };
        let cloud = eni_life::Cloud {
            ec2: Arc::new(cloud.clone()),
            node: Arc::new(node),
        };
        let executor = Executor::new(cloud, self.outcomes.clone());
        let targets = Targets {
            warm,
            max_enis,
            per_eni: 9,
            max_pods: None,
            cooldown: Duration::from_secs(3600),
            eni_min_age: Duration::from_secs(60),
            return_delay: Duration::from_secs(60),
        };
        let learned = Learned {
            mode: Mode::SecondaryIps,
            targets,
            follows: Follows {
                max_pods: true,
                cordon: true,
            },
            discovery,
            provisioning: Provisioning::Enabled,
            enis,
            foreign: Default::default(),
            executor,
        };
        self.notices
            .send(Notice::Learned(Box::new(learned)))
            .unwrap();
    }

    /// Waits until the readiness is so.
    pub(crate) async fn until(&mut self, so: impl FnMut(&Readiness) -> bool) {
        self.readiness.wait_for(so).await.unwrap();
    }

    /// What says whether pods can be served.
    pub(crate) fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.clone()
    }

    /// Stops the task, as a restart would.
    pub(crate) async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// An ENI on that device with addresses that end so.
pub(crate) fn pool_eni(device: u8, last: &[u8]) -> NewEni {
    NewEni {
        id: format!("eni-{device}").parse().unwrap(),
        kind: if device == 0 {
            EniKind::Primary
        } else {
            EniKind::Secondary
        },
        mac: MacAddress([2, 0, 0, 0, 0, device]),
        card: NetworkCard(0),
        device: DeviceIndex(device),
        subnet: "subnet-1".parse().unwrap(),
        subnet_cidr: "10.0.1.0/24".parse().unwrap(),
        primary: Ipv4Addr::new(10, 0, 1, 4 + device),
        exclusion: None,
        attached_at: None,
        slots: Slots::of_addresses(
            last.iter()
                .map(|last| Ipv4Addr::new(10, 0, 1, *last))
                .collect(),
        ),
    }
}
