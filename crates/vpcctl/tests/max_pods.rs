//! `vpcctl max-pods` as a person runs it.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::process::{Command, Output};

use serde_json::{Value, json};
use vpc_sim::{Sim, World, WorldConfig};

fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpcctl"));
    command.arg("max-pods").args(args).env_clear();
    command.envs(environment.iter().copied()).output().unwrap()
}

fn answer(args: &[&str]) -> String {
    let output = run(args, &[]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refusal(args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = run(args, environment);
    assert_eq!(output.stdout, b"", "{output:?}");
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_type_has_its_number_by_every_way_to_run_it() {
    for (args, expected) in [
        ("", "29"),
        ("--recommended", "29"),
        ("--prefix-delegation", "434"),
        ("--prefix-delegation --recommended", "110"),
        ("--custom-networking", "20"),
        ("--security-groups-for-pods", "20"),
        ("--custom-networking --security-groups-for-pods", "11"),
        ("--max-eni 2", "20"),
        ("--max-eni 2 --prefix-delegation --custom-networking", "146"),
    ] {
        let mut all = vec!["--instance-type", "m5.large"];
        all.extend(args.split_whitespace());
        assert_eq!(answer(&all), format!("{expected}\n"), "{args}");
    }
}

#[test]
fn json_says_how_the_number_comes_about() {
    let text = answer(&[
        "--instance-type",
        "m5.24xlarge",
        "--prefix-delegation",
        "--format",
        "json",
    ]);
    let found: Value = serde_json::from_str(&text).unwrap();
    let expected = json!({
        "instance_type": "m5.24xlarge", "max_pods": 11762, "limit": 11762, "recommended": 250,
        "enis": 15, "slots_per_eni": 49, "addresses_per_slot": 16, "vcpus": 96,
    });
    assert_eq!(found, expected);
}

#[test]
fn all_types_are_listed_by_name_without_comments() {
    let text = answer(&["--all"]);
    let lines: Vec<(&str, u32)> = text
        .lines()
        .map(|line| {
            let (name, number) = line.split_once(' ').unwrap();
            (name, number.parse().unwrap())
        })
        .collect();
    assert!(lines.is_sorted_by(|one, other| one.0 < other.0));
    let table = include_str!("../../model/data/instance-types.tsv");
    let types = table.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.len(), types.count());
    for expected in [("t3.medium", 17), ("c5.xlarge", 58), ("p5.48xlarge", 100)] {
        assert!(lines.contains(&expected), "{expected:?}");
    }
}

#[test]
fn types_that_cannot_be_run_so_are_left_out_of_all_and_refused_alone() {
    let output = run(&["--all", "--prefix-delegation"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nm5.large 434\n"));
    assert!(!text.contains("\nm4.large "));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains(" types that cannot be run so are left out")
    );
    let alone = refusal(&["--instance-type", "m4.large", "--prefix-delegation"], &[]);
    assert_eq!(
        alone,
        (
            Some(64),
            "vpcctl: m4.large: the type is not built on the Nitro System, and EC2 assigns prefixes \
             to no other\n"
                .to_owned()
        )
    );
}

#[test]
fn what_is_wrongly_asked_is_refused() {
    let (code, text) = refusal(&["--instance-type", "m5.lrage"], &[]);
    assert_eq!(code, Some(64));
    assert!(
        text.contains("\"m5.lrage\"") && text.contains("m5.large"),
        "{text}"
    );
    for args in [
        &["--all", "--instance-type", "m5.large"][..],
        &[],
        &["--instance-type", "m5.large", "--max-eni", "0"],
        &["--instance-type", "m5.large", "--max-eni", "many"],
    ] {
        assert_eq!(refusal(args, &[]).0, Some(64), "{args:?}");
    }
    let none = refusal(
        &[
            "--instance-type",
            "m5.large",
            "--max-eni",
            "1",
            "--custom-networking",
        ],
        &[],
    );
    assert_eq!(none.0, Some(64));
    assert!(none.1.contains("of 1 ENIs none is left"), "{}", none.1);
}

#[test]
fn ec2_is_asked_for_a_type_that_the_table_lacks_where_there_are_credentials() {
    let endpoint = format!("http://{}", emulator());
    let environment = [
        ("AWS_EC2_ENDPOINT", endpoint.as_str()),
        ("AWS_REGION", "us-west-2"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let asked = ["--instance-type", "m99.large"];
    let (code, text) = refusal(&asked, &environment);
    assert_eq!(code, Some(1));
    // The emulator has the same table, and says so in EC2's words.
    assert!(text.contains("InvalidInstanceType"), "{text}");
    let (_, without) = refusal(&asked, &environment[..2]);
    assert!(!without.contains("EC2 was asked"), "{without}");
}

/// The emulator, on a thread that ends with the test.
fn emulator() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let sim = Sim::new(World::new(WorldConfig::immediate(1)));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let service = sim
                .ec2_router()
                .into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.unwrap();
        });
    });
    told.recv().unwrap()
}
