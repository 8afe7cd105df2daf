//! EC2 through a proxy: the tunnel, its password, its refusals, and the trust inside it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::ec2_answers::{NO_ENIS, tls_server};
use crate::raw;
use vpc_aws::credentials::CredentialSource;
use vpc_aws::ec2::{Client, ClientConfig, Ec2, Endpoint, EniQuery};
use vpc_aws::{Error, Proxy, RetryPolicy, TransportError, Trust};

#[tokio::test]
async fn calls_go_through_the_tunnel_and_are_trusted_inside_it() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let ec2 = tls_server(&data, NO_ENIS);
    let (proxy, asked) = tunnels_to(ec2.trim_start_matches("https://").to_owned());
    let with = |bundle: &str| {
        let client = client(
            &proxy.replace("http://", "http://user:pass%21@"),
            |config| {
                config.trust = Trust::Bundle(data.join(bundle));
            },
        );
        async move { describe(&client).await }
    };
    assert_eq!(with("ca.pem").await.unwrap(), 0);
    {
        let asked = asked.lock().unwrap();
        assert!(
            asked[0].starts_with("CONNECT ec2.test.invalid:443 HTTP/1.1"),
            "{asked:?}"
        );
        // user:pass!
        assert!(asked[0].contains("Basic dXNlcjpwYXNzIQ=="), "{asked:?}");
    }
    let error = with("server.pem").await.unwrap_err();
    assert_eq!(error.kind.label(), "tls", "{error:?}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_an_error_that_took_no_effect() {
    for status in [403, 407, 502] {
        let proxy = raw::Server::start(move |_, _| raw::answer(status, &[], "no"));
        let error = describe(&client(&proxy.url, |_| ())).await.unwrap_err();
        let vpc_aws::ErrorKind::Transport(TransportError::Connect(_)) = error.kind else {
            panic!("{status}: {error:?}");
        };
        assert!(!error.may_have_taken_effect());
        assert!(error.to_string().contains("ec2.test.invalid"), "{error}");
        assert_eq!(proxy.requests().len(), 1);
    }
}

/// A proxy that leads everywhere to `address`, and the requests for tunnels it got.
fn tunnels_to(address: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            log.lock().unwrap().push(head);
            let there = TcpStream::connect(&address).unwrap();
            (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            join(stream, there);
        }
    });
    (url, asked)
}

/// Copies both ways until one end hangs up.
fn join(one: TcpStream, other: TcpStream) {
    for (mut from, mut to) in [
        (one.try_clone().unwrap(), other.try_clone().unwrap()),
        (other, one),
    ] {
        std::thread::spawn(move || {
            let mut buffer = [0; 16384];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if to.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
            let _gone = to.shutdown(std::net::Shutdown::Both);
        });
    }
}

fn client(proxy: &str, change: impl Fn(&mut ClientConfig)) -> Client {
    let url = "https://ec2.test.invalid";
    let endpoint = Endpoint::choose(|_| Some(url.to_owned()), "us-west-2").unwrap();
    let credentials = CredentialSource::fixed("AKIDEXAMPLE", "secret");
    let mut config = ClientConfig::new(endpoint, "us-west-2", credentials);
    config.retry = RetryPolicy::NEVER;
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem");
    config.trust = Trust::Bundle(ca.into());
    let set = |name: &str| (name == "HTTPS_PROXY").then(|| proxy.to_owned());
    config.proxy = Proxy::from_vars(set).unwrap();
    change(&mut config);
    Client::new(config).unwrap()
}

async fn describe(client: &Client) -> Result<usize, Error> {
    let query = EniQuery::AttachedTo("i-1".parse().unwrap());
    Ok(client.describe_network_interfaces(query).await?.len())
}
