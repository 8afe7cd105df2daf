//! Our client's rules about calls: the budget first, then the call, then the retry policy, all
//! within one deadline (`vpc_aws`'s service client, of which limiter and policy are the real ones).

use std::cell::RefCell;
use std::time::Duration;

use vpc_aws::RetryPolicy;
use vpc_aws::budget::{BudgetConfig, Call, Limiter};
use vpc_aws::ec2::wire::Request;
use vpc_model::Timestamp;

use crate::fleet::cloud::{Cloud, THROTTLED};
use crate::fleet::ec2::{Act, Caller, Failure};
use crate::world::Random;

/// How long a call may take with all its tries, as the daemon's client is configured.
const DEADLINE: Duration = Duration::from_secs(60);

/// A node's client.
pub(super) struct Client {
    cloud: Cloud,
    limiter: RefCell<Limiter>,
    random: RefCell<Random>,
}

impl Client {
    /// A client that starts at `begin`.
    pub(super) fn new(
        cloud: Cloud,
        budget: BudgetConfig,
        begin: Timestamp,
        mut random: Random,
    ) -> Self {
        let limiter = Limiter::new(budget, begin, random.next());
        Self {
            cloud,
            limiter: RefCell::new(limiter),
            random: RefCell::new(random),
        }
    }
}

impl Caller for Client {
    async fn call<R: Request, T>(&self, request: &R, act: Act<R, T>) -> Result<T, Failure> {
        let timeline = &self.cloud.timeline;
        let deadline = timeline.now() + DEADLINE;
        let policy = RetryPolicy::EC2;
        let call = Call::of(R::ACTION, &request.to_params());
        let mut failure = None;
        for attempt in 1.. {
            let (now, left) = (timeline.now(), deadline.since(timeline.now()));
            let admitted = self.limiter.borrow_mut().reserve(call, now, left);
            let Ok(wait) = admitted else { break };
            timeline.sleep(wait).await;
            let left = timeline.now();
            let answer = self.cloud.call(request, act).await;
            let outcome = match &answer {
                Ok(_) => "ok",
                Err(error) if error.code == THROTTLED => "throttled",
                Err(_) => "refused",
            };
            let now = timeline.now();
            self.limiter.borrow_mut().record(call, left, now, outcome);
            let error = match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = error.code == THROTTLED && attempt < policy.attempts;
            failure = Some(Failure::Ec2(error));
            let wait = policy.delay(attempt, self.random.borrow_mut().next());
            if !again || timeline.now() + wait >= deadline {
                break;
            }
            timeline.sleep(wait).await;
        }
        Err(failure.unwrap_or(Failure::OverBudget))
    }
}
