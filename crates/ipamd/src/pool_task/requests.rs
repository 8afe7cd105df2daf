//! ADD and DEL against the pool: the journal first, then the answer.

use tokio::sync::oneshot;
use tokio::time::Instant;
use vpc_aws::ec2::Ec2;
use vpc_ipam::allocate::{held, held_for_release, undo};
use vpc_ipam::journal::Record;
use vpc_ipam::{AllocateError, Allocation, Holder, allocate, release};
use vpc_model::{PodKey, PodName, Timestamp};

use super::PoolTask;
use super::handle::{AddRefusal, Grant, ReleaseRefusal, Request};
use super::waiting::Waiter;
use crate::clock;
use crate::metrics::tally::WaitOutcome;
use crate::report::chain;

/// How an attempt to allocate ended.
enum Attempt {
    Granted(Grant),
    Empty(AllocateError),
    NotWritten(String),
}

impl<E: Ec2> PoolTask<E> {
    pub(super) fn handle(&mut self, request: Request) {
        match request {
            Request::Allocate { key, pod, reply } => self.add(key, pod, reply),
            Request::Release { key, as_of, reply } => {
                let result = self.release(&key, as_of);
                // A caller that hung up does not undo a release.
                let _ = reply.send(result);
            }
            Request::Collect { key, reply } => {
                let _ = reply.send(self.collect(&key));
            }
            Request::WhileUnheld {
                address,
                work,
                reply,
            } => {
                if self.pool.to_ledger().holder_of(address).is_none() {
                    (work.0)();
                }
                let _ = reply.send(());
            }
            Request::Reconcile { observed, reply } => {
                let _ = reply.send(self.reconcile(observed));
            }
            Request::Allocations { reply } => {
                let _ = reply.send(self.allocations_now());
            }
            Request::Status { reply } => {
                let _ = reply.send(self.status(clock::now()));
            }
            Request::Look { reply } => {
                let _ = reply.send(self.look(clock::now()));
            }
            Request::Plan { reply } => {
                let _ = reply.send(self.planned(clock::now()));
            }
            Request::Events { reply } => {
                let _ = reply.send(self.recent.latest(usize::MAX));
            }
            Request::Timelines { whose, reply } => {
                let _ = reply.send(self.timelines_of(&whose));
            }
            Request::TakeIn { eni } => self.take_in(*eni),
            Request::Foreign { eni, foreign } => self.note_foreign(eni, foreign),
            Request::Wired { eni } => self.wired_at_last(eni),
        }
    }

    fn add(
        &mut self,
        key: PodKey,
        pod: PodName,
        reply: oneshot::Sender<Result<Grant, AddRefusal>>,
    ) {
        let now = clock::now();
        self.tell_asked(&key, &pod, now);
        // Whoever comes later waits behind those who wait already.
        let known = held(&self.pool, &key).is_some();
        if known || (self.learned.is_some() && self.waiting.len() == 0) {
            match self.attempt(&key, &pod, now) {
                Attempt::Granted(grant) => {
                    self.answer(&key, reply, grant);
                    return;
                }
                Attempt::NotWritten(reason) => {
                    self.refuse(&key, reply, AddRefusal::Journal(reason));
                    return;
                }
                Attempt::Empty(empty) => self.tell_waiting(&key, now, &empty.to_string()),
            }
        } else {
            let why = match &self.learned {
                Some(_) => format!("{} came before it", self.waiting.len()),
                None => self.readiness.borrow().to_string(),
            };
            self.tell_waiting(&key, now, &why);
        }
        let since = Instant::now();
        self.waiting.push(Waiter {
            key,
            pod,
            since,
            until: since + self.patience.add_wait,
            reply,
        });
    }

    /// Sends a grant. If nobody is there to take it, the address stays allocated: the runtime
    /// asks again with the same key, or sends a DEL.
    fn answer(
        &mut self,
        key: &PodKey,
        reply: oneshot::Sender<Result<Grant, AddRefusal>>,
        grant: Grant,
    ) {
        self.tell_granted(key, &grant);
        if reply.send(Ok(grant)).is_err() {
            tracing::info!(%key, "the caller of an ADD is gone; its address waits for it");
        }
    }

    /// Sends a refusal.
    fn refuse(
        &mut self,
        key: &PodKey,
        reply: oneshot::Sender<Result<Grant, AddRefusal>>,
        refusal: AddRefusal,
    ) {
        self.tell_refused(key, &refusal);
        // Whoever hung up learns of it by asking again.
        let _ = reply.send(Err(refusal));
    }

    /// Serves the ADDs that wait, in their order, as far as there are addresses.
    pub(super) fn serve_waiting(&mut self, now: Timestamp) {
        if self.learned.is_none() {
            return;
        }
        while let Some(waiter) = self.waiting.pop() {
            if waiter.reply.is_closed() {
                continue;
            }
            match self.attempt(&waiter.key, &waiter.pod, now) {
                Attempt::Granted(grant) => {
                    self.tally_wait(waiter.since, WaitOutcome::Ok);
                    self.answer(&waiter.key, waiter.reply, grant);
                }
                Attempt::NotWritten(reason) => {
                    self.refuse(&waiter.key, waiter.reply, AddRefusal::Journal(reason));
                }
                Attempt::Empty(_) => {
                    self.waiting.put_back(waiter);
                    break;
                }
            }
        }
    }

    /// Refuses the ADDs that have waited long enough, with the reason.
    pub(super) fn refuse_expired(&mut self, now: Timestamp) {
        for waiter in self.waiting.expired(Instant::now()) {
            let refusal = if self.learned.is_none() {
                AddRefusal::NotReady(self.readiness.borrow().to_string())
            } else {
                let mut reason = match self.attempt(&waiter.key, &waiter.pod, now) {
                    Attempt::Granted(grant) => {
                        self.tally_wait(waiter.since, WaitOutcome::Ok);
                        self.answer(&waiter.key, waiter.reply, grant);
                        continue;
                    }
                    Attempt::NotWritten(reason) => {
                        self.refuse(&waiter.key, waiter.reply, AddRefusal::Journal(reason));
                        continue;
                    }
                    Attempt::Empty(empty) => empty.to_string(),
                };
                for held in &self.held_back {
                    reason.push_str("; ");
                    reason.push_str(&held.to_string());
                }
                AddRefusal::NoAddress(reason)
            };
            self.tally_wait(waiter.since, WaitOutcome::Refused);
            self.refuse(&waiter.key, waiter.reply, refusal);
        }
    }

    fn attempt(&mut self, key: &PodKey, pod: &PodName, now: Timestamp) -> Attempt {
        let allocation = match allocate(&mut self.pool, key, pod, now) {
            Ok(allocation) => allocation,
            Err(empty) => return Attempt::Empty(empty),
        };
        if !allocation.repeated {
            let record = Record::Allocate {
                holder: Holder::from(&allocation),
            };
            if let Err(error) = self.journal.append(&record) {
                undo(&mut self.pool, &allocation);
                return Attempt::NotWritten(chain(&error));
            }
            self.count_allocation();
        } else {
            let min_age = self.patience.gc_min_age;
            self.asked_again.retain(|_, asked| now < *asked + min_age);
            self.asked_again.insert(key.clone(), now);
        }
        Attempt::Granted(grant(&allocation))
    }

    /// Releases what a sandbox holds that is gone, unless an ADD has asked for it a moment ago.
    fn collect(&mut self, key: &PodKey) -> Result<Grant, ReleaseRefusal> {
        let now = clock::now();
        let found = held(&self.pool, key).ok_or(ReleaseRefusal::UnknownPod)?;
        let asked_again = self.asked_again.get(key).copied();
        let asked = found.since.max(asked_again.unwrap_or(found.since));
        if now < asked + self.patience.gc_min_age {
            return Err(ReleaseRefusal::AskedFor);
        }
        self.release(key, Some(found.since))
    }

    fn release(&mut self, key: &PodKey, as_of: Option<Timestamp>) -> Result<Grant, ReleaseRefusal> {
        // A DEL that overtakes its ADD: the ADD must not be served afterwards.
        if as_of.is_none()
            && let Some(waiter) = self.waiting.remove(key)
        {
            let reason = "the sandbox was deleted while it waited".to_owned();
            self.refuse(key, waiter.reply, AddRefusal::NoAddress(reason));
        }
        let found = held_for_release(&self.pool, key).ok_or(ReleaseRefusal::UnknownPod)?;
        if as_of.is_some_and(|as_of| found.since > as_of) {
            return Err(ReleaseRefusal::UnknownPod);
        }
        let now = clock::now();
        let until = now + self.patience.cooldown;
        // The journal first: an address whose release is not recorded stays allocated, which
        // loses an address and never gives one to two pods.
        self.journal
            .append(&Record::Release {
                key: found.key.clone(),
                until,
            })
            .map_err(|error| ReleaseRefusal::Journal(chain(&error)))?;
        match release(&mut self.pool, key, now, self.patience.cooldown) {
            Ok(released) => {
                self.count_allocation();
                self.tell_released(&released, now, until);
                Ok(grant(&released))
            }
            Err(_) => Err(ReleaseRefusal::UnknownPod),
        }
    }
}

fn grant(allocation: &Allocation) -> Grant {
    Grant {
        address: allocation.address,
        eni: allocation.eni.clone(),
        device: allocation.device,
        card: allocation.card,
        table: allocation.table,
    }
}
