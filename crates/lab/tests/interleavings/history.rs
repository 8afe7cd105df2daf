//! One history: what a runtime does, who dies, and how the node must be in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use vpc_lab::demo::stage::Demo;
use vpc_lab::probe::kernel;

use crate::common::program;
use crate::dice::Dice;
use crate::sandbox::{Ended, KillPoint, Place, Sandbox, gc};

/// How many pods there are; each has one sandbox at a time that is to be wired.
const PODS: usize = 3;

/// How long ipamd may take to come back, the kernel to forget namespaces.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the node has of pods.
#[derive(Debug)]
struct NodeHas {
    /// By the daemon's word.
    allocated: BTreeSet<String>,
    /// Routes over veths.
    routed: BTreeSet<String>,
    /// Rules that lead to pods.
    ruled: BTreeSet<String>,
    /// Rules for what leaves pods, which those of the primary ENI have not.
    left: BTreeSet<String>,
    veths: usize,
}

impl NodeHas {
    /// Whether it is what pods with these addresses have, and nothing besides.
    fn is_just(&self, wanted: &BTreeSet<String>) -> bool {
        [&self.allocated, &self.routed, &self.ruled]
            .iter()
            .all(|addresses| *addresses == wanted)
            && self.left.is_subset(wanted)
            && self.veths == wanted.len()
    }
}

/// A history under way.
pub(crate) struct History<'a> {
    demo: &'a Demo,
    number: u64,
    dice: Dice,
    place: Place,
    sandboxes: Vec<Sandbox>,
    ipamd_runs: bool,
    steps: Vec<String>,
    killed: usize,
}

impl<'a> History<'a> {
    pub(crate) fn new(demo: &'a Demo, number: u64, dice: Dice) -> History<'a> {
        let node = demo.node(1);
        History {
            demo,
            number,
            dice,
            place: Place {
                node: node.netns().to_owned(),
                socket: node.socket(),
                log: node.plugin_log(),
            },
            sandboxes: Vec::new(),
            ipamd_runs: true,
            steps: Vec::new(),
            killed: 0,
        }
    }

    pub(crate) fn killed(&self) -> usize {
        self.killed
    }

    /// Some steps, then the end, then nothing of it is left.
    pub(crate) async fn run(&mut self) {
        for _ in 0..4 + self.dice.below(6) {
            self.step().await;
        }
        self.settle().await;
        self.judge().await;
        for index in 0..self.sandboxes.len() {
            self.del(index, false).await;
            self.sandboxes[index].netns = None;
        }
        self.judge().await;
    }

    async fn step(&mut self) {
        match self.dice.below(12) {
            0..=3 => self.add().await,
            4 | 5 => {
                if let Some(index) = self.any() {
                    self.del(index, true).await;
                }
            }
            6 => self.check().await,
            7 => self.gc(true).await,
            8 => {
                // The namespace goes without a DEL, as in a crash of the runtime.
                if let Some(index) = self.any() {
                    self.note(format!("lose {}", self.sandboxes[index].container_id));
                    self.sandboxes[index].netns = None;
                    self.sandboxes[index].wired = None;
                }
            }
            9 | 10 => self.kill_ipamd().await,
            _ => self.start_ipamd().await,
        }
    }

    fn any(&mut self) -> Option<usize> {
        let count = self.sandboxes.len();
        (count > 0).then(|| self.dice.below(count))
    }

    fn note(&mut self, step: String) {
        self.steps.push(step);
    }

    /// ADD: a new sandbox, or again for the one there is.
    async fn add(&mut self) {
        let pod = self.dice.below(PODS);
        let current = self
            .sandboxes
            .iter()
            .rposition(|sandbox| sandbox.pod == pod && sandbox.netns.is_some());
        let index = match current {
            Some(index) if self.dice.once_in(3) => index,
            // A pod that is created again: its old sandbox is on its way out from now on.
            _ => {
                let serial = self.sandboxes.len();
                for old in self.sandboxes.iter_mut().filter(|old| old.pod == pod) {
                    old.wired = None;
                }
                self.sandboxes.push(Sandbox::new(self.number, pod, serial));
                serial
            }
        };
        let kill = self.kill_point();
        let work = self.sandboxes[index].verb(&self.place, "ADD", None, kill);
        let ended = self.carry_out("ADD", index, kill, work).await;
        let sandbox = &mut self.sandboxes[index];
        sandbox.wired = match ended {
            Ended::Well(said) => Some(serde_json::from_str(&said).expect("a result")),
            Ended::Badly(_) | Ended::Killed => None,
        };
        if sandbox.wired.is_some() {
            sandbox.result = sandbox.wired.clone();
        }
    }

    /// DEL, also of what is deleted already. `at_risk` says whether somebody may die.
    async fn del(&mut self, index: usize, at_risk: bool) {
        let kill = if at_risk { self.kill_point() } else { None };
        let with_result = self.dice.once_in(2);
        let sandbox = &mut self.sandboxes[index];
        sandbox.wired = None;
        let previous = sandbox.result.clone().filter(|_| with_result);
        let work = sandbox.verb(&self.place, "DEL", previous.as_ref(), kill);
        let ended = if at_risk {
            self.carry_out("DEL", index, kill, work).await
        } else {
            tokio::task::spawn_blocking(work).await.expect("an end")
        };
        if let Ended::Badly(said) = ended {
            panic!("DEL failed: {said}\n{}", self.told());
        }
    }

    /// CHECK of what is wired must find it so, whether or not ipamd is there.
    async fn check(&mut self) {
        for index in 0..self.sandboxes.len() {
            let sandbox = &self.sandboxes[index];
            let Some(result) = &sandbox.wired else {
                continue;
            };
            let work = sandbox.verb(&self.place, "CHECK", Some(result), None);
            let ended = tokio::task::spawn_blocking(work).await.expect("an end");
            if !matches!(ended, Ended::Well(_)) {
                let id = &self.sandboxes[index].container_id;
                panic!("CHECK of {id}: {ended:?}\n{}", self.told());
            }
        }
    }

    /// GC with what a runtime knows: at least what is wired.
    async fn gc(&mut self, at_risk: bool) {
        let keep: Vec<String> = self
            .sandboxes
            .iter()
            .filter(|sandbox| sandbox.wired.is_some())
            .map(|sandbox| sandbox.container_id.clone())
            .collect();
        let kill = if at_risk { self.kill_point() } else { None };
        if at_risk {
            self.note(format!("GC keeping {keep:?} {kill:?}"));
        }
        let work = gc(&self.place, &keep, kill);
        tokio::task::spawn_blocking(work).await.expect("an end");
    }

    fn kill_point(&mut self) -> Option<KillPoint> {
        self.dice
            .once_in(3)
            .then(|| KillPoint::drawn(&mut self.dice))
    }

    /// Runs a plugin; now and then ipamd is killed meanwhile.
    async fn carry_out(
        &mut self,
        verb: &str,
        index: usize,
        kill: Option<KillPoint>,
        work: impl FnOnce() -> Ended + Send + 'static,
    ) -> Ended {
        let work = tokio::task::spawn_blocking(work);
        let dies = self.ipamd_runs && self.dice.once_in(6);
        let id = self.sandboxes[index].container_id.clone();
        if dies {
            tokio::time::sleep(Duration::from_micros(300 * self.dice.below(20) as u64)).await;
            self.kill_ipamd().await;
        }
        let ended = work.await.expect("an end");
        if matches!(ended, Ended::Killed) {
            self.killed += 1;
        }
        self.note(format!(
            "{verb} {id} (pod{}) {kill:?}, ipamd dies: {dies}: {ended:?}",
            self.sandboxes[index].pod
        ));
        ended
    }

    async fn kill_ipamd(&mut self) {
        if self.ipamd_runs {
            self.note("kill ipamd".to_owned());
            self.demo.node(1).kill_ipamd().await.expect("its end");
            self.ipamd_runs = false;
            self.killed += 1;
        }
    }

    async fn start_ipamd(&mut self) {
        if !self.ipamd_runs {
            self.note("start ipamd".to_owned());
            let node = self.demo.node(1);
            node.start_ipamd(&BTreeMap::new()).await.expect("a start");
            node.wait_ready(PATIENCE).await.expect("readiness");
            self.ipamd_runs = true;
        }
    }

    /// What is not to be wired goes: half of it by DEL, half of it by GC alone.
    async fn settle(&mut self) {
        self.start_ipamd().await;
        for index in 0..self.sandboxes.len() {
            if self.sandboxes[index].wired.is_some() {
                continue;
            }
            if self.dice.once_in(2) {
                self.note(format!(
                    "at last DEL {}",
                    self.sandboxes[index].container_id
                ));
                self.del(index, false).await;
            }
            self.sandboxes[index].netns = None;
        }
    }

    /// The node has what the wired sandboxes have, and nothing else.
    async fn judge(&mut self) {
        let mut wanted = BTreeSet::new();
        for sandbox in &self.sandboxes {
            if let Some(result) = &sandbox.wired {
                let address = result["ips"][0]["address"].as_str().expect("an address");
                let address = address.trim_end_matches("/32").to_owned();
                let is_new = wanted.insert(address.clone());
                assert!(is_new, "{address} is shared\n{}", self.told());
            }
        }
        self.check().await;
        let start = Instant::now();
        loop {
            self.gc(false).await;
            let has = self.node_has().await;
            if has.is_just(&wanted) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "wanted {wanted:?}, the node has {has:?}\n{}",
                self.told()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The addresses of pods by whom they are known, and what else there is of pods.
    async fn node_has(&self) -> NodeHas {
        let netns = self.demo.node(1).netns();
        let rules = kernel::rules(netns).await.expect("rules");
        let routes = kernel::routes(netns).await.expect("routes");
        let links = kernel::links(netns).await.expect("links");
        let addresses = |priority: u32| {
            let rules = rules.iter().filter(move |rule| rule.priority == priority);
            rules.map(move |rule| {
                if priority == 512 {
                    &rule.dst
                } else {
                    &rule.src
                }
            })
        };
        let over_veths = routes.iter().filter(|route| route.dev.starts_with("eni"));
        let veths = links.iter().filter(|link| link.ifname.starts_with("eni"));
        NodeHas {
            allocated: self.allocated(),
            routed: over_veths.map(|route| route.dst.clone()).collect(),
            ruled: addresses(512).cloned().collect(),
            left: addresses(1536).cloned().collect(),
            veths: veths.count(),
        }
    }

    fn allocated(&self) -> BTreeSet<String> {
        let output = Command::new(program("vpcctl"))
            .args(["status", "--format", "json", "--socket"])
            .arg(&self.place.socket)
            .output()
            .expect("vpcctl");
        let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let enis = status["enis"].as_array().expect("ENIs").iter();
        let pods = enis.flat_map(|eni| eni["pods"].as_array().expect("pods"));
        pods.map(|pod| pod["address"].as_str().expect("text").to_owned())
            .collect()
    }

    fn told(&self) -> String {
        format!(
            "history {}:\n  {}\nipamd's log: {}",
            self.number,
            self.steps.join("\n  "),
            self.demo.node(1).ipamd_log().display()
        )
    }
}
