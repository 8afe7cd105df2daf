//! A stand-in API server with a client beside it.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

use std::fmt::Debug;
use std::net::TcpListener;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::{Client, Config};
use serde_json::{Value, json};
use vpc_lab::apiserver::{ApiServer, Kind, Options};

/// A server on loopback.
pub(crate) struct Bench {
    pub(crate) api: ApiServer,
}

impl Bench {
    /// Starts one.
    pub(crate) fn start(options: Options) -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = ApiServer::serve(listener, options).unwrap();
        Bench { api }
    }

    /// A client with connections of its own.
    pub(crate) fn client(&self) -> Client {
        self.client_with(|_| {})
    }

    /// A client that is set up otherwise.
    pub(crate) fn client_with(&self, change: impl FnOnce(&mut Config)) -> Client {
        let mut config = Config::new(self.api.url().parse().unwrap());
        // A refusal is what most tests want to see, at once.
        config.default_retry = false;
        change(&mut config);
        Client::try_from(config).unwrap()
    }

    /// Sends a request as it is. Gives the status and the body.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.request(method, path, "application/json", body).await
    }

    /// Sends a patch of a type.
    pub(crate) async fn patch(&self, path: &str, kind: &str, body: &Value) -> (u16, Value) {
        self.request("PATCH", path, kind, body).await
    }

    async fn request(&self, method: &str, path: &str, kind: &str, body: &Value) -> (u16, Value) {
        use http_body_util::BodyExt;
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(kube::client::Body::from(body.into_bytes()))
            .unwrap();
        let response = self.client().send(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        (
            status,
            serde_json::from_slice(&body).unwrap_or_else(|_| text()),
        )
    }
}

/// A node of this name.
pub(crate) fn node(name: &str) -> Node {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    serde_json::from_value(node).unwrap()
}

/// A pod of this name in `default`, on a node unless that is empty.
pub(crate) fn pod(name: &str, node: &str) -> Pod {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "pause"}]},
    });
    if !node.is_empty() {
        pod["spec"]["nodeName"] = node.into();
    }
    serde_json::from_value(pod).unwrap()
}

/// Objects of a kind as JSON, all or of a namespace.
pub(crate) fn dynamic(kind: &Kind, client: Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: kind.group.to_owned(),
        version: kind.version.to_owned(),
        api_version: kind.api_version(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// Code and reason of a refusal.
#[track_caller]
pub(crate) fn code<T: Debug>(result: kube::Result<T>) -> (u16, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.reason),
        other => panic!("no answer of the server: {other:?}"),
    }
}
