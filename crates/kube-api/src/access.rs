//! How the API server is reached.

use http::Uri;
use kube::config::{InClusterError, KubeConfigOptions, KubeconfigError};
use kube::{Client, Config};

/// Names the kubeconfig file, for a daemon outside the cluster.
const KUBECONFIG: &str = "KUBECONFIG";

/// The kubelet tells a pod by it where the API server is.
const SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";

/// The API server cannot be reached as the environment says.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A pod's service account is not what it should be.
    #[error(
        "the pod's service account cannot be used; is automountServiceAccountToken switched off?"
    )]
    ServiceAccount(#[source] InClusterError),
    /// The kubeconfig file is not what it should be.
    #[error("the file that KUBECONFIG names cannot be used")]
    Kubeconfig(#[source] KubeconfigError),
    /// The setting is no address.
    #[error("CLUSTER_ENDPOINT is {endpoint:?}; allowed: a URL such as https://10.0.0.1:443")]
    Endpoint {
        /// The value.
        endpoint: String,
        /// What is wrong.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// The certificates cannot be read, or the like.
    #[error("cannot make a client of the Kubernetes API")]
    Client(#[source] Box<kube::Error>),
}

/// A client of the cluster's API, as the process environment says: the file that `KUBECONFIG`
/// names, or else a pod's service account. `endpoint` (`CLUSTER_ENDPOINT`) takes the place of the
/// address; alone, it is asked without credentials. Nothing outside Kubernetes, where none of
/// these is there. Does not connect yet.
///
/// # Errors
/// What there is cannot be used.
pub async fn client(
    endpoint: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Client>, AccessError> {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let endpoint = endpoint.map(parsed).transpose()?;
    let config = if is_set(KUBECONFIG) {
        let options = KubeConfigOptions::default();
        let config = Config::from_kubeconfig(&options).await;
        Some(config.map_err(AccessError::Kubeconfig)?)
    } else if is_set(SERVICE_HOST) {
        Some(Config::incluster_env().map_err(AccessError::ServiceAccount)?)
    } else {
        endpoint.clone().map(Config::new)
    };
    let Some(mut config) = config else {
        return Ok(None);
    };
    if let Some(endpoint) = endpoint {
        config.cluster_url = endpoint;
    }
    let client = Client::try_from(config);
    client
        .map(Some)
        .map_err(|error| AccessError::Client(Box::new(error)))
}

fn parsed(endpoint: &str) -> Result<Uri, AccessError> {
    // Upstream's form has no scheme.
    let url = if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        format!("https://{endpoint}")
    };
    url.parse().map_err(|source| AccessError::Endpoint {
        endpoint: endpoint.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn with(endpoint: Option<&str>) -> Result<Option<Client>, AccessError> {
        client(endpoint, |_| None).await
    }

    #[tokio::test]
    async fn outside_kubernetes_there_is_no_client() {
        assert!(with(None).await.unwrap().is_none());
        assert!(with(Some("http://127.0.0.1:1")).await.unwrap().is_some());
    }

    #[test]
    fn an_endpoint_without_a_scheme_is_asked_by_tls() {
        let url = parsed("ABC.gr7.us-west-2.eks.amazonaws.com").unwrap();
        assert_eq!(url.scheme_str(), Some("https"));
    }

    #[tokio::test]
    async fn what_cannot_be_an_endpoint_is_named() {
        let error = with(Some("http://a b")).await.err().unwrap();
        assert!(error.to_string().contains("\"http://a b\""), "{error}");
    }
}
