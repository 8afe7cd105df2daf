//! The kinds of objects the server knows, and how each differs from the others.

/// One kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The group's version.
    pub version: &'static str,
    /// The kind's name: `Pod`.
    pub kind: &'static str,
    /// What it is called in paths: `pods`.
    pub plural: &'static str,
    /// And for one of them: `pod`.
    pub singular: &'static str,
    /// What `kubectl` may be told instead.
    pub short: &'static [&'static str],
    /// Whether its objects belong to a namespace.
    pub namespaced: bool,
    /// Whether `status` is written apart from everything else.
    pub status: bool,
    /// Whether a custom resource definition made it: no strategic merge, no unconditional replace,
    /// a generation that counts.
    pub custom: bool,
    /// Whether a replace makes an object that is not there.
    pub replace_creates: bool,
    /// Whether a replace must name the version it replaces.
    pub replace_needs_version: bool,
    /// What field selectors can ask for, beside name and namespace.
    pub fields: &'static [&'static str],
}

/// What most kinds are like.
const PLAIN: Kind = Kind {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short: &[],
    namespaced: true,
    status: false,
    custom: false,
    replace_creates: false,
    replace_needs_version: false,
    fields: &[],
};

/// Nodes.
pub const NODE: Kind = Kind {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short: &["no"],
    namespaced: false,
    status: true,
    fields: &["spec.unschedulable"],
    ..PLAIN
};

/// Pods.
pub const POD: Kind = Kind {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short: &["po"],
    status: true,
    fields: &[
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ],
    ..PLAIN
};

/// Namespaces.
pub const NAMESPACE: Kind = Kind {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short: &["ns"],
    namespaced: false,
    status: true,
    fields: &["status.phase"],
    ..PLAIN
};

/// Config maps.
pub const CONFIG_MAP: Kind = Kind {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short: &["cm"],
    ..PLAIN
};

/// Events of the core group.
pub const EVENT: Kind = Kind {
    kind: "Event",
    plural: "events",
    singular: "event",
    short: &["ev"],
    replace_creates: true,
    fields: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    ..PLAIN
};

/// Events of the group of their own: the same objects, see `events`.
pub const EVENT_V1: Kind = Kind {
    group: "events.k8s.io",
    fields: &[
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ],
    ..EVENT
};

/// Leases.
pub const LEASE: Kind = Kind {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    replace_creates: true,
    replace_needs_version: true,
    ..PLAIN
};

/// Which subnet and security groups the pods of some nodes use.
pub const ENI_CONFIG: Kind = Kind {
    group: "crd.k8s.amazonaws.com",
    version: "v1alpha1",
    kind: "ENIConfig",
    plural: "eniconfigs",
    singular: "eniconfig",
    namespaced: false,
    custom: true,
    replace_needs_version: true,
    ..PLAIN
};

/// What a node's CNI and the resource controller tell each other.
pub const CNI_NODE: Kind = Kind {
    group: "vpcresources.k8s.aws",
    version: "v1alpha1",
    kind: "CNINode",
    plural: "cninodes",
    singular: "cninode",
    short: &["cnd"],
    namespaced: false,
    status: true,
    custom: true,
    replace_needs_version: true,
    ..PLAIN
};

/// All of them.
pub const ALL: &[Kind] = &[
    NODE, POD, NAMESPACE, CONFIG_MAP, EVENT, EVENT_V1, LEASE, ENI_CONFIG, CNI_NODE,
];

impl Kind {
    /// What objects carry as `apiVersion`: `v1`, `coordination.k8s.io/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// What messages call it: `pods`, `leases.coordination.k8s.io`.
    #[must_use]
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// The kind that `apiVersion` and `kind` of an object name, if it is one of `kinds`.
    #[must_use]
    pub fn named(kinds: &[Kind], api_version: &str, kind: &str) -> Option<Kind> {
        let found = |known: &&Kind| known.kind == kind && known.api_version() == api_version;
        kinds.iter().find(found).copied()
    }
}
