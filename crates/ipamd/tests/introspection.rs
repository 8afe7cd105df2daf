//! Introspection, asked by a real HTTP client on a real listener.

#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "shared with tests that need more of it")]
mod cloud;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use cloud::{Cloud, Daemon, pool_eni, start};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use vpc_ipam::WarmTarget;
use vpc_ipamd::http::Port;
use vpc_ipamd::introspection::{Introspection, PATHS};
use vpc_ipamd::readiness::Readiness;
use vpc_kube_api::{ClusterView, NodeView};
use vpc_model::settings::{BindAddress, Settings};
use vpc_model::{PodKey, PodName};

const TWO_FREE: WarmTarget = WarmTarget::Ips {
    warm: 2,
    minimum: 0,
};

struct Node {
    daemon: Daemon,
    cloud: Cloud,
    address: SocketAddr,
    view: watch::Sender<ClusterView>,
    _folder: tempfile::TempDir,
    _stop: oneshot::Sender<()>,
}

/// A node that serves its introspection on a port of its own.
async fn node(vars: &[(&str, &str)]) -> Node {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    let vars = vars.iter().map(|(name, value)| (name.into(), value.into()));
    let (settings, _) = Settings::from_vars(vars).unwrap();
    let (view, cluster) = watch::channel(ClusterView::default());
    let introspection = Introspection {
        pool: daemon.pool.clone(),
        settings: Arc::new(settings),
        cluster,
        readiness: daemon.readiness(),
    };
    let any = BindAddress::Tcp("127.0.0.1:0".parse().unwrap());
    let port = Port::open(&any).await.unwrap();
    let address = port.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(port.serve(Arc::new(introspection), async move {
        let _ = stopped.await;
    }));
    Node {
        daemon,
        cloud,
        address,
        view,
        _folder: folder,
        _stop: stop,
    }
}

impl Node {
    async fn get(&self, path: &str) -> (u16, String) {
        let client: Client<HttpConnector, Empty<Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let url = format!("http://{}{path}", self.address).parse().unwrap();
        let answer = client.get(url).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The daemon knows two ENIs, one pod on them and one address that rests.
    async fn with_pods(mut self) -> Self {
        let enis = vec![pool_eni(0, &[11, 12]), pool_eni(1, &[21])];
        self.daemon.learn(&self.cloud, WarmTarget::Enis(0), enis);
        self.daemon.until(Readiness::is_ready).await;
        for name in ["web", "gone"] {
            let pod = pod(name);
            self.daemon.pool.allocate(key(name), pod).await.unwrap();
        }
        self.daemon.pool.release(key("gone")).await.unwrap();
        self
    }
}

fn key(container: &str) -> PodKey {
    PodKey {
        network: "aws-cni".to_owned(),
        container_id: format!("{container}-0123"),
        if_name: "eth0".to_owned(),
    }
}

fn pod(name: &str) -> PodName {
    PodName {
        namespace: "default".to_owned(),
        name: name.to_owned(),
    }
}

#[tokio::test]
async fn upstreams_enis_are_told_in_upstreams_form() {
    let node = node(&[]).await.with_pods().await;
    let told = node.json("/v1/enis").await;
    let card = &told["0"];
    assert_eq!(
        (&card["TotalIPs"], &card["AssignedIPs"]),
        (&json!(3), &json!(1))
    );
    let primary = &card["ENIs"]["eni-0"];
    for (member, value) in [
        ("ID", json!("eni-0")),
        ("IsPrimary", json!(true)),
        ("IsTrunk", json!(false)),
        ("IsEFA", json!(false)),
        ("DeviceNumber", json!(0)),
        ("IPv6Cidrs", json!({})),
        ("IsExcludedForPodIPs", json!(false)),
        ("RouteTableID", json!(254)),
        ("SubnetID", json!("subnet-1")),
    ] {
        assert_eq!(primary[member], value, "{member}");
    }
    let pods: Value = node.json("/v1/pods").await;
    let address = pods[0]["address"].as_str().unwrap();
    let cidr = &primary["AvailableIPv4Cidrs"][format!("{address}/32")];
    assert_eq!(
        cidr["Cidr"],
        json!({"IP": address, "Mask": "/////w=="}),
        "{told}"
    );
    let used = &cidr["IPAddresses"][address];
    assert_eq!(
        used["IPAMKey"],
        json!({"networkName": "aws-cni", "containerID": "", "ifName": ""})
    );
    assert_eq!(
        used["IPAMMetadata"],
        json!({"k8sPodNamespace": "default", "k8sPodName": "web"})
    );
    assert_eq!(used["UnassignedTime"], "0001-01-01T00:00:00Z");
    node.daemon.end().await;
}

#[tokio::test]
async fn settings_are_told_under_upstreams_names_and_ours() {
    let node = node(&[
        ("WARM_IP_TARGET", "4"),
        ("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "10.9.0.0/16"),
        ("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "hashrandom"),
    ])
    .await;
    assert_eq!(
        node.json("/v1/networkutils-env-settings").await,
        json!({
            "AWS_VPC_K8S_CNI_CONNMARK": 128,
            "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": ["10.9.0.0/16"],
            "AWS_VPC_K8S_CNI_EXTERNALSNAT": false,
            "AWS_EXTERNAL_SERVICE_CIDRS": null,
            "AWS_VPC_ENI_MTU": 9001,
            "AWS_VPC_K8S_CNI_VETHPREFIX": "eni",
            "AWS_VPC_CNI_NODE_PORT_SUPPORT": true,
            "AWS_VPC_K8S_CNI_RANDOMIZESNAT": 1,
        })
    );
    assert_eq!(
        node.json("/v1/ipamd-env-settings").await,
        json!({
            "WARM_IP_TARGET": 4,
            "WARM_ENI_TARGET": 1,
            "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": false,
            "AWS_MANAGE_ENIS_NON_SCHEDULABLE": false,
            "ENABLE_SUBNET_DISCOVERY": true,
        })
    );
    let all = node.json("/v1/config").await;
    let warm = all.as_array().unwrap().iter();
    let warm = warm.filter(|setting| setting["name"] == "WARM_IP_TARGET");
    let warm: Vec<&Value> = warm.collect();
    assert_eq!(warm.len(), 1);
    assert_eq!(warm[0]["value"], "4");
    assert_eq!(warm[0]["source"], "environment");
    node.daemon.end().await;
}

#[tokio::test]
async fn the_eni_config_is_told_once_kubernetes_has_told_it() {
    let node = node(&[]).await;
    assert_eq!(node.get("/v1/eni-configs").await.0, 404);
    node.view.send_replace(ClusterView {
        node: Some(NodeView {
            max_pods: None,
            cordoned: false,
            eni_config: "us-west-2a".to_owned(),
        }),
        ..ClusterView::default()
    });
    assert_eq!(node.json("/v1/eni-configs").await, "us-west-2a");
    node.daemon.end().await;
}

#[tokio::test]
async fn health_has_the_reason_and_follows_the_pool() {
    let node = node(&[]).await;
    let (status, text) = node.get("/healthz").await;
    assert_eq!(status, 503);
    assert!(text.contains("not ready"), "{text}");
    let node = node.with_pods().await;
    assert_eq!(node.get("/healthz").await, (200, "ready\n".to_owned()));
    node.daemon.end().await;
}

#[tokio::test]
async fn the_pool_is_told_address_by_address() {
    let node = node(&[]).await.with_pods().await;
    let pool = node.json("/v1/pool").await;
    let mut states: Vec<(&str, &str)> = Vec::new();
    for eni in pool["enis"].as_array().unwrap() {
        for address in eni["addresses"].as_array().unwrap() {
            states.push((
                address["state"].as_str().unwrap(),
                address["pod"].as_str().unwrap_or(""),
            ));
        }
    }
    states.sort_unstable();
    assert_eq!(
        states,
        [("allocated", "default/web"), ("cooling", ""), ("free", "")]
    );
    assert_eq!(pool["addresses"]["total"], 3);
    node.daemon.end().await;
}

#[tokio::test]
async fn a_pod_that_got_no_address_finds_the_reason_in_plan_events_and_its_timeline() {
    let node = node(&[]).await;
    node.cloud.run_dry();
    node.daemon
        .learn(&node.cloud, TWO_FREE, vec![pool_eni(0, &[])]);
    let refused = node.daemon.pool.allocate(key("web"), pod("web")).await;
    let refused = refused.unwrap_err().to_string();
    let plan = node.json("/v1/plan").await;
    let held = &plan["held_back"][0];
    assert_eq!(held["name"], "subnet_full", "{plan}");
    let reason = held["reason"].as_str().unwrap();
    assert!(reason.contains("subnet-1"), "{reason}");
    let events = node.json("/v1/events").await;
    let what: Vec<&str> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["what"].as_str().unwrap())
        .collect();
    assert!(what.iter().any(|what| what.starts_with("assign ")));
    assert!(what.contains(&"held back: subnet_full"), "{what:?}");
    for path in [
        "/v1/pods/default/web/timeline",
        "/v1/pods/web-01/timeline",
        "/v1/pods/aws-cni/web-0123/eth0/timeline",
    ] {
        let timelines = node.json(path).await;
        let moments = timelines[0]["moments"].as_array().unwrap();
        let what: Vec<&str> = moments
            .iter()
            .map(|moment| moment["what"].as_str().unwrap())
            .collect();
        assert_eq!((what[0], what[1]), ("ADD asked", "waits"), "{what:?}");
        assert!(what.contains(&"held back: subnet_full"), "{what:?}");
        assert_eq!(what.last(), Some(&"ADD refused"));
        assert_eq!(moments.last().unwrap()["because"], refused);
    }
    assert_eq!(node.get("/v1/pods/default/other/timeline").await.0, 404);
    node.daemon.end().await;
}

#[tokio::test]
async fn a_timeline_goes_on_to_the_release() {
    let node = node(&[]).await.with_pods().await;
    let timelines = node.json("/v1/pods/default/gone/timeline").await;
    let moments = timelines[0]["moments"].as_array().unwrap();
    let what: Vec<&str> = moments
        .iter()
        .map(|moment| moment["what"].as_str().unwrap())
        .collect();
    assert_eq!(what.len(), 3, "{what:?}");
    assert!(what[1].ends_with(" allocated") && what[2].ends_with(" released"));
    node.daemon.end().await;
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_what_is() {
    let node = node(&[]).await;
    let (status, body) = node.get("/v1/nonsense").await;
    assert_eq!(status, 404);
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told, json!({ "AvailableCommands": PATHS }));
    assert_eq!(node.json("/").await, told);
    node.daemon.end().await;
}

#[tokio::test]
async fn a_unix_socket_is_served_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::default();
    let daemon = start(folder.path(), &cloud);
    let socket: PathBuf = folder.path().join("introspection.sock");
    let value = format!("unix:{}", socket.display());
    let vars = [("INTROSPECTION_BIND_ADDRESS".into(), value.into())];
    let (settings, _) = Settings::from_vars(vars).unwrap();
    assert_eq!(
        settings.introspection,
        Some(BindAddress::Unix(socket.clone()))
    );
    let introspection = Introspection {
        pool: daemon.pool.clone(),
        settings: Arc::new(settings.clone()),
        cluster: watch::channel(ClusterView::default()).1,
        readiness: daemon.readiness(),
    };
    let port = Port::open(settings.introspection.as_ref().unwrap());
    let port = port.await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(port.serve(Arc::new(introspection), async move {
        let _ = stopped.await;
    }));
    let stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("/v1/pods").body(Empty::<Bytes>::new());
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"[]\n");
    connection.await.unwrap().unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap();
    daemon.end().await;
}
