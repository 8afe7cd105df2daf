//! ADDs that found the pool empty. They are served in the order they came, each until its own
//! deadline. Deadlines are by the monotonic clock: a wall clock that is set must not make the
//! runtime wait longer, nor refuse an ADD early.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::Instant;
use vpc_model::{PodKey, PodName};

use super::handle::{AddRefusal, Grant};

/// An ADD that waits for an address.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) key: PodKey,
    pub(super) pod: PodName,
    pub(super) since: Instant,
    pub(super) until: Instant,
    pub(super) reply: oneshot::Sender<Result<Grant, AddRefusal>>,
}

/// The queue of waiting ADDs.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Waiter>,
}

impl Waiting {
    /// Queues an ADD behind those that came before it. A repeated ADD of a key takes the place of
    /// the one that waits: its caller has given up.
    pub(super) fn push(&mut self, waiter: Waiter) {
        match self
            .queue
            .iter_mut()
            .find(|queued| queued.key == waiter.key)
        {
            Some(queued) => {
                let before = std::mem::replace(queued, waiter);
                let reason = "a later ADD of the same sandbox took its place".to_owned();
                let _ = before.reply.send(Err(AddRefusal::NoAddress(reason)));
            }
            None => self.queue.push_back(waiter),
        }
    }

    /// The ADD whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Waiter> {
        self.queue.pop_front()
    }

    /// Puts back what [`Waiting::pop`] gave and nothing was found for.
    pub(super) fn put_back(&mut self, waiter: Waiter) {
        self.queue.push_front(waiter);
    }

    /// Takes out the ADD of that key: a DEL has overtaken it.
    pub(super) fn remove(&mut self, key: &PodKey) -> Option<Waiter> {
        let at = self.queue.iter().position(|waiter| waiter.key == *key)?;
        self.queue.remove(at)
    }

    /// Takes out those whose time is up, or whose caller is gone.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<Waiter> {
        let (over, still): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|waiter| waiter.until <= now || waiter.reply.is_closed());
        self.queue = still;
        over.into()
    }

    /// Who waits, in order.
    pub(super) fn pods(&self) -> impl Iterator<Item = &PodName> {
        self.queue.iter().map(|waiter| &waiter.pod)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// When the next one's time is up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queue.iter().map(|waiter| waiter.until).min()
    }

    /// Takes all of them out.
    pub(super) fn drain(&mut self) -> Vec<Waiter> {
        std::mem::take(&mut self.queue).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(millis: u64) -> Instant {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        *START + std::time::Duration::from_millis(millis)
    }

    fn waiter(name: &str, until: u64) -> (Waiter, oneshot::Receiver<Result<Grant, AddRefusal>>) {
        let (reply, answer) = oneshot::channel();
        let key = PodKey {
            network: "aws-cni".to_owned(),
            container_id: name.to_owned(),
            if_name: "eth0".to_owned(),
        };
        (
            Waiter {
                key,
                pod: PodName::default(),
                since: after(0),
                until: after(until),
                reply,
            },
            answer,
        )
    }

    #[test]
    fn those_who_came_first_are_served_first() {
        let mut waiting = Waiting::default();
        let answers: Vec<_> = ["a", "b", "c"]
            .map(|name| {
                let (waiter, answer) = waiter(name, 10);
                waiting.push(waiter);
                answer
            })
            .into();
        let first = waiting.pop().unwrap();
        assert_eq!(first.key.container_id, "a");
        waiting.put_back(first);
        let order: Vec<_> = std::iter::from_fn(|| waiting.pop())
            .map(|waiter| waiter.key.container_id)
            .collect();
        assert_eq!(order, ["a", "b", "c"]);
        drop(answers);
    }

    #[test]
    fn a_repeated_add_keeps_its_place_in_the_queue() {
        let mut waiting = Waiting::default();
        let (first, _old) = waiter("a", 10);
        let (second, _answer) = waiter("b", 10);
        let (again, _new) = waiter("a", 20);
        waiting.push(first);
        waiting.push(second);
        waiting.push(again);
        assert_eq!(waiting.len(), 2);
        assert_eq!(waiting.pop().unwrap().until, after(20));
    }

    #[test]
    fn those_whose_time_is_up_or_caller_is_gone_leave() {
        let mut waiting = Waiting::default();
        let (late, _late) = waiter("late", 5);
        let (gone, answer) = waiter("gone", 50);
        let (stays, _stays) = waiter("stays", 50);
        waiting.push(late);
        waiting.push(gone);
        waiting.push(stays);
        drop(answer);
        assert_eq!(waiting.expired(after(5)).len(), 2);
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting.next_deadline(), Some(after(50)));
    }
}
