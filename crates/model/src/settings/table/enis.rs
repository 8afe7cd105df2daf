//! Which ENIs ipamd uses and what it does to them in EC2.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::IPAMD;
use crate::settings::key::{Fallback, Key, Support};
use crate::settings::kinds::{CAP, INTERVAL, PATH, SWITCH, TAGS, TEXT, URL};

pub(crate) static MAX_ENI: Key<Option<u32>> = Key {
    name: "MAX_ENI",
    kind: CAP,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The most ENIs ipamd uses on the node, the primary included; the instance type's limit \
          holds besides.",
};

pub(crate) static DISABLE_NETWORK_RESOURCE_PROVISIONING: Key<bool> = Key {
    name: "DISABLE_NETWORK_RESOURCE_PROVISIONING",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Change nothing in EC2: no ENI, address, prefix, tag or security group. Pods get the \
          addresses that are assigned to the node already.",
};

pub(crate) static ENABLE_IMDS_ONLY_MODE: Key<bool> = Key {
    name: "ENABLE_IMDS_ONLY_MODE",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Learn the node's ENIs from instance metadata alone and never call EC2. Includes \
          DISABLE_NETWORK_RESOURCE_PROVISIONING.",
};

pub(crate) static MANAGE_UNTAGGED_ENI: Key<bool> = Key {
    name: "MANAGE_UNTAGGED_ENI",
    kind: SWITCH,
    fallback: Fallback::Text("true"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Whether an ENI without the tags node.k8s.amazonaws.com/no_manage and \
          node.k8s.amazonaws.com/instance_id is used. The primary always is.",
};

pub(crate) static AWS_MANAGE_ENIS_NON_SCHEDULABLE: Key<bool> = Key {
    name: "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Whether the pool still grows and shrinks while the node is cordoned.",
};

pub(crate) static ENABLE_SUBNET_DISCOVERY: Key<bool> = Key {
    name: "ENABLE_SUBNET_DISCOVERY",
    kind: SWITCH,
    fallback: Fallback::Text("true"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Create new ENIs in any subnet of the availability zone that is tagged for it \
          (kubernetes.io/role/cni), the one with most free addresses first, and give no addresses \
          of ENIs in subnets tagged against it. Where ec2:DescribeSubnets is denied, the primary \
          ENI's subnet is used.",
};

pub(crate) static DISABLE_LEAKED_ENI_CLEANUP: Key<bool> = Key {
    name: "DISABLE_LEAKED_ENI_CLEANUP",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Leave detached ENIs alone that nodes of the cluster left behind.",
};

pub(crate) static ADDITIONAL_ENI_TAGS: Key<BTreeMap<String, String>> = Key {
    name: "ADDITIONAL_ENI_TAGS",
    kind: TAGS,
    fallback: Fallback::Text("{}"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Further tags for the ENIs that ipamd creates. Keys that contain k8s.amazonaws.com are \
          left out, and a notice says so: those names are ipamd's own.",
};

pub(crate) static CLUSTER_NAME: Key<Option<String>> = Key {
    name: "CLUSTER_NAME",
    kind: TEXT,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "The cluster's name. When set, ENIs are tagged cluster.k8s.amazonaws.com/name with it, \
          and eks:eni:owner.",
};

pub(crate) static AWS_EC2_ENDPOINT: Key<Option<String>> = Key {
    name: "AWS_EC2_ENDPOINT",
    kind: URL,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Where the EC2 API is, instead of the region's public endpoint. Goes before the AWS \
          SDKs' own AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL.",
};

pub(crate) static HTTP_TIMEOUT: Key<Duration> = Key {
    name: "HTTP_TIMEOUT",
    kind: INTERVAL,
    fallback: Fallback::Text("10"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How long, in seconds, one request to EC2 may take.",
};

pub(crate) static AWS_VPC_K8S_CNI_BACKING_STORE: Key<PathBuf> = Key {
    name: "AWS_VPC_K8S_CNI_BACKING_STORE",
    kind: PATH,
    fallback: Fallback::Text("/var/run/aws-node/ipam.json"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Upstream's checkpoint file: taken over at the first start on a node that upstream ran \
          on, and written so that upstream can be rolled back to.",
};
