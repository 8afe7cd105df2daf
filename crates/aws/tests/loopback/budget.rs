//! The client keeps to its budget, and the budget counts what the client did.

use std::time::Duration;

use crate::server::{Server, answer};
use vpc_aws::budget::{Call, Scope, Shape};
use vpc_aws::credentials::CredentialSource;
use vpc_aws::ec2::wire::ErrorResponse;
use vpc_aws::ec2::{Client, ClientConfig, Ec2, Endpoint, EniQuery};
use vpc_aws::{Budget, BudgetConfig, Error, ErrorKind, RetryPolicy};

const FILTERED: Call = Call {
    action: "DescribeNetworkInterfaces",
    scope: Scope::Part,
};
const BY_ID: Call = Call {
    action: "DescribeNetworkInterfaces",
    scope: Scope::All,
};

#[tokio::test]
async fn a_call_that_cannot_leave_before_its_deadline_is_not_sent_and_says_so() {
    let server = Server::start(|_, _| answer(200, "<DescribeNetworkInterfacesResponse/>")).await;
    let client = client(&server.url, two_an_hour());
    for _ in 0..2 {
        describe(&client).await.unwrap();
    }
    let error = describe(&client).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::OverBudget(_)), "{error}");
    assert!(error.is_retryable() && !error.may_have_taken_effect());
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("deadline"), "{cause}");
    assert!(
        error
            .to_string()
            .starts_with("DescribeNetworkInterfaces at http://127")
    );
    assert_eq!(server.seen().len(), 2);

    // Another kind of call has its own bucket, also of the same action.
    let ids = EniQuery::Ids(vec!["eni-1".parse().unwrap()]);
    client.describe_network_interfaces(ids).await.unwrap();
    let counts = client.budget().counts();
    assert_eq!(
        (counts[&FILTERED].sent(), counts[&FILTERED].held_back),
        (2, 1)
    );
    assert_eq!((counts[&BY_ID].sent(), counts[&BY_ID].held_back), (1, 0));
}

#[tokio::test]
async fn tries_after_a_throttle_draw_on_the_budget_and_awss_answer_is_what_the_caller_sees() {
    let server = Server::start(|_, _| {
        let document = ErrorResponse::new("RequestLimitExceeded", "Request limit exceeded.", "r-1");
        answer(503, document.to_xml().unwrap())
    })
    .await;
    let client = client(&server.url, two_an_hour());
    let error = describe(&client).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Throttled), "{error}");
    assert_eq!(server.seen().len(), 1, "the throttle emptied the bucket");
    let counts = client.budget().counts();
    assert_eq!(counts[&FILTERED].outcomes["throttled"], 1);
    assert_eq!(counts[&FILTERED].held_back, 1);
    assert!(client.budget().rates()[&FILTERED] < 1.1 / 3600.0);
}

#[tokio::test]
async fn clients_that_share_a_budget_keep_to_it_together_and_later_calls_wait() {
    let server = Server::start(|_, _| answer(200, "<DescribeNetworkInterfacesResponse/>")).await;
    let budget = Budget::new(BudgetConfig {
        shapes: |_| Shape {
            burst: 1.0,
            per_second: 10.0,
        },
        ..BudgetConfig::WHOLE
    });
    let one = client(&server.url, budget.clone());
    let other = client(&server.url, budget.clone());
    let calls = (0..4).map(|n| describe(if n % 2 == 0 { &one } else { &other }));
    let calls: Vec<_> = calls.collect();
    for call in calls {
        call.await.unwrap();
    }
    let counts = &budget.counts()[&FILTERED];
    assert_eq!((counts.outcomes["ok"], server.seen().len()), (4, 4));
    assert!(!counts.waited.is_zero());
}

fn two_an_hour() -> Budget {
    Budget::new(BudgetConfig {
        shapes: |_| Shape {
            burst: 2.0,
            per_second: 2.0 / 3600.0,
        },
        recovery: Duration::from_secs(1_000_000),
        ..BudgetConfig::WHOLE
    })
}

fn client(url: &str, budget: Budget) -> Client {
    let endpoint = Endpoint::choose(|_| Some(url.to_owned()), "us-west-2").unwrap();
    let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
    let mut config = ClientConfig::new(endpoint, "us-west-2", credentials);
    let step = Duration::from_millis(1);
    config.retry = RetryPolicy {
        attempts: 5,
        base: step,
        cap: step,
    };
    config.budget = budget;
    Client::new(config).unwrap()
}

async fn describe(client: &Client) -> Result<usize, Error> {
    let query = EniQuery::AttachedTo("i-1".parse().unwrap());
    let enis = client.describe_network_interfaces(query).await?;
    Ok(enis.len())
}
