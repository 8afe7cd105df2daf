//! From checked texts to [`Settings`]: the rows one by one, then what must hold between them, then
//! the types.

use std::collections::BTreeMap;

use super::Settings;
use super::environment::Environment;
use super::error::{Mistake, Notice};
use super::key::{Entry, Fallback, Key, Support};
use super::table::{self, enis, host, modes, place, pool};
use super::types::{
    BindAddress, CustomNetworking, ExternalSnat, Family, Features, Ipv4Mode, Log, LogRoom,
    NodePort, Provisioning, RawTargets, Snat,
};

/// What ENI tags of ipamd and of Kubernetes contain; nobody else's may.
const RESERVED_TAG: &str = "k8s.amazonaws.com";

/// Checks each given value against its row. Returns a notice for each that has no effect.
pub(super) fn check_rows(environment: &Environment, mistakes: &mut Vec<Mistake>) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (name, text) in environment.texts() {
        let Some(entry) = table::entry(name) else {
            continue;
        };
        let row = entry.row();
        if !entry.accepts(text) {
            mistakes.push(Mistake::NotAllowed {
                name,
                value: text.to_owned(),
                allowed: row.allowed.to_owned(),
            });
            continue;
        }
        if entry.is_default(text) {
            continue;
        }
        match row.support {
            Support::Supported => {}
            Support::NoEffect(why) => {
                notices.push(Notice {
                    name,
                    text: format!("is {text:?}, without effect: {why}"),
                });
            }
            Support::Refused(why) => mistakes.push(Mistake::NotSupported {
                name,
                value: text.to_owned(),
                allowed: off_value(row.fallback).to_owned(),
                why,
            }),
        }
    }
    notices
}

fn off_value(fallback: Fallback) -> &'static str {
    match fallback {
        Fallback::Text("") | Fallback::Unset | Fallback::SameAs(_) => "unset",
        Fallback::Text(default) => default,
    }
}

/// What must hold between values that are allowed each by itself.
pub(super) fn check_combinations(environment: &Environment) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut conflict = |one: &dyn Entry, other: &dyn Entry, allowed| {
        let (one, other) = (one.row(), other.row());
        mistakes.push(Mistake::Conflict {
            name: one.name,
            value: environment.shown(&one),
            other: other.name,
            other_value: environment.shown(&other),
            allowed,
        });
    };
    let v6 = environment.get(&modes::ENABLE_IPV6);
    let v4 = environment.get(&modes::ENABLE_IPV4);
    let v4_given = environment.text(modes::ENABLE_IPV4.name).is_some();
    if v4_given && v4.is_some() && v4 == v6 {
        conflict(
            &modes::ENABLE_IPV4,
            &modes::ENABLE_IPV6,
            "exactly one of the two true",
        );
    }
    let prefixes = environment.get(&pool::ENABLE_PREFIX_DELEGATION);
    let targets = [
        &pool::WARM_PREFIX_TARGET,
        &pool::WARM_IP_TARGET,
        &pool::MINIMUM_IP_TARGET,
    ];
    if prefixes == Some(true) && targets.iter().all(|key| environment.get(key) == Some(None)) {
        conflict(
            &pool::WARM_PREFIX_TARGET,
            &pool::ENABLE_PREFIX_DELEGATION,
            "with prefix delegation, one of WARM_PREFIX_TARGET, WARM_IP_TARGET and \
             MINIMUM_IP_TARGET above 0",
        );
    }
    let custom = environment.get(&modes::AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG);
    if v6 == Some(true) && prefixes == Some(false) {
        conflict(
            &modes::ENABLE_IPV6,
            &pool::ENABLE_PREFIX_DELEGATION,
            "IPv6 only with prefix delegation",
        );
    }
    if v6 == Some(true) && custom == Some(true) {
        conflict(
            &modes::ENABLE_IPV6,
            &modes::AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG,
            "IPv6 only without custom networking",
        );
    }
    mistakes
}

/// The typed settings; nothing when a value is not allowed.
pub(super) fn settings(environment: &Environment) -> Option<Settings> {
    let read = Read(environment);
    let eni_mtu = read.get(&host::AWS_VPC_ENI_MTU)?;
    Some(Settings {
        warm: read.targets()?,
        max_eni: read.get(&enis::MAX_ENI)?,
        cooldown: read.get(&pool::IP_COOLDOWN_PERIOD)?,
        family: read.family()?,
        ipv4_mode: read.switch(
            &pool::ENABLE_PREFIX_DELEGATION,
            Ipv4Mode::Prefixes,
            Ipv4Mode::SecondaryIps,
        )?,
        add_wait: read.get(&pool::VPC_CNI_ADD_WAIT)?,
        max_pods: read.get(&pool::VPC_CNI_MAX_PODS)?,
        eni_min_age: read.get(&pool::VPC_CNI_ENI_MIN_AGE)?,
        gc_min_age: read.get(&pool::VPC_CNI_GC_MIN_AGE)?,
        return_delay: read.get(&pool::VPC_CNI_RETURN_DELAY)?,
        reconcile_interval: read.get(&pool::VPC_CNI_RECONCILE_INTERVAL)?,
        provisioning: read.provisioning()?,
        manage_untagged_enis: read.get(&enis::MANAGE_UNTAGGED_ENI)?,
        manage_enis_non_schedulable: read.get(&enis::AWS_MANAGE_ENIS_NON_SCHEDULABLE)?,
        subnet_discovery: read.get(&enis::ENABLE_SUBNET_DISCOVERY)?,
        leaked_eni_cleanup: !read.get(&enis::DISABLE_LEAKED_ENI_CLEANUP)?,
        additional_tags: read.tags()?,
        cluster_name: read.get(&enis::CLUSTER_NAME)?,
        ec2_endpoint: read.get(&enis::AWS_EC2_ENDPOINT)?,
        http_timeout: read.get(&enis::HTTP_TIMEOUT)?,
        snat: read.snat()?,
        node_port: read.switch(
            &host::AWS_VPC_CNI_NODE_PORT_SUPPORT,
            NodePort::Supported,
            NodePort::Unsupported,
        )?,
        external_service_cidrs: read.get(&host::AWS_EXTERNAL_SERVICE_CIDRS)?,
        connmark: read.get(&host::AWS_VPC_K8S_CNI_CONNMARK)?,
        veth_prefix: read.get(&host::AWS_VPC_K8S_CNI_VETHPREFIX)?,
        eni_mtu,
        pod_mtu: read.get(&host::POD_MTU)?.unwrap_or(eni_mtu),
        tcp_early_demux: !read.get(&host::DISABLE_TCP_EARLY_DEMUX)?,
        network_policy_mode: read.get(&modes::NETWORK_POLICY_ENFORCING_MODE)?,
        pod_security_group_mode: read.get(&modes::POD_SECURITY_GROUP_ENFORCING_MODE)?,
        features: read.features()?,
        node_name: read.get(&place::MY_NODE_NAME)?,
        pod_name: read.get(&place::MY_POD_NAME)?,
        cluster_endpoint: read.get(&place::CLUSTER_ENDPOINT)?,
        socket: read.get(&place::VPC_CNI_SOCKET)?,
        state_dir: read.get(&place::VPC_CNI_STATE_DIR)?,
        upstream_checkpoint: read.get(&enis::AWS_VPC_K8S_CNI_BACKING_STORE)?,
        cni_bin_dir: read.get(&place::HOST_CNI_BIN_PATH)?,
        cni_conf_dir: read.get(&place::HOST_CNI_CONFDIR_PATH)?,
        log: Log {
            level: read.get(&place::AWS_VPC_K8S_CNI_LOGLEVEL)?,
            destination: read.get(&place::AWS_VPC_K8S_CNI_LOG_FILE)?,
        },
        log_format: read.get(&place::VPC_CNI_LOG_FORMAT)?,
        log_room: LogRoom {
            file_size: u64::from(read.get(&place::VPC_CNI_LOG_FILE_SIZE)?) << 20,
            files: read.get(&place::VPC_CNI_LOG_FILES)?,
        },
        plugin_log: Log {
            level: read.get(&place::AWS_VPC_K8S_PLUGIN_LOG_LEVEL)?,
            destination: read.get(&place::AWS_VPC_K8S_PLUGIN_LOG_FILE)?,
        },
        egress_log: read.egress_log()?,
        introspection: read.introspection()?,
        metrics: read.metrics()?,
        environment: environment.clone(),
    })
}

/// The values that are made of more than one variable, or of one and a choice of words.
struct Read<'a>(&'a Environment);

impl Read<'_> {
    fn get<T>(&self, key: &Key<T>) -> Option<T> {
        self.0.get(key)
    }

    fn switch<T>(&self, key: &Key<bool>, on: T, off: T) -> Option<T> {
        Some(if self.get(key)? { on } else { off })
    }

    fn targets(&self) -> Option<RawTargets> {
        Some(RawTargets {
            warm_eni: self.get(&pool::WARM_ENI_TARGET)?,
            warm_ip: self.get(&pool::WARM_IP_TARGET)?,
            minimum_ip: self.get(&pool::MINIMUM_IP_TARGET)?,
            warm_prefix: self.get(&pool::WARM_PREFIX_TARGET)?,
        })
    }

    fn family(&self) -> Option<Family> {
        self.get(&modes::ENABLE_IPV4)?;
        self.switch(&modes::ENABLE_IPV6, Family::V6, Family::V4)
    }

    fn provisioning(&self) -> Option<Provisioning> {
        let off = self.get(&enis::DISABLE_NETWORK_RESOURCE_PROVISIONING)?;
        Some(match (self.get(&enis::ENABLE_IMDS_ONLY_MODE)?, off) {
            (true, _) => Provisioning::ImdsOnly,
            (false, true) => Provisioning::Disabled,
            (false, false) => Provisioning::Enabled,
        })
    }

    fn tags(&self) -> Option<BTreeMap<String, String>> {
        let mut tags = self.get(&enis::ADDITIONAL_ENI_TAGS)?;
        tags.retain(|key, _| !key.contains(RESERVED_TAG));
        Some(tags)
    }

    fn snat(&self) -> Option<Snat> {
        Some(Snat {
            external: self.switch(
                &host::AWS_VPC_K8S_CNI_EXTERNALSNAT,
                ExternalSnat::On,
                ExternalSnat::Off,
            )?,
            exclude_cidrs: self.get(&host::AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS)?,
            randomization: self.get(&host::AWS_VPC_K8S_CNI_RANDOMIZESNAT)?,
            ports: self.get(&host::VPC_CNI_SNAT_PORTS)?,
        })
    }

    fn features(&self) -> Option<Features> {
        let custom = CustomNetworking {
            annotation: self.get(&modes::ENI_CONFIG_ANNOTATION_DEF)?,
            label: self.get(&modes::ENI_CONFIG_LABEL_DEF)?,
        };
        let security_groups = self.get(&modes::POD_SECURITY_GROUP_ENFORCING_MODE)?;
        Some(Features {
            custom_networking: self.switch(
                &modes::AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG,
                Some(custom),
                None,
            )?,
            pod_security_groups: self.switch(
                &modes::ENABLE_POD_ENI,
                Some(security_groups),
                None,
            )?,
            multi_nic: self.get(&modes::ENABLE_MULTI_NIC)?,
            v6_egress: self.get(&modes::ENABLE_V6_EGRESS)?,
            v4_egress: self.get(&modes::ENABLE_V4_EGRESS)?,
            annotate_pod_ip: self.get(&modes::ANNOTATE_POD_IP)?,
            bandwidth_plugin: self.get(&modes::ENABLE_BANDWIDTH_PLUGIN)?,
            disable_pod_v6: self.get(&modes::DISABLE_POD_V6)?,
        })
    }

    fn egress_log(&self) -> Option<Log> {
        let v4 = self.get(&place::AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE)?;
        let v6 = self.get(&place::AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE)?;
        let destination = match self.family()? {
            Family::V4 => v6,
            Family::V6 => v4,
        };
        Some(Log {
            level: self.get(&place::AWS_VPC_K8S_PLUGIN_LOG_LEVEL)?,
            destination,
        })
    }

    fn metrics(&self) -> Option<Option<BindAddress>> {
        let address = self.get(&place::VPC_CNI_METRICS_BIND_ADDRESS)?;
        self.switch(&place::DISABLE_METRICS, None, Some(address))
    }

    fn introspection(&self) -> Option<Option<BindAddress>> {
        let address = self.get(&place::INTROSPECTION_BIND_ADDRESS)?;
        self.switch(&place::DISABLE_INTROSPECTION, None, Some(address))
    }
}

/// What to say about values that are fine each by itself and do less together than they seem to.
pub(super) fn remarks(settings: &Settings) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut notice = |name, text: String| notices.push(Notice { name, text });
    let given = settings
        .environment
        .get(&enis::ADDITIONAL_ENI_TAGS)
        .unwrap_or_default();
    let dropped: Vec<&str> = given
        .keys()
        .map(String::as_str)
        .filter(|key| !settings.additional_tags.contains_key(*key))
        .collect();
    if !dropped.is_empty() {
        notice(
            enis::ADDITIONAL_ENI_TAGS.name,
            format!(
                "has keys that only ipamd may write, left out: {}",
                dropped.join(", ")
            ),
        );
    }
    let external = settings.snat.external == ExternalSnat::On;
    if external && !settings.snat.exclude_cidrs.is_empty() {
        notice(
            host::AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS.name,
            format!(
                "has no effect while {} is true: nothing is translated",
                host::AWS_VPC_K8S_CNI_EXTERNALSNAT.name
            ),
        );
    }
    if external && settings.snat.ports.is_some() {
        notice(
            host::VPC_CNI_SNAT_PORTS.name,
            format!(
                "has no effect while {} is true: nothing is translated",
                host::AWS_VPC_K8S_CNI_EXTERNALSNAT.name
            ),
        );
    }
    if settings.pod_mtu > settings.eni_mtu {
        notice(
            host::POD_MTU.name,
            format!(
                "is {}, above the ENIs' {}: larger packets are fragmented or dropped on the node",
                settings.pod_mtu, settings.eni_mtu
            ),
        );
    }
    notices
}
