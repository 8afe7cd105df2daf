//! Input that must be refused: the exact code, what the message says, and that nothing was asked
//! of ipamd nor left on disk.

#![allow(
    clippy::unwrap_used,
    reason = "in a test file helpers may fail the test too"
)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use serde_json::{Value, json};
use vpc_cni::Plugin;
use vpc_cni::spec::Environment;

#[test]
fn bad_environments_are_refused() {
    let too_long = "x".repeat(16);
    let big = "y".repeat(5000);
    judge(&[
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
    ]);
}

#[test]
fn bad_arguments_are_refused() {
    judge(&[
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
    ]);
}

#[test]
fn bad_configurations_are_refused() {
    let deep = format!(
        "{{\"name\":\"n\",\"x\":{}1{}}}",
        "[".repeat(500),
        "]".repeat(500)
    );
    let huge = format!("{{\"name\":\"n\",\"x\":\"{}\"}}", "z".repeat(2 << 20));
    judge(&[
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
    ]);
}

#[test]
fn bad_previous_results_are_refused() {
    let result = |value| row("prevResult").with("prevResult", value);
    judge(&[
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
            .env("CNI_NETNS", "/proc/self/ns/net")
            .env("CNI_NETNS_OVERRIDE", "1")
            .is(7, &["prevResult is not a result of aws-cni"]),
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
    judge(&[
        verb("CHECK", "0.3.1").is(1, &["does not have CHECK", "0.4.0"]),
        verb("STATUS", "1.0.0").is(1, &["does not have STATUS", "1.1.0"]),
        verb("GC", "0.4.0").is(1, &["does not have GC"]),
        verb("GC", "1.1.0").is(7, &["cni.dev/valid-attachments is missing"]),
        verb("GC", "1.1.0")
            .with("cni.dev/valid-attachments", json!([{ "containerID": "a" }]))
            .is(7, &["valid-attachments[0].ifname is missing"]),
        verb("GC", "1.1.0")
            .with("cni.dev/valid-attachments", json!("x"))
            .is(6, &["a list"]),
    ]);
}

/// Runs every row and tells of all that are not as they should be.
fn judge(rows: &[Row]) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ipamd.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let wrong: Vec<String> = rows.iter().filter_map(|row| row.judge(&socket)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(listener.accept().is_err(), "ipamd was asked");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "something was left on disk"
    );
}

/// Bad input and what it should come to. Begins as an ADD with nothing wrong but what is changed.
struct Row {
    what: &'static str,
    environment: Vec<(&'static str, Option<OsString>)>,
    fields: Vec<(&'static str, Value)>,
    stdin: Option<Vec<u8>>,
    code: u32,
    says: Vec<&'static str>,
}

fn row(what: &'static str) -> Row {
    let (environment, fields, says) = (Vec::new(), Vec::new(), Vec::new());
    Row {
        what,
        environment,
        fields,
        stdin: None,
        code: 0,
        says,
    }
}

impl Row {
    fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, Some(OsString::from(value))));
        self
    }

    fn bytes(mut self, name: &'static str, value: &[u8]) -> Self {
        self.environment
            .push((name, Some(OsString::from_vec(value.to_vec()))));
        self
    }

    fn unset(mut self, name: &'static str) -> Self {
        self.environment.push((name, None));
        self
    }

    fn with(mut self, field: &'static str, value: Value) -> Self {
        self.fields.push((field, value));
        self
    }

    fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = Some(bytes.to_vec());
        self
    }

    fn is(mut self, code: u32, says: &[&'static str]) -> Self {
        self.code = code;
        self.says = says.to_vec();
        self
    }

    fn judge(&self, socket: &PathBuf) -> Option<String> {
        let mut conf = json!({
            "cniVersion": "1.1.0", "name": "aws-cni", "type": "aws-cni", "ipamdSocket": socket
        });
        for (field, value) in &self.fields {
            conf[*field] = value.clone();
        }
        let stdin = self
            .stdin
            .clone()
            .unwrap_or_else(|| conf.to_string().into_bytes());
        let outcome = Plugin::default().run(&self.environment(), &mut stdin.as_slice());
        let object: Value = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        let text = format!(
            "{} {}",
            object["msg"].as_str().unwrap_or(""),
            object["details"].as_str().unwrap_or("")
        );
        let says = self.says.iter().all(|fragment| text.contains(fragment));
        let right = outcome.status == 1 && object["code"] == self.code && says;
        (!right).then(|| {
            format!(
                "{}: expected {} {:?}, got {}",
                self.what, self.code, self.says, outcome.stdout
            )
        })
    }

    fn environment(&self) -> Environment {
        let mut variables: Vec<(&str, Option<OsString>)> = vec![
            ("CNI_COMMAND", Some("ADD".into())),
            ("CNI_CONTAINERID", Some("c1".into())),
            // Never reached by a row that is refused earlier, and refused itself otherwise.
            ("CNI_NETNS", Some("/proc/self/ns/net".into())),
            ("CNI_IFNAME", Some("eth0".into())),
            ("CNI_PATH", Some("/opt/cni/bin".into())),
        ];
        variables.extend(self.environment.iter().cloned());
        let mut last = std::collections::BTreeMap::new();
        for (name, value) in variables {
            last.insert(name, value);
        }
        last.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}
