use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::*;
use proptest::prelude::*;

use crate::kernel::{Connmark, Mtu};

type Outcome = Result<(Settings, Vec<Notice>), SettingsErrors>;

fn from(pairs: &[(&str, &str)]) -> Outcome {
    Settings::from_vars(
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into())),
    )
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    match from(pairs) {
        Ok((settings, _)) => settings,
        Err(errors) => panic!("{pairs:?}: {errors}"),
    }
}

fn mistakes(pairs: &[(&str, &str)]) -> Vec<String> {
    match from(pairs) {
        Ok(_) => panic!("{pairs:?} is accepted"),
        Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
    }
}

fn notices(pairs: &[(&str, &str)]) -> Vec<String> {
    from(pairs)
        .unwrap()
        .1
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// For each variable a value that is allowed and is not its default.
const SAMPLES: &[(&str, &str)] = &[
    ("WARM_ENI_TARGET", "2"),
    ("WARM_IP_TARGET", "5"),
    ("MINIMUM_IP_TARGET", "10"),
    ("WARM_PREFIX_TARGET", "2"),
    ("ENABLE_PREFIX_DELEGATION", "true"),
    ("IP_COOLDOWN_PERIOD", "60"),
    ("VPC_CNI_ADD_WAIT", "0"),
    ("VPC_CNI_MAX_PODS", "110"),
    ("VPC_CNI_RETURN_DELAY", "5"),
    ("VPC_CNI_ENI_MIN_AGE", "5"),
    ("VPC_CNI_GC_MIN_AGE", "90"),
    ("VPC_CNI_RECONCILE_INTERVAL", "60"),
    ("MAX_ENI", "3"),
    ("DISABLE_NETWORK_RESOURCE_PROVISIONING", "true"),
    ("ENABLE_IMDS_ONLY_MODE", "t"),
    ("MANAGE_UNTAGGED_ENI", "false"),
    ("AWS_MANAGE_ENIS_NON_SCHEDULABLE", "true"),
    ("ENABLE_SUBNET_DISCOVERY", "false"),
    ("DISABLE_LEAKED_ENI_CLEANUP", "true"),
    ("ADDITIONAL_ENI_TAGS", r#"{"team":"network"}"#),
    ("CLUSTER_NAME", "prod"),
    ("AWS_EC2_ENDPOINT", "http://198.51.100.2:8000"),
    ("HTTP_TIMEOUT", "20"),
    ("AWS_VPC_K8S_CNI_BACKING_STORE", "/x/ipam.json"),
    ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "true"),
    ("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "10.9.0.0/16"),
    ("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "none"),
    ("VPC_CNI_SNAT_PORTS", "40000-49999"),
    ("AWS_EXTERNAL_SERVICE_CIDRS", "10.8.0.0/16"),
    ("AWS_VPC_CNI_NODE_PORT_SUPPORT", "false"),
    ("AWS_VPC_K8S_CNI_CONNMARK", "0x100"),
    ("AWS_VPC_K8S_CNI_VETHPREFIX", "vth"),
    ("AWS_VPC_ENI_MTU", "1500"),
    ("POD_MTU", "1400"),
    ("DISABLE_TCP_EARLY_DEMUX", "true"),
    ("AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER", "false"),
    ("ENABLE_NFTABLES", "false"),
    ("ENABLE_IPv4", "false"),
    ("ENABLE_IPv6", "true"),
    ("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "true"),
    ("ENI_CONFIG_ANNOTATION_DEF", "example.com/a"),
    ("ENI_CONFIG_LABEL_DEF", "topology.kubernetes.io/zone"),
    ("ENABLE_POD_ENI", "true"),
    ("POD_SECURITY_GROUP_ENFORCING_MODE", "standard"),
    ("ENABLE_MULTI_NIC", "true"),
    ("ENABLE_V6_EGRESS", "true"),
    ("ENABLE_V4_EGRESS", "false"),
    ("ANNOTATE_POD_IP", "true"),
    ("ENABLE_BANDWIDTH_PLUGIN", "true"),
    ("DISABLE_POD_V6", "true"),
    ("NETWORK_POLICY_ENFORCING_MODE", "Standard"),
    ("MY_NODE_NAME", "node"),
    ("MY_POD_NAME", "aws-node-1"),
    ("CLUSTER_ENDPOINT", "https://api.example"),
    ("VPC_CNI_VERSION", "v1.23.1"),
    ("VPC_CNI_SOCKET", "/tmp/ipamd.sock"),
    ("VPC_CNI_STATE_DIR", "/tmp/state"),
    ("HOST_CNI_BIN_PATH", "/tmp/bin"),
    ("HOST_CNI_CONFDIR_PATH", "/tmp/net.d"),
    ("AWS_VPC_K8S_CNI_LOGLEVEL", "INFO"),
    ("AWS_VPC_K8S_CNI_LOG_FILE", "stdout"),
    ("VPC_CNI_LOG_FORMAT", "text"),
    ("VPC_CNI_LOG_FILE_SIZE", "1"),
    ("VPC_CNI_LOG_FILES", "1"),
    ("AWS_VPC_K8S_PLUGIN_LOG_LEVEL", "error"),
    ("AWS_VPC_K8S_PLUGIN_LOG_FILE", "stderr"),
    ("AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE", "stderr"),
    ("AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE", "stderr"),
    ("INTROSPECTION_BIND_ADDRESS", "unix:/tmp/introspect.sock"),
    ("DISABLE_INTROSPECTION", "true"),
    ("VPC_CNI_METRICS_BIND_ADDRESS", "127.0.0.1:61678"),
    ("DISABLE_METRICS", "true"),
];

/// Variables that change no typed value, because nothing could act on it.
const WITHOUT_TYPE: &[&str] = &[
    "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER",
    "ENABLE_NFTABLES",
    "VPC_CNI_VERSION",
    // Of these, one or the other decides; alone they change nothing in an IPv4 cluster.
    "ENABLE_IPv4",
    "ENI_CONFIG_ANNOTATION_DEF",
    "ENI_CONFIG_LABEL_DEF",
    "AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE",
];

/// The typed settings of one variable's sample, whether or not this version accepts it.
fn typed(name: &str, value: &str) -> Settings {
    let pair = (OsString::from(name), OsString::from(value));
    let environment = Environment::collect([pair], &mut Vec::new());
    let settings = build::settings(&environment).unwrap();
    Settings {
        environment: Environment::default(),
        ..settings
    }
}

#[test]
fn the_defaults_of_an_empty_environment_are_those_of_upstreams_manifest() {
    let settings = settings(&[]);
    let warm = RawTargets {
        warm_eni: 1,
        warm_ip: None,
        minimum_ip: None,
        warm_prefix: Some(1),
    };
    assert_eq!(settings.warm, warm);
    assert_eq!(settings.max_eni, None);
    assert_eq!(settings.cooldown, Duration::from_secs(30));
    assert_eq!(
        (settings.family, settings.ipv4_mode),
        (Family::V4, Ipv4Mode::SecondaryIps)
    );
    assert_eq!(settings.provisioning, Provisioning::Enabled);
    assert_eq!(settings.snat.external, ExternalSnat::Off);
    assert_eq!(settings.snat.randomization, SnatRandomization::Prng);
    assert_eq!(settings.node_port, NodePort::Supported);
    assert_eq!(settings.connmark, Connmark(0x80));
    assert_eq!(
        (settings.eni_mtu, settings.pod_mtu),
        (Mtu::default(), Mtu::default())
    );
    assert_eq!(settings.veth_prefix.as_str(), "eni");
    assert_eq!(
        settings.socket.to_str(),
        Some("/var/run/aws-node/ipamd.sock")
    );
    assert_eq!(settings.network_policy_mode, None);
    assert_eq!(settings.add_wait, Duration::from_secs(3));
    assert!(settings.features.custom_networking.is_none());
    assert!(notices(&[]).is_empty());
}

#[test]
fn upstreams_manifest_is_accepted() {
    let pairs = [
        ("ADDITIONAL_ENI_TAGS", "{}"),
        ("AWS_VPC_CNI_NODE_PORT_SUPPORT", "true"),
        ("AWS_VPC_ENI_MTU", "9001"),
        ("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "false"),
        ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "false"),
        ("AWS_VPC_K8S_CNI_LOGLEVEL", "DEBUG"),
        (
            "AWS_VPC_K8S_CNI_LOG_FILE",
            "/host/var/log/aws-routed-eni/ipamd.log",
        ),
        ("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "prng"),
        ("AWS_VPC_K8S_CNI_VETHPREFIX", "eni"),
        (
            "AWS_VPC_K8S_PLUGIN_LOG_FILE",
            "/var/log/aws-routed-eni/plugin.log",
        ),
        ("AWS_VPC_K8S_PLUGIN_LOG_LEVEL", "DEBUG"),
        ("DISABLE_INTROSPECTION", "false"),
        ("DISABLE_METRICS", "false"),
        ("ENABLE_POD_ENI", "false"),
        ("ENABLE_PREFIX_DELEGATION", "false"),
        ("WARM_ENI_TARGET", "1"),
        ("WARM_PREFIX_TARGET", "1"),
        ("DISABLE_NETWORK_RESOURCE_PROVISIONING", "false"),
        ("ENABLE_IPv4", "true"),
        ("ENABLE_IPv6", "false"),
        ("ENABLE_SUBNET_DISCOVERY", "true"),
        ("VPC_CNI_VERSION", "v1.23.1"),
        ("NETWORK_POLICY_ENFORCING_MODE", "standard"),
        ("ENABLE_IMDS_ONLY_MODE", "false"),
        ("ENABLE_MULTI_NIC", "false"),
        ("MY_NODE_NAME", "ip-10-0-1-10.us-west-2.compute.internal"),
        ("MY_POD_NAME", "aws-node-abcde"),
        ("PATH", "/usr/bin"),
        ("KUBERNETES_SERVICE_HOST", "172.20.0.1"),
    ];
    let settings = settings(&pairs);
    assert_eq!(
        settings.network_policy_mode,
        Some(NetworkPolicyMode::Standard)
    );
    let names: Vec<String> = notices(&pairs);
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn every_row_has_a_sample_and_every_sample_is_allowed_and_no_default() {
    let mut names: Vec<&str> = rows().map(|row| row.name).collect();
    let sampled: Vec<&str> = SAMPLES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, sampled, "in the table's order");
    for (name, value) in SAMPLES {
        let entry = table::entry(name).unwrap();
        assert!(entry.accepts(value), "{name}={value}");
        assert!(!entry.is_default(value), "{name}={value}");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SAMPLES.len(), "a name comes twice");
}

#[test]
fn every_variable_changes_a_typed_value() {
    let defaults = Settings {
        environment: Environment::default(),
        ..settings(&[])
    };
    for (name, value) in SAMPLES {
        let changed = typed(name, value) != defaults;
        assert_eq!(changed, !WITHOUT_TYPE.contains(name), "{name}={value}");
    }
}

#[test]
fn every_default_is_allowed_and_every_row_is_told_of() {
    for row in rows() {
        if let Fallback::Text(default) = row.fallback {
            assert!(
                table::entry(row.name).unwrap().accepts(default),
                "{}",
                row.name
            );
        }
        if let Fallback::SameAs(other) = row.fallback {
            assert!(table::entry(other).is_some(), "{}", row.name);
        }
        assert!(
            row.doc.ends_with('.') && !row.read_by.is_empty(),
            "{}",
            row.name
        );
        assert!(!row.allowed.is_empty(), "{}", row.name);
    }
}

#[test]
fn each_row_does_what_its_support_says() {
    for (name, value) in SAMPLES {
        let said = from(&[(name, value)]);
        match table::entry(name).unwrap().row().support {
            Support::Refused(why) => {
                let errors = said.unwrap_err();
                assert!(errors.to_string().contains(why), "{errors}");
            }
            Support::NoEffect(why) => {
                let (_, notices) = said.unwrap();
                assert!(
                    notices.iter().any(|notice| notice.text.contains(why)),
                    "{notices:?}"
                );
            }
            Support::Supported if *name == "ENABLE_IPv4" => assert!(said.is_err()),
            Support::Supported => {
                let (_, notices) = said.unwrap();
                assert_eq!(notices, [], "{name}");
            }
        }
    }
}

#[test]
fn all_mistakes_are_reported_at_once_one_a_line() {
    let lines = mistakes(&[
        ("WARM_IP_TARGET", "abc"),
        ("WARM_IP_TARGTE", "5"),
        ("AWS_VPC_ENI_MTU", "70"),
        ("ENABLE_POD_ENI", "true"),
        ("MAX_ENI", "-2"),
    ]);
    assert_eq!(
        lines,
        [
            r#"AWS_VPC_ENI_MTU is "70"; allowed: bytes, 576 to 9001"#,
            r#"ENABLE_POD_ENI is "true"; allowed: false, because security groups for pods are not supported yet"#,
            r#"MAX_ENI is "-2"; allowed: a whole number, 1 or more; 0 or -1 for no limit of its own"#,
            r#"WARM_IP_TARGET is "abc"; allowed: a whole number, 0 or more"#,
            r#"WARM_IP_TARGTE is "5"; allowed: no such setting exists, did you mean WARM_IP_TARGET?"#,
        ]
    );
}

#[test]
fn a_value_that_is_not_utf8_is_a_mistake() {
    let value = OsString::from_vec(vec![b'3', 0xff]);
    let errors = Settings::from_vars([("WARM_ENI_TARGET".into(), value)]).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "WARM_ENI_TARGET is \"3\u{fffd}\", which is not UTF-8; allowed: a whole number, 0 or more"
    );
    assert!(
        Settings::from_vars([("LESSCHARSET".into(), OsString::from_vec(vec![0xff]))]).is_ok(),
        "other programs' variables may hold anything"
    );
}

#[test]
fn booleans_are_gos_words_and_nothing_else() {
    for yes in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(
            settings(&[("AWS_VPC_K8S_CNI_EXTERNALSNAT", yes)])
                .snat
                .external,
            ExternalSnat::On
        );
    }
    for no in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(
            settings(&[("AWS_VPC_CNI_NODE_PORT_SUPPORT", no)]).node_port,
            NodePort::Unsupported
        );
    }
    for bad in ["yes", "on", " true", "true ", "tRUE", "2"] {
        assert_eq!(
            mistakes(&[("ENABLE_PREFIX_DELEGATION", bad)]).len(),
            1,
            "{bad:?}"
        );
    }
}

#[test]
fn an_empty_value_is_the_same_as_none() {
    let empty: Vec<(&str, &str)> = SAMPLES.iter().map(|(name, _)| (*name, "")).collect();
    assert_eq!(settings(&empty), settings(&[]));
    assert!(notices(&empty).is_empty());
}

#[test]
fn zero_unsets_a_target_and_a_cap() {
    let zero = settings(&[
        ("WARM_IP_TARGET", "0"),
        ("MINIMUM_IP_TARGET", "0"),
        ("MAX_ENI", "0"),
    ]);
    assert_eq!(
        (zero.warm.warm_ip, zero.warm.minimum_ip, zero.max_eni),
        (None, None, None)
    );
    assert_eq!(settings(&[("MAX_ENI", "-1")]).max_eni, None);
    assert_eq!(settings(&[("WARM_ENI_TARGET", "0")]).warm.warm_eni, 0);
    assert_eq!(settings(&[("WARM_IP_TARGET", "+3")]).warm.warm_ip, Some(3));
}

#[test]
fn numbers_keep_their_bounds() {
    for (name, good, bad) in [
        ("WARM_ENI_TARGET", "4294967295", "4294967296"),
        ("WARM_IP_TARGET", "1", "-1"),
        ("VPC_CNI_ADD_WAIT", "30000", "30001"),
        ("VPC_CNI_RECONCILE_INTERVAL", "10", "9"),
        ("HTTP_TIMEOUT", "10", "9"),
        ("IP_COOLDOWN_PERIOD", "0", "-1"),
        ("IP_COOLDOWN_PERIOD", "30", "30s"),
        ("POD_MTU", "576", "575"),
        ("AWS_VPC_ENI_MTU", "9001", "9002"),
        ("AWS_VPC_K8S_CNI_CONNMARK", "4294967295", "4294967296"),
        ("AWS_VPC_K8S_CNI_CONNMARK", "0xffffffff", "0"),
        ("AWS_VPC_K8S_CNI_CONNMARK", "0b1", "0x+5"),
        ("AWS_VPC_K8S_CNI_CONNMARK", "0o17", "08"),
        ("AWS_VPC_K8S_CNI_VETHPREFIX", "enid", "vlan"),
    ] {
        settings(&[(name, good)]);
        assert_eq!(mistakes(&[(name, bad)]).len(), 1, "{name}={bad}");
    }
    let mark = |text| settings(&[("AWS_VPC_K8S_CNI_CONNMARK", text)]).connmark;
    assert_eq!(
        [mark("0x80"), mark("128"), mark("0200"), mark("0B10000000")],
        [Connmark(128); 4]
    );
}

#[test]
fn networks_are_canonical_sorted_and_single() {
    let cidrs = "10.2.3.4/16, 10.1.0.0/16,10.2.0.0/16,";
    let parsed = settings(&[("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", cidrs)])
        .snat
        .exclude_cidrs;
    let expected = ["10.1.0.0/16", "10.2.0.0/16"].map(|net| net.parse().unwrap());
    assert_eq!(parsed, expected);
    for bad in [
        "10.0.0.0",
        "fd00::/8",
        "10.0.0.0/33",
        "10.0.0.0/8 10.1.0.0/16",
    ] {
        assert_eq!(
            mistakes(&[("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", bad)]).len(),
            1,
            "{bad}"
        );
    }
}

#[test]
fn tags_that_only_ipamd_may_write_are_left_out_and_told_of() {
    let pairs = [(
        "ADDITIONAL_ENI_TAGS",
        r#"{"team":"net","node.k8s.amazonaws.com/instance_id":"i-1"}"#,
    )];
    let tags = settings(&pairs).additional_tags;
    assert_eq!(
        tags.into_iter().collect::<Vec<_>>(),
        [("team".to_owned(), "net".to_owned())]
    );
    assert!(
        notices(&pairs)
            .concat()
            .contains("node.k8s.amazonaws.com/instance_id")
    );
    for bad in ["x", "[]", r#"{"a":1}"#, r#"{"":"b"}"#, r#"{"aws:x":"b"}"#] {
        assert_eq!(mistakes(&[("ADDITIONAL_ENI_TAGS", bad)]).len(), 1, "{bad}");
    }
}

#[test]
fn addresses_paths_and_urls_are_checked() {
    assert_eq!(
        settings(&[("INTROSPECTION_BIND_ADDRESS", "localhost:61679")]).introspection,
        Some(BindAddress::Tcp((Ipv4Addr::LOCALHOST, 61679).into()))
    );
    assert_eq!(
        settings(&[("DISABLE_INTROSPECTION", "1")]).introspection,
        None
    );
    let long = format!("/{}", "x".repeat(107));
    for (name, bad) in [
        ("INTROSPECTION_BIND_ADDRESS", "61679"),
        ("VPC_CNI_METRICS_BIND_ADDRESS", ":61678"),
        ("VPC_CNI_LOG_FORMAT", "xml"),
        ("VPC_CNI_LOG_FILE_SIZE", "0"),
        ("VPC_CNI_LOG_FILES", "101"),
        ("INTROSPECTION_BIND_ADDRESS", "unix:relative"),
        ("VPC_CNI_STATE_DIR", "relative"),
        ("VPC_CNI_SOCKET", long.as_str()),
        ("AWS_EC2_ENDPOINT", "198.51.100.2:8000"),
        ("AWS_EC2_ENDPOINT", "http://"),
        ("AWS_VPC_K8S_PLUGIN_LOG_FILE", "stdout"),
        ("AWS_VPC_K8S_CNI_LOG_FILE", "ipamd.log"),
        ("AWS_VPC_K8S_CNI_LOGLEVEL", "verbose"),
        ("NETWORK_POLICY_ENFORCING_MODE", "lax"),
        ("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "PRNG"),
        ("ENI_CONFIG_LABEL_DEF", "a label"),
    ] {
        assert_eq!(mistakes(&[(name, bad)]).len(), 1, "{name}={bad}");
    }
}

#[test]
fn prefix_delegation_needs_a_target() {
    let on = ("ENABLE_PREFIX_DELEGATION", "true");
    let lines = mistakes(&[on, ("WARM_PREFIX_TARGET", "0")]);
    let combination = "WARM_PREFIX_TARGET is \"0\" and ENABLE_PREFIX_DELEGATION is \"true\"; \
                       allowed: with prefix delegation, one of WARM_PREFIX_TARGET, WARM_IP_TARGET \
                       and MINIMUM_IP_TARGET above 0";
    assert!(lines.iter().any(|line| line == combination), "{lines:?}");
    for target in ["WARM_PREFIX_TARGET", "WARM_IP_TARGET", "MINIMUM_IP_TARGET"] {
        settings(&[on, ("WARM_PREFIX_TARGET", "0"), (target, "1")]);
    }
    settings(&[("WARM_PREFIX_TARGET", "0")]);
}

#[test]
fn exactly_one_family_is_on() {
    let both = mistakes(&[("ENABLE_IPv4", "true"), ("ENABLE_IPv6", "true")]).join("\n");
    assert!(both.contains("exactly one of the two true"), "{both}");
    let none = mistakes(&[("ENABLE_IPv4", "false")]).join("\n");
    assert!(none.contains("exactly one of the two true"), "{none}");
    let six = mistakes(&[("ENABLE_IPv6", "true")]).join("\n");
    assert!(
        six.contains("not supported") && !six.contains("exactly one"),
        "{six}"
    );
    assert!(six.contains("IPv6 only with prefix delegation"), "{six}");
    let custom = ("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "true");
    let six = mistakes(&[("ENABLE_IPv6", "true"), custom]).join("\n");
    assert!(six.contains("without custom networking"), "{six}");
}

#[test]
fn values_that_do_less_together_than_they_seem_to_are_told_of() {
    let external = [
        ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "true"),
        ("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "10.0.0.0/8"),
    ];
    assert!(
        notices(&external)
            .concat()
            .contains("nothing is translated")
    );
    let mtu = [("AWS_VPC_ENI_MTU", "1500"), ("POD_MTU", "9001")];
    assert!(
        notices(&mtu)
            .concat()
            .contains("POD_MTU is 9001, above the ENIs' 1500")
    );
}

#[test]
fn misspelt_names_are_mistakes_and_service_links_are_not() {
    for name in [
        "WARM_TARGET",
        "MINIMUM_IPS",
        "AWS_VPC_K8S_CNI_EXTERNAL_SNAT",
        "VPC_CNI_X",
    ] {
        assert_eq!(mistakes(&[(name, "1")]).len(), 1, "{name}");
    }
    assert!(
        mistakes(&[("AWS_VPC_K8S_CNI_EXTERNAL_SNAT", "1")])[0].ends_with(
            "allowed: no such setting exists, did you mean AWS_VPC_K8S_CNI_EXTERNALSNAT?"
        )
    );
    assert!(mistakes(&[("VPC_CNI_X", "1")])[0].ends_with("allowed: no such setting exists"));
    for other in [
        "AWS_REGION",
        "AWS_VPC",
        "ENABLE_EVERYTHING",
        "VPC_ID",
        "WARMUP",
    ] {
        settings(&[(other, "1")]);
    }
    let link = [
        ("WARM_CACHE_SERVICE_HOST", "172.20.0.9"),
        ("WARM_CACHE_SERVICE_PORT_HTTP", "80"),
        ("WARM_CACHE_PORT_80_TCP", "tcp://172.20.0.9:80"),
    ];
    settings(&link);
    assert_eq!(
        mistakes(&link[2..]).len(),
        1,
        "without its Service it is no link"
    );
}

proptest! {
    #[test]
    fn any_text_is_accepted_or_named_with_what_is_allowed(
        texts in prop::collection::btree_map(0..SAMPLES.len(), "[ -~é]{1,12}", 1..8),
    ) {
        let pairs: Vec<(&str, &str)> =
            texts.iter().map(|(at, text)| (SAMPLES[*at].0, text.as_str())).collect();
        let said = from(&pairs).err().map(|errors| errors.to_string()).unwrap_or_default();
        for (name, text) in &pairs {
            let row = table::entry(name).unwrap().row();
            let line = format!("{name} is {text:?}; allowed: {}", row.allowed);
            let refused = !table::entry(name).unwrap().accepts(text);
            prop_assert_eq!(refused, said.lines().any(|said| said == line), "{}", said);
        }
    }
}

#[test]
fn the_values_in_use_say_where_they_come_from() {
    let settings = settings(&[("AWS_VPC_ENI_MTU", "1500"), ("WARM_ENI_TARGET", "")]);
    let in_use = settings.rows();
    assert_eq!(in_use.len(), SAMPLES.len());
    let of = |name: &str| in_use.iter().find(|value| value.row.name == name).unwrap();
    let shown = |name: &str| (of(name).value.as_str(), of(name).source);
    assert_eq!(shown("AWS_VPC_ENI_MTU"), ("1500", Source::Environment));
    assert_eq!(shown("POD_MTU"), ("1500", Source::Default));
    assert_eq!(shown("WARM_ENI_TARGET"), ("1", Source::Default));
    assert_eq!(shown("WARM_IP_TARGET"), ("", Source::Default));
    assert_eq!(shown("ENABLE_IPv4"), ("true", Source::Default));
}

const DOCUMENT: &str = include_str!("../../../../docs/configuration.md");

#[test]
fn the_documents_example_is_what_is_said() {
    let pairs = [
        ("WARM_IP_TARGTE", "5"),
        ("AWS_VPC_ENI_MTU", "70"),
        ("ENABLE_POD_ENI", "true"),
    ];
    assert!(DOCUMENT.contains(&format!("```text\n{}\n```", mistakes(&pairs).join("\n"))));
    for beginning in environment::RESERVED {
        assert!(DOCUMENT.contains(&format!("`{beginning}`")), "{beginning}");
    }
}

#[test]
fn the_document_holds_the_table() {
    let (_, rest) = DOCUMENT.split_once("<!-- settings:begin -->\n").unwrap();
    let (held, _) = rest.split_once("<!-- settings:end -->").unwrap();
    let table = markdown_table();
    assert!(
        held == table,
        "docs/configuration.md is out of date: put the output of `cargo run -p vpc-model --example \
         settings_table` between its markers"
    );
}
