//! Kubernetes' part in the daemon: what it is told, and what it tells people by events. All of it
//! may be away: the pool serves without.

use std::fmt;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use vpc_ipam::HeldBack;
use vpc_kube_api::{
    Client, ClusterView, Election, Events, Interest, Keys, Note, Regarding, client,
};
use vpc_model::settings::Settings;

use crate::report::chain;

/// The namespace of the daemon's pod (upstream's).
const NAMESPACE: &str = "kube-system";

/// Events that may wait for the API server; the rest are in the log only.
const MOST_WAITING: usize = 64;

/// What is told by events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The node's role lacks a permission, such as `ec2:CreateTags`.
    Denied(String),
    /// The pool is held back by something that a person can change.
    HeldBack(HeldBack),
}

/// Takes news for events; says nothing where nobody can hear.
#[derive(Debug, Clone)]
pub struct Teller(mpsc::Sender<News>);

impl Teller {
    /// Tells, unless too much waits already.
    pub fn tell(&self, news: News) {
        // What is told is in the log as well.
        let _ = self.0.try_send(news);
    }
}

/// The connection to the cluster.
pub struct Cluster {
    client: Option<Client>,
    interest: Option<Interest>,
    about: Option<Regarding>,
    view: watch::Sender<ClusterView>,
    news: mpsc::Receiver<News>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("interest", &self.interest)
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// The cluster and its two ends: what is known of it, and where news go. Where Kubernetes cannot be
/// used as the environment says, the daemon does without, and says so.
pub async fn cluster(
    settings: &Settings,
    variable: impl Fn(&str) -> Option<String>,
) -> (Cluster, watch::Receiver<ClusterView>, Teller) {
    let client = client(settings.cluster_endpoint.as_deref(), variable).await;
    let client = client.unwrap_or_else(|error| {
        tracing::error!(error = chain(&error), "Kubernetes cannot be asked");
        None
    });
    let custom = settings.features.custom_networking.as_ref();
    if client.is_some() && settings.node_name.is_none() {
        tracing::warn!(
            "MY_NODE_NAME is not set: the node's pods, its number of pods and whether it is \
             cordoned are not known"
        );
    }
    if client.is_none() && custom.is_some() {
        tracing::warn!(
            "there is no Kubernetes here, so no ENIConfig is known and no ENI can be created; \
             custom networking needs one"
        );
    }
    let interest = settings.node_name.clone().map(|node| Interest {
        node,
        keys: custom.map_or_else(no_keys, |custom| Keys {
            annotation: custom.annotation.clone(),
            label: custom.label.clone(),
        }),
        eni_configs: custom.is_some(),
    });
    let pod = settings.pod_name.clone().map(|name| Regarding::Pod {
        namespace: NAMESPACE.to_owned(),
        name,
    });
    let node = settings.node_name.clone();
    let about = pod.or_else(|| node.map(|name| Regarding::Node { name }));
    let (view, view_end) = watch::channel(ClusterView::default());
    let (teller, news) = mpsc::channel(MOST_WAITING);
    let cluster = Cluster {
        client,
        interest,
        about,
        view,
        news,
    };
    (cluster, view_end, Teller(teller))
}

fn no_keys() -> Keys {
    Keys {
        annotation: String::new(),
        label: String::new(),
    }
}

impl Cluster {
    /// An election among the nodes, each by its name; nothing outside Kubernetes.
    #[must_use]
    pub fn election(&self, lease: (&str, &str), duration: Duration) -> Option<Election> {
        let (client, interest) = (self.client.clone()?, self.interest.as_ref()?);
        Some(Election::new(client, lease, &interest.node, duration))
    }

    /// Watches and writes events, for good.
    pub async fn run(self) {
        let Some(client) = self.client else {
            tracing::info!("outside Kubernetes: no cluster is watched, no event is written");
            return std::future::pending().await;
        };
        let events = self.about.map(|about| Events::new(client.clone(), &about));
        let watching = async {
            match self.interest {
                Some(interest) => vpc_kube_api::watch(client, interest, self.view).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(watching, write_events(events, self.news));
    }
}

async fn write_events(events: Option<Events>, mut news: mpsc::Receiver<News>) {
    let Some(mut events) = events else {
        return;
    };
    while let Some(news) = news.recv().await {
        let Some(note) = note(&news) else {
            continue;
        };
        let reason = note.reason;
        if let Err(error) = events.warn(note).await {
            tracing::warn!(
                reason,
                error = chain(&error),
                "an event could not be written"
            );
        }
    }
}

/// What people read of it; nothing of what they can do nothing about.
fn note(news: &News) -> Option<Note> {
    match news {
        // Upstream's words.
        News::Denied(action) => Some(Note {
            reason: "MissingIAMPermissions",
            action: action.clone(),
            text: format!(
                "the role of this node's aws-node pod lacks {action}; docs/iam.md has the policies"
            ),
        }),
        News::HeldBack(held) => {
            let reason = match held.name() {
                "subnet_full" | "no_free_block" => "InsufficientFreeAddresses",
                "no_subnet" => "NoSubnetForPods",
                _ => return None,
            };
            Some(Note {
                reason,
                action: "GrowPool".to_owned(),
                text: held.to_string(),
            })
        }
    }
}

/// A hook for a client of AWS that tells of missing permissions.
#[must_use]
pub fn denied(teller: &Teller) -> vpc_aws::Denied {
    let teller = teller.clone();
    vpc_aws::Denied::new(move |action| teller.tell(News::Denied(action.to_owned())))
}

/// For parts that never tell anything.
#[must_use]
pub fn nobody() -> Teller {
    Teller(mpsc::channel(1).0)
}
