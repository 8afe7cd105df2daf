//! Pods that are bound to the node and have no address yet: each will ask for one soon.

use k8s_openapi::api::core::v1::Pod;
use vpc_model::PodName;

/// The name of a pod that will ask for an address; nothing for one that has its addresses, needs
/// none, or is at its end.
pub(crate) fn in_want(pod: &Pod) -> Option<PodName> {
    let spec = pod.spec.as_ref()?;
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    let ended = matches!(phase, Some("Succeeded" | "Failed"));
    let has_address = status.is_some_and(|status| status.pod_ip.is_some());
    let leaves = pod.metadata.deletion_timestamp.is_some();
    let of_the_host = spec.host_network == Some(true);
    if ended || has_address || leaves || of_the_host {
        return None;
    }
    Some(PodName {
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wants(change: impl Fn(&mut Value)) -> bool {
        let mut pod = json!({
            "metadata": {"namespace": "default", "name": "web"},
            "spec": {"nodeName": "n1", "containers": []},
            "status": {"phase": "Pending"},
        });
        change(&mut pod);
        in_want(&serde_json::from_value(pod).unwrap()).is_some()
    }

    #[test]
    fn a_pod_that_is_bound_and_has_no_address_will_ask() {
        assert!(wants(|_| {}));
        assert!(wants(|pod| pod["status"] = json!({})));
    }

    #[test]
    fn others_will_not() {
        assert!(!wants(|pod| pod["spec"]["hostNetwork"] = json!(true)));
        assert!(!wants(|pod| pod["status"]["podIP"] = json!("10.0.0.5")));
        assert!(!wants(|pod| pod["status"]["phase"] = json!("Succeeded")));
        assert!(!wants(|pod| pod["status"]["phase"] = json!("Failed")));
        let at = json!("2026-01-01T00:00:00Z");
        assert!(!wants(
            |pod| pod["metadata"]["deletionTimestamp"] = at.clone()
        ));
    }
}
