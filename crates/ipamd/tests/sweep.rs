//! ENIs that nodes left behind, on the simulator.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use vpc_aws::credentials::CredentialSource;
use vpc_aws::ec2::{
    AddressCount, Client, ClientConfig, CreateNetworkInterface, Ec2, Endpoint, EniQuery,
};
use vpc_ipam::classify::INSTANCE_TAG;
use vpc_ipamd::clock;
use vpc_ipamd::sweep::{CREATED_TAG, LEASE, LEASE_DURATION, Sweep};
use vpc_kube_api::Election;
use vpc_model::{DeviceIndex, EniId, InstanceId, NetworkCard, SubnetId, Timestamp, VpcId};
use vpc_sim::{RunInstance, Sim, World, WorldConfig};

const CLUSTER: (&str, &str) = ("cluster.k8s.amazonaws.com/name", "mine");

struct Setup {
    client: Client,
    vpc: VpcId,
    subnet: SubnetId,
    instance: InstanceId,
    made: u32,
}

impl Setup {
    async fn new() -> Self {
        let mut world = World::new(WorldConfig::immediate(1));
        let vpc = world.create_vpc("10.0.0.0/16".parse().unwrap());
        let cidr = "10.0.1.0/24".parse().unwrap();
        let subnet = world.create_subnet(&vpc, cidr, "us-west-2a").unwrap();
        let node = RunInstance::new("node", "m5.large".parse().unwrap(), subnet.clone());
        let instance = world.run_instance(node, Timestamp::ZERO).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let router = Sim::new(world).ec2_router();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let vars = |name: &str| (name == "AWS_EC2_ENDPOINT").then(|| format!("http://{to}"));
        let endpoint = Endpoint::choose(vars, "us-west-2").unwrap();
        let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
        let config = ClientConfig::new(endpoint, "us-west-2", credentials);
        Self {
            client: Client::new(config).unwrap(),
            vpc,
            subnet,
            instance,
            made: 0,
        }
    }

    /// An ENI with that description and these tags.
    async fn eni(&mut self, description: &str, tags: &[(&str, &str)]) -> EniId {
        self.made += 1;
        let tags = tags.iter();
        let request = CreateNetworkInterface {
            subnet: self.subnet.clone(),
            security_groups: Vec::new(),
            description: description.to_owned(),
            tags: tags
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            count: AddressCount::None,
            client_token: format!("t-{}", self.made),
        };
        let made = self.client.create_network_interface(request).await;
        made.unwrap().id
    }

    async fn sweep(&self) {
        let kube = vpc_kube_api::client(Some("http://127.0.0.1:1"), |_| None).await;
        let sweep = Sweep {
            ec2: Arc::new(self.client.clone()),
            vpc: self.vpc.clone(),
            cluster: Some(CLUSTER.1.to_owned()),
            instance: self.instance.clone(),
            election: Election::new(kube.unwrap().unwrap(), LEASE, "node", LEASE_DURATION),
        };
        sweep.once().await;
    }

    /// The ENIs that there are, with their tags.
    async fn enis(&self) -> BTreeMap<EniId, BTreeMap<String, String>> {
        let query = EniQuery::Unattached {
            vpc: self.vpc.clone(),
            tag_key: "*".to_owned(),
            tag: None,
        };
        assert!(
            self.client
                .describe_network_interfaces(query)
                .await
                .unwrap()
                .is_empty()
        );
        let all = self.client.describe_network_interfaces(EniQuery::Tagged {
            key: "seen".to_owned(),
            value: "yes".to_owned(),
        });
        let all = all.await.unwrap().into_iter();
        all.map(|eni| (eni.id, eni.tags)).collect()
    }
}

#[tokio::test]
async fn only_what_a_node_of_this_cluster_left_behind_long_ago_is_deleted() {
    let mut s = Setup::new().await;
    let at = |ago: Duration| {
        let now = u128::from(clock::now().as_millis());
        let then = now - ago.as_millis();
        Timestamp::from_millis(u64::try_from(then).unwrap()).to_string()
    };
    let (old, young) = (at(Duration::from_secs(600)), at(Duration::from_secs(60)));
    let of = (INSTANCE_TAG, "i-0dead");
    let seen = ("seen", "yes");
    let name = "aws-K8S-i-0dead";
    let leaked = s.eni(name, &[of, CLUSTER, seen, (CREATED_TAG, &old)]).await;
    let fresh = s
        .eni(name, &[of, CLUSTER, seen, (CREATED_TAG, &young)])
        .await;
    let undated = s.eni(name, &[of, CLUSTER, seen]).await;
    let misdated = s
        .eni(name, &[of, CLUSTER, seen, (CREATED_TAG, "today")])
        .await;
    let others = s
        .eni("a load balancer", &[of, CLUSTER, seen, (CREATED_TAG, &old)])
        .await;
    let elsewhere = ("cluster.k8s.amazonaws.com/name", "theirs");
    let theirs = s
        .eni(name, &[of, elsewhere, seen, (CREATED_TAG, &old)])
        .await;
    let attached = s.eni(name, &[of, CLUSTER, seen, (CREATED_TAG, &old)]).await;
    let place = (DeviceIndex(1), NetworkCard(0));
    let (instance, eni) = (s.instance.clone(), attached.clone());
    let attach = s
        .client
        .attach_network_interface(eni, instance, place.0, place.1);
    attach.await.unwrap();

    s.sweep().await;
    let left = s.enis().await;
    let all = [&fresh, &undated, &misdated, &others, &theirs, &attached];
    let expected: BTreeSet<&EniId> = all.into_iter().collect();
    assert_eq!(
        left.keys().collect::<BTreeSet<_>>(),
        expected,
        "without {leaked}"
    );
    // Those whose age is not known have one from now on.
    for eni in [&undated, &misdated] {
        let tag = left[eni].get(CREATED_TAG).unwrap();
        assert!(tag.parse::<jiff::Timestamp>().is_ok(), "{tag}");
    }
    s.sweep().await;
    assert_eq!(s.enis().await, left, "nothing is old enough");
}
