//! Virtual time: tasks that wait for moments, run one after the other in the order of those
//! moments. There is one thread and no clock; equal tasks give equal histories.
//!
//! A task is a future. All that it may wait for is [`Timeline::sleep`]: a waker would have nothing
//! to say that the queue of moments does not know.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use vpc_model::Timestamp;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// When a task goes on, the order in which that was asked for, and which task it is.
type Due = Reverse<(Timestamp, u64, usize)>;

/// Virtual time and what happens in it. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Timeline(Rc<Shared>);

#[derive(Default)]
struct Shared {
    now: Cell<Timestamp>,
    due: RefCell<BinaryHeap<Due>>,
    asked: Cell<u64>,
    tasks: RefCell<Vec<Option<Task>>>,
    vacant: RefCell<Vec<usize>>,
    running: Cell<usize>,
}

impl Timeline {
    /// One on which nothing has happened yet.
    pub(super) fn starting_at(now: Timestamp) -> Self {
        let timeline = Self::default();
        timeline.0.now.set(now);
        timeline
    }

    /// The present moment.
    pub(super) fn now(&self) -> Timestamp {
        self.0.now.get()
    }

    /// Begins a task at this moment, after what is due at it already.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let task: Task = Box::pin(task);
        let vacant = self.0.vacant.borrow_mut().pop();
        let mut tasks = self.0.tasks.borrow_mut();
        let id = match vacant {
            Some(id) => {
                tasks[id] = Some(task);
                id
            }
            None => {
                tasks.push(Some(task));
                tasks.len() - 1
            }
        };
        self.wake(id, self.now());
    }

    /// Waits. With nothing to wait for, goes on at once.
    pub(super) fn sleep(&self, wait: Duration) -> Sleep<'_> {
        self.sleep_until(self.now() + wait)
    }

    /// Waits until a moment.
    pub(super) fn sleep_until(&self, until: Timestamp) -> Sleep<'_> {
        Sleep {
            timeline: self,
            until,
            asked: false,
        }
    }

    /// Lets time pass until nothing is due any more, or nothing before `horizon`.
    pub(super) fn run(&self, horizon: Timestamp) {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let next = self.0.due.borrow_mut().pop();
            let Some(Reverse((at, _, id))) = next.filter(|Reverse((at, _, _))| *at <= horizon)
            else {
                break;
            };
            self.0.now.set(at);
            self.0.running.set(id);
            // Taken out while it runs: it may spawn others.
            let task = self.0.tasks.borrow_mut().get_mut(id).and_then(Option::take);
            let Some(mut task) = task else { continue };
            match task.as_mut().poll(&mut context) {
                Poll::Pending => self.0.tasks.borrow_mut()[id] = Some(task),
                Poll::Ready(()) => self.0.vacant.borrow_mut().push(id),
            }
        }
        // Tasks hold their timeline.
        let left = std::mem::take(&mut *self.0.tasks.borrow_mut());
        drop(left);
    }

    fn wake(&self, id: usize, at: Timestamp) {
        let order = self.0.asked.get();
        self.0.asked.set(order + 1);
        self.0.due.borrow_mut().push(Reverse((at, order, id)));
    }
}

/// What a sleeping task waits for.
pub(super) struct Sleep<'a> {
    timeline: &'a Timeline,
    until: Timestamp,
    asked: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.timeline.now() >= self.until {
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut self.asked, true) {
            let running = self.timeline.0.running.get();
            self.timeline.wake(running, self.until);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn tasks_go_on_in_the_order_of_their_moments_and_of_asking() {
        let timeline = Timeline::default();
        let log = Rc::new(RefCell::new(Vec::new()));
        for (name, waits) in [("a", [5, 5]), ("b", [3, 7]), ("c", [3, 1])] {
            let (own, log) = (timeline.clone(), Rc::clone(&log));
            timeline.spawn(async move {
                for wait in waits {
                    own.sleep(Duration::from_millis(wait)).await;
                    log.borrow_mut().push((own.now().as_millis(), name));
                }
            });
        }
        timeline.run(at(1000));
        let expected = [(3, "b"), (3, "c"), (4, "c"), (5, "a"), (10, "b"), (10, "a")];
        assert_eq!(*log.borrow(), expected);
    }

    #[test]
    fn what_is_due_after_the_horizon_does_not_happen_and_is_let_go() {
        let timeline = Timeline::default();
        let held = Rc::new(Cell::new(0));
        let (own, inside) = (timeline.clone(), Rc::clone(&held));
        timeline.spawn(async move {
            own.sleep(Duration::from_millis(10)).await;
            inside.set(inside.get() + 1);
            own.sleep(Duration::from_millis(10)).await;
            inside.set(inside.get() + 1);
        });
        timeline.run(at(15));
        assert_eq!(held.get(), 1);
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn a_task_may_begin_others() {
        let timeline = Timeline::default();
        let done = Rc::new(Cell::new(0));
        let (own, inside) = (timeline.clone(), Rc::clone(&done));
        timeline.spawn(async move {
            for _ in 0..3 {
                let (own, inside) = (own.clone(), Rc::clone(&inside));
                own.clone().spawn(async move {
                    own.sleep(Duration::from_millis(1)).await;
                    inside.set(inside.get() + 1);
                });
            }
        });
        timeline.run(at(1));
        assert_eq!(done.get(), 3);
    }
}
