//! The EC2 client against a loopback server: what arrives there, what is repeated, what comes back.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::Duration;

use crate::server::{Answer, Seen, Server, answer};
use vpc_aws::credentials::CredentialSource;
use vpc_aws::ec2::wire::{self, ErrorResponse, Response};
use vpc_aws::ec2::{
    AddressCount, Client, ClientConfig, CreateNetworkInterface, Ec2, Endpoint, EniQuery,
};
use vpc_aws::{Error, ErrorKind, RetryPolicy, TransportError};
use vpc_model::{DeviceIndex, EniId, NetworkCard};

#[tokio::test]
async fn a_call_arrives_as_a_signed_form() {
    let server = Server::start(|_, _| ok(&wire::CreateTagsResponse::default())).await;
    let tags = BTreeMap::from([("k & k".to_owned(), "v=ä+".to_owned())]);
    client(&server.url)
        .create_tags(vec!["eni-1".to_owned()], tags)
        .await
        .unwrap();

    let request = &server.seen()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/")
    );
    assert_eq!(
        String::from_utf8_lossy(&request.body),
        "Action=CreateTags&Version=2016-11-15&ResourceId.1=eni-1&Tag.1.Key=k+%26+k&\
         Tag.1.Value=v%3D%C3%A4%2B"
    );
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        request.header("user-agent"),
        Some(format!("vpc-cni/{version}").as_str())
    );
    assert_eq!(
        request.header("content-type"),
        Some("application/x-www-form-urlencoded; charset=utf-8")
    );
    check_signature(request);
}

#[tokio::test]
async fn throttled_calls_are_repeated_until_they_are_answered() {
    let server = Server::start(|number, _| match number {
        1 => refusal(503, "RequestLimitExceeded"),
        2 => refusal(400, "Throttling"),
        3 => answer(429, "slow down"),
        _ => ok(&assigned_one()),
    })
    .await;
    // Not idempotent, but a throttled call certainly was not carried out.
    let eni: EniId = "eni-1".parse().unwrap();
    let assigned = client(&server.url)
        .assign_addresses(eni, AddressCount::Ips(1))
        .await
        .unwrap();
    assert_eq!(assigned.addresses, [Ipv4Addr::new(10, 0, 0, 9)]);
    assert_eq!(server.seen().len(), 4);
    assert_eq!(server.seen()[3].body, server.seen()[0].body);
}

#[tokio::test]
async fn a_call_that_stays_throttled_fails_after_the_last_try() {
    let server = Server::start(|_, _| refusal(503, "RequestLimitExceeded")).await;
    let error = describe(&client(&server.url)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Throttled), "{error}");
    assert!(error.is_retryable() && !error.may_have_taken_effect());
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn ec2s_own_failures_are_repeated_only_where_twice_does_no_harm() {
    let server = Server::start(|number, _| match number {
        1 => refusal(500, "InternalError"),
        2 => ok(&wire::DescribeNetworkInterfacesResponse::default()),
        _ => refusal(500, "InternalError"),
    })
    .await;
    let client = client(&server.url);
    assert_eq!(describe(&client).await.unwrap().len(), 0);
    let error = client
        .assign_addresses("eni-1".parse().unwrap(), AddressCount::Prefixes(1))
        .await
        .unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Server), "{error}");
    assert!(error.may_have_taken_effect());
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_repeated_and_makes_one_eni() {
    let made: Mutex<BTreeMap<String, String>> = Mutex::default();
    let server = Server::start(move |number, request| {
        let mut made = made.lock().unwrap();
        let next = format!("eni-{}", made.len() + 1);
        let token = request.param("ClientToken").unwrap();
        let id = made.entry(token).or_insert(next).clone();
        if number == 1 {
            // Done, but the answer is one of a load balancer that lost patience.
            return answer(504, "<html>gateway timeout</html>");
        }
        let eni = wire::NetworkInterface {
            network_interface_id: Some(id),
            ..described_eni()
        };
        ok(&wire::CreateNetworkInterfaceResponse {
            network_interface: Some(eni),
            ..Default::default()
        })
    })
    .await;
    let client = client(&server.url);
    let first = client
        .create_network_interface(eni_to_create("token-1"))
        .await
        .unwrap();
    let second = client
        .create_network_interface(eni_to_create("token-2"))
        .await
        .unwrap();
    assert_eq!((first.id.as_str(), second.id.as_str()), ("eni-1", "eni-2"));

    let request = &server.seen()[0];
    for (name, value) in [
        ("SubnetId", "subnet-1"),
        ("SecurityGroupId.1", "sg-1"),
        ("SecurityGroupId.2", "sg-2"),
        ("Ipv4PrefixCount", "2"),
        ("Description", "aws-K8S-i-1"),
        ("TagSpecification.1.ResourceType", "network-interface"),
        (
            "TagSpecification.1.Tag.1.Key",
            "node.k8s.amazonaws.com/instance_id",
        ),
        ("TagSpecification.1.Tag.1.Value", "i-1"),
    ] {
        assert_eq!(request.param(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(request.param("SecondaryPrivateIpAddressCount"), None);
}

#[tokio::test]
async fn all_pages_are_read_and_circles_are_noticed() {
    let page = |id: &str, next: Option<&str>| {
        let eni = wire::NetworkInterface {
            network_interface_id: Some(id.to_owned()),
            ..described_eni()
        };
        ok(&wire::DescribeNetworkInterfacesResponse {
            network_interfaces: vec![eni].into(),
            next_token: next.map(str::to_owned),
            ..Default::default()
        })
    };
    let server = Server::start(
        move |_, request| match request.param("NextToken").as_deref() {
            None => page("eni-1", Some("two")),
            Some("two") => page("eni-2", Some("three")),
            Some(_) => page("eni-3", Some("")),
        },
    )
    .await;
    let enis = describe(&client(&server.url)).await.unwrap();
    let ids: Vec<&str> = enis.iter().map(|eni| eni.id.as_str()).collect();
    assert_eq!(ids, ["eni-1", "eni-2", "eni-3"]);
    assert!(
        server
            .seen()
            .iter()
            .all(|request| request.param("MaxResults").is_some())
    );

    let circle = Server::start(move |_, _| page("eni-1", Some("again"))).await;
    let error = describe(&client(&circle.url)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Decode(_)), "{error}");
    assert_eq!(circle.seen().len(), 2);
}

#[tokio::test]
async fn queries_become_the_filters_ec2_knows() {
    let server =
        Server::start(|_, _| ok(&wire::DescribeNetworkInterfacesResponse::default())).await;
    let client = client(&server.url);
    let query = |query| client.describe_network_interfaces(query);
    query(EniQuery::AttachedTo("i-7".parse().unwrap()))
        .await
        .unwrap();
    query(EniQuery::Tagged {
        key: "team".to_owned(),
        value: "a*".to_owned(),
    })
    .await
    .unwrap();
    query(EniQuery::Ids(vec![
        "eni-1".parse().unwrap(),
        "eni-2".parse().unwrap(),
    ]))
    .await
    .unwrap();
    query(EniQuery::Ids(Vec::new())).await.unwrap();

    let seen = server.seen();
    assert_eq!(seen.len(), 3, "an empty list of ids asks nothing");
    let filter = |n: usize| {
        (
            seen[n].param("Filter.1.Name"),
            seen[n].param("Filter.1.Value.1"),
        )
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(filter(0), (text("attachment.instance-id"), text("i-7")));
    assert_eq!(filter(1), (text("tag:team"), text("a\\*")));
    assert_eq!(seen[2].param("NetworkInterfaceId.2"), text("eni-2"));
    assert_eq!(
        seen[2].param("MaxResults"),
        None,
        "EC2 refuses ids together with a page size"
    );
}

#[tokio::test]
async fn changes_name_what_they_change() {
    let server = Server::start(|_, request| {
        let action = request.param("Action").unwrap();
        let attachment = "<attachmentId>eni-attach-9</attachmentId>";
        answer(
            200,
            format!("<{action}Response>{attachment}</{action}Response>"),
        )
    })
    .await;
    let client = client(&server.url);
    let (eni, attachment) = (
        "eni-1".parse::<EniId>().unwrap(),
        "eni-attach-9".parse().unwrap(),
    );
    let (device, card) = (DeviceIndex(2), NetworkCard(1));
    let made = client
        .attach_network_interface(eni.clone(), "i-1".parse().unwrap(), device, card)
        .await
        .unwrap();
    assert_eq!(made, attachment);
    client
        .set_delete_on_termination(eni.clone(), attachment.clone())
        .await
        .unwrap();
    client
        .set_security_groups(eni.clone(), vec!["sg-1".parse().unwrap()])
        .await
        .unwrap();
    let addresses = vec![Ipv4Addr::new(10, 0, 0, 4)];
    let prefixes = vec!["10.0.0.16/28".parse().unwrap()];
    client
        .unassign_addresses(eni.clone(), addresses, prefixes)
        .await
        .unwrap();
    client
        .unassign_addresses(eni.clone(), Vec::new(), Vec::new())
        .await
        .unwrap();
    client.detach_network_interface(attachment).await.unwrap();
    client.delete_network_interface(eni).await.unwrap();

    let sent: Vec<String> = server
        .seen()
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).replace("&Version=2016-11-15", ""))
        .collect();
    assert_eq!(
        sent,
        [
            "Action=AttachNetworkInterface&NetworkInterfaceId=eni-1&InstanceId=i-1&DeviceIndex=2\
         &NetworkCardIndex=1",
            "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId=eni-1\
         &Attachment.AttachmentId=eni-attach-9&Attachment.DeleteOnTermination=true",
            "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId=eni-1&SecurityGroupId.1=sg-1",
            "Action=UnassignPrivateIpAddresses&NetworkInterfaceId=eni-1&PrivateIpAddress.1=10.0.0.4",
            "Action=UnassignPrivateIpAddresses&NetworkInterfaceId=eni-1&Ipv4Prefix.1=10.0.0.16%2F28",
            "Action=DetachNetworkInterface&AttachmentId=eni-attach-9",
            "Action=DeleteNetworkInterface&NetworkInterfaceId=eni-1",
        ]
    );
}

#[tokio::test]
async fn counts_of_zero_or_none_do_not_reach_ec2() {
    let server = Server::start(|_, _| refusal(400, "InvalidParameterValue")).await;
    let client = client(&server.url);
    for count in [
        AddressCount::None,
        AddressCount::Ips(0),
        AddressCount::Prefixes(0),
    ] {
        let assigned = client
            .assign_addresses("eni-1".parse().unwrap(), count)
            .await
            .unwrap();
        assert_eq!(assigned, vpc_aws::ec2::Assigned::default());
    }
    let absurd = AddressCount::Ips(u32::MAX);
    let error = client
        .assign_addresses("eni-1".parse().unwrap(), absurd)
        .await
        .unwrap_err();
    assert!(matches!(error.kind, ErrorKind::InvalidParameter), "{error}");
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn a_silent_server_is_a_timeout_that_may_have_taken_effect() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut config = config(&url);
    config.timeout = Duration::from_millis(50);
    let client = Client::new(config).unwrap();
    let error = client
        .detach_network_interface("eni-attach-1".parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Transport(TransportError::Timeout(_))),
        "{error:?}"
    );
    assert!(error.may_have_taken_effect());
}

fn config(url: &str) -> ClientConfig {
    let vars = |name: &str| (name == "AWS_ENDPOINT_URL_EC2").then(|| url.to_owned());
    let endpoint = Endpoint::choose(vars, "us-west-2").unwrap();
    let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
    let mut config = ClientConfig::new(endpoint, "us-west-2", credentials);
    let (base, cap) = (Duration::from_millis(1), Duration::from_millis(4));
    config.retry = RetryPolicy {
        attempts: 5,
        base,
        cap,
    };
    config
}

fn client(url: &str) -> Client {
    Client::new(config(url)).unwrap()
}

async fn describe(client: &Client) -> Result<Vec<vpc_aws::ec2::NetworkInterface>, Error> {
    client
        .describe_network_interfaces(EniQuery::AttachedTo("i-1".parse().unwrap()))
        .await
}

fn ok(response: &impl Response) -> Answer {
    answer(200, response.to_xml().unwrap())
}

fn refusal(status: u16, code: &str) -> Answer {
    answer(
        status,
        ErrorResponse::new(code, "no", "r-1").to_xml().unwrap(),
    )
}

fn assigned_one() -> wire::AssignPrivateIpAddressesResponse {
    let address = wire::AssignedPrivateIpAddress {
        private_ip_address: Some("10.0.0.9".into()),
    };
    wire::AssignPrivateIpAddressesResponse {
        assigned_private_ip_addresses: vec![address].into(),
        ..Default::default()
    }
}

fn described_eni() -> wire::NetworkInterface {
    let text = |text: &str| Some(text.to_owned());
    wire::NetworkInterface {
        network_interface_id: text("eni-0"),
        subnet_id: text("subnet-1"),
        vpc_id: text("vpc-1"),
        availability_zone: text("us-west-2a"),
        status: text("pending"),
        mac_address: text("02:00:00:00:00:01"),
        private_ip_address: text("10.0.0.7"),
        ..Default::default()
    }
}

fn eni_to_create(token: &str) -> CreateNetworkInterface {
    CreateNetworkInterface {
        subnet: "subnet-1".parse().unwrap(),
        security_groups: vec!["sg-1".parse().unwrap(), "sg-2".parse().unwrap()],
        description: "aws-K8S-i-1".to_owned(),
        tags: BTreeMap::from([("node.k8s.amazonaws.com/instance_id".into(), "i-1".into())]),
        count: AddressCount::Prefixes(2),
        client_token: token.to_owned(),
    }
}

/// Makes the signature again from what arrived (SigV4: canonical request, string to sign).
fn check_signature(request: &Seen) {
    let authorization = request.header("authorization").unwrap();
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).unwrap();
        rest.split([',', ' ']).next().unwrap().to_owned()
    };
    let signed = part("SignedHeaders=");
    assert!(
        signed.contains("host") && signed.contains("x-amz-date"),
        "{signed}"
    );
    let headers: String = signed
        .split(';')
        .map(|name| format!("{name}:{}\n", request.header(name).unwrap()))
        .collect();
    let payload = sha256(&request.body);
    let canonical = format!("POST\n/\n\n{headers}\n{signed}\n{payload}");

    let time = request.header("x-amz-date").unwrap();
    let scope = format!("{}/us-west-2/ec2/aws4_request", &time[..8]);
    assert_eq!(part("Credential="), format!("AKIDEXAMPLE/{scope}"));
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let key = ["us-west-2", "ec2", "aws4_request"]
        .iter()
        .fold(hmac(b"AWS4secret", &time.as_bytes()[..8]), |key, part| {
            hmac(&key, part.as_bytes())
        });
    assert_eq!(part("Signature="), hex(&hmac(&key, to_sign.as_bytes())));
}

fn suite() -> &'static rustls::crypto::CipherSuiteCommon {
    let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    &suite.tls13().unwrap().common
}

fn sha256(data: &[u8]) -> String {
    hex(suite().hash_provider.hash(data).as_ref())
}

/// HMAC-SHA-256 for keys of at most one block (RFC 2104).
fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| -> Vec<u8> {
        (0..64)
            .map(|n| key.get(n).copied().unwrap_or(0) ^ byte)
            .collect()
    };
    let hash = |data: &[u8]| suite().hash_provider.hash(data).as_ref().to_vec();
    hash(&[pad(0x5c), hash(&[pad(0x36), data.to_vec()].concat())].concat())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
