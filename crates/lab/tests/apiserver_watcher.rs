//! The stand-in for a Kubernetes API server when it goes away, forgets, refuses, or is an older
//! one: what kube-rs's watcher makes of it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails where it stands"
)]

mod kube_client;

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::runtime::watcher::{self, Config, Event};
use serde_json::{Value, json};
use vpc_lab::apiserver::kinds::{ALL, CNI_NODE, EVENT, NODE};
use vpc_lab::apiserver::{Fault, Options, Refusal};

use kube_client::{Bench, code, dynamic, node};

/// What a watcher tells, with the errors in between left out.
type Told<K> = Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>> + Send>>;

fn nodes(bench: &Bench, config: Config) -> Told<Node> {
    watcher::watcher(Api::<Node>::all(bench.client()), config).boxed()
}

/// The names of objects told as there from the start, up to the end of the start.
async fn initial<K: ResourceExt>(told: &mut Told<K>) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        match told.next().await.unwrap() {
            Ok(Event::InitApply(object)) => names.push(object.name_any()),
            Ok(Event::InitDone) => return names,
            Ok(Event::Init) => names.clear(),
            Ok(Event::Apply(object) | Event::Delete(object)) => {
                panic!("{} before the start is over", object.name_any())
            }
            Err(_) => {}
        }
    }
}

/// The next change, and how often the watch began anew before it.
async fn change<K: ResourceExt>(told: &mut Told<K>) -> (String, usize) {
    let mut restarts = 0;
    loop {
        match told.next().await.unwrap() {
            Ok(Event::Apply(object)) => return (format!("+{}", object.name_any()), restarts),
            Ok(Event::Delete(object)) => return (format!("-{}", object.name_any()), restarts),
            Ok(Event::Init) => restarts += 1,
            Ok(Event::InitApply(_) | Event::InitDone) | Err(_) => {}
        }
    }
}

fn lists(bench: &Bench) -> usize {
    let requests = bench.api.requests();
    requests
        .iter()
        .filter(|request| request.verb == "list")
        .count()
}

#[tokio::test]
async fn a_cut_connection_is_resumed_without_a_list_and_nothing_is_missed() {
    let bench = Bench::start(Options::default());
    bench.api.put(json!(node("node1"))).unwrap();
    let mut told = nodes(&bench, Config::default());
    assert_eq!(initial(&mut told).await, ["node1"]);
    bench.api.put(json!(node("node2"))).unwrap();
    assert_eq!(change(&mut told).await, ("+node2".to_owned(), 0));
    bench.api.cut();
    bench.api.put(json!(node("node3"))).unwrap();
    bench.api.delete(&NODE, "node1").unwrap();
    assert_eq!(change(&mut told).await, ("+node3".to_owned(), 0));
    assert_eq!(change(&mut told).await, ("-node1".to_owned(), 0));
    assert_eq!(lists(&bench), 1);
}

#[tokio::test]
async fn forgotten_history_makes_the_watcher_list_again() {
    let bench = Bench::start(Options::default());
    bench.api.put(json!(node("node1"))).unwrap();
    let mut told = nodes(&bench, Config::default());
    assert_eq!(initial(&mut told).await, ["node1"]);
    bench.api.go_away();
    bench.api.put(json!(node("node2"))).unwrap();
    bench.api.delete(&NODE, "node1").unwrap();
    bench.api.forget_history();
    bench.api.come_back();
    assert_eq!(initial(&mut told).await, ["node2"]);
    bench.api.put(json!(node("node3"))).unwrap();
    assert_eq!(change(&mut told).await, ("+node3".to_owned(), 0));
    assert_eq!(lists(&bench), 2);
}

#[tokio::test]
async fn a_server_that_is_away_closes_connections_until_it_is_back() {
    let bench = Bench::start(Options::default());
    let nodes: Api<Node> = Api::all(bench.client());
    nodes.list(&ListParams::default()).await.unwrap();
    bench.api.go_away();
    for _ in 0..3 {
        let error = nodes.list(&ListParams::default()).await.unwrap_err();
        assert!(!matches!(error, kube::Error::Api(_)), "{error}");
    }
    bench.api.come_back();
    nodes.list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn an_older_server_refuses_to_stream_its_lists_and_a_newer_one_marks_their_end() {
    let config = || Config::default().streaming_lists();
    let older = Bench::start(Options {
        streaming_lists: false,
        ..Options::default()
    });
    let refused = loop {
        match nodes(&older, config()).skip(1).next().await.unwrap() {
            Err(error) => break error.to_string(),
            Ok(_) => continue,
        }
    };
    assert!(refused.contains("sendInitialEvents"), "{refused}");
    let newer = Bench::start(Options::default());
    newer.api.put(json!(node("node1"))).unwrap();
    let mut told = nodes(&newer, config());
    assert_eq!(initial(&mut told).await, ["node1"]);
    newer.api.put(json!(node("node2"))).unwrap();
    assert_eq!(change(&mut told).await, ("+node2".to_owned(), 0));
    assert_eq!(lists(&newer), 0);
}

#[tokio::test]
async fn a_watcher_with_pages_and_a_selector_sees_all_of_its_own() {
    let bench = Bench::start(Options::default());
    for number in 0..9 {
        let mut one = node(&format!("node{number}"));
        let parity = if number % 2 == 0 { "even" } else { "odd" };
        one.labels_mut()
            .insert("parity".to_owned(), parity.to_owned());
        bench.api.put(json!(one)).unwrap();
    }
    let config = Config::default().labels("parity=even").page_size(2);
    let mut told = nodes(&bench, config);
    let names = initial(&mut told).await;
    assert_eq!(names, ["node0", "node2", "node4", "node6", "node8"]);
    assert_eq!(lists(&bench), 3);
    bench.api.put(json!(node("node8"))).unwrap();
    assert_eq!(change(&mut told).await, ("-node8".to_owned(), 0));
}

#[tokio::test]
async fn who_wants_only_metadata_gets_nothing_else() {
    let bench = Bench::start(Options::default());
    bench.api.put(json!(node("node1"))).unwrap();
    let api: Api<Node> = Api::all(bench.client());
    let partial: Api<PartialObjectMeta<Node>> = Api::all(bench.client());
    let mut told: Told<_> = watcher::watcher(partial, Config::default()).boxed();
    assert_eq!(initial(&mut told).await, ["node1"]);
    bench.api.put(json!(node("node2"))).unwrap();
    assert_eq!(change(&mut told).await.0, "+node2");
    let one = api.get_metadata("node1").await.unwrap();
    assert_eq!(one.types.unwrap().kind, "PartialObjectMetadata");
}

#[tokio::test]
async fn without_the_token_only_health_and_version_answer() {
    let bench = Bench::start(Options {
        token: Some("secret".to_owned()),
        ..Options::default()
    });
    let list = ListParams::default();
    let stranger: Api<Node> = Api::all(bench.client());
    assert_eq!(
        code(stranger.list(&list).await),
        (401, "Unauthorized".to_owned())
    );
    let known = bench.client_with(|config| {
        config.auth_info = serde_json::from_value(json!({"token": "secret"})).unwrap();
    });
    Api::<Node>::all(known).list(&list).await.unwrap();
    let version = bench.client().apiserver_version().await.unwrap();
    assert_eq!(
        (version.major.as_str(), version.minor.as_str()),
        ("1", "33")
    );
    assert_eq!(
        bench.send("GET", "/readyz", &Value::Null).await,
        (200, json!("ok"))
    );
}

#[tokio::test]
async fn faults_meet_the_requests_they_name_as_often_as_they_say() {
    let bench = Bench::start(Options::default());
    bench.api.put(json!(node("node1"))).unwrap();
    let nodes: Api<Node> = Api::all(bench.client());
    bench.api.refuse(Fault {
        verb: "list",
        resource: "nodes",
        refusal: Refusal::forbidden("list", &NODE),
        times: Some(1),
    });
    nodes.get("node1").await.unwrap();
    let refused = nodes.list(&ListParams::default()).await;
    assert_eq!(code(refused), (403, "Forbidden".to_owned()));
    nodes.list(&ListParams::default()).await.unwrap();
    bench.api.refuse(Fault {
        verb: "",
        resource: "",
        refusal: Refusal::internal(),
        times: None,
    });
    assert_eq!(code(nodes.get("node1").await).0, 500);
    assert_eq!(code(nodes.get("node1").await).0, 500);
    bench.api.heal();
    nodes.get("node1").await.unwrap();
}

#[tokio::test]
async fn discovery_finds_what_is_installed_and_only_that() {
    let without = |kind: &str| {
        ALL.iter()
            .filter(|known| known.kind != kind)
            .copied()
            .collect()
    };
    let bench = Bench::start(Options {
        kinds: without("ENIConfig"),
        ..Options::default()
    });
    let client = bench.client();
    let groups = client.list_api_groups().await.unwrap();
    let names: Vec<&str> = groups
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "coordination.k8s.io",
            "events.k8s.io",
            "vpcresources.k8s.aws"
        ]
    );
    let cni = client
        .list_api_group_resources("vpcresources.k8s.aws/v1alpha1")
        .await
        .unwrap();
    let names: Vec<&str> = cni.resources.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["cninodes", "cninodes/status"]);
    let core = client.list_core_api_resources("v1").await.unwrap();
    assert!(
        core.resources
            .iter()
            .any(|one| one.name == "pods" && one.namespaced)
    );
    dynamic(&CNI_NODE, client.clone(), None)
        .list(&ListParams::default())
        .await
        .unwrap();
    let missing = bench.send(
        "GET",
        "/apis/crd.k8s.amazonaws.com/v1alpha1/eniconfigs",
        &Value::Null,
    );
    assert_eq!(missing.await.0, 404);
}

#[tokio::test]
async fn an_event_has_two_faces() {
    let bench = Bench::start(Options::default());
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "e1", "namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reason": "SubnetFull", "type": "Warning", "note": "subnet-1 has no address left",
        "regarding": {"kind": "Node", "name": "node1"},
        "reportingController": "aws-node", "reportingInstance": "node1", "action": "Assign",
    });
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    let (status, made) = bench.send("POST", path, &event).await;
    assert_eq!((status, &made["note"]), (201, &event["note"]));
    let core = dynamic(&EVENT, bench.client(), Some("default"));
    let about = ListParams::default().fields("involvedObject.name=node1");
    let list = core.list(&about).await.unwrap();
    assert_eq!(list.items[0].data["message"], event["note"]);
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}});
    let one = format!("{path}/e1");
    let (_, patched) = bench
        .patch(&one, "application/merge-patch+json", &series)
        .await;
    assert_eq!(
        (&patched["series"]["count"], &patched["note"]),
        (&json!(2), &event["note"])
    );
    let core = bench.api.get(&EVENT, "default/e1").unwrap();
    assert_eq!(
        (&core["apiVersion"], &core["message"]),
        (&json!("v1"), &event["note"])
    );
}
