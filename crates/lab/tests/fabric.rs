//! The fabric is a VPC: real packets, and the kernel's own word, against what the simulated cloud
//! says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use std::time::Duration;

use vpc_aws::ec2::wire::{
    AssignPrivateIpAddressesRequest, AttachNetworkInterfaceRequest, AttributeBooleanValue,
    CreateNetworkInterfaceRequest, DetachNetworkInterfaceRequest,
    ModifyNetworkInterfaceAttributeRequest, UnassignPrivateIpAddressesRequest,
};
use vpc_lab::addresses::{INTERNET, ON_PREMISES};
use vpc_lab::probe::icmp::{Ping, ping};
use vpc_lab::probe::spoof::{self, Spoofed};
use vpc_lab::probe::whoami::{self, Protocol, Server};
use vpc_lab::probe::{imds, kernel};
use vpc_lab::{Daemons, Lab, LabConfig, Node};
use vpc_sim::{FabricEni, WorldConfig};

/// How long a wrong answer is waited for where silence is right.
const SHORT: Duration = Duration::from_millis(300);

async fn lab(name: &str) -> Lab {
    let mut config = LabConfig::new(common::lab_name(name));
    config.daemons = Daemons::ByHand;
    config.world = WorldConfig::immediate(7);
    Lab::up(config, |_| {}).await.unwrap()
}

/// `ip -n <node> …`, one command a line.
fn ip(node: &Node, commands: &[String]) {
    let netns = node.netns().file_name().unwrap();
    for command in commands {
        let mut ip = Command::new("ip");
        ip.arg("-n").arg(netns).args(command.split(' '));
        assert!(ip.status().unwrap().success(), "{command}");
    }
}

/// Waits until `check` gives something: the fabric follows the cloud in the background.
async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(found) = check().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 5 s: {what}");
}

/// Creates an ENI with two secondary addresses and attaches it as device 1.
fn attach(lab: &Lab, node: &Node) -> (String, String) {
    let subnet = node.subnet().to_string();
    let instance = node.instance().to_string();
    lab.sim().with(|world, now| {
        let create = CreateNetworkInterfaceRequest {
            subnet_id: Some(subnet),
            secondary_private_ip_address_count: Some(2),
            ..Default::default()
        };
        let created = world.create_network_interface(&create, now).unwrap();
        let id = created
            .network_interface
            .unwrap()
            .network_interface_id
            .unwrap();
        let attach = AttachNetworkInterfaceRequest {
            network_interface_id: Some(id.clone()),
            instance_id: Some(instance),
            device_index: Some(1),
            ..Default::default()
        };
        let attached = world.attach_network_interface(&attach, now).unwrap();
        (id, attached.attachment_id.unwrap())
    })
}

/// The ENI of `node` that is device `device`, in the cloud's own view.
fn eni(lab: &Lab, node: &Node, device: u8) -> Option<FabricEni> {
    let view = lab.sim().fabric();
    let instance = view
        .instances
        .iter()
        .find(|one| one.id == *node.instance())?;
    instance
        .enis
        .iter()
        .find(|eni| eni.device.0 == device)
        .cloned()
}

async fn link(node: &Node, name: &str) -> Option<kernel::Link> {
    let links = kernel::links(node.netns()).await.unwrap();
    links.into_iter().find(|link| link.ifname == name)
}

#[tokio::test]
async fn booted_nodes_reach_each_other_and_both_hosts_outside() {
    let lab = lab("fboot").await;
    let [one, two] = lab.nodes();
    let jumbo = Ping::new(two.primary_address()).sized(9001);
    ping(one.netns(), jumbo).await.unwrap();
    let outside = Server::start(lab.outside()).await.unwrap();
    let seen = whoami::ask(one.netns(), Protocol::Tcp, ON_PREMISES)
        .await
        .unwrap();
    assert_eq!(seen, one.primary_address());
    let seen = whoami::ask(two.netns(), Protocol::Udp, INTERNET)
        .await
        .unwrap();
    assert_eq!(seen, two.public_address());
    drop(outside);
    let inside = Server::start(one.netns()).await.unwrap();
    let seen = whoami::ask(lab.outside(), Protocol::Tcp, one.public_address())
        .await
        .unwrap();
    assert_eq!(seen, INTERNET);
    drop(inside);
    imds::token(one.netns(), Duration::from_secs(2))
        .await
        .unwrap();
    lab.down().await.unwrap();
}

#[tokio::test]
async fn a_node_boots_without_what_the_daemon_has_to_set() {
    let lab = lab("fsysctl").await;
    for node in lab.nodes() {
        let read = |name: &str| {
            let path = format!("/proc/sys/net/ipv4/{name}");
            let text = vpc_lab::netns::run_in(node.netns(), || std::fs::read_to_string(path));
            text.unwrap().unwrap().trim().to_owned()
        };
        assert_eq!(read("ip_forward"), "0");
        assert_eq!(read("conf/ens5/rp_filter"), "1");
        assert_eq!(read("conf/all/rp_filter"), "0");
    }
    lab.down().await.unwrap();
}

#[tokio::test]
async fn an_attached_eni_appears_bare_carries_its_addresses_and_goes_when_detached() {
    let lab = lab("fplug").await;
    let [one, two] = lab.nodes();
    let (_, attachment) = attach(&lab, one);
    let found = eventually("the link of the attached ENI", async || {
        link(one, "ens6").await
    })
    .await;
    let eni = eni(&lab, one, 1).unwrap();
    assert_eq!(found.address, eni.mac.to_string());
    assert_eq!((found.mtu, found.operstate.as_str()), (9001, "DOWN"));

    // The ENI's address without a route of its own: answers leave by the primary ENI.
    let address = eni.addresses[1];
    ip(
        one,
        &[
            "link set ens6 up".into(),
            format!("addr add {address}/32 dev ens6"),
        ],
    );
    let patient = Ping::new(address).patience(SHORT);
    eventually("the delivery to the new ENI", async || {
        let dropped = lab.counters().unwrap().spoofed;
        ping(two.netns(), patient).await.unwrap_err();
        (lab.counters().unwrap().spoofed > dropped).then_some(())
    })
    .await;
    // And with one.
    ip(
        one,
        &[
            "route add 10.0.1.1 dev ens6 scope link table 2".into(),
            "route add default via 10.0.1.1 dev ens6 table 2".into(),
            format!("rule add from {address} table 2"),
        ],
    );
    ping(two.netns(), Ping::new(address)).await.unwrap();

    let detach = DetachNetworkInterfaceRequest {
        attachment_id: Some(attachment),
        ..Default::default()
    };
    let detached = lab
        .sim()
        .with(|world, now| world.detach_network_interface(&detach, now));
    detached.unwrap();
    eventually("the end of the link", async || {
        link(one, "ens6").await.is_none().then_some(())
    })
    .await;
    lab.down().await.unwrap();
}

#[tokio::test]
async fn an_address_is_delivered_and_accepted_exactly_while_it_is_assigned() {
    let lab = lab("fassign").await;
    let [one, two] = lab.nodes();
    let id = eni(&lab, one, 0).unwrap().id.to_string();
    let assign = AssignPrivateIpAddressesRequest {
        network_interface_id: Some(id.clone()),
        ipv4_prefix_count: Some(1),
        ..Default::default()
    };
    let assigned = lab
        .sim()
        .with(|world, now| world.assign_private_ip_addresses(&assign, now));
    assigned.unwrap();
    let prefix = eni(&lab, one, 0).unwrap().prefixes[0];
    let last = prefix.addresses().last().unwrap();
    ip(one, &[format!("addr add {last}/32 dev lo")]);
    let patient = Ping::new(last).patience(SHORT);
    eventually("an answer from the prefix", async || {
        ping(two.netns(), patient).await.ok()
    })
    .await;

    let unassign = UnassignPrivateIpAddressesRequest {
        network_interface_id: Some(id),
        ipv4_prefixes: vec![prefix.to_string()],
        ..Default::default()
    };
    let taken = lab
        .sim()
        .with(|world, now| world.unassign_private_ip_addresses(&unassign, now));
    taken.unwrap();
    eventually("silence from the prefix", async || {
        ping(two.netns(), patient).await.err()
    })
    .await;
    lab.down().await.unwrap();
}

#[tokio::test]
async fn a_foreign_source_is_dropped_and_counted_unless_the_check_is_off() {
    let lab = lab("fspoof").await;
    let [one, two] = lab.nodes();
    let server = Server::start(two.netns()).await.unwrap();
    let lie = Spoofed {
        source: SocketAddrV4::new(ON_PREMISES, 4444),
        destination: SocketAddrV4::new(two.primary_address(), whoami::PORT),
        payload: b"whoami".to_vec(),
    };
    spoof::send(one.netns(), lie.clone()).await.unwrap();
    eventually("the counter", async || {
        (lab.counters().unwrap().spoofed == 1).then_some(())
    })
    .await;
    assert_eq!(server.callers(), Vec::<Ipv4Addr>::new());

    let off = ModifyNetworkInterfaceAttributeRequest {
        network_interface_id: Some(eni(&lab, one, 0).unwrap().id.to_string()),
        source_dest_check: Some(AttributeBooleanValue { value: Some(false) }),
        ..Default::default()
    };
    let changed = lab
        .sim()
        .with(|world, now| world.modify_network_interface_attribute(&off, now));
    changed.unwrap();
    eventually("the spoofed datagram", async || {
        spoof::send(one.netns(), lie.clone()).await.unwrap();
        server.callers().contains(&ON_PREMISES).then_some(())
    })
    .await;
    lab.down().await.unwrap();
}

#[tokio::test]
async fn only_primary_addresses_reach_the_internet() {
    let lab = lab("fgate").await;
    let [one, _] = lab.nodes();
    let id = eni(&lab, one, 0).unwrap().id.to_string();
    let assign = AssignPrivateIpAddressesRequest {
        network_interface_id: Some(id),
        secondary_private_ip_address_count: Some(1),
        ..Default::default()
    };
    let assigned = lab
        .sim()
        .with(|world, now| world.assign_private_ip_addresses(&assign, now));
    assigned.unwrap();
    let secondary = eni(&lab, one, 0).unwrap().addresses[1];
    let outside = Server::start(lab.outside()).await.unwrap();
    let datagram = |to| Spoofed {
        source: SocketAddrV4::new(secondary, 4444),
        destination: SocketAddrV4::new(to, whoami::PORT),
        payload: b"whoami".to_vec(),
    };
    let mut sent = 0;
    eventually("the secondary address on premises", async || {
        sent += 1;
        spoof::send(one.netns(), datagram(ON_PREMISES))
            .await
            .unwrap();
        outside.callers().contains(&secondary).then_some(())
    })
    .await;
    spoof::send(one.netns(), datagram(INTERNET)).await.unwrap();
    eventually("the counter", async || {
        (lab.counters().unwrap().no_public_address == 1).then_some(())
    })
    .await;
    let callers = outside.callers();
    assert!(
        callers.len() <= sent && callers.iter().all(|&one| one == secondary),
        "{callers:?}"
    );
    lab.down().await.unwrap();
}

#[tokio::test]
async fn a_lab_is_gone_when_it_is_dropped_and_its_name_is_free_again() {
    let first = lab("fdrop").await;
    let name = first.name().clone();
    let root = first.dir().parent().unwrap().to_owned();
    assert!(!vpc_lab::leftovers(&name, &root).is_empty());
    let mut config = LabConfig::new(name.clone());
    config.daemons = Daemons::ByHand;
    let error = Lab::up(config, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("vpc-lab down"), "{error}");
    drop(first);
    assert_eq!(vpc_lab::leftovers(&name, &root), Vec::<String>::new());
    lab("fdrop").await.down().await.unwrap();
}

#[tokio::test]
async fn dropping_the_future_of_a_lab_that_comes_up_undoes_everything() {
    let folder = tempfile::TempDir::new().unwrap();
    for program in ["ipamd", "aws-cni"] {
        let path = folder.path().join(program);
        std::fs::write(&path, "#!/bin/sh\nexec /bin/sleep 600\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
    }
    let mut config = LabConfig::new(common::lab_name("fcancel"));
    config.bin_dir = folder.path().to_owned();
    let (name, root) = (config.name.clone(), config.state_root.clone());
    let up = tokio::time::timeout(SHORT, Lab::up(config, |_| {}));
    assert!(up.await.is_err(), "the daemons never become ready");
    assert_eq!(vpc_lab::leftovers(&name, &root), Vec::<String>::new());
}
