//! A row of the table: what is given, what must come of it, and how that is judged.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Netns, Node};

/// Runs every row and tells of all that are not as they should be.
pub(crate) fn judge(table: &str, rows: &[Row]) {
    let node = Node::without_ipamd();
    let pod = Netns::new();
    let listener = UnixListener::bind(node.socket()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let folder = node.socket().parent().unwrap().to_owned();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let before = (node.state(), pod.ip(&["address"]), files(&folder));
    let (mut wrong, mut said) = (Vec::new(), String::new());
    for row in rows {
        let object = row.run(&node, &pod);
        wrong.extend(row.judge(&object));
        let text = |name: &str| object[name].as_str().unwrap_or("").to_owned();
        let line = format!(
            "{} => {} {} | {}\n",
            row.what,
            object["code"],
            text("msg"),
            text("details")
        );
        said.push_str(&line.replace(folder.to_str().unwrap(), "FOLDER"));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(listener.accept().is_err(), "ipamd was asked");
    let after = (node.state(), pod.ip(&["address"]), files(&folder));
    assert_eq!(after, before, "something was touched");
    compare(table, &said);
}

fn files(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// Compares what was said with what is on record, word for word.
fn compare(table: &str, said: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_input/golden");
    let path = folder.join(format!("{table}.txt"));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(folder).unwrap();
        fs::write(&path, said).unwrap();
    }
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    for (said, recorded) in said.lines().zip(recorded.lines()) {
        assert_eq!(said, recorded, "see {}", path.display());
    }
    assert_eq!(said.lines().count(), recorded.lines().count());
}

/// Bad input and what it should come to. Begins as an ADD with nothing wrong but what is changed.
pub(crate) struct Row {
    what: &'static str,
    environment: Vec<(&'static str, Option<OsString>)>,
    fields: Vec<(&'static str, Value)>,
    stdin: Option<Vec<u8>>,
    code: u32,
    says: Vec<&'static str>,
}

pub(crate) fn row(what: &'static str) -> Row {
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
    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, Some(OsString::from(value))));
        self
    }

    pub(crate) fn bytes(mut self, name: &'static str, value: &[u8]) -> Self {
        self.environment
            .push((name, Some(OsString::from_vec(value.to_vec()))));
        self
    }

    pub(crate) fn unset(mut self, name: &'static str) -> Self {
        self.environment.push((name, None));
        self
    }

    pub(crate) fn with(mut self, field: &'static str, value: Value) -> Self {
        self.fields.push((field, value));
        self
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = Some(bytes.to_vec());
        self
    }

    pub(crate) fn is(mut self, code: u32, says: &[&'static str]) -> Self {
        self.code = code;
        self.says = says.to_vec();
        self
    }

    /// What the program answers; `null` where that is no error object.
    fn run(&self, node: &Node, pod: &Netns) -> Value {
        let mut conf = json!({
            "cniVersion": "1.1.0", "name": "aws-cni", "type": "aws-cni", "ipamdSocket": node.socket()
        });
        for (field, value) in &self.fields {
            conf[*field] = value.clone();
        }
        let stdin = self
            .stdin
            .clone()
            .unwrap_or_else(|| conf.to_string().into_bytes());
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", node.netns.path().display()));
        command.arg("--").arg(env!("CARGO_BIN_EXE_aws-cni"));
        command
            .env("CNI_COMMAND", "ADD")
            .env("CNI_CONTAINERID", "c1")
            .env("CNI_NETNS", pod.path())
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", "/opt/cni/bin");
        for (name, value) in &self.environment {
            match value {
                Some(value) if value == "PIPE" => {
                    command.env(name, node.socket().with_file_name("pipe"))
                }
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It stops reading where it has read enough.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), &stdin);
        let output = child.wait_with_output().unwrap();
        let object = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        if output.status.code() == Some(1) {
            object
        } else {
            Value::Null
        }
    }

    fn judge(&self, object: &Value) -> Option<String> {
        let text = |name: &str| object[name].as_str().unwrap_or("").to_owned();
        let said = format!("{} {}", text("msg"), text("details"));
        let says = self.says.iter().all(|fragment| said.contains(fragment));
        let right = object["code"] == self.code && says && said.len() < 600;
        (!right).then(|| {
            format!(
                "{}: expected {} {:?}, got {object}",
                self.what, self.code, self.says
            )
        })
    }
}
