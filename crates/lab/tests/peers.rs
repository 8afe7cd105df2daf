//! Judges from outside. boto3 and `aws` decode the simulator's answers by AWS's own service model,
//! and must find the ENIs that the fabric was built from; moto is asked the same as the simulator;
//! and our client speaks to moto.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{assert_holds, demo_with_pods, skip};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use vpc_aws::credentials::CredentialSource;
use vpc_aws::ec2::{
    AddressCount, Client, ClientConfig, CreateNetworkInterface, Ec2, Endpoint, EniQuery,
};
use vpc_lab::Lab;
use vpc_lab::demo::claims::addresses;
use vpc_lab::fabric::serve::{listen_here, serve};
use vpc_lab::topology::{self, Nodes};
use vpc_model::{InstanceId, NetworkCard};
use vpc_sim::WorldConfig;

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
    let boto3 = output(
        Command::new(venv.join("bin/python"))
            .arg(script("list_enis.py"))
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

#[tokio::test]
async fn moto_answers_as_the_emulator_does_or_the_difference_is_explained() {
    let Some(venv) = venv() else {
        return skip("moto", "boto3 and moto could not be installed");
    };
    let endpoint = emulator().await;
    let output = Command::new(venv.join("bin/python"))
        .arg(script("compare.py"))
        .arg(&endpoint)
        .kill_on_drop(true)
        .output()
        .await
        .expect("a program that starts");
    let found = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{found}");
    assert!(output.status.success(), "{found}\n{errors}");
}

#[tokio::test]
async fn a_whole_vpc_is_made_with_the_aws_cli() {
    let Some(venv) = venv() else {
        return skip("aws", "awscli could not be installed");
    };
    let endpoint = emulator().await;
    let aws = async |args: String| -> Value {
        let fixed = [
            "--region",
            "us-west-2",
            "--output",
            "json",
            "--endpoint-url",
        ];
        let mut command = Command::new(venv.join("bin/aws"));
        command.arg("ec2").args(args.split_whitespace());
        let text = text_of(command.args(fixed).arg(&endpoint)).await;
        serde_json::from_str(&text).unwrap_or_default()
    };
    let id = |answer: &Value, path: &str| -> String {
        let found = answer.pointer(path).and_then(Value::as_str);
        found
            .unwrap_or_else(|| panic!("no {path} in {answer}"))
            .to_owned()
    };
    let vpc = id(
        &aws("create-vpc --cidr-block 10.9.0.0/16".to_owned()).await,
        "/Vpc/VpcId",
    );
    let made = aws(format!(
        "create-subnet --vpc-id {vpc} --cidr-block 10.9.1.0/24"
    ))
    .await;
    let subnet = id(&made, "/Subnet/SubnetId");
    let made = aws(format!(
        "create-security-group --vpc-id {vpc} --group-name pods --description pods"
    ));
    let group = id(&made.await, "/GroupId");
    aws(format!(
        "authorize-security-group-ingress --group-id {group} --protocol tcp --port 443 --cidr \
         10.0.0.0/8"
    ))
    .await;
    let made = aws(format!(
        "run-instances --image-id ami-0123456789abcdef0 --instance-type m5.large --subnet-id \
         {subnet} --security-group-ids {group}"
    ));
    let instance = id(&made.await, "/Instances/0/InstanceId");
    let made = aws(format!(
        "create-network-interface --subnet-id {subnet} --groups {group} \
         --secondary-private-ip-address-count 3"
    ));
    let eni = id(&made.await, "/NetworkInterface/NetworkInterfaceId");
    let made = aws(format!(
        "attach-network-interface --network-interface-id {eni} --instance-id {instance} \
         --device-index 1"
    ));
    let attachment = id(&made.await, "/AttachmentId");
    aws(format!(
        "assign-private-ip-addresses --network-interface-id {eni} --ipv4-prefix-count 1"
    ))
    .await;
    let seen = aws(format!("describe-instances --instance-ids {instance}")).await;
    let enis = seen.pointer("/Reservations/0/Instances/0/NetworkInterfaces");
    let enis = enis.and_then(Value::as_array).expect("ENIs");
    assert_eq!(enis.len(), 2, "{seen}");
    assert_eq!(
        enis[1]["PrivateIpAddresses"].as_array().map(Vec::len),
        Some(4)
    );
    assert_eq!(enis[1]["Ipv4Prefixes"].as_array().map(Vec::len), Some(1));

    aws(format!(
        "detach-network-interface --attachment-id {attachment}"
    ))
    .await;
    aws(format!(
        "delete-network-interface --network-interface-id {eni}"
    ))
    .await;
    aws(format!("terminate-instances --instance-ids {instance}")).await;
    aws(format!("delete-security-group --group-id {group}")).await;
    aws(format!("delete-subnet --subnet-id {subnet}")).await;
    aws(format!("delete-vpc --vpc-id {vpc}")).await;
    let left = aws(format!("describe-vpcs --filters Name=vpc-id,Values={vpc}")).await;
    assert_eq!(left["Vpcs"].as_array().map(Vec::len), Some(0), "{left}");
}

#[tokio::test]
async fn our_client_speaks_to_moto() {
    let Some(venv) = venv() else {
        return skip("moto", "moto could not be installed");
    };
    let mut moto = Command::new(venv.join("bin/python"))
        .arg(script("moto_node.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("a program that starts");
    let mut first = String::new();
    let mut lines = BufReader::new(moto.stdout.take().expect("its output"));
    lines.read_line(&mut first).await.expect("a line");
    let there: Value = serde_json::from_str(&first).expect("JSON");
    let of = |name: &str| there[name].as_str().expect("text").to_owned();
    let vars = |name: &str| (name == "AWS_EC2_ENDPOINT").then(|| of("endpoint"));
    let endpoint = Endpoint::choose(vars, "us-west-2").expect("an endpoint");
    let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
    let config = ClientConfig::new(endpoint, "us-west-2", credentials);
    let ec2 = Client::new(config).expect("a client");

    let vpc = of("vpc").parse().expect("an id");
    let zone = "us-west-2a".to_owned();
    let subnets = ec2.describe_subnets(vpc, zone).await.expect("subnets");
    assert_eq!(subnets.len(), 1);
    let instance: InstanceId = of("instance").parse().expect("an id");
    let seen = ec2.describe_instance(instance.clone()).await;
    let device = seen.expect("an instance").free_device(NetworkCard(0));
    let device = device.expect("a free place");
    let request = CreateNetworkInterface {
        subnet: of("subnet").parse().expect("an id"),
        security_groups: vec![of("group").parse().expect("an id")],
        description: "aws-K8S-test".to_owned(),
        tags: BTreeMap::from([("a".to_owned(), "1*".to_owned())]),
        count: AddressCount::Ips(2),
        client_token: "t-1".to_owned(),
    };
    let eni = ec2.create_network_interface(request).await.expect("an ENI");
    assert_eq!(eni.addresses.len(), 2);
    let attach = ec2.attach_network_interface(eni.id.clone(), instance, device, NetworkCard(0));
    let attachment = attach.await.expect("an attachment");
    let set = ec2.set_delete_on_termination(eni.id.clone(), attachment.clone());
    set.await.expect("delete-on-termination");
    let groups = vec![of("group").parse().expect("an id")];
    let set = ec2.set_security_groups(eni.id.clone(), groups);
    set.await.expect("groups");
    let tags = BTreeMap::from([("b".to_owned(), "2".to_owned())]);
    let tag = ec2.create_tags(vec![eni.id.to_string()], tags);
    tag.await.expect("tags");
    let assigned = ec2
        .assign_addresses(eni.id.clone(), AddressCount::Ips(1))
        .await;
    let assigned = assigned.expect("addresses").addresses;
    assert!(!assigned.is_empty());
    let query = EniQuery::Ids(vec![eni.id.clone()]);
    let seen = ec2.describe_network_interfaces(query).await.expect("ENIs");
    assert_eq!(seen[0].tags.get("b").map(String::as_str), Some("2"));
    assert_eq!(seen[0].mac, eni.mac);
    let give = ec2.unassign_addresses(eni.id.clone(), vec![assigned[0]], Vec::new());
    give.await.expect("an unassignment");
    ec2.detach_network_interface(attachment)
        .await
        .expect("a detachment");
    ec2.delete_network_interface(eni.id.clone())
        .await
        .expect("a deletion");
    let query = EniQuery::Ids(vec![eni.id.clone()]);
    let gone = ec2
        .describe_network_interfaces(query)
        .await
        .expect_err("it is gone");
    assert!(matches!(gone.kind, vpc_aws::ErrorKind::NotFound), "{gone}");
    drop(moto.stdin.take());
    moto.wait().await.expect("an end");
}

#[tokio::test]
async fn the_table_of_operations_is_up_to_date() {
    let Some(venv) = venv() else {
        return skip("operations", "boto3 and moto could not be installed");
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("a page");
    // What the client sends: held to the code by a test of the client's.
    let policies = read("docs/iam.md");
    let sent = policies.lines().filter_map(|line| {
        let rest = line.strip_prefix("| `ec2:")?;
        rest.split_once('`').map(|(action, _)| action)
    });
    let sent: Vec<&str> = sent.collect();
    assert!(sent.len() > 10, "{sent:?}");
    let served: Vec<&str> = vpc_sim::actions().collect();
    let mut command = Command::new(venv.join("bin/python"));
    let table = text_of(
        command
            .arg(script("operations.py"))
            .args([served.join(","), sent.join(",")]),
    );
    let table = table.await;
    let page = read("docs/ec2-operations.md");
    assert!(
        page.contains(table.trim_end()),
        "the table should be:\n{table}"
    );
}

/// The emulator without delays, on loopback.
async fn emulator() -> String {
    let nodes = Nodes::of_type("m5.large".parse().expect("a type"));
    let (sim, _) = topology::cloud(WorldConfig::immediate(0), &nodes).expect("a cloud");
    let here = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let listener = listen_here(here).expect("a listener");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener, sim.ec2_router()));
    format!("http://{address}")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scripts/peers")
        .join(name)
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

/// What the program prints, as JSON.
async fn output(command: &mut Command) -> Value {
    serde_json::from_str(&text_of(command).await).expect("JSON")
}

/// What the program prints; any credentials will do for the simulator.
async fn text_of(command: &mut Command) -> String {
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
    String::from_utf8(output.stdout).expect("text")
}

/// The Python environment that `scripts/peers/venv.sh` makes.
fn venv() -> Option<PathBuf> {
    let folder = match std::env::var_os("VPC_PEERS_VENV") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
    };
    folder.join("made-from.txt").exists().then_some(folder)
}
