//! Refusals of EC2, and when to ask again.
//!
//! A refusal counts where it belongs: a full subnet stops requests in that subnet, not in others.
//! A request for many that a nearly full subnet refuses is repeated for one at once (EC2 gives all
//! or nothing); while that works, the number doubles. What is refused for one pauses, and the
//! pause doubles up to two minutes (upstream's constant pause for such a subnet), with up to a
//! quarter on top, different for each node, so that a fleet does not ask in step. Refusals while a
//! pause lasts are answers to calls made before it; they do not make it longer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use vpc_model::{EniId, SubnetId, Timestamp};

use super::ask::{Ask, SlotKind};
use super::event::Refusal;

/// The first pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, without what comes on top.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// A request for that many that is granted shows that the subnet is not nearly full.
const NOT_NEARLY_FULL: u32 = 16;

/// What a refusal stops.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Scope {
    /// Every request for more.
    Everything,
    /// New ENIs.
    Creations,
    /// Addresses and prefixes in a subnet.
    Subnet(SubnetId),
    /// Prefixes in a subnet.
    Blocks(SubnetId),
    /// Slots of an ENI.
    Eni(EniId),
    /// Whatever is given back.
    Returns,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Everything => write!(f, "a request"),
            Scope::Creations => write!(f, "a further ENI"),
            Scope::Subnet(subnet) => write!(f, "addresses of {subnet}"),
            Scope::Blocks(subnet) => write!(f, "a /28 of {subnet}"),
            Scope::Eni(eni) => write!(f, "more for {eni}"),
            Scope::Returns => write!(f, "to take something back"),
        }
    }
}

/// EC2 refuses to give more for the time being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackOff {
    /// Until when nothing more is asked for.
    pub until: Timestamp,
    /// What EC2 said.
    pub reason: String,
    /// How often in a row a request that could not be made smaller was refused.
    pub failures: u32,
    /// How many slots are asked for next time at most; nothing for no such bound.
    pub at_most: Option<u32>,
}

/// All refusals that still count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BackOffs {
    by_scope: BTreeMap<Scope, BackOff>,
    seed: Option<u64>,
}

impl BackOffs {
    pub(super) fn seed(&mut self, seed: u64) {
        self.seed = Some(seed);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Scope, &BackOff)> {
        self.by_scope.iter()
    }

    /// The refusal that stops requests of that scope now.
    pub(crate) fn active(&self, scope: &Scope, now: Timestamp) -> Option<&BackOff> {
        self.by_scope
            .get(scope)
            .filter(|refused| refused.until > now)
    }

    /// How many slots may be asked for at once.
    pub(crate) fn at_most(&self, scope: &Scope) -> Option<u32> {
        self.by_scope.get(scope).and_then(|refused| refused.at_most)
    }

    /// Whether single addresses take the place of prefixes: a subnet has no block free, and that
    /// was not long ago.
    pub(crate) fn no_blocks(&self, now: Timestamp) -> bool {
        self.by_scope
            .iter()
            .any(|(scope, refused)| matches!(scope, Scope::Blocks(_)) && refused.until > now)
    }

    /// A request was refused.
    pub(super) fn refused(&mut self, scope: Scope, slots: u32, reason: String, now: Timestamp) {
        let can_ask_for_fewer = match scope {
            Scope::Subnet(_) | Scope::Blocks(_) => true,
            Scope::Everything | Scope::Creations | Scope::Eni(_) | Scope::Returns => false,
        };
        if let Some(lasting) = self.by_scope.get_mut(&scope)
            && lasting.until > now
        {
            lasting.reason = reason;
            return;
        }
        let failures = self
            .by_scope
            .get(&scope)
            .map_or(0, |before| before.failures);
        let refused = if can_ask_for_fewer && slots > 1 {
            // Asked for fewer at once.
            BackOff {
                until: now,
                reason,
                failures,
                at_most: Some(1),
            }
        } else {
            let failures = failures.saturating_add(1);
            BackOff {
                until: now + self.pause(&scope, failures, now),
                reason,
                failures,
                at_most: can_ask_for_fewer.then_some(1),
            }
        };
        self.by_scope.insert(scope, refused);
    }

    /// A request was granted.
    pub(super) fn granted(&mut self, subnet: &SubnetId, ask: Ask, now: Timestamp) {
        self.by_scope.remove(&Scope::Everything);
        self.eased(&Scope::Subnet(subnet.clone()), ask.slots(), now);
        match ask.kind() {
            SlotKind::Prefix => self.eased(&Scope::Blocks(subnet.clone()), ask.slots(), now),
            SlotKind::Address => {}
        }
    }

    /// What stopped requests of this scope does so no more.
    pub(super) fn lift(&mut self, scope: &Scope) {
        self.by_scope.remove(scope);
    }

    fn eased(&mut self, scope: &Scope, slots: u32, now: Timestamp) {
        let Some(refused) = self.by_scope.get_mut(scope) else {
            return;
        };
        match refused.at_most {
            Some(at_most) if at_most < NOT_NEARLY_FULL => {
                refused.at_most = Some(at_most.max(slots).saturating_mul(2));
                refused.failures = 0;
                refused.until = now;
            }
            Some(_) | None => {
                self.by_scope.remove(scope);
            }
        }
    }

    fn pause(&self, scope: &Scope, failures: u32, now: Timestamp) -> Duration {
        let doublings = failures.saturating_sub(1).min(10);
        let pause = FIRST_PAUSE
            .saturating_mul(1 << doublings)
            .min(LONGEST_PAUSE);
        let salt = match scope {
            Scope::Everything => 1,
            Scope::Creations => 2,
            Scope::Subnet(_) => 3,
            Scope::Blocks(_) => 4,
            Scope::Eni(_) => 5,
            Scope::Returns => 6,
        };
        pause + spread(self.seed, salt ^ now.as_millis(), pause / 4)
    }

    /// A part of `most` that differs between nodes; none without a seed.
    pub(crate) fn spread(&self, salt: u64, most: Duration) -> Duration {
        spread(self.seed, salt, most)
    }
}

impl Refusal {
    /// What the refusal of a request in that subnet stops; `eni` is the ENI it was for, nothing
    /// for a new one.
    pub(super) fn scope(self, subnet: &SubnetId, eni: Option<&EniId>, kind: SlotKind) -> Scope {
        match (self, eni, kind) {
            (Refusal::SubnetFull, _, _) | (Refusal::NoBlock, _, SlotKind::Address) => {
                Scope::Subnet(subnet.clone())
            }
            (Refusal::NoBlock, _, SlotKind::Prefix) => Scope::Blocks(subnet.clone()),
            (Refusal::EniFull | Refusal::NoSuchEni, Some(eni), _) => Scope::Eni(eni.clone()),
            (
                Refusal::EniFull | Refusal::NoSuchEni | Refusal::TooManyEnis | Refusal::PlaceTaken,
                _,
                _,
            ) => Scope::Creations,
            (Refusal::Other, _, _) => Scope::Everything,
        }
    }
}

/// `most` times a number in [0, 1) that follows from seed and salt (SplitMix64's finaliser).
fn spread(seed: Option<u64>, salt: u64, most: Duration) -> Duration {
    let Some(seed) = seed else {
        return Duration::ZERO;
    };
    let mut z = seed.wrapping_add(salt).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let thousandths = u32::try_from(z % 1000).unwrap_or(0);
    most * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet() -> SubnetId {
        "subnet-1".parse().unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn refuse(back_offs: &mut BackOffs, slots: u32, now: Timestamp) {
        back_offs.refused(Scope::Subnet(subnet()), slots, "full".to_owned(), now);
    }

    #[test]
    fn a_refused_request_for_many_is_repeated_for_one_at_once() {
        let mut back_offs = BackOffs::default();
        refuse(&mut back_offs, 14, at(10));
        let scope = Scope::Subnet(subnet());
        assert_eq!(back_offs.active(&scope, at(10)), None);
        assert_eq!(back_offs.at_most(&scope), Some(1));
    }

    #[test]
    fn the_pause_doubles_up_to_two_minutes() {
        let mut back_offs = BackOffs::default();
        let scope = Scope::Subnet(subnet());
        let mut pauses = Vec::new();
        let mut now = at(10);
        for _ in 0..9 {
            refuse(&mut back_offs, 1, now);
            let until = back_offs.active(&scope, now).unwrap().until;
            pauses.push(until.since(now).as_secs());
            now = until;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
    }

    #[test]
    fn refusals_of_calls_that_were_made_before_the_pause_do_not_lengthen_it() {
        let mut back_offs = BackOffs::default();
        for _ in 0..5 {
            refuse(&mut back_offs, 1, at(10));
        }
        let scope = Scope::Subnet(subnet());
        assert_eq!(back_offs.active(&scope, at(10)).unwrap().until, at(11));
    }

    #[test]
    fn two_nodes_pause_differently_and_at_most_a_quarter_longer() {
        let pause = |seed| {
            let mut back_offs = BackOffs::default();
            back_offs.seed(seed);
            for round in 1..=9 {
                refuse(&mut back_offs, 1, at(round * 200));
            }
            let last = at(9 * 200);
            let scope = Scope::Subnet(subnet());
            back_offs.active(&scope, last).unwrap().until.since(last)
        };
        let pauses: Vec<_> = (0..20).map(pause).collect();
        let bounds = Duration::from_secs(120)..Duration::from_secs(150);
        assert!(
            pauses.iter().all(|pause| bounds.contains(pause)),
            "{pauses:?}"
        );
        assert!(pauses.iter().min() != pauses.iter().max());
    }

    #[test]
    fn what_is_granted_doubles_what_is_asked_for_next() {
        let mut back_offs = BackOffs::default();
        let scope = Scope::Subnet(subnet());
        refuse(&mut back_offs, 14, at(10));
        let mut asked = Vec::new();
        while let Some(at_most) = back_offs.at_most(&scope) {
            asked.push(at_most);
            back_offs.granted(&subnet(), Ask::Addresses(at_most), at(11));
        }
        assert_eq!(asked, [1, 2, 4, 8, 16]);
    }

    #[test]
    fn a_subnet_without_a_block_still_gives_single_addresses() {
        let scope = Refusal::NoBlock.scope(&subnet(), None, SlotKind::Prefix);
        assert_eq!(scope, Scope::Blocks(subnet()));
        let mut back_offs = BackOffs::default();
        back_offs.refused(scope, 1, "no block".to_owned(), at(10));
        assert!(back_offs.no_blocks(at(10)));
        assert_eq!(back_offs.active(&Scope::Subnet(subnet()), at(10)), None);
        assert!(!back_offs.no_blocks(at(12)));
    }
}
