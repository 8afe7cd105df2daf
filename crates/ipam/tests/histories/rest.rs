//! What a node comes to when nothing more happens: everything answered, time passing.

use vpc_ipam::plan::Provisioning;
use vpc_ipam::{EniKind, EniState, WarmTarget};

use crate::checks;
use crate::world::{Checked, Trouble, World};

/// More wake-ups than this until a node is at rest are a loop.
const MANY: u32 = 200;

impl World {
    /// Nothing fails any more and nobody comes: the node finds rest, with what it should have.
    pub(crate) fn come_to_rest(&mut self) -> Checked {
        self.trouble = Trouble {
            calls_fail: 0,
            partial: 0,
            journal_fails: 0,
            metadata_lies: 0,
            foreign: 0,
            clock_steps_back: 0,
        };
        self.waiting.clear();
        let mut wakings = 0;
        loop {
            while !self.calls.is_empty() {
                self.progress(0);
                self.catch_up()?;
            }
            wakings += 1;
            if wakings > MANY {
                return Err("it never comes to rest".to_owned());
            }
            self.catch_up()?;
            match self.wake_at {
                Some(_) if self.calls.is_empty() && self.is_refused() => break,
                Some(at) => self.advance_to(at)?,
                None if self.calls.is_empty() => break,
                None => {}
            }
        }
        self.journal_says_what_the_pool_says()?;
        self.rests_with_what_it_should_have()
    }

    /// EC2 keeps refusing, because the subnet or the instance is full, or holds what the pool does
    /// not know of.
    fn is_refused(&self) -> bool {
        self.pool
            .back_off()
            .is_some_and(|back_off| back_off.failures > 8)
    }

    fn rests_with_what_it_should_have(&self) -> Checked {
        let count = checks::count(&self.pool);
        if count.in_flight {
            return Err("something is in flight at rest".to_owned());
        }
        let capacity = self.targets.max_enis * self.targets.per_eni;
        let full = count.total
            >= self
                .targets
                .max_pods
                .map_or(capacity, |max| max.min(capacity));
        let off = self.provisioning == Provisioning::Disabled;
        if !(checks::is_met(self, &count) || full || off || self.is_refused()) {
            return Err(format!("below the target at rest: {} free", count.free));
        }
        if self.lied_to || off || !checks::is_met(self, &count) {
            return Ok(());
        }
        if checks::over(self, &count) > 0 {
            return Err(format!(
                "{} free of {} at rest: too many",
                count.free, count.total
            ));
        }
        let idle = self
            .pool
            .enis()
            .filter(|eni| eni.kind == EniKind::Secondary)
            .any(|eni| {
                let others = count.free - eni.free();
                let enough = match self.targets.warm {
                    WarmTarget::Enis(warm) => {
                        count.free >= (warm + 1) * self.targets.per_eni
                            && others >= (warm * self.targets.per_eni).max(1)
                    }
                    WarmTarget::Ips { warm, minimum } => {
                        others >= warm && count.total - eni.len() >= minimum
                    }
                };
                eni.state == EniState::Ready && eni.is_unused() && enough
            });
        if idle {
            Err("an ENI is idle at rest".to_owned())
        } else {
            Ok(())
        }
    }
}
