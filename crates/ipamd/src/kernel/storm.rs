//! A guard against fights: when something keeps undoing what is repaired, repairing as fast as it
//! is undone helps nobody and costs everybody.

use std::time::Duration;

/// So many repairs in a row are made at once.
const BURST: u32 = 20;
/// A repair belongs to the row of the one before it if no more time lies between them.
const ROW: Duration = Duration::from_secs(10);
/// In a storm, a repair waits until the last one is this long ago.
const PAUSE: Duration = Duration::from_secs(5);
/// A storm ends when nothing had to be repaired for so long.
const CALM: Duration = Duration::from_secs(60);

/// Counts repairs. Time is an argument: the span since any fixed moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct StormGuard {
    last: Option<Duration>,
    in_a_row: u32,
    total: u64,
}

impl StormGuard {
    /// How long the next repair has to wait; nothing unless there is a storm.
    #[must_use]
    pub fn pause(&self, now: Duration) -> Option<Duration> {
        let since = now.saturating_sub(self.last?);
        let storm = self.in_a_row >= BURST && since < CALM;
        storm.then(|| PAUSE.saturating_sub(since))
    }

    /// Notes a repair. Whether a storm begins with it.
    pub fn repaired(&mut self, now: Duration) -> bool {
        let since = self.last.map(|last| now.saturating_sub(last));
        let row = if self.in_a_row >= BURST { CALM } else { ROW };
        self.in_a_row = match since {
            Some(since) if since < row => self.in_a_row.saturating_add(1),
            _ => 1,
        };
        self.last = Some(now);
        self.total += 1;
        self.in_a_row == BURST
    }

    /// How many repairs there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn repairs_now_and_then_are_made_at_once() {
        let mut guard = StormGuard::default();
        for hour in 0..100 {
            assert_eq!(guard.pause(seconds(hour * 3600)), None);
            assert!(!guard.repaired(seconds(hour * 3600)));
        }
        assert_eq!(guard.total(), 100);
    }

    #[test]
    fn in_a_storm_there_is_a_repair_every_five_seconds_until_a_minute_was_calm() {
        let mut guard = StormGuard::default();
        let begun = (1..=BURST).filter(|_| {
            assert_eq!(guard.pause(seconds(7)), None);
            guard.repaired(seconds(7))
        });
        assert_eq!(begun.count(), 1, "a storm begins once");
        assert_eq!(guard.pause(seconds(7)), Some(seconds(5)));
        assert_eq!(guard.pause(seconds(9)), Some(seconds(3)));
        // It goes on as long as there is something to repair.
        for time in (12..200).step_by(5) {
            assert_eq!(guard.pause(seconds(time)), Some(seconds(0)));
            assert!(!guard.repaired(seconds(time)));
        }
        assert_eq!(guard.pause(seconds(197 + 60)), None);
        assert!(!guard.repaired(seconds(197 + 60)));
        assert_eq!(guard.pause(seconds(197 + 60)), None);
    }
}
