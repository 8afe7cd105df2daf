//! How upstream's SDK repeats calls, and upstream's own loops around that. There is no limiter.

use std::cell::RefCell;
use std::time::Duration;

use vpc_aws::ec2::wire::Request;

use crate::fleet::cloud::{Cloud, THROTTLED};
use crate::fleet::ec2::{Act, Caller, Failure};
use crate::world::Random;

/// What upstream's client does about calls that are throttled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdkRetries {
    /// The SDK's standard retryer, which upstream's EC2 client has: three tries, with up to 2 s
    /// and up to 4 s in between.
    Standard,
    /// Twelve tries with 100 ms in between at first, doubled up to 60 s, and up to 15 % more: the
    /// rule of upstream's own longer loops, for every call.
    Twelve,
}

impl SdkRetries {
    fn tries(self) -> u32 {
        match self {
            SdkRetries::Standard => 3,
            SdkRetries::Twelve => 12,
        }
    }

    /// The pause after the failure of try number `tried`, from 1.
    fn pause(self, tried: u32, random: &mut Random) -> Duration {
        match self {
            SdkRetries::Standard => {
                let most = 1_000 << tried.min(5);
                Duration::from_millis(random.below(most)).min(Duration::from_secs(20))
            }
            SdkRetries::Twelve => {
                Loop::new(12, Duration::from_millis(100), 15).pause(tried, random)
            }
        }
    }
}

/// One of upstream's own loops: tries, with a pause that doubles up to a minute and a part of it
/// more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loop {
    pub(super) tries: u32,
    first: Duration,
    /// What comes on top at most, in hundredths.
    jitter: u64,
}

impl Loop {
    pub(super) const fn new(tries: u32, first: Duration, jitter: u64) -> Self {
        Self {
            tries,
            first,
            jitter,
        }
    }

    /// The pause after the failure of try number `tried`, from 1.
    pub(super) fn pause(self, tried: u32, random: &mut Random) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1 << tried.saturating_sub(1).min(16));
        let pause = doubled.min(Duration::from_secs(60));
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        pause + Duration::from_millis(random.below(millis * self.jitter / 100))
    }
}

/// A node's client.
pub(super) struct Client {
    pub(super) cloud: Cloud,
    retries: SdkRetries,
    pub(super) random: RefCell<Random>,
}

impl Client {
    pub(super) fn new(cloud: Cloud, retries: SdkRetries, random: Random) -> Self {
        Self {
            cloud,
            retries,
            random: RefCell::new(random),
        }
    }

    /// Waits as one of upstream's loops does.
    pub(super) async fn pause(&self, rule: Loop, tried: u32) {
        let pause = rule.pause(tried, &mut self.random.borrow_mut());
        self.cloud.timeline.sleep(pause).await;
    }
}

impl Caller for Client {
    async fn call<R: Request, T>(&self, request: &R, act: Act<R, T>) -> Result<T, Failure> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.cloud.call(request, act).await {
                Err(error) if error.code == THROTTLED && tried < self.retries.tries() => {
                    let pause = self.retries.pause(tried, &mut self.random.borrow_mut());
                    self.cloud.timeline.sleep(pause).await;
                }
                done => return done.map_err(Failure::Ec2),
            }
        }
    }
}
