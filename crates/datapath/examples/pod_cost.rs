//! Measures what adding and removing a pod's interface costs, in this process, on this kernel.
//!
//! `pod_cost [PODS]` adds PODS pods (300 unless told otherwise) one by one in network namespaces
//! of its own, prints medians and 99th percentiles for every hundred, and removes them again.
//! Needs root and ip(8).

use std::error::Error;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use vpc_datapath::pod::{self, PodPlan, PodTeardown};
use vpc_model::{Mtu, RouteTableId};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let pods: u16 = std::env::args()
        .nth(1)
        .map_or(Ok(300), |text| text.parse())?;
    let names: Vec<String> = (0..=pods).map(namespace).collect();
    ip_batch(
        names
            .iter()
            .map(|name| format!("netns add {name}\n"))
            .collect(),
    )?;
    let host = File::open(path(&namespace(pods)))?;
    let measured = thread::spawn(move || {
        move_into_link_name_space(host.as_fd(), Some(LinkNameSpaceType::Network))?;
        measure(pods)
    })
    .join();
    ip_batch(
        names
            .iter()
            .map(|name| format!("netns del {name}\n"))
            .collect(),
    )?;
    measured.map_err(|_| "the measuring thread panicked")?
}

fn namespace(number: u16) -> String {
    format!("pod-cost-{}-{number}", std::process::id())
}

fn path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

fn ip_batch(script: String) -> Outcome<()> {
    let file = std::env::temp_dir().join(format!("pod-cost-{}", std::process::id()));
    std::fs::write(&file, script)?;
    let status = Command::new("ip").arg("-batch").arg(&file).status()?;
    std::fs::remove_file(&file)?;
    if status.success() {
        Ok(())
    } else {
        Err("ip -batch failed".into())
    }
}

fn plan(number: u16) -> Outcome<PodPlan> {
    let [high, low] = number.to_be_bytes();
    Ok(PodPlan {
        container_if: "eth0".parse()?,
        host_veth: format!("eni{number:011x}").parse()?,
        address: Ipv4Addr::new(10, 1, high, low),
        index: 0,
        mtu: Mtu::default(),
        table: RouteTableId(2),
    })
}

fn measure(pods: u16) -> Outcome<()> {
    let mut adding = Vec::new();
    for number in 0..pods {
        let (plan, path) = (plan(number)?, path(&namespace(number)));
        let start = Instant::now();
        pod::add(&path, &plan)?;
        adding.push(start.elapsed());
    }
    report("add", &adding);
    let mut removing = Vec::new();
    for number in 0..pods {
        let PodPlan { address, table, .. } = plan(number)?;
        let teardown = PodTeardown {
            address,
            table: Some(table),
            host_veth: None,
        };
        let start = Instant::now();
        pod::remove(&teardown)?;
        removing.push(start.elapsed());
    }
    report("remove", &removing);
    Ok(())
}

fn report(what: &str, times: &[Duration]) {
    for (hundred, some) in times.chunks(100).enumerate() {
        let mut sorted = some.to_vec();
        sorted.sort();
        let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100].as_micros();
        let first = hundred * 100;
        println!(
            "{what:6} {first:5}..: median {:5} us, p99 {:5} us",
            at(50),
            at(99)
        );
    }
}
