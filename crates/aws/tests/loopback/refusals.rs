//! What becomes of everything AWS may answer instead of a response: raw HTTP in, a typed error that
//! names action and endpoint out, and no more requests than can help.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials};

use crate::raw;
use vpc_aws::credentials::CredentialSource;
use vpc_aws::ec2::{AddressCount, Client, ClientConfig, Ec2, Endpoint};
use vpc_aws::{Error, RetryPolicy};

/// A raw answer, and what it must become.
struct Case {
    name: &'static str,
    answer: String,
    label: &'static str,
    /// Requests that a call which may be repeated makes.
    harmless: usize,
    /// Requests that a call which may not be repeated makes.
    once: usize,
    unknown_effect: bool,
}

#[tokio::test]
async fn every_answer_becomes_its_kind_and_only_what_may_help_is_repeated() {
    for case in cases() {
        let name = case.name;
        let server = raw::Server::start(move |_, _| case.answer.clone());
        let error = describe(&client(&server.url)).await.unwrap_err();
        assert_eq!(error.kind.label(), case.label, "{name}: {error}");
        assert_eq!(server.requests().len(), case.harmless, "{name}: {error}");
        assert_eq!(error.may_have_taken_effect(), case.unknown_effect, "{name}");
        let start = format!("DescribeSubnets at {}/: ", server.url);
        assert!(error.to_string().starts_with(&start), "{error}");

        let error = assign(&client(&server.url)).await.unwrap_err();
        let requests = server.requests().len() - case.harmless;
        assert_eq!(requests, case.once, "{name}: {error}");
        let start = format!("AssignPrivateIpAddresses at {}/: ", server.url);
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

/// Tries of a call that may be repeated.
const TRIES: usize = 3;

fn cases() -> Vec<Case> {
    let throttled = |name, answer| Case {
        once: TRIES,
        unknown_effect: false,
        ..broken(name, answer, "throttled", TRIES)
    };
    let mut cases = vec![
        throttled(
            "throttled",
            raw::answer(503, &[], &document("RequestLimitExceeded")),
        ),
        throttled("throttled by status", raw::answer(429, &[], "slow down")),
    ];
    for (code, status, label) in REFUSALS {
        cases.push(Case {
            unknown_effect: false,
            ..broken(code, raw::answer(*status, &[], &document(code)), label, 1)
        });
    }
    cases.extend(broken_answers());
    cases
}

/// Codes with which AWS refuses a call for good.
const REFUSALS: &[(&str, u16, &str)] = &[
    (
        "InsufficientFreeAddressesInSubnet",
        400,
        "insufficient-addresses",
    ),
    ("InsufficientCidrBlocks", 400, "insufficient-cidr-blocks"),
    ("PrivateIpAddressLimitExceeded", 400, "address-limit"),
    ("AttachmentLimitExceeded", 400, "attachment-limit"),
    (
        "NetworkInterfaceLimitExceeded",
        400,
        "network-interface-limit",
    ),
    ("InvalidNetworkInterfaceID.NotFound", 400, "not-found"),
    ("UnauthorizedOperation", 403, "unauthorized"),
    ("IdempotentParameterMismatch", 400, "idempotency-mismatch"),
    ("UnsupportedOperation", 400, "unsupported"),
    ("ExpiredToken", 403, "expired-credentials"),
    ("RequestExpired", 400, "expired-credentials"),
    ("InvalidClientTokenId", 403, "not-authenticated"),
    ("OptInRequired", 401, "account"),
    ("DryRunOperation", 412, "dry-run"),
    ("SomethingNew", 400, "other"),
];

fn broken_answers() -> Vec<Case> {
    let html = "<!DOCTYPE html><html><body>Please sign in</body></html>";
    let page = |status| raw::answer(status, &[("Content-Type", "text/html")], html);
    let cut = "<DescribeSubnetsResponse><subnetSet><item><sub";
    let (ok, bad) = (
        |text| raw::answer(200, &[], text),
        |text| raw::answer(400, &[], text),
    );
    let lines = |text: &str| text.replace('|', "\r\n");
    vec![
        broken(
            "AWS fails",
            raw::answer(500, &[], &document("InternalError")),
            "server",
            TRIES,
        ),
        broken("sign-in page", page(200), "decode", 1),
        broken("forbidden by a proxy", page(403), "decode", 1),
        broken("bad gateway", page(502), "server", TRIES),
        broken("cut document", ok(cut), "decode", TRIES),
        broken(
            "cut error document",
            bad("<Response><Errors>"),
            "decode",
            TRIES,
        ),
        broken("another document", ok("<Other></Other>"), "decode", 1),
        broken("JSON", bad("{\"message\":\"no\"}"), "decode", 1),
        broken("empty document", ok(""), "decode", 1),
        broken(
            "cut body",
            lines("HTTP/1.1 200 OK|Content-Length: 9||<"),
            "transport",
            TRIES,
        ),
        broken(
            "not HTTP",
            lines("220 mail.example ESMTP|"),
            "transport",
            TRIES,
        ),
        broken("nothing", String::new(), "transport", TRIES),
    ]
}

/// An answer after which nobody knows whether the call was carried out.
fn broken(name: &'static str, answer: String, label: &'static str, harmless: usize) -> Case {
    Case {
        name,
        answer,
        label,
        harmless,
        once: 1,
        unknown_effect: true,
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_speak_tls_is_told_at_once() {
    let server = raw::Server::start(|_, _| "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned());
    let url = server.url.replace("http://", "https://");
    let mut config = config(&url);
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem");
    config.trust = vpc_aws::Trust::Bundle(ca.into());
    let client = Client::new(config).unwrap();
    let error = assign(&client).await.unwrap_err();
    assert_eq!(error.kind.label(), "tls", "{error:?}");
    assert!(!error.may_have_taken_effect() && !error.is_retryable());
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_corrected_once_and_stays_so() {
    // AWS's clock says 2033; it accepts signatures of the same day only.
    let date = "Wed, 18 May 2033 03:33:20 GMT";
    let server = raw::Server::start(move |_, request| {
        let headers = [("Date", date)];
        if request.to_lowercase().contains("x-amz-date: 20330518t03") {
            raw::answer(200, &headers, "<DescribeSubnetsResponse/>")
        } else {
            raw::answer(403, &headers, &document("SignatureDoesNotMatch"))
        }
    });
    let client = client(&server.url);
    describe(&client).await.unwrap();
    assert_eq!(server.requests().len(), 2);
    describe(&client).await.unwrap();
    assert_eq!(server.requests().len(), 3, "the correction is remembered");
    let counts = client.budget().counts();
    let outcomes = &counts.values().next().unwrap().outcomes;
    assert_eq!((outcomes["clock-skew"], outcomes["ok"]), (1, 2));
}

#[tokio::test]
async fn a_clock_that_no_correction_helps_is_named() {
    // A clock that runs away: the second refusal is years after the first.
    let server = raw::Server::start(|number, _| {
        let date = match number {
            1 => "Wed, 18 May 2033 03:33:20 GMT",
            _ => "Fri, 18 Jul 2036 13:20:00 GMT",
        };
        raw::answer(400, &[("Date", date)], &document("RequestExpired"))
    });
    let error = describe(&client(&server.url)).await.unwrap_err();
    assert_eq!(error.kind.label(), "clock-skew", "{error}");
    assert!(error.to_string().contains("clock is"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn refused_credentials_are_replaced_once_if_there_are_others() {
    let server = raw::Server::start(|number, _| match number {
        1 => raw::answer(400, &[], &document("ExpiredToken")),
        2 => raw::answer(200, &[], "<DescribeSubnetsResponse/>"),
        _ => raw::answer(401, &[], &document("AuthFailure")),
    });
    let mut config = config(&server.url);
    config.credentials = CredentialSource::new(Counting::default());
    let client = Client::new(config).unwrap();
    describe(&client).await.unwrap();
    let error = describe(&client).await.unwrap_err();
    assert_eq!(error.kind.label(), "not-authenticated", "{error}");
    let keys = ["AKID1", "AKID2", "AKID2", "AKID3"];
    let requests = server.requests();
    assert_eq!(requests.len(), keys.len());
    for (request, key) in requests.iter().zip(keys) {
        assert!(request.contains(&format!("Credential={key}/")), "{request}");
    }
}

/// A provider with new credentials every time.
#[derive(Debug, Default, Clone)]
struct Counting(Arc<Mutex<usize>>);

impl ProvideCredentials for Counting {
    fn provide_credentials<'a>(&'a self) -> provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let mut given = self.0.lock().unwrap();
        *given += 1;
        let expiry = SystemTime::now() + Duration::from_secs(86_400);
        let credentials =
            Credentials::new(format!("AKID{given}"), "secret", None, Some(expiry), "test");
        provider::future::ProvideCredentials::ready(Ok(credentials))
    }
}

fn document(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>as told\
         </Message></Error></Errors><RequestID>r-1</RequestID></Response>"
    )
}

fn config(url: &str) -> ClientConfig {
    let endpoint = Endpoint::choose(|_| Some(url.to_owned()), "us-west-2").unwrap();
    let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
    let mut config = ClientConfig::new(endpoint, "us-west-2", credentials);
    let step = Duration::from_millis(1);
    config.retry = RetryPolicy {
        attempts: 3,
        base: step,
        cap: step,
    };
    // These calls are throttled on purpose; the pace is not what is tested here.
    config.budget = vpc_aws::Budget::new(vpc_aws::BudgetConfig {
        shapes: |_| vpc_aws::budget::Shape {
            burst: 1e6,
            per_second: 1e6,
        },
        ..vpc_aws::BudgetConfig::WHOLE
    });
    config
}

fn client(url: &str) -> Client {
    Client::new(config(url)).unwrap()
}

async fn describe(client: &Client) -> Result<usize, Error> {
    let vpc = "vpc-1".parse().unwrap();
    let subnets = client.describe_subnets(vpc, "a".to_owned()).await?;
    Ok(subnets.len())
}

async fn assign(client: &Client) -> Result<vpc_aws::ec2::Assigned, Error> {
    let eni = "eni-1".parse().unwrap();
    client.assign_addresses(eni, AddressCount::Ips(1)).await
}
