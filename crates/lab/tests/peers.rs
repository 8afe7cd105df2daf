//! Judges from outside: boto3 and `aws` decode the simulator's answers by AWS's own service
//! model, and must find the ENIs that the fabric was built from.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{assert_holds, demo_with_pods, skip};
use serde_json::Value;
use tokio::process::Command;
use vpc_lab::Lab;
use vpc_lab::demo::claims::addresses;

#[tokio::test]
async fn boto3_and_the_aws_cli_list_the_enis_that_are_there() {
    let Some(venv) = venv() else {
        skip(
            "peers",
            "boto3 and awscli could not be installed (see the top of the output)",
        );
        return;
    };
    let demo = demo_with_pods("peers", 0).await;
    assert_holds(addresses::pods_come_up(&demo).await);
    let endpoint = demo.lab().ec2_endpoint();
    let expected = enis_of_the_fabric(demo.lab());
    assert!(expected.len() >= 4, "{expected:?}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/peers/list_enis.py");
    let boto3 = output(
        Command::new(venv.join("bin/python"))
            .arg(script)
            .arg(&endpoint),
    )
    .await;
    assert_eq!(enis_of_an_answer(&boto3), expected, "boto3");
    let cli = output(
        Command::new(venv.join("bin/aws"))
            .args([
                "ec2",
                "describe-network-interfaces",
                "--region",
                "us-west-2",
            ])
            .args(["--output", "json", "--endpoint-url", &endpoint]),
    )
    .await;
    assert_eq!(enis_of_an_answer(&cli), expected, "aws");
    demo.down().await.expect("a clean end");
}

/// An ENI as all three see it: MAC, subnet, instance, device index, addresses with the primary
/// one first.
#[derive(Debug, PartialEq, Eq)]
struct Eni {
    mac: String,
    subnet: String,
    instance: String,
    device: u64,
    status: String,
    addresses: Vec<String>,
}

fn enis_of_the_fabric(lab: &Lab) -> BTreeMap<String, Eni> {
    let instances = lab.sim().with(|world, _| world.fabric()).instances;
    let mut enis = BTreeMap::new();
    for instance in instances {
        for eni in &instance.enis {
            let mut others: Vec<String> = eni
                .addresses
                .iter()
                .filter(|address| **address != eni.primary)
                .map(ToString::to_string)
                .collect();
            others.sort();
            let mut addresses = vec![eni.primary.to_string()];
            addresses.append(&mut others);
            let seen = Eni {
                mac: eni.mac.to_string(),
                subnet: eni.subnet.to_string(),
                instance: instance.id.to_string(),
                device: u64::from(eni.device.0),
                status: "in-use".into(),
                addresses,
            };
            enis.insert(eni.id.to_string(), seen);
        }
    }
    enis
}

fn enis_of_an_answer(answer: &Value) -> BTreeMap<String, Eni> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let interfaces = answer["NetworkInterfaces"]
        .as_array()
        .expect("a list of interfaces");
    let read = |interface: &Value| {
        let listed = interface["PrivateIpAddresses"]
            .as_array()
            .expect("a list of addresses");
        let of_kind = |primary: bool| {
            let mut addresses: Vec<String> = listed
                .iter()
                .filter(|one| one["Primary"] == primary)
                .map(|one| text(&one["PrivateIpAddress"]))
                .collect();
            addresses.sort();
            addresses
        };
        let attachment = &interface["Attachment"];
        let eni = Eni {
            mac: text(&interface["MacAddress"]),
            subnet: text(&interface["SubnetId"]),
            instance: text(&attachment["InstanceId"]),
            device: attachment["DeviceIndex"].as_u64().expect("a device index"),
            status: text(&interface["Status"]),
            addresses: [of_kind(true), of_kind(false)].concat(),
        };
        assert_eq!(interface["PrivateIpAddress"], eni.addresses[0].as_str());
        (text(&interface["NetworkInterfaceId"]), eni)
    };
    interfaces.iter().map(read).collect()
}

/// What the program prints, as JSON; any credentials will do for the simulator.
async fn output(command: &mut Command) -> Value {
    let output = command
        .env("AWS_ACCESS_KEY_ID", "lab")
        .env("AWS_SECRET_ACCESS_KEY", "lab")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
        .kill_on_drop(true)
        .output()
        .await
        .expect("a program that starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The Python environment that `scripts/peers/venv.sh` makes.
fn venv() -> Option<PathBuf> {
    let folder = match std::env::var_os("VPC_PEERS_VENV") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
    };
    folder.join("made-from.txt").exists().then_some(folder)
}
