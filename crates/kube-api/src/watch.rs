//! The watches: each lists, then follows, and starts anew where it lost its place.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;

use futures_util::{StreamExt, future};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch::Sender;

use crate::eni_config::{self, EniConfig, EniConfigObject};
use crate::node::{Keys, NodeView};
use crate::pods::in_want;
use crate::view::ClusterView;

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The node's name.
    pub node: String,
    /// Where its ENIConfig is named.
    pub keys: Keys,
    /// Whether ENIConfigs are needed.
    pub eni_configs: bool,
}

/// Keeps `view` as the cluster is, for good.
pub async fn watch(client: Client, interest: Interest, view: Sender<ClusterView>) {
    let pods = async {
        let api: Api<Pod> = Api::all(client.clone());
        let config = watcher::Config::default().fields(&format!("spec.nodeName={}", interest.node));
        follow("pods", api, config, in_want, |pods| {
            let pods = pods.values().flatten().cloned().collect();
            change(&view, |view| view.in_want = Some(pods));
        })
        .await;
    };
    let node = async {
        let api: Api<Node> = Api::all(client.clone());
        let name = format!("metadata.name={}", interest.node);
        let config = watcher::Config::default().fields(&name);
        let keep = |node: &Node| NodeView::of(node, &interest.keys);
        follow("the node", api, config, keep, |nodes| {
            if nodes.is_empty() {
                tracing::warn!(node = interest.node, "Kubernetes has no such node (yet)");
            }
            change(&view, |view| view.node = nodes.values().next().cloned());
        })
        .await;
    };
    let eni_configs = async {
        if !interest.eni_configs {
            return;
        }
        let api: Api<EniConfigObject> = Api::all_with(client.clone(), &eni_config::resource());
        let keep = |object: &EniConfigObject| EniConfig::of(&object.spec);
        let config = watcher::Config::default();
        follow("ENIConfigs", api, config, keep, |configs| {
            let configs = configs.iter();
            let named = configs.map(|((_, name), config)| (name.clone(), config.clone()));
            let named = named.collect();
            change(&view, |view| view.eni_configs = Some(named));
        })
        .await;
    };
    future::join3(pods, node, eni_configs).await;
}

fn change(view: &Sender<ClusterView>, change: impl FnOnce(&mut ClusterView)) {
    view.send_if_modified(|view| {
        let before = view.clone();
        change(view);
        *view != before
    });
}

/// Namespace and name.
type Name = (Option<String>, String);

/// Follows the objects of a kind, keeps of each what `keep` says, and tells all that is kept after
/// each change. Nothing is told before everything was listed once.
async fn follow<K, T>(
    what: &str,
    api: Api<K>,
    config: watcher::Config,
    keep: impl Fn(&K) -> T,
    mut tell: impl FnMut(&BTreeMap<Name, T>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut known = BTreeMap::new();
    let mut listing = BTreeMap::new();
    let mut away = false;
    let mut stream = pin!(watcher(api, config).default_backoff());
    while let Some(event) = stream.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // The pauses grow; what is known stays. One line for the whole time.
                if !away {
                    tracing::warn!(what, error = chain(&error), "Kubernetes API; trying again");
                }
                away = true;
                continue;
            }
        };
        let all_known = match event {
            Event::Init => {
                listing = BTreeMap::new();
                false
            }
            Event::InitApply(object) => {
                listing.insert(name(&object), keep(&object));
                false
            }
            Event::InitDone => {
                if away {
                    tracing::info!(what, "Kubernetes API is back");
                }
                away = false;
                known = std::mem::take(&mut listing);
                true
            }
            Event::Apply(object) => {
                known.insert(name(&object), keep(&object));
                true
            }
            Event::Delete(object) => {
                known.remove(&name(&object));
                true
            }
        };
        if all_known {
            tell(&known);
        }
    }
}

fn name<K: Resource>(object: &K) -> Name {
    (object.namespace(), object.name_any())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some errors of the library repeat their cause.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
