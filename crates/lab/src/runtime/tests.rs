//! The runtime with a plugin that does as told, in real namespaces.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::cleanup;
use crate::preflight;
use crate::state::LabFolder;

/// Notes each call, keeps what it was given, and answers ADD with the errors it was told first.
const PLUGIN: &str = r#"#!/bin/sh
cd "$CNI_PATH" || exit 9
echo "$CNI_COMMAND $CNI_CONTAINERID" >> calls
echo "$CNI_ARGS" > args
/bin/cat > "stdin.$CNI_COMMAND"
if [ "$CNI_COMMAND" = DEL ]; then exit 0; fi
for failure in failure.*; do
  if [ -e "$failure" ]; then
    echo "{\"code\":$(/bin/cat "$failure"),\"msg\":\"told so\"}"
    /bin/rm "$failure"
    exit 1
  fi
done
echo '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.1.20/32"}]}'
"#;

/// A node's namespace and folders; everything goes away with it.
struct Rig {
    root: TempDir,
    runtime: Runtime,
}

impl Rig {
    fn new(name: &str) -> Rig {
        let root = TempDir::new().unwrap();
        let tools = preflight::tools().unwrap();
        let lab: LabName = name.parse().unwrap();
        cleanup::wipe(&tools, &LabFolder::of(root.path(), &lab)).unwrap();
        let node = lab.node(1);
        tools.ip(None, &[format!("netns add {node}")]).unwrap();
        for part in ["cni", "bin", "none"] {
            fs::create_dir(root.path().join(part)).unwrap();
        }
        let list = json!({"cniVersion": "0.4.0", "name": "net", "plugins": [{"type": "fake"}]});
        fs::write(root.path().join("cni/10-a.conflist"), list.to_string()).unwrap();
        let plugin = root.path().join("bin/fake");
        fs::write(&plugin, PLUGIN).unwrap();
        fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
        let runtime = Runtime {
            tools,
            lab,
            node: 1,
            configurations: root.path().join("cni"),
            plugins: root.path().join("bin"),
            no_programs: root.path().join("none"),
            records: Records::in_folder(root.path().join("pods")),
            gate: Arc::new(Gate::default()),
        };
        Rig { root, runtime }
    }

    /// Makes the next ADDs fail with these codes.
    fn fail(&self, codes: &[u32]) {
        for (index, code) in codes.iter().enumerate() {
            let file = self.root.path().join(format!("bin/failure.{index}"));
            fs::write(file, code.to_string()).unwrap();
        }
    }

    fn seen(&self, file: &str) -> String {
        fs::read_to_string(self.root.path().join("bin").join(file)).unwrap_or_default()
    }

    /// The verbs of the calls so far.
    fn verbs(&self) -> Vec<String> {
        let verb = |line: &str| line.split(' ').next().unwrap().to_owned();
        self.seen("calls").lines().map(verb).collect()
    }

    fn netns_exists(&self, pod: &str) -> bool {
        netns_path(&self.runtime.lab.pod(pod)).exists()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let folder = LabFolder::of(self.root.path(), &self.runtime.lab);
        cleanup::wipe(&self.runtime.tools, &folder).unwrap();
    }
}

#[test]
fn a_pod_gets_what_a_runtime_gives_and_its_result_comes_back_on_del() {
    let rig = Rig::new("rtplain");
    let pod = rig.runtime.add_pod("web").unwrap();
    assert_eq!(pod.address, Ipv4Addr::new(10, 0, 1, 20));
    assert_eq!(pod.attempts, 1);
    assert_eq!(rig.runtime.pods().unwrap(), std::slice::from_ref(&pod));
    let given: Value = serde_json::from_str(&rig.seen("stdin.ADD")).unwrap();
    assert_eq!(
        given,
        json!({"type": "fake", "name": "net", "cniVersion": "0.4.0"})
    );
    let arguments = format!(
        "K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID={}",
        pod.container_id()
    );
    assert!(
        rig.seen("args").contains(&arguments),
        "{}",
        rig.seen("args")
    );

    rig.runtime.del_pod(&pod.sandbox).unwrap();
    let given: Value = serde_json::from_str(&rig.seen("stdin.DEL")).unwrap();
    assert_eq!(given["prevResult"], pod.result);
    assert!(!rig.netns_exists("web"));
    assert_eq!(rig.runtime.pods().unwrap(), []);
}

#[test]
fn try_again_later_is_tried_again_with_another_sandbox_after_a_del() {
    let rig = Rig::new("rtagain");
    rig.fail(&[11, 11]);
    let pod = rig.runtime.add_pod("web").unwrap();
    assert_eq!(pod.attempts, 3);
    assert_eq!(rig.verbs(), ["ADD", "DEL", "ADD", "DEL", "ADD"]);
    let calls = rig.seen("calls");
    let ids: Vec<&str> = calls
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
    assert_eq!(ids[4], pod.container_id());
}

#[test]
fn any_other_error_is_final_and_leaves_nothing() {
    let rig = Rig::new("rtfinal");
    rig.fail(&[999]);
    let error = rig.runtime.add_pod("web").unwrap_err();
    assert!(crate::text::chain(&error).contains("told so"), "{error:?}");
    assert_eq!(rig.verbs(), ["ADD", "DEL"]);
    assert!(!rig.netns_exists("web"));
    assert_eq!(rig.runtime.records.read("web").unwrap(), None);
}

#[test]
fn a_pod_that_is_there_is_not_made_again_and_not_touched() {
    let rig = Rig::new("rttwice");
    rig.runtime.add_pod("web").unwrap();
    let error = rig.runtime.add_pod("web").unwrap_err();
    assert!(matches!(error, Error::Exists { node: 1, .. }), "{error:?}");
    assert_eq!(rig.verbs(), ["ADD"]);
    assert!(rig.netns_exists("web"));
}

#[test]
fn closing_the_gate_ends_the_waiting_between_tries_and_clears_up() {
    let rig = Rig::new("rtgate");
    rig.fail(&[11; 30]);
    let runtime = rig.runtime.clone();
    let pod = thread::spawn(move || runtime.add_pod("web"));
    while rig.verbs().len() < 2 {
        thread::yield_now();
    }
    rig.runtime.gate.close();
    let error = pod.join().unwrap().unwrap_err();
    assert!(
        matches!(error, Error::GaveUp { .. } | Error::Plugin { .. }),
        "{error:?}"
    );
    assert!(!rig.netns_exists("web"));
    assert!(matches!(
        rig.runtime.add_pod("x"),
        Err(Error::Closed { .. })
    ));
}

#[test]
fn without_a_network_configuration_no_plugin_runs() {
    let rig = Rig::new("rtnone");
    fs::remove_file(rig.root.path().join("cni/10-a.conflist")).unwrap();
    let error = rig.runtime.add_pod("web").unwrap_err();
    assert!(
        matches!(error, Error::Conflist(conflist::Error::Absent { .. })),
        "{error:?}"
    );
    assert_eq!(rig.verbs(), Vec::<String>::new());
    assert!(!rig.netns_exists("web"));
}

#[test]
fn the_first_plugin_can_be_called_by_hand_with_variables_of_ones_own() {
    let rig = Rig::new("rthand");
    let sandbox = rig.runtime.sandbox("web").unwrap();
    let call = CniCall {
        verb: Verb::Add,
        sandbox: sandbox.clone(),
        previous: Some(json!({"x": 1})),
        extra_env: BTreeMap::from([("CNI_ARGS".to_owned(), "mine".to_owned())]),
    };
    rig.fail(&[7]);
    let output = rig.runtime.call(&call).unwrap();
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.contains("\"code\":7"), "{output:?}");
    assert_eq!(rig.seen("args"), "mine\n");
    assert!(rig.seen("stdin.ADD").contains("prevResult"));
    rig.runtime.remove_sandbox(&sandbox).unwrap();
    assert!(!rig.netns_exists("web"));
}
