//! What the daemon tells about the node: upstream's paths with upstream's JSON, and ours. Read
//! only; the same answers go over HTTP and, for `vpcctl`, over the plugin's socket.
//!
//! ```text
//!  http ──────────┐                ┌─▶ upstream   /v1/enis and settings, in upstream's form
//!  rpc_service ───┴─▶ by its path ─┼─▶ pool       every address with its state and its pod
//!                                  ├─▶ config     every setting, its value and where it is from
//!                                  └─▶ pool task  status, plan, events, timelines
//! ```

mod config;
mod pool;
mod upstream;

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use tokio::sync::watch;
use vpc_ipam::timeline::Whose;
use vpc_kube_api::ClusterView;
use vpc_model::settings::Settings;
use vpc_model::{PodKey, PodName};

use crate::http::{Answer, Page, Question};
use crate::pool_task::PoolHandle;
use crate::readiness::Readiness;

/// The paths, as they are listed for whoever asks for another one. Upstream's come first.
pub const PATHS: &[&str] = &[
    "/v1/enis",
    "/v1/eni-configs",
    "/v1/networkutils-env-settings",
    "/v1/ipamd-env-settings",
    "/v1/config",
    "/v1/events",
    "/v1/plan",
    "/v1/pods",
    "/v1/pods/KEY/timeline",
    "/v1/pool",
    "/v1/status",
    "/healthz",
];

const JSON: &str = "application/json";

/// What there is to tell.
#[derive(Debug, Clone)]
pub struct Introspection {
    /// The pool.
    pub pool: PoolHandle,
    /// The settings.
    pub settings: Arc<Settings>,
    /// The node, as Kubernetes has it.
    pub cluster: watch::Receiver<ClusterView>,
    /// Whether pods can be served.
    pub readiness: watch::Receiver<Readiness>,
}

/// The daemon is stopping.
struct Stopping;

/// An answer, or nothing where there is no such thing.
type Told = Result<Option<Answer>, Stopping>;

impl Introspection {
    /// The answer to a GET of that path.
    pub async fn tell(&self, path: &str) -> Answer {
        match self.find(path).await {
            Ok(Some(answer)) => answer,
            Ok(None) => Answer {
                status: StatusCode::NOT_FOUND,
                ..commands()
            },
            Err(Stopping) => Answer::unavailable("ipamd is stopping"),
        }
    }

    async fn find(&self, path: &str) -> Told {
        let answer = match path {
            "/" => commands(),
            "/v1/enis" => json(&upstream::enis(
                &self.look().await?.pool,
                self.settings.cooldown,
            )),
            "/v1/eni-configs" => self.eni_config(),
            "/v1/networkutils-env-settings" => json(&upstream::network_settings(&self.settings)),
            "/v1/ipamd-env-settings" => json(&upstream::pool_settings(&self.settings)),
            "/v1/config" => json(&config::in_use(&self.settings)),
            "/v1/events" => json(&self.pool.events().await.ok_or(Stopping)?),
            "/v1/plan" => json(&self.pool.planned().await.ok_or(Stopping)?),
            "/v1/pods" => json(&pool::pods(&self.look().await?)),
            "/v1/pool" => json(&pool::pool(&self.look().await?)),
            "/v1/status" => json(&self.pool.status().await.ok_or(Stopping)?),
            "/healthz" => self.health(),
            _ => return self.timelines(path).await,
        };
        Ok(Some(answer))
    }

    async fn look(&self) -> Result<crate::pool_task::Look, Stopping> {
        self.pool.look().await.ok_or(Stopping)
    }

    fn eni_config(&self) -> Answer {
        let view = self.cluster.borrow();
        match &view.node {
            Some(node) => json(&node.eni_config),
            None => Answer::missing("the node is not known from Kubernetes"),
        }
    }

    fn health(&self) -> Answer {
        let readiness = self.readiness.borrow().clone();
        if readiness.is_ready() {
            Answer::plain(StatusCode::OK, &readiness.to_string())
        } else {
            Answer::unavailable(&readiness.to_string())
        }
    }

    async fn timelines(&self, path: &str) -> Told {
        let within = path.strip_prefix("/v1/pods/");
        let Some(whose) = within
            .and_then(|path| path.strip_suffix("/timeline"))
            .and_then(whose)
        else {
            return Ok(None);
        };
        let timelines = self.pool.timelines(whose).await.ok_or(Stopping)?;
        if timelines.is_empty() {
            let text = "nothing is remembered of it: no ADD or DEL of it since ipamd started, or \
                        too long ago";
            return Ok(Some(Answer::missing(text)));
        }
        Ok(Some(json(&timelines)))
    }
}

impl Page for Introspection {
    async fn answer(&self, question: Question) -> Answer {
        self.tell(&question.path).await
    }
}

/// `CONTAINER`, `NAMESPACE/POD` or `NETWORK/CONTAINER/INTERFACE`.
fn whose(key: &str) -> Option<Whose> {
    let parts: Vec<&str> = key.split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    match parts.as_slice() {
        [container] => Some(Whose::Container((*container).to_owned())),
        [namespace, name] => Some(Whose::Pod(PodName {
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
        })),
        [network, container, interface] => Some(Whose::Sandbox(PodKey {
            network: (*network).to_owned(),
            container_id: (*container).to_owned(),
            if_name: (*interface).to_owned(),
        })),
        _ => None,
    }
}

/// Upstream's list of what can be asked.
fn commands() -> Answer {
    #[derive(Serialize)]
    struct Commands {
        #[serde(rename = "AvailableCommands")]
        paths: &'static [&'static str],
    }
    json(&Commands { paths: PATHS })
}

fn json<T: Serialize>(value: &T) -> Answer {
    match serde_json::to_string(value) {
        Ok(mut body) => {
            body.push('\n');
            Answer::found(JSON, body)
        }
        Err(error) => Answer::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the answer cannot be written as JSON: {error}"),
        ),
    }
}
