//! The EC2 client on good, bad and broken answers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::server::{Server, answer};
use rustls::pki_types::pem::PemObject;
use vpc_aws::credentials::CredentialSource;
use vpc_aws::ec2::wire::ErrorResponse;
use vpc_aws::ec2::{
    AddressCount, Attachment, AttachmentStatus, Client, ClientConfig, Ec2, Endpoint, EniQuery,
    EniStatus, NetworkInterface, Subnet,
};
use vpc_aws::{Error, ErrorKind, RetryPolicy, TransportError, Trust};
use vpc_model::{DeviceIndex, NetworkCard};

#[tokio::test]
async fn an_eni_as_ec2_describes_it_becomes_model_types() {
    let text = include_str!("../data/describe-network-interfaces.xml");
    let server = Server::start(move |_, _| answer(200, text)).await;
    let enis = describe(&client(&server.url)).await.unwrap();
    let tags = [
        ("node.k8s.amazonaws.com/instance_id", "i-0a1b2c3d"),
        ("empty", ""),
    ];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let used = NetworkInterface {
        id: "eni-0f62d866".parse().unwrap(),
        mac: "02:81:60:cb:27:37".parse().unwrap(),
        subnet: "subnet-c53c87ac".parse().unwrap(),
        vpc: "vpc-cc3c87a5".parse().unwrap(),
        availability_zone: "us-west-2a".to_owned(),
        description: "aws-K8S-i-0a1b2c3d <pods>".to_owned(),
        status: EniStatus::InUse,
        primary_address: Some(Ipv4Addr::new(10, 0, 0, 146)),
        addresses: vec![Ipv4Addr::new(10, 0, 0, 148), Ipv4Addr::new(10, 0, 0, 150)],
        prefixes: vec!["10.0.0.160/28".parse().unwrap()],
        security_groups: vec![
            "sg-3f4b5653".parse().unwrap(),
            "sg-11111111".parse().unwrap(),
        ],
        attachment: Some(Attachment {
            id: "eni-attach-6537fc0c".parse().unwrap(),
            instance: Some("i-0a1b2c3d".parse().unwrap()),
            device: DeviceIndex(1),
            card: NetworkCard(0),
            status: AttachmentStatus::Attached,
            delete_on_termination: true,
        }),
        interface_type: "interface".to_owned(),
        tags: BTreeMap::from(tags),
    };
    let unused = NetworkInterface {
        id: "eni-0b0b0b0b".parse().unwrap(),
        mac: "02:81:60:cb:27:38".parse().unwrap(),
        description: String::new(),
        status: EniStatus::Available,
        primary_address: None,
        addresses: Vec::new(),
        prefixes: Vec::new(),
        security_groups: Vec::new(),
        attachment: None,
        tags: BTreeMap::new(),
        ..used.clone()
    };
    assert_eq!(enis, [used, unused]);
}

#[tokio::test]
async fn subnets_without_ipv4_are_left_out() {
    let text = "<DescribeSubnetsResponse><subnetSet>
        <item><subnetId>subnet-6</subnetId><availabilityZone>a</availabilityZone>
        <ipv6Native>true</ipv6Native><availableIpAddressCount>0</availableIpAddressCount></item>
        <item><subnetId>subnet-4</subnetId><availabilityZone>a</availabilityZone>
        <cidrBlock>10.0.1.0/24</cidrBlock><availableIpAddressCount>251</availableIpAddressCount>
        <tagSet><item><key>kubernetes.io/role/cni</key><value>1</value></item></tagSet></item>
        </subnetSet></DescribeSubnetsResponse>";
    let server = Server::start(move |_, _| answer(200, text)).await;
    let client = client(&server.url);
    let subnets = client
        .describe_subnets("vpc-1".parse().unwrap(), "a".to_owned())
        .await
        .unwrap();
    assert_eq!(
        subnets,
        [Subnet {
            id: "subnet-4".parse().unwrap(),
            cidr: "10.0.1.0/24".parse().unwrap(),
            availability_zone: "a".to_owned(),
            available_addresses: 251,
            tags: BTreeMap::from([("kubernetes.io/role/cni".to_owned(), "1".to_owned())]),
        }]
    );
    assert_eq!(
        server.seen()[0].param("Filter.2.Name").as_deref(),
        Some("availability-zone")
    );
}

#[tokio::test]
async fn an_instance_shows_which_devices_are_taken() {
    let interface = |id: &str, device: u8, card: u8| {
        format!(
            "<item><networkInterfaceId>{id}</networkInterfaceId><attachment><attachmentId>\
             eni-attach-{device}</attachmentId><deviceIndex>{device}</deviceIndex>\
             <networkCardIndex>{card}</networkCardIndex><status>attached</status></attachment>\
             </item>"
        )
    };
    let text = format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>\
         <instanceId>i-1</instanceId><instanceType>m5.large</instanceType><instanceState>\
         <code>16</code><name>running</name></instanceState><networkInterfaceSet>{}{}\
         </networkInterfaceSet></item></instancesSet></item></reservationSet>\
         </DescribeInstancesResponse>",
        interface("eni-1", 0, 0),
        interface("eni-2", 2, 0)
    );
    let nothing = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";
    let server = Server::start(move |number, _| match number {
        1 => answer(200, text.clone()),
        _ => answer(200, nothing),
    })
    .await;
    let client = client(&server.url);
    let instance = client
        .describe_instance("i-1".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(instance.state, "running");
    assert_eq!(instance.free_device(NetworkCard(0)), Some(DeviceIndex(1)));
    let error = client
        .describe_instance("i-1".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NotFound), "{error}");
}

#[tokio::test]
async fn refusals_name_action_endpoint_code_and_request() {
    let message = "You are not authorized to perform this operation.";
    let document = ErrorResponse::new("UnauthorizedOperation", message, "r-42")
        .to_xml()
        .unwrap();
    let server = Server::start(move |_, _| answer(403, document.clone())).await;
    let error = describe(&client(&server.url)).await.unwrap_err();
    assert!(matches!(
        &error.kind,
        ErrorKind::Unauthorized { action } if action == "ec2:DescribeNetworkInterfaces"
    ));
    let text = error.to_string();
    let start = format!("DescribeNetworkInterfaces at {}/: ", server.url);
    assert!(text.starts_with(&start), "{text}");
    for part in [
        "ec2:DescribeNetworkInterfaces",
        "HTTP 403",
        "UnauthorizedOperation",
        "r-42",
    ] {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
    assert_eq!(
        server.seen().len(),
        1,
        "a missing permission does not come back by itself"
    );
}

#[tokio::test]
async fn pages_of_proxies_are_told_from_answers_of_ec2() {
    let html = "<html><head><title>Sign in</title></head></html>";
    for (status, kind, calls) in [(200, "decode", 1), (403, "decode", 1), (502, "server", 3)] {
        let server = Server::start(move |_, _| answer(status, html)).await;
        let error = describe(&client(&server.url)).await.unwrap_err();
        assert_eq!(
            (error.kind.label(), server.seen().len()),
            (kind, calls),
            "{status}"
        );
        let page = error.answer.as_ref().unwrap();
        assert_eq!((page.status, page.message.as_str()), (status, html));
    }
}

#[tokio::test]
async fn answers_that_cannot_be_used_are_errors_that_say_why() {
    let eni = |inside: &str| {
        format!(
            "<DescribeNetworkInterfacesResponse><networkInterfaceSet><item>{inside}</item>\
             </networkInterfaceSet></DescribeNetworkInterfacesResponse>"
        )
    };
    let whole = include_str!("../data/describe-network-interfaces.xml");
    let cases = [
        (eni(""), "networkInterfaceId is missing"),
        (
            eni("<networkInterfaceId>subnet-1</networkInterfaceId>"),
            "networkInterfaceId is",
        ),
        (
            whole.replace("10.0.0.160/28", "10.0.0.161/28"),
            "ipv4Prefix is \"10.0.0.161/28\"",
        ),
        (
            whole.replace("02:81:60:cb:27:38", "none"),
            "macAddress is \"none\"",
        ),
        (
            whole.replace("<deviceIndex>1<", "<deviceIndex>-1<"),
            "deviceIndex is \"-1\"",
        ),
        (String::new(), "a page that begins \"\""),
    ];
    for (text, expected) in cases {
        let sent = text.clone();
        let server = Server::start(move |_, _| answer(200, sent.clone())).await;
        let error = describe(&client(&server.url)).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Decode(_)), "{error}");
        assert!(!error.is_retryable());
        let chain = chain(&error);
        assert!(chain.contains(expected), "{expected:?} in {chain:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_only_where_twice_does_no_harm() {
    let (url, connections) = lossy("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<Describe");
    let error = describe(&client(&url)).await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Transport(TransportError::Body(_))),
        "{error:?}"
    );
    assert_eq!(connections.load(Ordering::SeqCst), 3);

    let (url, connections) = lossy("");
    let error = client(&url)
        .assign_addresses("eni-1".parse().unwrap(), AddressCount::Ips(5))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.kind,
            ErrorKind::Transport(TransportError::Exchange(_))
        ),
        "{error:?}"
    );
    assert!(error.may_have_taken_effect());
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_connection_is_an_error_that_certainly_took_no_effect() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let error = client(&url)
        .delete_network_interface("eni-1".parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Transport(TransportError::Connect(_))),
        "{error:?}"
    );
    assert!(error.is_retryable() && !error.may_have_taken_effect());
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn a_certificate_counts_only_if_its_authority_is_trusted() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let url = tls_server(&data, NO_ENIS);
    let with = |bundle: &str| {
        let mut config = config(&url);
        config.trust = Trust::Bundle(data.join(bundle));
        Client::new(config).unwrap()
    };
    assert_eq!(describe(&with("ca.pem")).await.unwrap().len(), 0);
    let error = describe(&with("server.pem")).await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Transport(TransportError::Tls(_))),
        "{error:?}"
    );
    assert!(!error.is_retryable() && !error.may_have_taken_effect());
    assert!(chain(&error).contains("certificate"), "{}", chain(&error));
}

fn config(url: &str) -> ClientConfig {
    let endpoint = Endpoint::choose(|_| Some(url.to_owned()), "us-west-2").unwrap();
    let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
    let mut config = ClientConfig::new(endpoint, "us-west-2", credentials);
    let step = std::time::Duration::from_millis(1);
    config.retry = RetryPolicy {
        attempts: 3,
        base: step,
        cap: step,
    };
    config
}

fn client(url: &str) -> Client {
    Client::new(config(url)).unwrap()
}

async fn describe(client: &Client) -> Result<Vec<NetworkInterface>, Error> {
    client
        .describe_network_interfaces(EniQuery::AttachedTo("i-1".parse().unwrap()))
        .await
}

/// An error and all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A server that reads each request, sends `answer`, and closes the connection.
fn lossy(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut stream = stream.unwrap();
            read_request(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, connections)
}

fn read_request(stream: &mut impl Read) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        request.extend_from_slice(&buffer[..count]);
        // The requests here end in their only form value that ends so.
        if count == 0 || request.ends_with(b"MaxResults=1000") || request.ends_with(b"Count=5") {
            return;
        }
    }
}

/// EC2's answer when there are no ENIs.
pub(crate) const NO_ENIS: &str = "<DescribeNetworkInterfacesResponse/>";

/// An HTTPS server with a certificate for 127.0.0.1 that answers every request with `body`. Its
/// key lies open in the tree: nobody but this test trusts the authority that signed it.
pub(crate) fn tls_server(data: &Path, body: &'static str) -> String {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = CertificateDer::from_pem_file(data.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(data.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let mut buffer = [0; 16384];
            // A client that does not trust us hangs up within the handshake.
            if stream.read(&mut buffer).is_ok() {
                let _gone = stream.write_all(format!("{head}{body}").as_bytes());
            }
        }
    });
    url
}
