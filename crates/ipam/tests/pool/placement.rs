//! Where new pods are put decides how much can be given back after a burst: the same story of pods
//! with the fullest ENI and prefix first, and with a random one, as upstream's daemon takes
//! whichever its map gives first.

use vpc_ipam::{EniKind, WarmTarget};

use crate::executor::{Node, key};
use crate::history::Random;

/// m5.4xlarge: 8 ENIs with 30 addresses each, one of them the ENI's own.
const SHAPE: (u32, u32) = (8, 29);

/// Pods that run all the time.
const STEADY: usize = 20;

/// Pods at the height of the burst.
const BURST: usize = 160;

/// For how long the node is watched after the burst, in steps of [`STEP`].
const STEPS: u32 = 360;

/// Seconds after which one pod is replaced by another.
const STEP: u64 = 10;

#[derive(Clone, Copy)]
enum Placement {
    /// What [`vpc_ipam::allocate()`] does.
    Fullest,
    /// A random ENI with a free address, of it a random address.
    Random,
}

/// What a node holds after the burst.
#[derive(Debug, PartialEq)]
struct Held {
    /// Addresses at the end of each step, summed up.
    address_steps: u64,
    /// ENIs besides the primary at the end of each step, summed up.
    eni_steps: u64,
    /// Steps until the node holds what it held before the burst.
    until_as_before: Option<u32>,
}

struct Story {
    node: Node,
    placement: Placement,
    random: Random,
    pods: Vec<String>,
    next: u32,
}

impl Story {
    fn new(node: Node, placement: Placement, seed: u64) -> Self {
        Self {
            node,
            placement,
            random: Random::new(seed),
            pods: Vec::new(),
            next: 0,
        }
    }

    fn add(&mut self) {
        let pod = match self.placement {
            Placement::Fullest => self.next_name(),
            Placement::Random => self.one_at_random(),
        };
        self.node.add(&pod).unwrap();
        self.pods.push(pod);
    }

    fn next_name(&mut self) -> String {
        self.next += 1;
        format!("pod-{}", self.next)
    }

    /// Takes every free address, keeps a random one, and gives the others back unrested: the name
    /// of the one that keeps it.
    fn one_at_random(&mut self) -> String {
        let mut taken = Vec::new();
        loop {
            let name = self.next_name();
            let Ok(got) = self.node.allocate(&name) else {
                if taken.is_empty() {
                    return name;
                }
                break;
            };
            taken.push((got.eni.unwrap(), name));
        }
        let mut enis: Vec<_> = taken.iter().map(|(eni, _)| eni.clone()).collect();
        enis.sort();
        enis.dedup();
        let eni = self.random.pick(&enis).unwrap().clone();
        let there: Vec<_> = taken.iter().filter(|(at, _)| *at == eni).collect();
        let kept = self.random.pick(&there).unwrap().1.clone();
        let now = self.node.now;
        for (_, name) in taken.iter().filter(|(_, name)| *name != kept) {
            vpc_ipam::release(&mut self.node.pool, &key(name), now, Default::default()).unwrap();
        }
        self.node.pool.advance(now);
        kept
    }

    fn remove_one(&mut self) {
        let count = u64::try_from(self.pods.len()).unwrap();
        let index = usize::try_from(self.random.below(count)).unwrap();
        let pod = self.pods.swap_remove(index);
        self.node.remove(&pod);
    }

    /// One pod is replaced, as on every node all the time.
    fn step(&mut self) {
        self.remove_one();
        self.add();
        self.node.pass(STEP);
        self.node.settle_in_steps(0);
    }

    fn enis(&self) -> u32 {
        let enis = self.node.pool.enis();
        let further = enis.filter(|eni| eni.kind != EniKind::Primary);
        u32::try_from(further.count()).unwrap()
    }

    /// Steady pods, then a burst and its end, and then the time after it.
    fn run(mut self) -> Held {
        while self.pods.len() < STEADY {
            self.add();
        }
        self.node.rest();
        let before = self.enis();
        while self.pods.len() < BURST {
            self.add();
        }
        while self.pods.len() > STEADY {
            self.remove_one();
        }
        let mut held = Held {
            address_steps: 0,
            eni_steps: 0,
            until_as_before: None,
        };
        for step in 0..STEPS {
            self.step();
            held.address_steps += u64::from(self.node.total());
            held.eni_steps += u64::from(self.enis());
            if self.enis() <= before {
                held.until_as_before.get_or_insert(step);
            }
        }
        held
    }
}

fn both(node: impl Fn() -> Node, seed: u64) -> (Held, Held) {
    let run = |placement| Story::new(node(), placement, seed).run();
    (run(Placement::Fullest), run(Placement::Random))
}

#[test]
fn after_a_burst_random_placement_holds_more_enis_for_longer() {
    for seed in 0..5 {
        let (ours, random) = both(|| Node::new(SHAPE, WarmTarget::Enis(1)), seed);
        println!("seed {seed}: fullest first {ours:?}; at random {random:?}");
        let ended = ours.until_as_before.unwrap_or(STEPS);
        assert!(
            random.until_as_before.is_none_or(|at| at >= 2 * ended),
            "seed {seed}: {ours:?}, {random:?}"
        );
        assert!(
            random.eni_steps * 2 >= ours.eni_steps * 3,
            "seed {seed}: {ours:?}, {random:?}"
        );
    }
}

#[test]
fn after_a_burst_random_placement_holds_more_prefixes() {
    for seed in 0..5 {
        let (ours, random) = both(|| Node::with_prefixes(SHAPE, WarmTarget::Prefixes(1)), seed);
        println!("seed {seed}: fullest first {ours:?}; at random {random:?}");
        assert!(
            random.address_steps * 2 >= ours.address_steps * 3,
            "seed {seed}: {ours:?}, {random:?}"
        );
    }
}
