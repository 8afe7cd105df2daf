//! Input that must be refused, given to the program as a runtime gives it: the exact code, message
//! and details, and that nothing was touched: ipamd was not asked, the disk and the network
//! namespaces of node and pod are as before.
//!
//! Each row says what matters about the message; the files in `golden` hold all
//! of it. Where a change of a message is meant, the test run with `BLESS=1` writes them.

#![allow(
    clippy::unwrap_used,
    reason = "in a test file helpers may fail the test too"
)]

mod row;
#[path = "../support/mod.rs"]
mod support;

use row::{judge, row};
use serde_json::json;

#[test]
fn bad_environments_are_refused() {
    let too_long = "x".repeat(16);
    let big = "y".repeat(5000);
    judge(
        "environment",
        &[
            row("an unknown verb")
                .env("CNI_COMMAND", "EAT")
                .is(4, &["CNI_COMMAND", "\"EAT\"", "ADD, DEL"]),
            row("a verb in small letters")
                .env("CNI_COMMAND", "add")
                .is(4, &["\"add\""]),
            row("a verb that is not UTF-8")
                .bytes("CNI_COMMAND", b"AD\xff")
                .is(4, &["UTF-8"]),
            row("no container id")
                .unset("CNI_CONTAINERID")
                .is(4, &["CNI_CONTAINERID not set"]),
            row("an empty container id")
                .env("CNI_CONTAINERID", "")
                .is(4, &["CNI_CONTAINERID not set"]),
            row("no namespace")
                .unset("CNI_NETNS")
                .is(4, &["CNI_NETNS not set"]),
            row("no interface name")
                .unset("CNI_IFNAME")
                .is(4, &["CNI_IFNAME not set"]),
            row("no plugin path")
                .unset("CNI_PATH")
                .is(4, &["CNI_PATH not set"]),
            row("two at once")
                .unset("CNI_NETNS")
                .unset("CNI_IFNAME")
                .is(4, &["CNI_NETNS, CNI_IFNAME not set", "sets them for ADD"]),
            row("DEL without a container id")
                .env("CNI_COMMAND", "DEL")
                .unset("CNI_CONTAINERID")
                .is(4, &["CNI_CONTAINERID not set"]),
            row("a container id with a slash")
                .env("CNI_CONTAINERID", "a/b")
                .is(4, &["\"a/b\"", "letter or digit"]),
            row("a container id that begins with a dot")
                .env("CNI_CONTAINERID", "..")
                .is(4, &["\"..\""]),
            row("a container id with a line break")
                .env("CNI_CONTAINERID", "a\nb")
                .is(4, &["\"a\\nb\""]),
            row("a container id that is not UTF-8")
                .bytes("CNI_CONTAINERID", b"a\xff")
                .is(4, &["UTF-8"]),
            row("a huge bad container id")
                .env("CNI_CONTAINERID", &format!("/{big}"))
                .is(4, &["(5001 bytes)"]),
            row("an interface name of 16 bytes")
                .env("CNI_IFNAME", &too_long)
                .is(4, &["CNI_IFNAME", "15 bytes"]),
            row("an interface name with a slash")
                .env("CNI_IFNAME", "../x")
                .is(4, &["\"../x\""]),
            row("an interface name with a colon")
                .env("CNI_IFNAME", "eth0:1")
                .is(4, &["\"eth0:1\""]),
            row("a dot as interface name")
                .env("CNI_IFNAME", ".")
                .is(4, &["\".\""]),
            row("a blank in the interface name")
                .env("CNI_IFNAME", "a b")
                .is(4, &["white space"]),
            row("an interface name that is not UTF-8")
                .bytes("CNI_IFNAME", b"\xfe")
                .is(4, &["UTF-8"]),
        ],
    );
}

#[test]
fn bad_namespaces_and_hostile_names_are_refused() {
    let big = "y".repeat(5000);
    judge(
        "hostile",
        &[
            row("a namespace that does not exist")
                .env("CNI_NETNS", "/nonexistent/ns")
                .is(4, &["/nonexistent/ns", "existing network namespace"]),
            row("a namespace that is a directory")
                .env("CNI_NETNS", "/proc")
                .is(4, &["/proc"]),
            row("a namespace that is a file")
                .env("CNI_NETNS", "/etc/passwd")
                .is(4, &["not a namespace"]),
            row("a namespace that is a device")
                .env("CNI_NETNS", "/dev/null")
                .is(4, &["not a namespace"]),
            row("the plugin's own namespace")
                .env("CNI_NETNS", "/proc/self/ns/net")
                .is(8, &["/proc/self/ns/net", "plugin itself"]),
            row("a namespace of another kind")
                .env("CNI_NETNS", "/proc/self/ns/mnt")
                .is(4, &["another kind, mnt"]),
            row("a pipe nobody writes to as namespace")
                .env("CNI_NETNS", "PIPE")
                .is(4, &["not a namespace"]),
            row("a namespace path that is not UTF-8")
                .bytes("CNI_NETNS", b"/run/netns/\xff")
                .is(4, &["/run/netns/\u{fffd}", "No such file"]),
            row("a huge namespace path")
                .env("CNI_NETNS", &format!("/{big}"))
                .is(4, &["(5001 bytes)", "too long"]),
            row("a relative namespace path that is not there")
                .env("CNI_NETNS", "netns")
                .is(4, &["\"netns\""]),
            row("CHECK in a namespace that is gone")
                .env("CNI_COMMAND", "CHECK")
                .env("CNI_NETNS", "/nonexistent/ns")
                .with("prevResult", json!({}))
                .is(4, &["/nonexistent/ns"]),
            row("CHECK without an interface name")
                .env("CNI_COMMAND", "CHECK")
                .unset("CNI_IFNAME")
                .is(4, &["CNI_IFNAME not set", "for CHECK"]),
            row("a container id of 256 bytes")
                .env("CNI_CONTAINERID", &"c".repeat(256))
                .is(4, &["at most 255 bytes"]),
            row("a container id that is a path upwards")
                .env("CNI_CONTAINERID", "../../etc/passwd")
                .is(4, &["\"../../etc/passwd\""]),
            row("a container id that is a command")
                .env("CNI_CONTAINERID", "$(reboot)")
                .is(4, &["\"$(reboot)\""]),
            row("DEL with an interface name that climbs")
                .env("CNI_COMMAND", "DEL")
                .env("CNI_IFNAME", "..")
                .is(4, &["\"..\""]),
            row("GC without a plugin path")
                .env("CNI_COMMAND", "GC")
                .unset("CNI_PATH")
                .is(4, &["CNI_PATH not set", "for GC"]),
            row("STATUS without a plugin path")
                .env("CNI_COMMAND", "STATUS")
                .unset("CNI_PATH")
                .is(4, &["CNI_PATH not set"]),
            row("a huge verb")
                .env("CNI_COMMAND", &big)
                .is(4, &["(5000 bytes)"]),
        ],
    );
}

#[test]
fn bad_arguments_are_refused() {
    judge(
        "arguments",
        &[
            row("a pair without a value")
                .env("CNI_ARGS", "K8S_POD_NAME")
                .is(4, &["CNI_ARGS is \"K8S_POD_NAME\"", "KEY=value"]),
            row("two equals signs")
                .env("CNI_ARGS", "K8S_POD_NAME=a=b")
                .is(4, &["\"K8S_POD_NAME=a=b\"", "one equals sign"]),
            row("a semicolon too many")
                .env("CNI_ARGS", "K8S_POD_NAME=a;")
                .is(4, &["CNI_ARGS is \"\""]),
            row("an unknown key")
                .env("CNI_ARGS", "COLOUR=red")
                .is(4, &["\"COLOUR=red\"", "IgnoreUnknown=1"]),
            row("an unknown key not to be ignored")
                .env("CNI_ARGS", "IgnoreUnknown=0;COLOUR=red")
                .is(4, &["COLOUR=red"]),
            row("a boolean that is none")
                .env("CNI_ARGS", "IgnoreUnknown=yes")
                .is(4, &["IgnoreUnknown=yes", "true, 0 or false"]),
            row("arguments that are not UTF-8")
                .bytes("CNI_ARGS", b"K8S_POD_NAME=\xff")
                .is(4, &["CNI_ARGS", "UTF-8"]),
            row("a pod name with a line break")
                .env("CNI_ARGS", "K8S_POD_NAME=a\nb")
                .is(4, &["\"K8S_POD_NAME=a\\nb\"", "control characters"]),
            row("a namespace with an escape sequence")
                .env("CNI_ARGS", "K8S_POD_NAMESPACE=\u{1b}[2J")
                .is(4, &["control characters"]),
            row("a pod name of 254 bytes")
                .env("CNI_ARGS", &format!("K8S_POD_NAME={}", "n".repeat(254)))
                .is(4, &["at most 253 bytes", "(267 bytes)"]),
            row("an unknown key with a huge value")
                .env("CNI_ARGS", &format!("X={}", "y".repeat(100_000)))
                .is(4, &["(100002 bytes)"]),
            row("DEL with an unknown key")
                .env("CNI_COMMAND", "DEL")
                .env("CNI_ARGS", "COLOUR=red")
                .is(4, &["\"COLOUR=red\""]),
            row("a key in small letters")
                .env("CNI_ARGS", "k8s_pod_name=a")
                .is(4, &["\"k8s_pod_name=a\""]),
        ],
    );
}

#[test]
fn bad_configurations_are_refused() {
    let deep = format!(
        "{{\"name\":\"n\",\"x\":{}1{}}}",
        "[".repeat(500),
        "]".repeat(500)
    );
    let huge = format!("{{\"name\":\"n\",\"x\":\"{}\"}}", "z".repeat(2 << 20));
    judge("configuration", &[
        row("nothing").stdin(b"").is(6, &["not JSON"]),
        row("no JSON").stdin(b"name: aws-cni").is(6, &["not JSON", "an object with cniVersion"]),
        row("half an object").stdin(b"{\"name\":\"n\"").is(6, &["not JSON"]),
        row("a list").stdin(b"[]").is(6, &["not JSON"]),
        row("null").stdin(b"null").is(6, &["not JSON"]),
        row("not UTF-8").stdin(b"{\"name\":\"\xff\"}").is(6, &["not JSON"]),
        row("two documents").stdin(b"{\"name\":\"n\"}{}").is(6, &["not JSON"]),
        row("nested too deep").stdin(deep.as_bytes()).is(6, &["not JSON"]),
        row("huge").stdin(huge.as_bytes()).is(6, &["larger than 1048576 bytes"]),
        row("a version that does not exist").with("cniVersion", json!("9.9.9")).is(1, &["cniVersion is \"9.9.9\"", "0.4.0, 1.0.0, 1.1.0"]),
        row("a version that is none").with("cniVersion", json!("latest")).is(1, &["\"latest\""]),
        row("a number as version").with("cniVersion", json!(1.0)).is(6, &["cniVersion is 1.0; allowed: text"]),
        row("no name").with("name", json!(null)).is(7, &["name is missing"]),
        row("an empty name").with("name", json!("")).is(7, &["name is missing"]),
        row("a number as name").with("name", json!(7)).is(6, &["name is 7; allowed: text"]),
        row("a name with a slash").with("name", json!("a/b")).is(7, &["name is \"a/b\"", "letter or digit"]),
        row("a veth prefix of 5 letters").with("vethPrefix", json!("abcde")).is(7, &["vethPrefix is \"abcde\"", "1 to 4"]),
        row("an empty veth prefix").with("vethPrefix", json!("")).is(7, &["vethPrefix is \"\""]),
        row("a reserved veth prefix").with("vethPrefix", json!("vlan")).is(7, &["not eth, lo or vlan"]),
        row("a list as veth prefix").with("vethPrefix", json!(["eni"])).is(6, &["vethPrefix is [\"eni\"]"]),
        row("an MTU that is no number").with("mtu", json!("abc")).is(7, &["mtu is \"abc\"", "576 to 9001"]),
        row("an MTU too small").with("mtu", json!("500")).is(7, &["mtu is \"500\""]),
        row("an MTU too large").with("mtu", json!("10000")).is(7, &["mtu is \"10000\""]),
        row("a negative MTU").with("mtu", json!("-1")).is(7, &["mtu is \"-1\""]),
        row("a number as MTU").with("mtu", json!(1500)).is(6, &["mtu is 1500; allowed: text"]),
        row("an unknown enforcing mode").with("podSGEnforcingMode", json!("lax")).is(7, &["\"lax\"", "strict or standard"]),
        row("a log on standard output").with("pluginLogFile", json!("STDOUT")).is(7, &["pluginLogFile", "stderr or a file"]),
        row("a relative socket path").with("ipamdSocket", json!("ipamd.sock")).is(7, &["ipamdSocket", "absolute path"]),
        row("a list as runtimeConfig").with("runtimeConfig", json!([])).is(6, &["runtimeConfig is []; allowed: an object"]),
        row("a number as annotation")
            .with("runtimeConfig", json!({ "io.kubernetes.cri.pod-annotations": { "k8s.amazonaws.com/nicConfig": 1 } }))
            .is(6, &["nicConfig is 1; allowed: text"]),
        row("an unknown encoding").with("resultEncoding", json!("real")).is(7, &["resultEncoding is \"real\"; allowed: upstream or plain"]),
        row("a byte order mark").stdin(b"\xef\xbb\xbf{\"name\":\"n\"}").is(6, &["not JSON"]),
        row("zero bytes").stdin(&[0; 64]).is(6, &["not JSON"]),
        row("a list of plugins instead of one")
            .stdin(br#"{"cniVersion":"1.0.0","plugins":[]}"#)
            .is(7, &["name is missing"]),
        row("a name that climbs").with("name", json!("../../etc")).is(7, &["name is \"../../etc\""]),
        row("a name of 256 bytes").with("name", json!("n".repeat(256))).is(7, &["at most 255 bytes"]),
        row("a name with a zero byte").with("name", json!("a\0b")).is(7, &["name is \"a\\0b\""]),
        row("a version with a blank").with("cniVersion", json!("1.0.0 ")).is(1, &["\"1.0.0 \""]),
        row("a huge version").with("cniVersion", json!("1".repeat(9999))).is(1, &["(9999 bytes)"]),
        row("a veth prefix with a slash").with("vethPrefix", json!("a/b")).is(7, &["\"a/b\""]),
        row("a veth prefix of other letters").with("vethPrefix", json!("é")).is(7, &["1 to 4 letters"]),
        row("an MTU with a unit").with("mtu", json!("9001 bytes")).is(7, &["576 to 9001"]),
        row("an MTU past every number").with("mtu", json!("9".repeat(40))).is(7, &["576 to 9001"]),
        row("a number as log file").with("pluginLogFile", json!(1)).is(6, &["pluginLogFile is 1"]),
        row("a list as log level").with("pluginLogLevel", json!([])).is(6, &["pluginLogLevel is []"]),
        row("a number as socket").with("ipamdSocket", json!(1)).is(6, &["ipamdSocket is 1"]),
        row("annotations that are text")
            .with("runtimeConfig", json!({ "io.kubernetes.cri.pod-annotations": "x" }))
            .is(6, &["pod-annotations is \"x\"; allowed: an object"]),
        row("DEL with no JSON").env("CNI_COMMAND", "DEL").stdin(b"x").is(6, &["not JSON"]),
        row("DEL with a relative socket path")
            .env("CNI_COMMAND", "DEL")
            .with("ipamdSocket", json!("x"))
            .is(7, &["an absolute path"]),
    ]);
}

#[test]
fn bad_previous_results_are_refused() {
    let result = |value| row("a previous result").with("prevResult", value);
    judge("previous_result", &[
        result(json!("x")).is(6, &["prevResult is \"x\"; allowed: an object"]),
        result(json!({ "cniVersion": "9.9.9" })).is(1, &["prevResult.cniVersion is \"9.9.9\""]),
        result(json!({ "interfaces": {} }))
            .is(6, &["prevResult.interfaces is {}; allowed: a list"]),
        result(json!({ "interfaces": [7] })).is(6, &["prevResult.interfaces[0] is 7"]),
        result(json!({ "interfaces": [{ "name": 7 }] }))
            .is(6, &["prevResult.interfaces[0].name is 7"]),
        result(json!({ "ips": [{ "address": "10.0.1.15" }] }))
            .is(7, &["prevResult.ips[0].address is \"10.0.1.15\""]),
        result(json!({ "ips": [{ "address": "10.0.1.15/33" }] })).is(7, &["prefix length"]),
        result(json!({ "ips": [{}] })).is(7, &["prevResult.ips[0].address is \"\""]),
        result(json!({ "ips": [{ "address": "10.0.1.15/32", "interface": -1 }] }))
            .is(6, &["interface is -1"]),
        result(json!({ "ips": [{ "address": "10.0.1.15/32", "gateway": "here" }] }))
            .is(7, &["gateway is \"here\""]),
        result(json!({ "ips": [] }))
            .env("CNI_COMMAND", "CHECK")
            .is(7, &["prevResult is not a result of aws-cni"]),
        result(json!([])).is(6, &["prevResult is []; allowed: an object"]),
        result(json!({ "cniVersion": 1 })).is(6, &["prevResult.cniVersion is 1; allowed: text"]),
        result(json!({ "ips": "x" })).is(6, &["prevResult.ips is \"x\"; allowed: a list"]),
        result(json!({ "ips": [7] })).is(6, &["prevResult.ips[0] is 7; allowed: an object"]),
        result(json!({ "ips": [{ "address": 7 }] })).is(6, &["prevResult.ips[0].address is 7"]),
        result(json!({ "ips": [{ "address": "10.0.1.15/32", "interface": "1" }] }))
            .is(6, &["interface is \"1\""]),
        result(json!({ "ips": [{ "address": "10.0.1.15/32", "interface": 1.5 }] }))
            .is(6, &["interface is 1.5"]),
        result(json!({ "interfaces": [{ "sandbox": {} }] }))
            .is(6, &["prevResult.interfaces[0].sandbox is {}"]),
        result(json!({ "interfaces": [{ "mac": [1] }] }))
            .is(6, &["prevResult.interfaces[0].mac is [1]"]),
        result(json!({ "ips": [{ "address": "x".repeat(5000) }] })).is(7, &["(5000 bytes)"]),
        row("CHECK of a VLAN that is none")
            .env("CNI_COMMAND", "CHECK")
            .with("prevResult", json!({ "interfaces": [{ "name": "dummy3a52ce78095", "mac": "x" }] }))
            .is(7, &["the VLAN in interface dummy3a52ce78095 is \"x\""]),
        row("CHECK of an interface the result does not have")
            .env("CNI_COMMAND", "CHECK")
            .with("prevResult", json!({
                "interfaces": [{ "name": "eth0" }], "ips": [{ "interface": 99, "address": "10.0.1.15/32" }]
            }))
            .is(7, &["no interface eth0 with exactly one IPv4 address"]),
        row("CHECK of a result that has only a further interface")
            .env("CNI_COMMAND", "CHECK")
            .with("prevResult", json!({
                "interfaces": [{ "name": "mNicIf1" }, { "name": "x" }], "ips": [{ "interface": 0, "address": "10.0.1.15/32" }]
            }))
            .is(7, &["no interface eth0"]),
        row("CHECK of a pod with a branch ENI")
            .env("CNI_COMMAND", "CHECK")
            .with("prevResult", json!({ "interfaces": [{ "name": "dummy3a52ce78095", "mac": "7" }] }))
            .is(102, &["branch ENIs", "disableCheck"]),
        row("CHECK without one")
            .env("CNI_COMMAND", "CHECK")
            .is(7, &["prevResult is missing"]),
    ]);
}

#[test]
fn verbs_the_configurations_version_does_not_have_are_refused() {
    let verb = |name, version: &str| {
        row("version")
            .env("CNI_COMMAND", name)
            .with("cniVersion", json!(version))
    };
    judge(
        "verbs",
        &[
            verb("CHECK", "0.3.1").is(1, &["does not have CHECK", "0.4.0"]),
            verb("STATUS", "1.0.0").is(1, &["does not have STATUS", "1.1.0"]),
            verb("GC", "0.4.0").is(1, &["does not have GC"]),
            verb("GC", "1.1.0").is(7, &["cni.dev/valid-attachments is missing"]),
            verb("GC", "1.1.0")
                .with("cni.dev/valid-attachments", json!([{ "containerID": "a" }]))
                .is(7, &["valid-attachments[0].ifname is missing"]),
            verb("GC", "1.1.0")
                .with(
                    "cni.dev/valid-attachments",
                    json!([{ "ifname": "eth0", "containerID": "" }]),
                )
                .is(7, &["valid-attachments[0].containerID is missing"]),
            verb("GC", "1.1.0")
                .with(
                    "cni.dev/valid-attachments",
                    json!([{ "ifname": 1, "containerID": "a" }]),
                )
                .is(6, &["valid-attachments[0].ifname is 1"]),
            verb("GC", "1.1.0")
                .with("cni.dev/valid-attachments", json!(["a"]))
                .is(6, &["valid-attachments[0] is \"a\"; allowed: an object"]),
            verb("STATUS", "1.1.0")
                .with("ipamdSocket", json!("x"))
                .is(7, &["an absolute path"]),
            verb("GC", "1.1.0")
                .with("cni.dev/valid-attachments", json!("x"))
                .is(6, &["a list"]),
        ],
    );
}
