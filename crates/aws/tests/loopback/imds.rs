//! The IMDS client against a small IMDSv2: tokens, leaves, failures.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderValue, Method};
use vpc_aws::imds::{Client, ClientConfig, Imds};
use vpc_aws::{ErrorKind, RetryPolicy, TransportError};
use vpc_model::{DeviceIndex, NetworkCard};

use crate::server::{Answer, Seen, Server, answer};

const PRIMARY: &str = "02:00:00:00:00:01";
const SECOND: &str = "02:00:00:00:00:02";
const TOKEN: &str = "x-aws-ec2-metadata-token";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

#[tokio::test]
async fn the_instance_learns_what_it_is() {
    let fake = Fake::start(two_enis()).await;
    let identity = fake.client().instance().await.unwrap();
    assert_eq!(identity.instance_id.as_str(), "i-0a");
    assert_eq!(identity.instance_type.as_str(), "m5.large");
    assert_eq!(
        (identity.region.as_str(), identity.vpc.as_str()),
        ("us-west-2", "vpc-1")
    );
    assert_eq!(identity.availability_zone, "us-west-2-lax-1a");
    assert_eq!(identity.primary_mac.to_string(), PRIMARY);
    assert_eq!(identity.local_ipv4, Ipv4Addr::new(10, 0, 1, 4));
}

#[tokio::test]
async fn enis_come_sorted_and_absent_leaves_mean_none() {
    let fake = Fake::start(two_enis()).await;
    let enis = fake.client().enis().await.unwrap();
    assert_eq!(enis.len(), 2);
    let (primary, second) = (&enis[0], &enis[1]);
    assert_eq!(
        (primary.mac.to_string().as_str(), primary.device),
        (PRIMARY, DeviceIndex(0))
    );
    assert_eq!(
        primary.addresses,
        [Ipv4Addr::new(10, 0, 1, 4), Ipv4Addr::new(10, 0, 1, 9)]
    );
    assert_eq!(primary.primary_address(), Some(Ipv4Addr::new(10, 0, 1, 4)));
    assert_eq!(primary.prefixes, []);
    assert_eq!(primary.card, NetworkCard(0));
    assert_eq!(primary.subnet_cidr, Some("10.0.1.0/24".parse().unwrap()));
    assert_eq!(primary.security_groups.len(), 2);
    assert_eq!(
        (second.device, second.card),
        (DeviceIndex(1), NetworkCard(1))
    );
    assert_eq!(
        second.prefixes,
        [
            "10.0.1.16/28".parse().unwrap(),
            "10.0.1.32/28".parse().unwrap()
        ]
    );
    assert_eq!((second.addresses.len(), second.subnet_cidr), (0, None));
}

#[tokio::test]
async fn the_primary_eni_is_device_0_whatever_imds_says() {
    let mut leaves = two_enis();
    set(&mut leaves, &eni_leaf(PRIMARY, "device-number"), "3");
    let enis = Fake::start(leaves).await.client().enis().await.unwrap();
    assert_eq!(
        (enis[0].mac.to_string().as_str(), enis[0].device),
        (PRIMARY, DeviceIndex(0))
    );
}

#[tokio::test]
async fn an_eni_whose_entry_is_incomplete_is_left_out() {
    for leaf in ["interface-id", "device-number", "subnet-id"] {
        let mut leaves = two_enis();
        leaves.remove(&eni_leaf(SECOND, leaf)).unwrap();
        let enis = Fake::start(leaves).await.client().enis().await.unwrap();
        assert_eq!(enis.len(), 1, "{leaf}");
        assert_eq!(enis[0].mac.to_string(), PRIMARY);
    }
}

#[tokio::test]
async fn all_networks_of_the_vpc_are_listed() {
    let cidrs = Fake::start(two_enis())
        .await
        .client()
        .vpc_cidrs()
        .await
        .unwrap();
    assert_eq!(
        cidrs,
        [
            "10.0.0.0/16".parse().unwrap(),
            "100.64.0.0/16".parse().unwrap()
        ]
    );
}

#[tokio::test]
async fn one_token_serves_all_requests_also_parallel_ones() {
    let fake = Fake::start(two_enis()).await;
    let client = fake.client();
    let (identity, enis) = tokio::join!(client.instance(), client.enis());
    identity.unwrap();
    enis.unwrap();
    client.vpc_cidrs().await.unwrap();
    assert_eq!(fake.tokens_given(), 1);
    let seen = fake.server.seen();
    assert_eq!(
        (seen[0].method.clone(), seen[0].path.as_str()),
        (Method::PUT, "/latest/api/token")
    );
    assert_eq!(seen[0].header(TTL), Some("21600"));
    assert!(
        seen[1..]
            .iter()
            .all(|request| request.header(TOKEN) == Some("token-1"))
    );
}

#[tokio::test]
async fn a_token_near_its_end_is_replaced_before_use() {
    let fake = Fake::start(two_enis()).await;
    fake.state.lock().unwrap().ttl = 0;
    let client = fake.client();
    client.get("mac").await.unwrap();
    client.get("mac").await.unwrap();
    let seen = fake.server.seen();
    let used: Vec<&str> = seen
        .iter()
        .filter_map(|request| request.header(TOKEN))
        .collect();
    assert_eq!(used, ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_token_that_imds_no_longer_knows_is_replaced_once() {
    let fake = Fake::start(two_enis()).await;
    let client = fake.client();
    client.get("mac").await.unwrap();
    fake.state.lock().unwrap().forget_tokens = true;
    assert_eq!(client.get("mac").await.unwrap().as_deref(), Some(PRIMARY));
    assert_eq!(fake.tokens_given(), 2);

    fake.state.lock().unwrap().refuse_tokens = true;
    let error = client.get("mac").await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NotAuthenticated), "{error}");
    assert_eq!(fake.tokens_given(), 3);
}

#[tokio::test]
async fn failures_of_imds_are_waited_out() {
    let fake = Fake::start(two_enis()).await;
    fake.state.lock().unwrap().fail_next = 3;
    assert_eq!(
        fake.client().get("mac").await.unwrap().as_deref(),
        Some(PRIMARY)
    );
    fake.state.lock().unwrap().fail_next = 4;
    let error = fake.client().get("mac").await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Server), "{error}");
}

#[tokio::test]
async fn a_missing_fact_of_the_instance_is_an_error_that_names_the_leaf() {
    let mut leaves = two_enis();
    leaves.remove("placement/region").unwrap();
    let error = Fake::start(leaves)
        .await
        .client()
        .instance()
        .await
        .unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NotFound), "{error}");
    assert!(
        error
            .to_string()
            .contains("GET /latest/meta-data/placement/region"),
        "{error}"
    );
}

#[tokio::test]
async fn a_leaf_of_the_wrong_form_is_an_error_that_names_it() {
    let mut leaves = two_enis();
    set(&mut leaves, &eni_leaf(SECOND, "device-number"), "<html>");
    let error = Fake::start(leaves).await.client().enis().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Decode(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains(&eni_leaf(SECOND, "device-number")),
        "{error}"
    );
}

#[tokio::test]
async fn imds_that_is_switched_off_is_not_asked_without_a_token() {
    let server = Server::start(|_, _| answer(403, "")).await;
    let error = client(&server.url).instance().await.unwrap_err();
    assert!(error.to_string().contains("switched off"), "{error}");
    // Version 1 would be a GET without a token.
    assert!(
        server
            .seen()
            .iter()
            .all(|request| request.method == Method::PUT)
    );
}

#[tokio::test]
async fn imds_out_of_reach_is_a_transport_error() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = client(&format!("http://127.0.0.1:{port}"))
        .enis()
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Transport(TransportError::Connect(_))),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("PUT /latest/api/token"),
        "{error}"
    );
}

#[test]
fn the_endpoint_comes_from_the_variable_or_is_the_usual_one() {
    let endpoint = |value: Option<&str>| {
        let config = ClientConfig::from_vars(|name| {
            assert_eq!(name, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
            value.map(str::to_owned)
        });
        config.map(|config| config.endpoint.to_string())
    };
    assert_eq!(endpoint(None).unwrap(), "http://169.254.169.254/");
    assert_eq!(endpoint(Some("")).unwrap(), "http://169.254.169.254/");
    assert_eq!(
        endpoint(Some("http://[fd00:ec2::254]")).unwrap(),
        "http://[fd00:ec2::254]/"
    );
    let error = endpoint(Some("169.254.169.254")).unwrap_err().to_string();
    assert!(
        error.contains("AWS_EC2_METADATA_SERVICE_ENDPOINT is \"169.254.169.254\""),
        "{error}"
    );
}

/// IMDSv2 with leaves that a test chooses.
struct Fake {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    leaves: BTreeMap<String, String>,
    ttl: u64,
    tokens_given: usize,
    known: Vec<String>,
    /// Forget every token given so far.
    forget_tokens: bool,
    /// Give tokens and refuse them all.
    refuse_tokens: bool,
    /// Fail so many requests.
    fail_next: usize,
}

impl Fake {
    async fn start(leaves: BTreeMap<String, String>) -> Self {
        let state = Arc::new(Mutex::new(State {
            leaves,
            ttl: 21600,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |_, request| shared.lock().unwrap().answer(request)).await;
        Self { server, state }
    }

    fn client(&self) -> Client {
        client(&self.server.url)
    }

    fn tokens_given(&self) -> usize {
        self.state.lock().unwrap().tokens_given
    }
}

impl State {
    fn answer(&mut self, request: &Seen) -> Answer {
        if self.fail_next > 0 {
            self.fail_next -= 1;
            return answer(503, "");
        }
        if std::mem::take(&mut self.forget_tokens) {
            self.known.clear();
        }
        if request.method == Method::PUT && request.path == "/latest/api/token" {
            return self.give_token();
        }
        let token = request.header(TOKEN).unwrap_or_default().to_owned();
        if self.refuse_tokens || !self.known.contains(&token) {
            return answer(401, "");
        }
        match request
            .path
            .strip_prefix("/latest/meta-data/")
            .map(|path| self.leaves.get(path))
        {
            Some(Some(text)) => answer(200, text.clone()),
            Some(None) | None => answer(404, "<html>404 - Not Found</html>"),
        }
    }

    fn give_token(&mut self) -> Answer {
        self.tokens_given += 1;
        let token = format!("token-{}", self.tokens_given);
        self.known.push(token.clone());
        let mut response = answer(200, token);
        response
            .headers_mut()
            .insert(TTL, HeaderValue::from(self.ttl));
        response
    }
}

fn client(url: &str) -> Client {
    let mut config = ClientConfig::from_vars(|_| Some(url.to_owned())).unwrap();
    let step = Duration::from_millis(1);
    config.retry = RetryPolicy {
        attempts: 4,
        base: step,
        cap: step,
    };
    config.timeout = Duration::from_secs(5);
    Client::new(&config).unwrap()
}

fn eni_leaf(mac: &str, leaf: &str) -> String {
    format!("network/interfaces/macs/{mac}/{leaf}")
}

fn set(leaves: &mut BTreeMap<String, String>, path: &str, text: &str) {
    leaves.insert(path.to_owned(), text.to_owned());
}

/// A node with a primary ENI on card 0 and a second one on card 1 that has prefixes only.
fn two_enis() -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    for (path, text) in [
        ("instance-id", "i-0a"),
        ("instance-type", "m5.large"),
        ("placement/region", "us-west-2"),
        ("placement/availability-zone", "us-west-2-lax-1a"),
        ("mac", PRIMARY),
        ("local-ipv4", "10.0.1.4"),
        (
            "network/interfaces/macs/",
            &format!("{SECOND}/\n{PRIMARY}/"),
        ),
    ] {
        set(&mut leaves, path, text);
    }
    for (leaf, text) in [
        ("interface-id", "eni-1"),
        ("device-number", "0"),
        ("local-ipv4s", "10.0.1.4\n10.0.1.9"),
        ("subnet-id", "subnet-1"),
        ("subnet-ipv4-cidr-block", "10.0.1.0/24"),
        ("security-group-ids", "sg-1\nsg-2"),
        ("vpc-id", "vpc-1"),
        ("vpc-ipv4-cidr-blocks", "10.0.0.0/16\n100.64.0.0/16"),
    ] {
        set(&mut leaves, &eni_leaf(PRIMARY, leaf), text);
    }
    for (leaf, text) in [
        ("interface-id", "eni-2"),
        ("device-number", "1"),
        ("network-card", "1"),
        ("ipv4-prefix", "10.0.1.16/28\n10.0.1.32/28"),
        ("subnet-id", "subnet-1"),
        ("security-group-ids", "sg-1"),
    ] {
        set(&mut leaves, &eni_leaf(SECOND, leaf), text);
    }
    leaves
}
