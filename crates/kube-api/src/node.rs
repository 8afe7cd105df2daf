//! The node that the daemon runs on, as Kubernetes has it.

use k8s_openapi::api::core::v1::Node;

/// The label by which a controller sets a node's ENIConfig; goes before all else (upstream).
const EXTERNAL: &str = "vpc.amazonaws.com/externalEniConfig";

/// The ENIConfig of a node that names none (upstream).
const DEFAULT: &str = "default";

/// The taint of a cordoned node (Kubernetes, "Well-Known Labels, Annotations and Taints").
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Where a node's ENIConfig is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The annotation (`ENI_CONFIG_ANNOTATION_DEF`).
    pub annotation: String,
    /// The label (`ENI_CONFIG_LABEL_DEF`), for a node without the annotation.
    pub label: String,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// The most pods that it runs (`status.capacity.pods`).
    pub max_pods: Option<u32>,
    /// Whether new pods are kept away from it.
    pub cordoned: bool,
    /// The name of its ENIConfig.
    pub eni_config: String,
}

impl NodeView {
    pub(crate) fn of(node: &Node, keys: &Keys) -> Self {
        let spec = node.spec.as_ref();
        let unschedulable = spec.and_then(|spec| spec.unschedulable) == Some(true);
        let taints = spec.and_then(|spec| spec.taints.as_deref()).unwrap_or(&[]);
        let tainted = taints
            .iter()
            .any(|taint| taint.key == UNSCHEDULABLE && taint.effect == "NoSchedule");
        let capacity = node.status.as_ref().and_then(|it| it.capacity.as_ref());
        let pods = capacity.and_then(|capacity| capacity.get("pods"));
        let label = |key: &str| node.metadata.labels.as_ref()?.get(key);
        let annotation = |key: &str| node.metadata.annotations.as_ref()?.get(key);
        let eni_config = label(EXTERNAL)
            .or_else(|| annotation(&keys.annotation))
            .or_else(|| label(&keys.label));
        Self {
            max_pods: pods.and_then(|pods| pods.0.parse().ok()),
            cordoned: unschedulable || tainted,
            eni_config: eni_config.map_or(DEFAULT, String::as_str).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn view(node: Value) -> NodeView {
        let keys = Keys {
            annotation: "k8s.amazonaws.com/eniConfig".to_owned(),
            label: "topology.kubernetes.io/zone".to_owned(),
        };
        NodeView::of(&serde_json::from_value(node).unwrap(), &keys)
    }

    #[test]
    fn a_plain_node_has_the_default_eni_config() {
        let plain = view(json!({"metadata": {"name": "n"}}));
        let expected = NodeView {
            max_pods: None,
            cordoned: false,
            eni_config: "default".to_owned(),
        };
        assert_eq!(plain, expected);
    }

    #[test]
    fn capacity_is_the_number_of_pods() {
        let node = json!({"metadata": {}, "status": {"capacity": {"pods": "29", "cpu": "2"}}});
        assert_eq!(view(node).max_pods, Some(29));
    }

    #[test]
    fn a_node_is_cordoned_by_its_field_or_by_the_taint() {
        let taint = |key: &str, effect: &str| {
            let taints = json!([{"key": key, "effect": effect}]);
            view(json!({"metadata": {}, "spec": {"taints": taints}})).cordoned
        };
        assert!(view(json!({"metadata": {}, "spec": {"unschedulable": true}})).cordoned);
        assert!(taint(UNSCHEDULABLE, "NoSchedule"));
        assert!(!taint(UNSCHEDULABLE, "PreferNoSchedule"));
        assert!(!taint("node.kubernetes.io/not-ready", "NoSchedule"));
    }

    #[test]
    fn the_controllers_label_goes_before_the_annotation_and_that_before_the_label() {
        let mut node = json!({"metadata": {
            "labels": {"topology.kubernetes.io/zone": "us-west-2a"}, "annotations": {},
        }});
        assert_eq!(view(node.clone()).eni_config, "us-west-2a");
        node["metadata"]["annotations"]["k8s.amazonaws.com/eniConfig"] = json!("mine");
        assert_eq!(view(node.clone()).eni_config, "mine");
        node["metadata"]["labels"][EXTERNAL] = json!("theirs");
        assert_eq!(view(node).eni_config, "theirs");
    }
}
