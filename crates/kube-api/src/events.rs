//! Events that people see with `kubectl describe`.

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::api::Api;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

/// The name under which the events are reported (upstream's).
const CONTROLLER: &str = "aws-node";

/// Which object an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regarding {
    /// The daemon's pod.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The node.
    Node {
        /// Its name.
        name: String,
    },
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// A word such as `MissingIAMPermissions`.
    pub reason: &'static str,
    /// What was tried, such as `ec2:CreateTags`.
    pub action: String,
    /// The text for people; at most 1 kB of it is kept.
    pub text: String,
}

/// Writes warnings. One that is written again within six minutes is counted instead.
#[derive(Clone)]
pub struct Events {
    client: Client,
    recorder: Recorder,
    about: ObjectReference,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// The most bytes of a note that the API server takes (`events.k8s.io/v1`).
const MOST: usize = 1024;

impl Events {
    /// Events about that object.
    #[must_use]
    pub fn new(client: Client, about: &Regarding) -> Self {
        let (kind, namespace, name) = match about {
            Regarding::Pod { namespace, name } => ("Pod", Some(namespace.clone()), name.clone()),
            Regarding::Node { name } => ("Node", None, name.clone()),
        };
        let reporter = Reporter {
            controller: CONTROLLER.to_owned(),
            instance: Some(name.clone()),
        };
        // `kubectl describe node` looks for events whose uid is the node's name, as the kubelet
        // writes them.
        let uid = (kind == "Node").then(|| name.clone());
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            about: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some(kind.to_owned()),
                namespace,
                name: Some(name),
                uid,
                ..ObjectReference::default()
            },
        }
    }

    /// Writes a warning.
    ///
    /// # Errors
    /// The API server is away, or does not allow it. The event is lost then.
    pub async fn warn(&mut self, note: Note) -> Result<(), kube::Error> {
        self.find_uid().await;
        let mut text = note.text;
        if text.len() > MOST {
            let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        let event = Event {
            type_: EventType::Warning,
            reason: note.reason.to_owned(),
            note: Some(text),
            action: note.action,
            secondary: None,
        };
        self.recorder.publish(&event, &self.about).await
    }

    /// `kubectl describe pod` shows events that carry the pod's uid.
    async fn find_uid(&mut self) {
        let (Some(namespace), Some(name), None) =
            (&self.about.namespace, &self.about.name, &self.about.uid)
        else {
            return;
        };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        match api.get(name).await {
            Ok(pod) => self.about.uid = pod.meta().uid.clone(),
            Err(error) => tracing::debug!(%error, "the daemon's own pod"),
        }
    }
}
