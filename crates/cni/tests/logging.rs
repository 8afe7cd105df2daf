//! The log of plugins that run at once: every verb one whole line, also while the file is moved.

#![allow(
    clippy::unwrap_used,
    reason = "in a test file helpers may fail the test too"
)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Node, Pod};

/// What the plugin lets a log file grow to.
const LIMIT: u64 = 20 << 20;

#[test]
fn plugins_that_find_the_file_full_at_once_lose_no_line() {
    let node = Node::without_ipamd();
    // Sparse: it has the size and no more.
    let full = fs::File::create(node.log()).unwrap();
    full.set_len(LIMIT - 1000).unwrap();
    drop(full);
    let runs = 40;
    std::thread::scope(|scope| {
        for number in 0..runs {
            let mut pod = Pod::new(&node, &format!("pod{number}"));
            pod.fields["pluginLogFile"] = json!(node.log());
            scope.spawn(move || drop(pod.call("ADD", None).error(11)));
        }
    });
    let moved = fs::read(node.log().with_extension("log.1")).unwrap();
    let begins = usize::try_from(LIMIT - 1000).unwrap();
    let mut text = String::from_utf8(moved[begins..].to_vec()).unwrap();
    text.push_str(&fs::read_to_string(node.log()).unwrap());
    let mut pods: Vec<String> = text
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["verb"], "ADD");
            assert_eq!(line["error"]["code"], 11);
            assert!(
                line["stagesUs"]["ipamd"].is_u64() && line["us"].is_u64(),
                "{line}"
            );
            line["pod"].as_str().unwrap().to_owned()
        })
        .collect();
    pods.sort();
    let mut expected: Vec<_> = (0..runs)
        .map(|number| format!("default/pod{number}"))
        .collect();
    expected.sort();
    assert_eq!(pods, expected);
}
