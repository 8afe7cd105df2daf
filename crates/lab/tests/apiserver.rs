//! The stand-in for a Kubernetes API server, judged by a client that others wrote: kube-rs.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails where it stands"
)]

mod kube_client;

use std::collections::BTreeSet;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use serde_json::{Value, json};
use vpc_lab::apiserver::Options;
use vpc_lab::apiserver::kinds::{CNI_NODE, LEASE, NODE, POD};

use kube_client::{Bench, code, dynamic, node, pod};

#[tokio::test]
async fn what_is_made_is_got_listed_and_removed() {
    let bench = Bench::start(Options::default());
    let nodes: Api<Node> = Api::all(bench.client());
    let made = nodes
        .create(&PostParams::default(), &node("node1"))
        .await
        .unwrap();
    assert!(made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some());
    assert_eq!(nodes.get("node1").await.unwrap(), made);
    let again = nodes.create(&PostParams::default(), &node("node1")).await;
    assert_eq!(code(again), (409, "AlreadyExists".to_owned()));
    let list = nodes.list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.len(), 1);
    assert_eq!(list.metadata.resource_version, made.resource_version());
    nodes
        .delete("node1", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(code(nodes.get("node1").await), (404, "NotFound".to_owned()));
    let gone = nodes.delete("node1", &DeleteParams::default()).await;
    assert_eq!(code(gone), (404, "NotFound".to_owned()));
}

#[tokio::test]
async fn a_generated_name_is_another_each_time() {
    let bench = Bench::start(Options::default());
    let pods: Api<Pod> = Api::default_namespaced(bench.client());
    let mut one = pod("x", "");
    one.metadata.name = None;
    one.metadata.generate_name = Some("web-".to_owned());
    let mut names = BTreeSet::new();
    for _ in 0..20 {
        let made = pods.create(&PostParams::default(), &one).await.unwrap();
        assert!(made.name_any().starts_with("web-"));
        names.insert(made.name_any());
    }
    assert_eq!(names.len(), 20);
}

#[tokio::test]
async fn an_object_must_fit_its_place() {
    let bench = Bench::start(Options::default());
    let post = PostParams::default();
    let nodes: Api<Node> = Api::all(bench.client());
    let bad = nodes.create(&post, &node("Node_1")).await;
    assert_eq!(code(bad), (422, "Invalid".to_owned()));
    let elsewhere: Api<Pod> = Api::namespaced(bench.client(), "nowhere");
    let mut there = pod("a", "");
    there.metadata.namespace = None;
    let bad = elsewhere.create(&post, &there).await;
    assert_eq!(code(bad), (404, "NotFound".to_owned()));
    let mut foreign = pod("a", "");
    foreign.metadata.namespace = Some("kube-system".to_owned());
    let foreign = json!(foreign);
    let bad = bench.send("POST", "/api/v1/namespaces/default/pods", &foreign);
    assert_eq!(bad.await.0, 400);
    let wrong = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}});
    let bad = bench.send("POST", "/api/v1/namespaces/default/pods", &wrong);
    assert_eq!(bad.await.0, 400);
    let path = "/api/v1/namespaces/default/pods/a";
    let (status, answer) = bench.send("GET", path, &Value::Null).await;
    assert_eq!((status, &answer["reason"]), (404, &json!("NotFound")));
    assert_eq!(
        answer["details"],
        json!({"name": "a", "group": "", "kind": "pods"})
    );
}

#[tokio::test]
async fn a_replace_of_an_old_version_is_a_conflict() {
    let bench = Bench::start(Options::default());
    let nodes: Api<Node> = Api::all(bench.client());
    let post = PostParams::default();
    let first = nodes.create(&post, &node("node1")).await.unwrap();
    let mut second = first.clone();
    second.labels_mut().insert("a".to_owned(), "1".to_owned());
    let second = nodes.replace("node1", &post, &second).await.unwrap();
    assert_ne!(second.resource_version(), first.resource_version());
    let late = nodes.replace("node1", &post, &first).await;
    assert_eq!(code(late), (409, "Conflict".to_owned()));
    assert_eq!(nodes.get("node1").await.unwrap().labels()["a"], "1");
    // The same again is no change.
    let same = nodes.replace("node1", &post, &second).await.unwrap();
    assert_eq!(same.resource_version(), second.resource_version());
    let none = nodes.replace("node2", &post, &node("node2")).await;
    assert_eq!(code(none), (404, "NotFound".to_owned()));
}

#[tokio::test]
async fn a_lease_and_a_custom_resource_are_replaced_only_by_version() {
    let bench = Bench::start(Options::default());
    let leases = dynamic(&LEASE, bench.client(), Some("kube-system"));
    let post = PostParams::default();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "sweeper"}, "spec": {"holderIdentity": "a"},
    });
    let lease = serde_json::from_value(lease).unwrap();
    // A lease that is not there is made by the replace.
    let held = leases.replace("sweeper", &post, &lease).await.unwrap();
    let blind = leases.replace("sweeper", &post, &lease).await;
    assert_eq!(code(blind), (422, "Invalid".to_owned()));
    let mut next = held.clone();
    next.data["spec"]["holderIdentity"] = "b".into();
    leases.replace("sweeper", &post, &next).await.unwrap();
    let late = leases.replace("sweeper", &post, &next).await;
    assert_eq!(code(late), (409, "Conflict".to_owned()));

    bench
        .api
        .put(json!({
            "apiVersion": "vpcresources.k8s.aws/v1alpha1", "kind": "CNINode",
            "metadata": {"name": "node1"}, "spec": {"features": []},
        }))
        .unwrap();
    let cninodes = dynamic(&CNI_NODE, bench.client(), None);
    let old = cninodes.get("node1").await.unwrap();
    let patch = |version: &str| {
        json!({
            "metadata": {"resourceVersion": version},
            "spec": {"features": [{"name": "SecurityGroupsForPods", "value": ""}]},
        })
    };
    let merge = PatchParams::default();
    let version = old.resource_version().unwrap();
    let new = cninodes
        .patch("node1", &merge, &Patch::Merge(patch(&version)))
        .await
        .unwrap();
    assert_eq!(
        new.data["spec"]["features"][0]["name"],
        "SecurityGroupsForPods"
    );
    assert_eq!(
        (old.metadata.generation, new.metadata.generation),
        (Some(1), Some(2))
    );
    let late = cninodes
        .patch("node1", &merge, &Patch::Merge(patch(&version)))
        .await;
    assert_eq!(code(late), (409, "Conflict".to_owned()));
    let strategic = cninodes
        .patch("node1", &merge, &Patch::Strategic(json!({})))
        .await;
    assert_eq!(code(strategic).0, 415);
}

#[tokio::test]
async fn every_form_of_patch_changes_what_it_names() {
    let bench = Bench::start(Options::default());
    let nodes: Api<Node> = Api::all(bench.client());
    nodes
        .create(&PostParams::default(), &node("node1"))
        .await
        .unwrap();
    let how = PatchParams::default();
    let merge = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"taints": [{"key": "t", "effect": "NoSchedule"}]}});
    nodes
        .patch("node1", &how, &Patch::Merge(merge))
        .await
        .unwrap();
    let ops = json!([
        {"op": "test", "path": "/metadata/labels/a", "value": "1"},
        {"op": "remove", "path": "/metadata/labels/b"},
    ]);
    let (status, patched) = bench
        .patch("/api/v1/nodes/node1", "application/json-patch+json", &ops)
        .await;
    assert_eq!(status, 200);
    assert_eq!(patched["metadata"]["labels"], json!({"a": "1"}));
    let failing = json!([{"op": "test", "path": "/metadata/labels/a", "value": "2"}]);
    let (status, _) = bench
        .patch(
            "/api/v1/nodes/node1",
            "application/json-patch+json",
            &failing,
        )
        .await;
    assert_eq!(status, 422);
    let conditions = |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status}]}});
    for (kind, status) in [
        ("Ready", "False"),
        ("DiskPressure", "False"),
        ("Ready", "True"),
    ] {
        let patch = Patch::Strategic(conditions(kind, status));
        nodes.patch_status("node1", &how, &patch).await.unwrap();
    }
    let node1 = nodes.get("node1").await.unwrap();
    assert_eq!(node1.spec.unwrap().taints.unwrap()[0].key, "t");
    let conditions = node1.status.unwrap().conditions.unwrap();
    let told: Vec<_> = conditions
        .iter()
        .map(|c| (c.type_.as_str(), c.status.as_str()))
        .collect();
    assert_eq!(told, [("Ready", "True"), ("DiskPressure", "False")]);
    let apply = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node2"}});
    let made = nodes
        .patch("node2", &PatchParams::apply("test"), &Patch::Apply(apply))
        .await
        .unwrap();
    assert_eq!(made.name_any(), "node2");
    let none = nodes.patch("node3", &how, &Patch::Merge(json!({}))).await;
    assert_eq!(code(none).0, 404);
    let (status, _) = bench
        .patch("/api/v1/nodes/node1", "application/json", &json!({}))
        .await;
    assert_eq!(status, 415);
}

#[tokio::test]
async fn status_and_the_rest_are_written_apart() {
    let bench = Bench::start(Options::default());
    let pods: Api<Pod> = Api::default_namespaced(bench.client());
    let mut made = pod("a", "node1");
    made.status = Some(serde_json::from_value(json!({"phase": "Running"})).unwrap());
    let mut made = pods.create(&PostParams::default(), &made).await.unwrap();
    assert_eq!(
        made.status.as_ref().unwrap().phase.as_deref(),
        Some("Pending")
    );
    made.status.as_mut().unwrap().pod_ip = Some("10.0.1.5".to_owned());
    made.spec.as_mut().unwrap().node_name = Some("node2".to_owned());
    let status = pods
        .replace_status("a", &PostParams::default(), &made)
        .await
        .unwrap();
    assert_eq!(
        status.status.as_ref().unwrap().pod_ip.as_deref(),
        Some("10.0.1.5")
    );
    assert_eq!(
        status.spec.as_ref().unwrap().node_name.as_deref(),
        Some("node1")
    );
    let patch = json!({"status": {"podIP": "10.0.1.6"}, "metadata": {"annotations": {"x": "y"}}});
    let main = pods
        .patch("a", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert_eq!(
        main.status.as_ref().unwrap().pod_ip.as_deref(),
        Some("10.0.1.5")
    );
    assert_eq!(main.annotations()["x"], "y");
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let bench = Bench::start(Options::default());
    let pods: Api<Pod> = Api::default_namespaced(bench.client());
    pods.create(&PostParams::default(), &pod("a", ""))
        .await
        .unwrap();
    let binding = |node: &str| {
        json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        })
    };
    let path = "/api/v1/namespaces/default/pods/a/binding";
    assert_eq!(bench.send("POST", path, &binding("node1")).await.0, 201);
    let (status, answer) = bench.send("POST", path, &binding("node2")).await;
    assert_eq!((status, &answer["reason"]), (409, &json!("Conflict")));
    let bound = pods.get("a").await.unwrap();
    assert_eq!(bound.spec.unwrap().node_name.as_deref(), Some("node1"));
}

#[tokio::test]
async fn a_pod_with_a_node_ends_gracefully_and_one_without_at_once() {
    let bench = Bench::start(Options::default());
    let pods: Api<Pod> = Api::default_namespaced(bench.client());
    for (name, node) in [("bound", "node1"), ("loose", "")] {
        pods.create(&PostParams::default(), &pod(name, node))
            .await
            .unwrap();
        pods.delete(name, &DeleteParams::default()).await.unwrap();
    }
    assert_eq!(code(pods.get("loose").await).0, 404);
    let ending = pods.get("bound").await.unwrap();
    assert!(ending.metadata.deletion_timestamp.is_some());
    assert_eq!(ending.metadata.deletion_grace_period_seconds, Some(30));
    // What the kubelet says when the pod's programs have ended.
    pods.delete("bound", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    assert_eq!(code(pods.get("bound").await).0, 404);
}

#[tokio::test]
async fn an_object_with_a_finalizer_goes_when_nobody_holds_it() {
    let bench = Bench::start(Options::default());
    let nodes: Api<Node> = Api::all(bench.client());
    let mut held = node("node1");
    held.metadata.finalizers = Some(vec!["test/hold".to_owned()]);
    nodes.create(&PostParams::default(), &held).await.unwrap();
    let marked = nodes
        .delete("node1", &DeleteParams::default())
        .await
        .unwrap();
    assert!(marked.left().unwrap().metadata.deletion_timestamp.is_some());
    let free = json!({"metadata": {"finalizers": null}});
    nodes
        .patch("node1", &PatchParams::default(), &Patch::Merge(free))
        .await
        .unwrap();
    assert_eq!(code(nodes.get("node1").await).0, 404);
}

#[tokio::test]
async fn selectors_choose_by_labels_and_fields() {
    let bench = Bench::start(Options::default());
    for (name, node, app) in [
        ("a", "node1", "web"),
        ("b", "node1", "db"),
        ("c", "node2", "web"),
    ] {
        let mut one = pod(name, node);
        one.labels_mut().insert("app".to_owned(), app.to_owned());
        bench.api.put(json!(one)).unwrap();
    }
    bench
        .api
        .patch(&POD, "b", json!({"status": {"phase": "Succeeded"}}))
        .unwrap();
    let pods: Api<Pod> = Api::all(bench.client());
    let chosen = async |params: ListParams| -> Vec<String> {
        let list = pods.list(&params).await.unwrap();
        list.iter().map(ResourceExt::name_any).collect()
    };
    let all = ListParams::default;
    assert_eq!(chosen(all().labels("app=web")).await, ["a", "c"]);
    assert_eq!(chosen(all().labels("app in (db,x),!other")).await, ["b"]);
    assert_eq!(
        chosen(all().fields("spec.nodeName=node1")).await,
        ["a", "b"]
    );
    let running = "spec.nodeName=node1,status.phase!=Succeeded";
    assert_eq!(chosen(all().fields(running)).await, ["a"]);
    let both = all()
        .fields("metadata.namespace=default,metadata.name=c")
        .labels("app");
    assert_eq!(chosen(both).await, ["c"]);
    let unknown = pods.list(&all().fields("spec.priority=1")).await;
    assert_eq!(code(unknown), (400, "BadRequest".to_owned()));
}

#[tokio::test]
async fn pages_show_one_moment() {
    let bench = Bench::start(Options::default());
    for number in 0..7 {
        bench
            .api
            .put(json!(node(&format!("node{number}"))))
            .unwrap();
    }
    let nodes: Api<Node> = Api::all(bench.client());
    let page = ListParams::default().limit(3);
    let first = nodes.list(&page).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(4));
    bench.api.delete(&NODE, "node3").unwrap();
    bench.api.put(json!(node("node9"))).unwrap();
    let mut names: Vec<String> = first.iter().map(ResourceExt::name_any).collect();
    let mut token = first.metadata.continue_.clone();
    while let Some(next) = token.filter(|token| !token.is_empty()) {
        let list = nodes
            .list(&page.clone().continue_token(&next))
            .await
            .unwrap();
        assert_eq!(
            list.metadata.resource_version,
            first.metadata.resource_version
        );
        names.extend(list.iter().map(ResourceExt::name_any));
        token = list.metadata.continue_;
    }
    let wanted: Vec<String> = (0..7).map(|number| format!("node{number}")).collect();
    assert_eq!(names, wanted);

    let first = nodes.list(&page).await.unwrap();
    bench.api.forget_history();
    let next = page
        .clone()
        .continue_token(&first.metadata.continue_.unwrap());
    let late = nodes.list(&next).await;
    assert_eq!(code(late), (410, "Expired".to_owned()));
}

#[tokio::test]
async fn a_version_from_the_future_and_a_forgotten_one_are_refused() {
    let bench = Bench::start(Options::default());
    bench.api.put(json!(node("node1"))).unwrap();
    let nodes: Api<Node> = Api::all(bench.client());
    let now = nodes.list(&ListParams::default()).await.unwrap();
    let now = now.metadata.resource_version.unwrap();
    bench.api.put(json!(node("node2"))).unwrap();
    let exact = ListParams::default()
        .at(&now)
        .matching(kube::api::VersionMatch::Exact);
    assert_eq!(nodes.list(&exact).await.unwrap().items.len(), 1);
    let future = nodes.list(&ListParams::default().at("999999999")).await;
    assert_eq!(code(future).0, 504);
    bench.api.forget_history();
    assert_eq!(code(nodes.list(&exact).await), (410, "Expired".to_owned()));
}

#[tokio::test]
async fn a_watch_tells_what_enters_and_leaves_its_selection() {
    let bench = Bench::start(Options::default());
    let pods: Api<Pod> = Api::all(bench.client());
    let version = pods.list(&ListParams::default()).await.unwrap();
    let version = version.metadata.resource_version.unwrap();
    bench.api.put(json!(pod("early", "node1"))).unwrap();
    let params = WatchParams::default().fields("spec.nodeName=node1,status.phase!=Failed");
    let mut watch = pods.watch(&params, &version).await.unwrap().boxed();
    bench.api.put(json!(pod("a", ""))).unwrap();
    bench.api.put(json!(pod("other", "node2"))).unwrap();
    bench
        .api
        .patch(&POD, "a", json!({"spec": {"nodeName": "node1"}}))
        .unwrap();
    bench
        .api
        .patch(&POD, "a", json!({"status": {"podIP": "10.0.1.5"}}))
        .unwrap();
    bench
        .api
        .patch(&POD, "a", json!({"status": {"phase": "Failed"}}))
        .unwrap();
    bench.api.delete(&POD, "early").unwrap();
    bench.api.bookmark();
    let mut told = Vec::new();
    loop {
        let (what, name) = match watch.next().await.unwrap().unwrap() {
            WatchEvent::Added(pod) => ("ADDED", pod.name_any()),
            WatchEvent::Modified(pod) => ("MODIFIED", pod.name_any()),
            WatchEvent::Deleted(pod) => ("DELETED", pod.name_any()),
            WatchEvent::Bookmark(mark) => {
                let reached: u64 = mark.metadata.resource_version.parse().unwrap();
                assert!(reached > version.parse().unwrap());
                break;
            }
            WatchEvent::Error(error) => panic!("{error:?}"),
        };
        told.push(format!("{what} {name}"));
    }
    let wanted = [
        "ADDED early",
        "ADDED a",
        "MODIFIED a",
        "DELETED a",
        "DELETED early",
    ];
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_is_there_and_ends_in_time() {
    let bench = Bench::start(Options::default());
    bench.api.put(json!(node("node1"))).unwrap();
    let nodes: Api<Node> = Api::all(bench.client());
    let params = WatchParams::default().timeout(1);
    let mut watch = nodes.watch(&params, "0").await.unwrap().boxed();
    assert!(matches!(watch.next().await, Some(Ok(WatchEvent::Added(_)))));
    assert!(matches!(
        watch.next().await,
        Some(Ok(WatchEvent::Bookmark(_)))
    ));
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_is_told_that_it_is_gone() {
    let bench = Bench::start(Options::default());
    let nodes: Api<Node> = Api::all(bench.client());
    let list = nodes.list(&ListParams::default()).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    let mut running = nodes
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap()
        .boxed();
    bench.api.forget_history();
    let mut late = nodes
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap()
        .boxed();
    match late.next().await {
        Some(Ok(WatchEvent::Error(status))) => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        }
        other => panic!("{other:?}"),
    }
    assert!(late.next().await.is_none());
    // One that has missed nothing goes on.
    bench.api.put(json!(node("node1"))).unwrap();
    assert!(matches!(
        running.next().await,
        Some(Ok(WatchEvent::Added(_)))
    ));
}
