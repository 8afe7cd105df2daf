//! AWS's default credential chain as this crate builds it: every source that a node's pod may have
//! leads to a signed call.
//!
//! The chain reads the process's environment, so each test runs itself again as a child with the
//! variables set; the child makes one EC2 call and the parent looks at what arrived.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use axum::http::Method;
use vpc_aws::credentials::default_chain;
use vpc_aws::ec2::{Client, ClientConfig, Ec2, Endpoint, EniQuery};
use vpc_aws::{ErrorKind, Proxy, RetryPolicy, Trust};

use vpc_model::Timestamp;

use crate::ec2_answers::tls_server;
use crate::raw;
use crate::server::{Answer, Seen, Server, answer};

/// The answer of STS.
const ASSUMED: &str = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>\
    <Credentials><AccessKeyId>AKIDWEB</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
    <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
    </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

const CHILD: &str = "VPC_AWS_TEST_CHILD";

#[tokio::test]
async fn keys_in_the_environment_are_used() {
    let ec2 = ec2().await;
    let vars = [
        ("AWS_ACCESS_KEY_ID", "AKIDENV"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "session-of-env"),
    ];
    run("keys_in_the_environment_are_used", &ec2, &vars).await;
    assert_eq!(
        signer(&ec2),
        ("AKIDENV".to_owned(), Some("session-of-env".to_owned()))
    );
}

#[tokio::test]
async fn eks_pod_identity_is_used() {
    let ec2 = ec2().await;
    let agent = Server::start(|_, request| {
        assert_eq!(request.header("authorization"), Some("pod-token"));
        answer(200, json_credentials("AKIDPOD"))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "pod-token").unwrap();
    let vars = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/v1/credentials", agent.url),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            token.display().to_string(),
        ),
    ];
    run("eks_pod_identity_is_used", &ec2, &vars).await;
    assert_eq!(
        signer(&ec2),
        ("AKIDPOD".to_owned(), Some("session".to_owned()))
    );
}

#[tokio::test]
async fn a_role_for_the_service_account_is_used() {
    let ec2 = ec2().await;
    let sts = Server::start(|_, request| {
        assert_eq!(
            request.param("Action").as_deref(),
            Some("AssumeRoleWithWebIdentity")
        );
        assert_eq!(
            request.param("WebIdentityToken").as_deref(),
            Some("web-token")
        );
        answer(200, ASSUMED)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "web-token").unwrap();
    let vars = [
        (
            "AWS_ROLE_ARN",
            "arn:aws:iam::123456789012:role/node".to_owned(),
        ),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
        ("AWS_ENDPOINT_URL_STS", sts.url.clone()),
    ];
    run("a_role_for_the_service_account_is_used", &ec2, &vars).await;
    assert_eq!(signer(&ec2).0, "AKIDWEB");
}

#[tokio::test]
async fn the_bundle_of_authorities_counts_for_sts_too() {
    let ec2 = ec2().await;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let sts = tls_server(&data, ASSUMED);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "web-token").unwrap();
    let with = |bundle: &str, expectation: &'static str| {
        [
            (
                "AWS_ROLE_ARN",
                "arn:aws:iam::123456789012:role/node".to_owned(),
            ),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
            ("AWS_ENDPOINT_URL_STS", sts.clone()),
            ("AWS_CA_BUNDLE", data.join(bundle).display().to_string()),
            (expectation, "yes".to_owned()),
        ]
    };
    let name = "the_bundle_of_authorities_counts_for_sts_too";
    run(name, &ec2, &with("server.pem", "EXPECT_NONE")).await;
    assert_eq!(ec2.seen().len(), 0);
    run(name, &ec2, &with("ca.pem", "EXPECT_SOME")).await;
    assert_eq!(signer(&ec2).0, "AKIDWEB");
}

#[tokio::test]
async fn the_instances_role_is_used() {
    let ec2 = ec2().await;
    let imds = Server::start(imds_with_role).await;
    let vars = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ];
    run("the_instances_role_is_used", &ec2, &vars).await;
    assert_eq!(signer(&ec2).0, "AKIDROLE");
    assert_eq!(ec2.seen().len(), 2);
    let asked = imds
        .seen()
        .iter()
        .filter(|request| request.path.ends_with("/node"))
        .count();
    assert_eq!(
        asked, 1,
        "the second call uses the credentials of the first"
    );
}

#[tokio::test]
async fn without_any_source_nothing_is_sent_and_the_error_says_so() {
    let ec2 = ec2().await;
    run(
        "without_any_source_nothing_is_sent_and_the_error_says_so",
        &ec2,
        &[("NONE", "")],
    )
    .await;
    assert_eq!(ec2.seen().len(), 0);
}

#[tokio::test]
async fn credentials_about_to_expire_are_fetched_again_with_the_token_of_the_day() {
    let ec2 = ec2().await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token-1").unwrap();
    let file = token.clone();
    let agent = Server::start(move |number, request| {
        let expected = format!("token-{number}");
        assert_eq!(request.header("authorization"), Some(expected.as_str()));
        // The kubelet replaces the token; these credentials last no longer than the margin.
        std::fs::write(&file, format!("token-{}", number + 1)).unwrap();
        let soon = SystemTime::now() + Duration::from_secs(200);
        let soon = soon.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let expiry = Timestamp::from_millis(u64::try_from(soon.as_millis()).unwrap());
        let text = json_credentials(&format!("AKID{number}"));
        answer(
            200,
            text.replace("2099-01-01T00:00:00Z", &expiry.to_string()),
        )
    })
    .await;
    let vars = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/v1/credentials", agent.url),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            token.display().to_string(),
        ),
    ];
    run(
        "credentials_about_to_expire_are_fetched_again_with_the_token_of_the_day",
        &ec2,
        &vars,
    )
    .await;
    let keys: Vec<String> = ec2.seen().iter().map(key_of).collect();
    assert_eq!(keys, ["AKID1", "AKID2"]);
}

#[tokio::test]
async fn sts_is_reached_through_the_proxy_and_the_services_next_door_are_not() {
    let ec2 = ec2().await;
    let proxy = raw::Server::start(|_, _| raw::answer(403, &[], "no"));
    let imds = Server::start(imds_with_role).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "web-token").unwrap();
    let name = "sts_is_reached_through_the_proxy_and_the_services_next_door_are_not";
    let vars = [
        ("HTTPS_PROXY", proxy.url.clone()),
        ("HTTP_PROXY", proxy.url.clone()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url.clone()),
        ("AWS_EC2_METADATA_DISABLED", "false".to_owned()),
    ];
    run(name, &ec2, &vars).await;
    assert_eq!(signer(&ec2).0, "AKIDROLE");
    assert_eq!(proxy.requests().len(), 0);

    let with_role = [
        (
            "AWS_ROLE_ARN",
            "arn:aws:iam::123456789012:role/node".to_owned(),
        ),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
        (
            "AWS_ENDPOINT_URL_STS",
            "https://sts.test.invalid".to_owned(),
        ),
        ("EXPECT_NONE", "yes".to_owned()),
    ];
    let vars = [&vars[..1], &with_role].concat();
    run(name, &ec2, &vars).await;
    let asked = proxy.requests();
    let all_tunnels = |line: &String| line.starts_with("CONNECT sts.test.invalid:443 ");
    assert!(
        !asked.is_empty() && asked.iter().all(all_tunnels),
        "{asked:?}"
    );
    assert_eq!(ec2.seen().len(), 2, "the calls of the first child only");
}

/// An EC2 without ENIs.
async fn ec2() -> Server {
    Server::start(|_, _| answer(200, "<DescribeNetworkInterfacesResponse/>")).await
}

/// The access key and session token that the first call was signed with.
fn signer(ec2: &Server) -> (String, Option<String>) {
    let request = ec2.seen().into_iter().next().unwrap();
    let session = request.header("x-amz-security-token").map(str::to_owned);
    (key_of(&request), session)
}

/// The access key a request was signed with.
fn key_of(request: &Seen) -> String {
    let authorization = request.header("authorization").unwrap();
    let (_, rest) = authorization.split_once("Credential=").unwrap();
    rest.split('/').next().unwrap().to_owned()
}

/// In the parent: runs the named test in a child with these variables and no others. In the child:
/// makes two calls, and ends the process.
async fn run(test: &str, ec2: &Server, vars: &[(&str, impl AsRef<str>)]) {
    if let Ok(url) = std::env::var(CHILD) {
        let expect_none = test.starts_with("without") || std::env::var("EXPECT_NONE").is_ok();
        child(&url, expect_none).await;
        std::process::exit(0);
    }
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("credentials::{test}"), "--nocapture"]);
    command
        .env_clear()
        .env(CHILD, &ec2.url)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command.envs(vars.iter().map(|(name, value)| (name, value.as_ref())));
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn child(url: &str, expect_none: bool) {
    let endpoint = Endpoint::choose(|_| Some(url.to_owned()), "us-west-2").unwrap();
    let vars = |name: &str| std::env::var(name).ok();
    let (trust, proxy) = (Trust::from_vars(vars), Proxy::from_vars(vars).unwrap());
    let credentials = default_chain("us-west-2", &trust, &proxy).await;
    let mut config = ClientConfig::new(endpoint, "us-west-2", credentials);
    config.retry = RetryPolicy::NEVER;
    let client = Client::new(config).unwrap();
    for _ in 0..2 {
        let query = EniQuery::AttachedTo("i-1".parse().unwrap());
        let result = client.describe_network_interfaces(query).await;
        if expect_none {
            let error = result.unwrap_err();
            assert!(matches!(error.kind, ErrorKind::Credentials(_)), "{error}");
        } else {
            result.unwrap();
        }
    }
}

fn imds_with_role(_: usize, request: &Seen) -> Answer {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    if request.method == Method::PUT {
        let mut response = answer(200, "token");
        let ttl = "x-aws-ec2-metadata-token-ttl-seconds";
        response.headers_mut().insert(ttl, "21600".parse().unwrap());
        return response;
    }
    assert_eq!(request.header("x-aws-ec2-metadata-token"), Some("token"));
    match request.path.strip_prefix(ROLES) {
        Some("") => answer(200, "node"),
        Some("node") => answer(200, json_credentials("AKIDROLE")),
        Some(_) | None => answer(404, ""),
    }
}

fn json_credentials(key: &str) -> String {
    format!(
        "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"{key}\",\
         \"SecretAccessKey\":\"secret\",\"Token\":\"session\",\
         \"LastUpdated\":\"2026-01-01T00:00:00Z\",\"Expiration\":\"2099-01-01T00:00:00Z\"}}"
    )
}
