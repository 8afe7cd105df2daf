//! Asking for an IMDSv2 session token from inside a namespace, as a process there would.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::Error;
use super::namespace::within;

/// Where instance metadata answers, on every instance
/// (EC2 user guide, "Access instance metadata").
pub const METADATA: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 169, 254), 80);

/// Asks for a session token with a `PUT`; gives it when it was granted.
///
/// # Errors
/// [`Error::NoAnswer`] when no answer came within `patience`, [`Error::Strange`] when it was not
/// a token.
pub async fn token(netns: &Path, patience: Duration) -> Result<String, Error> {
    within(netns, move || ask(patience)).await?
}

fn ask(patience: Duration) -> Result<String, Error> {
    let silence = |source: io::Error| Error::no_answer("HTTP", METADATA, source);
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::V4(METADATA), patience).map_err(silence)?;
    stream.set_read_timeout(Some(patience)).map_err(silence)?;
    let request = format!(
        "PUT /latest/api/token HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\
         X-aws-ec2-metadata-token-ttl-seconds: 60\r\nConnection: close\r\n\r\n",
        METADATA.ip()
    );
    stream.write_all(request.as_bytes()).map_err(silence)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(silence)?;
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.trim().to_owned());
    match body {
        Some(token) if answer.starts_with("HTTP/1.1 200") && !token.is_empty() => Ok(token),
        Some(_) | None => Err(Error::Strange {
            to: METADATA,
            answer: answer.chars().take(60).collect(),
            expected: "a token",
        }),
    }
}
