//! What the node keeps ready: targets, modes of assignment, times.

use std::time::Duration;

use super::IPAMD;
use crate::settings::key::{Fallback, Key, Support};
use crate::settings::kinds::{CAP, COUNT, INTERVAL, SECONDS, SWITCH, TARGET, WAIT};

pub(crate) static WARM_ENI_TARGET: Key<u32> = Key {
    name: "WARM_ENI_TARGET",
    kind: COUNT,
    fallback: Fallback::Text("1"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How many whole ENIs' worth of free addresses to keep ready. Does not decide where \
          WARM_IP_TARGET or MINIMUM_IP_TARGET is set, nor in prefix delegation.",
};

pub(crate) static WARM_IP_TARGET: Key<Option<u32>> = Key {
    name: "WARM_IP_TARGET",
    kind: TARGET,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How many free addresses to keep ready. Goes before WARM_ENI_TARGET and \
          WARM_PREFIX_TARGET. 0 is the same as unset. In prefix delegation the number is rounded \
          up to whole prefixes of 16.",
};

pub(crate) static MINIMUM_IP_TARGET: Key<Option<u32>> = Key {
    name: "MINIMUM_IP_TARGET",
    kind: TARGET,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How many addresses to hold in all, those of pods included; set it near the number of \
          pods a node usually runs. Goes before WARM_ENI_TARGET and WARM_PREFIX_TARGET; alone, it \
          acts as if WARM_IP_TARGET were 0. 0 is the same as unset.",
};

pub(crate) static WARM_PREFIX_TARGET: Key<Option<u32>> = Key {
    name: "WARM_PREFIX_TARGET",
    kind: TARGET,
    fallback: Fallback::Text("1"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How many wholly free /28 prefixes to keep ready. Only for ENABLE_PREFIX_DELEGATION, and \
          only where neither WARM_IP_TARGET nor MINIMUM_IP_TARGET is set.",
};

pub(crate) static ENABLE_PREFIX_DELEGATION: Key<bool> = Key {
    name: "ENABLE_PREFIX_DELEGATION",
    kind: SWITCH,
    fallback: Fallback::Text("false"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "Assign /28 prefixes to ENIs instead of single addresses: sixteen times the pods in the \
          same address slots. Needs a Nitro or bare-metal type and one of WARM_PREFIX_TARGET, \
          WARM_IP_TARGET and MINIMUM_IP_TARGET above 0.",
};

pub(crate) static IP_COOLDOWN_PERIOD: Key<Duration> = Key {
    name: "IP_COOLDOWN_PERIOD",
    kind: SECONDS,
    fallback: Fallback::Text("30"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How long, in seconds, a released address is neither given to another pod nor back to \
          EC2, so that kube-proxy and peers forget who had it. A cooling address does not count \
          as free.",
};

pub(crate) static VPC_CNI_ADD_WAIT: Key<Duration> = Key {
    name: "VPC_CNI_ADD_WAIT",
    kind: WAIT,
    fallback: Fallback::Text("3000"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How long, in milliseconds, an ADD that finds no free address waits for one before it \
          fails and the runtime tries again. 0 does not wait.",
};

pub(crate) static VPC_CNI_MAX_PODS: Key<Option<u32>> = Key {
    name: "VPC_CNI_MAX_PODS",
    kind: CAP,
    fallback: Fallback::Unset,
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How many pods the node runs at most (the kubelet's maxPods). The pool never asks for more \
          addresses than that. Unset: no cap but the instance type's.",
};

pub(crate) static VPC_CNI_RETURN_DELAY: Key<Duration> = Key {
    name: "VPC_CNI_RETURN_DELAY",
    kind: SECONDS,
    fallback: Fallback::Text("30"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How long, in seconds, the node must hold more than its targets ask for before the \
          excess is given back to EC2. Longer means fewer EC2 calls where pods come and go.",
};

pub(crate) static VPC_CNI_ENI_MIN_AGE: Key<Duration> = Key {
    name: "VPC_CNI_ENI_MIN_AGE",
    kind: SECONDS,
    fallback: Fallback::Text("60"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How old, in seconds, an ENI must be before it is given back to EC2.",
};

pub(crate) static VPC_CNI_GC_MIN_AGE: Key<Duration> = Key {
    name: "VPC_CNI_GC_MIN_AGE",
    kind: SECONDS,
    fallback: Fallback::Text("60"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How long, in seconds, no ADD may have asked for a sandbox's address before CNI GC may \
          free it. Shorter than a runtime's patience with ADD is dangerous: GC could take the \
          address of a pod that is being set up.",
};

pub(crate) static VPC_CNI_RECONCILE_INTERVAL: Key<Duration> = Key {
    name: "VPC_CNI_RECONCILE_INTERVAL",
    kind: INTERVAL,
    fallback: Fallback::Text("300"),
    support: Support::Supported,
    read_by: IPAMD,
    doc: "How often, in seconds, the pool is compared with what instance metadata reports. What \
          ipamd does itself, and what the kernel reports, is followed at once and needs no \
          interval.",
};
