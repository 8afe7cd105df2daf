//! The VPC drops what leaves an ENI with an address that is not the ENI's.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use crate::demo::check::{Place, Refuted, seen};
use crate::demo::stage::{Demo, EniKind};
use crate::demo::table::Verdict;
use crate::probe::spoof::{self, Spoofed};
use crate::probe::whoami::{self, PORT, Protocol};

/// How many datagrams each liar sends.
const SENT: u64 = 5;

/// A pod, and a node itself, send datagrams in another address's name; none arrives, and the
/// router counts them. Datagrams sent afterwards on the same way with the true address do arrive,
/// so what did not come is not merely late.
pub async fn is_stopped_by_the_vpc(demo: &Demo) -> Vec<Verdict> {
    let claim = "spoofed source addresses are dropped by the VPC";
    vec![Verdict::of(claim, spoofed(demo).await)]
}

async fn spoofed(demo: &Demo) -> Result<String, Refuted> {
    let victim = Demo::pod_place(&demo.pods_on(2, EniKind::Primary)?[0]);
    let pod = Demo::pod_place(&demo.pods_on(1, EniKind::Primary)?[0]);
    let node = demo.node_place(1);
    let lie = unassigned(demo)?;
    let before = demo.counters()?.spoofed;
    for liar in [&pod, &node] {
        send(&liar.netns, lie, &victim).await?;
        whoami::ask(&liar.netns, Protocol::Udp, victim.address).await?;
    }
    if demo.callers(&victim.netns).contains(&lie) {
        return Err(seen(format_args!(
            "a datagram from {lie} arrived at {}",
            victim.name
        )));
    }
    let dropped = demo.counters()?.spoofed - before;
    if dropped < SENT {
        return Err(seen(format_args!(
            "the router counted {dropped} of at least {SENT}"
        )));
    }
    Ok(format!(
        "{} sent as {lie} by a pod and a node: {dropped} dropped, 0 arrived",
        2 * SENT
    ))
}

async fn send(from: &Path, lie: Ipv4Addr, victim: &Place) -> Result<(), Refuted> {
    for _ in 0..SENT {
        let datagram = Spoofed {
            source: SocketAddrV4::new(lie, PORT),
            destination: SocketAddrV4::new(victim.address, PORT),
            payload: b"not me".to_vec(),
        };
        spoof::send(from, datagram).await?;
    }
    Ok(())
}

/// An address of node 2's subnet that nobody has.
fn unassigned(demo: &Demo) -> Result<Ipv4Addr, Refuted> {
    let instance = demo.instance(2)?;
    let subnet = instance
        .enis
        .first()
        .map(|eni| eni.subnet_cidr)
        .ok_or_else(|| seen("node2 has no ENI"))?;
    subnet
        .hosts()
        .rfind(|address| {
            !instance
                .enis
                .iter()
                .any(|eni| eni.addresses.contains(address))
        })
        .ok_or_else(|| seen(format_args!("{subnet} is full")))
}
