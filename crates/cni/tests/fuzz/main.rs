//! Fuzz targets for what runtimes hand us: standard input, `CNI_ARGS`, `prevResult`.
//!
//! Each replays its corpus, then as many inputs made from it as a test run has time for, always the
//! same. With `VPC_FUZZ_SECONDS` set it goes on for that long with others; an input that fails is
//! printed and belongs into the corpus then.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test file helpers may fail the test too"
)]

mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use mutate::Mutator;
use vpc_cni::prev_result::{self, Previous};
use vpc_cni::settings::{self, PodSettings};
use vpc_cni::spec::{CniArgs, NetConf, SpecVersion};
use vpc_model::PodName;

/// Inputs of a test run, for each target.
const INPUTS: usize = 20_000;

/// The longest message: an operator reads it, a runtime logs it.
const LONGEST_MESSAGE: usize = 700;

/// Replays, then makes inputs until it is time.
fn fuzz(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder.join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let run = |input: &[u8]| {
        let outcome = catch_unwind(AssertUnwindSafe(|| check(input)));
        assert!(outcome.is_ok(), "{target}: \"{}\"", input.escape_ascii());
    };
    corpus.iter().for_each(|input| run(input));
    let seconds: Option<u64> = std::env::var("VPC_FUZZ_SECONDS")
        .ok()
        .map(|text| text.parse().unwrap());
    let seed = seconds.map_or(6, |_| u64::from(std::process::id()));
    let mut inputs = Mutator::new(corpus, seed);
    let (start, mut count) = (Instant::now(), 0);
    while match seconds {
        None => count < INPUTS,
        Some(seconds) => start.elapsed() < Duration::from_secs(seconds),
    } {
        run(&inputs.next());
        count += 1;
    }
    println!("{target}: {count} inputs, seed {seed}");
}

fn is_fit_to_read(error: &vpc_cni::error::Error) {
    let (message, details) = (error.to_string(), error.details());
    assert!(message.len() <= LONGEST_MESSAGE, "{message}");
    assert!(details.len() <= LONGEST_MESSAGE, "{details}");
    assert!((1..200).contains(&error.code()));
}

#[test]
fn standard_input() {
    fuzz("stdin", |input| {
        let conf = match NetConf::read(&mut &*input) {
            Ok(conf) => conf,
            Err(error) => return is_fit_to_read(&error),
        };
        assert!(!conf.name.is_empty() && !conf.name.contains(['/', '\0', '\n']));
        match PodSettings::read(&conf) {
            Ok(settings) => assert!((576..=9001).contains(&settings.mtu.get())),
            Err(error) => is_fit_to_read(&error),
        }
        match settings::socket(&conf) {
            Ok(socket) => assert!(socket.is_absolute()),
            Err(error) => is_fit_to_read(&error),
        }
        if let Err(error) = settings::log(&conf) {
            is_fit_to_read(&error);
        }
    });
}

#[test]
fn arguments() {
    fuzz("args", |input| {
        // What is not UTF-8 is refused before it is parsed.
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        match CniArgs::parse(text) {
            Ok(args) => {
                for value in [
                    &args.pod.name,
                    &args.pod.namespace,
                    &args.pod_uid,
                    &args.infra_container_id,
                ] {
                    assert!(value.len() <= 253 && !value.chars().any(char::is_control));
                    assert!(text.contains(value.as_str()));
                }
            }
            Err(error) => is_fit_to_read(&error),
        }
    });
}

#[test]
fn previous_results() {
    let pod = PodName {
        namespace: "default".to_owned(),
        name: "sample-pod".to_owned(),
    };
    let chosen = "eth0".parse().unwrap();
    fuzz("prev_result", |input| {
        let text = [
            br#"{"cniVersion":"1.1.0","name":"n","prevResult":"#,
            input,
            b"}",
        ]
        .concat();
        let conf = match NetConf::read(&mut text.as_slice()) {
            Ok(conf) => conf,
            Err(error) => return is_fit_to_read(&error),
        };
        if let Some(error) = &conf.bad_prev_result {
            is_fit_to_read(error);
        }
        let Some(result) = &conf.prev_result else {
            return;
        };
        // What was read can be printed in every version, and is then read as the same.
        for version in SpecVersion::ALL {
            assert!(!result.render(version).is_empty());
        }
        let Ok(Previous::Ordinary(nics)) = prev_result::decode(result, &pod, &chosen) else {
            return;
        };
        assert!(!nics.is_empty() && nics.len() <= result.interfaces.len());
        let chosen_ones = nics.iter().filter(|nic| nic.container_if == chosen);
        assert!(chosen_ones.count() <= 1);
        let printed = result.render(SpecVersion::LATEST);
        let text = format!(r#"{{"cniVersion":"1.1.0","name":"n","prevResult":{printed}}}"#);
        let again = NetConf::read(&mut text.as_bytes())
            .unwrap()
            .prev_result
            .unwrap();
        let again = prev_result::decode(&again, &pod, &chosen);
        assert_eq!(again, Ok(Previous::Ordinary(nics)));
    });
}
